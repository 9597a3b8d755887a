//! Lloyd's iterations.

use super::Clusters;
use super::chunks::{self, Chunk};
use super::rows::{Centers, LANES, Rows};

/// The label of a row without a cluster.
const NO_CLUSTER: u32 = u32::MAX;

/// Moves the centers until their squared shifts add up to at most `max_shift`, or no row changes its cluster.
pub(super) fn run(rows: &Rows, centers: Vec<Vec<f64>>, max_iter: usize, max_shift: f64, threads: usize) -> Clusters {
    let mut labels = vec![NO_CLUSTER; rows.padded()];
    let mut totals = Totals::new(centers.len(), rows.features());
    let mut centers = centers;
    let mut iterations = 0;
    let inertia = loop {
        let step = assign(rows, &centers, &mut labels, threads);
        totals.add(&step);
        if step.changed == 0 || iterations == max_iter {
            break step.inertia;
        }
        iterations += 1;
        totals.fill_empty(rows, &centers, &mut labels);
        let moved = totals.centers(&centers);
        let shift: f64 =
            moved.iter().flatten().zip(centers.iter().flatten()).map(|(to, from)| (to - from) * (to - from)).sum();
        centers = moved;
        if shift <= max_shift {
            break assign(rows, &centers, &mut labels, threads).inertia;
        }
    };
    labels.truncate(rows.count());
    Clusters { labels, centers, inertia, iterations }
}

/// The effect of one pass over the rows.
struct Step {
    totals: Totals,
    inertia: f64,
    changed: u64,
}

/// The sum and the number of each cluster's rows, or a change of these.
struct Totals {
    sums: Vec<Vec<f64>>,
    counts: Vec<i64>,
}

/// Assigns each row to the cluster of its nearest center.
fn assign(rows: &Rows, centers: &[Vec<f64>], labels: &mut [u32], threads: usize) -> Step {
    let flat = Centers::new(centers, rows.features());
    let parts = chunks::map(labels, threads, |chunk| assign_chunk(rows, &flat, centers.len(), chunk));
    let mut all = Step { totals: Totals::new(centers.len(), rows.features()), inertia: 0.0, changed: 0 };
    for part in parts {
        all.totals.add(&part);
        all.inertia += part.inertia;
        all.changed += part.changed;
    }
    all
}

fn assign_chunk(rows: &Rows, centers: &Centers, clusters: usize, mut chunk: Chunk<'_, u32>) -> Step {
    let mut step = Step { totals: Totals::new(clusters, rows.features()), inertia: 0.0, changed: 0 };
    for (index, present, labels) in chunk.blocks(rows.count()) {
        let block = rows.block(index);
        let (nearest, distances) = nearest(centers, block);
        step.inertia += distances[..present].iter().copied().map(f64::from).sum::<f64>();
        for lane in 0..present {
            let (old, new) = (labels[lane], nearest[lane]);
            if old != new {
                step.totals.shift(block, lane, old, -1.0, -1);
                step.totals.shift(block, lane, new, 1.0, 1);
                step.changed += 1;
                labels[lane] = new;
            }
        }
    }
    step
}

/// The nearest center of each row of the block, the first one if several are equally near, and the squared distance.
fn nearest(centers: &Centers, block: &[[f32; LANES]]) -> ([u32; LANES], [f32; LANES]) {
    let mut best = ([0; LANES], [f32::INFINITY; LANES]);
    centers.distances(block, |center, distances| {
        for ((label, best), distance) in best.0.iter_mut().zip(&mut best.1).zip(distances) {
            let nearer = distance < best;
            *label = if nearer { center } else { *label };
            *best = if nearer { *distance } else { *best };
        }
    });
    best
}

impl Totals {
    fn new(clusters: usize, features: usize) -> Self {
        Self { sums: vec![vec![0.0; features]; clusters], counts: vec![0; clusters] }
    }

    fn add(&mut self, step: &Step) {
        for (sum, part) in self.sums.iter_mut().flatten().zip(step.totals.sums.iter().flatten()) {
            *sum += part;
        }
        for (count, part) in self.counts.iter_mut().zip(&step.totals.counts) {
            *count += part;
        }
    }

    /// Adds a row to a cluster or, with negative `sign` and `count`, removes it. A row without a cluster changes nothing.
    fn shift(&mut self, block: &[[f32; LANES]], lane: usize, label: u32, sign: f64, count: i64) {
        let Some(sums) = self.sums.get_mut(label as usize) else { return };
        for (sum, values) in sums.iter_mut().zip(block) {
            *sum += sign * f64::from(values[lane]);
        }
        self.counts[label as usize] += count;
    }

    /// Gives each empty cluster the row that is farthest from its center, the first one if several are equally far. Rows
    /// that lie on their center or are the last of their cluster stay.
    fn fill_empty(&mut self, rows: &Rows, centers: &[Vec<f64>], labels: &mut [u32]) {
        for empty in 0..self.counts.len() {
            if self.counts[empty] != 0 {
                continue;
            }
            let mut farthest = (0.0, None);
            for (row, label) in labels[..rows.count()].iter().enumerate() {
                let center = &centers[*label as usize];
                let square: f64 =
                    rows.row(row).zip(center).map(|(value, center)| square(f64::from(value) - center)).sum();
                if square > farthest.0 && self.counts[*label as usize] > 1 {
                    farthest = (square, Some(row));
                }
            }
            let Some(row) = farthest.1 else { return };
            let label = u32::try_from(empty).expect("invariant: clusters are counted in 32 bits");
            let block = rows.block(row / LANES);
            self.shift(block, row % LANES, labels[row], -1.0, -1);
            self.shift(block, row % LANES, label, 1.0, 1);
            labels[row] = label;
        }
    }

    /// The mean of each cluster's rows; an empty cluster keeps its center.
    #[allow(clippy::cast_precision_loss, reason = "no cluster has 2^53 rows")]
    fn centers(&self, old: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let clusters = self.sums.iter().zip(&self.counts).zip(old);
        clusters
            .map(|((sums, count), old)| match count {
                0 => old.clone(),
                _ => sums.iter().map(|sum| sum / *count as f64).collect(),
            })
            .collect()
    }
}

/// The mean of the features' variances.
#[allow(clippy::cast_precision_loss, reason = "no more than 2^53 rows")]
pub(super) fn mean_variance(rows: &Rows, threads: usize) -> f64 {
    // Relative to the first row: precision is kept where the values are large but nearly equal.
    let about: Vec<f32> = rows.row(0).collect();
    let mut states = vec![(); rows.padded()];
    let parts = chunks::map(&mut states, threads, |mut chunk: Chunk<'_, ()>| {
        let mut sums = vec![(0.0, 0.0); rows.features()];
        for (block, present, _) in chunk.blocks(rows.count()) {
            for ((values, about), (sum, squares)) in rows.block(block).iter().zip(&about).zip(&mut sums) {
                for value in &values[..present] {
                    let off = f64::from(*value) - f64::from(*about);
                    *sum += off;
                    *squares += off * off;
                }
            }
        }
        sums
    });
    let count = rows.count() as f64;
    let variance = |feature: usize| {
        let sum: f64 = parts.iter().map(|sums| sums[feature].0).sum();
        let squares: f64 = parts.iter().map(|sums| sums[feature].1).sum();
        (squares / count - square(sum / count)).max(0.0)
    };
    (0..rows.features()).map(variance).sum::<f64>() / rows.features() as f64
}

fn square(number: f64) -> f64 {
    number * number
}
