//! Greedy k-means++.

use rand_core::Rng;
use rand_pcg::Pcg64Mcg;

use super::chunks::{self, CHUNK, Chunk};
use super::rows::{Centers, Rows};

/// Chooses rows as the first centers: one at random, then each with a probability proportional to its squared distance
/// from the nearest center so far. Of a few drawn this way, the one that leaves the least sum of distances is taken.
pub(super) fn choose(rows: &Rows, clusters: usize, random: &mut Pcg64Mcg, threads: usize) -> Vec<Vec<f64>> {
    let candidates = 2 + floor_ln(clusters);
    let mut nearest = vec![f32::INFINITY; rows.padded()];
    let first = center(rows, below(random, rows.count()));
    let mut sums = update_nearest(rows, &first, &mut nearest, threads);
    let mut centers = vec![first];
    while centers.len() < clusters {
        let total: f64 = sums.iter().sum();
        let mut drawn: Vec<Vec<f64>> = (0..candidates)
            .map(|_| {
                let row = draw(&nearest[..rows.count()], &sums, unit(random) * total);
                // If all rows lie on centers, any row will do.
                center(rows, row.unwrap_or_else(|| below(random, rows.count())))
            })
            .collect();
        let next = best(rows, &drawn, &mut nearest, threads);
        let next = drawn.swap_remove(next);
        sums = update_nearest(rows, &next, &mut nearest, threads);
        centers.push(next);
    }
    centers
}

fn center(rows: &Rows, row: usize) -> Vec<f64> {
    rows.row(row).map(f64::from).collect()
}

/// Updates each row's distance from its nearest center, and returns the sums of the distances by chunk.
fn update_nearest(rows: &Rows, center: &Vec<f64>, nearest: &mut [f32], threads: usize) -> Vec<f64> {
    let center = Centers::new(std::slice::from_ref(center), rows.features());
    chunks::map(nearest, threads, |mut chunk: Chunk<'_, f32>| {
        let mut sum = 0.0;
        for (block, present, nearest) in chunk.blocks(rows.count()) {
            center.distances(rows.block(block), |_, distances| {
                for (nearest, distance) in nearest.iter_mut().zip(distances) {
                    *nearest = nearest.min(*distance);
                }
            });
            sum += nearest[..present].iter().copied().map(f64::from).sum::<f64>();
        }
        sum
    })
}

/// The index of the candidate that leaves the least sum of distances, the first one if several tie.
fn best(rows: &Rows, candidates: &[Vec<f64>], nearest: &mut [f32], threads: usize) -> usize {
    let centers = Centers::new(candidates, rows.features());
    let by_chunk = chunks::map(nearest, threads, |mut chunk: Chunk<'_, f32>| {
        let mut sums = vec![0.0_f64; candidates.len()];
        for (block, present, nearest) in chunk.blocks(rows.count()) {
            centers.distances(rows.block(block), |candidate, distances| {
                let left = nearest.iter().zip(distances).take(present);
                sums[candidate as usize] += left.map(|(near, new)| f64::from(near.min(*new))).sum::<f64>();
            });
        }
        sums
    });
    let sum = |candidate: usize| by_chunk.iter().map(|sums| sums[candidate]).sum::<f64>();
    let mut best = (0, sum(0));
    for candidate in 1..candidates.len() {
        let sum = sum(candidate);
        if sum < best.1 {
            best = (candidate, sum);
        }
    }
    best.0
}

/// The row at which the running sum of the distances first exceeds the target. `sums` are the sums of the chunks.
fn draw(nearest: &[f32], sums: &[f64], target: f64) -> Option<usize> {
    let mut left = target;
    let mut last = None;
    for (index, (distances, sum)) in nearest.chunks(CHUNK).zip(sums).enumerate().filter(|(_, (_, sum))| **sum > 0.0) {
        last = Some((index, distances));
        if left < *sum {
            break;
        }
        left -= sum;
    }
    // Rounding may put the target past the end; then the last row that can be drawn is taken.
    let (index, distances) = last?;
    let mut row = None;
    for (offset, distance) in distances.iter().enumerate().filter(|(_, distance)| **distance > 0.0) {
        row = Some(index * CHUNK + offset);
        left -= f64::from(*distance);
        if left < 0.0 {
            break;
        }
    }
    row
}

/// A random number from 0 up to but not including 1, of 53 bits.
#[allow(clippy::cast_precision_loss, reason = "exact")]
fn unit(random: &mut Pcg64Mcg) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A random number below `count`, which must not be 0; the bias is below `count` in 2^64.
fn below(random: &mut Pcg64Mcg, count: usize) -> usize {
    let scaled = (u128::from(random.next_u64()) * count as u128) >> 64;
    usize::try_from(scaled).expect("invariant: the number is below the count")
}

/// ⌊ln n⌋ of a number of at least 1.
fn floor_ln(number: usize) -> usize {
    let mut power = std::f64::consts::E;
    let mut floor = 0;
    #[allow(clippy::cast_precision_loss, reason = "no power of e is near an integer")]
    while power <= number as f64 {
        power *= std::f64::consts::E;
        floor += 1;
    }
    floor
}
