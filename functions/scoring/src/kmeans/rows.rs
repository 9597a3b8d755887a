//! Rows of features, laid out for distances.

/// Rows that are worked on together.
pub(super) const LANES: usize = 8;

/// A row of the same numbers for each of [`LANES`] rows.
pub(super) type Lanes = [f32; LANES];

/// Rows of features in single precision, in blocks of eight rows: within a block, the eight values of one feature
/// stand together. Memory is 4 bytes a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    features: usize,
    count: usize,
    /// The last block is filled up with zeros.
    lanes: Vec<Lanes>,
}

impl Rows {
    /// No rows yet, of so many features (0 counts as 1).
    #[must_use]
    pub fn new(features: usize) -> Self {
        Self { features: features.max(1), count: 0, lanes: Vec::new() }
    }

    /// Adds a row; features that it lacks are 0, and those beyond are left out.
    pub fn push(&mut self, row: &[f32]) {
        let lane = self.count % LANES;
        if lane == 0 {
            self.lanes.resize(self.lanes.len() + self.features, [0.0; LANES]);
        }
        let block = self.lanes.len() - self.features;
        for (values, value) in self.lanes[block..].iter_mut().zip(row) {
            values[lane] = *value;
        }
        self.count += 1;
    }

    /// How many rows there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many features each row has, at least 1.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// A row's features; empty beyond the last row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = f32> + '_ {
        let block = if row < self.count { self.block(row / LANES) } else { &[] };
        block.iter().map(move |values| values[row % LANES])
    }

    /// Eight rows: one [`Lanes`] for each feature.
    pub(super) fn block(&self, block: usize) -> &[Lanes] {
        &self.lanes[block * self.features..][..self.features]
    }

    /// The number of rows with those that fill up the last block.
    pub(super) fn padded(&self) -> usize {
        self.count.next_multiple_of(LANES)
    }
}

/// Centers in single precision, as distances need them.
pub(super) struct Centers {
    features: usize,
    values: Vec<f32>,
}

/// Centers that are measured together: with eight rows their sums just fit into the registers of every machine.
const TOGETHER: usize = 5;

impl Centers {
    #[allow(clippy::cast_possible_truncation, reason = "rounded to single precision")]
    pub(super) fn new(centers: &[Vec<f64>], features: usize) -> Self {
        let mut values = Vec::with_capacity(centers.len() * features);
        for group in centers.chunks(TOGETHER) {
            for feature in 0..features {
                values.extend(group.iter().map(|center| center[feature] as f32));
            }
        }
        Self { features, values }
    }

    /// Calls `each` with every center's index and its squared distances from the block's rows, in order of index.
    #[inline]
    pub(super) fn distances(&self, block: &[Lanes], mut each: impl FnMut(u32, &Lanes)) {
        let mut first = 0;
        for group in self.values.chunks(TOGETHER * self.features) {
            match group.len() / self.features {
                5 => measure::<5>(block, group, first, &mut each),
                4 => measure::<4>(block, group, first, &mut each),
                3 => measure::<3>(block, group, first, &mut each),
                2 => measure::<2>(block, group, first, &mut each),
                _ => measure::<1>(block, group, first, &mut each),
            }
            first += 5;
        }
    }
}

/// Each lane sums up over the features in their order, so the width of the machine's vectors does not matter.
#[inline]
fn measure<const C: usize>(block: &[Lanes], centers: &[f32], first: u32, each: &mut impl FnMut(u32, &Lanes)) {
    let mut sums = [[0.0_f32; LANES]; C];
    for (values, centers) in block.iter().zip(centers.as_chunks::<C>().0) {
        for (sum, center) in sums.iter_mut().zip(centers) {
            for (sum, value) in sum.iter_mut().zip(values) {
                let off = value - center;
                *sum += off * off;
            }
        }
    }
    for (index, sum) in (first..).zip(&sums) {
        each(index, sum);
    }
}
