//! Rows of features in the memory layout for computing distances.

/// Rows that are processed together.
pub(super) const LANES: usize = 8;

/// The same number of each of [`LANES`] rows.
pub(super) type Lanes = [f32; LANES];

/// Rows of features in single precision, in blocks of eight rows: within a block, the eight values of one feature are
/// adjacent. A value takes 4 bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    features: usize,
    count: usize,
    /// The last block is padded with zeros.
    lanes: Vec<Lanes>,
}

impl Rows {
    /// No rows yet, with this many features (0 counts as 1).
    #[must_use]
    pub fn new(features: usize) -> Self {
        Self { features: features.max(1), count: 0, lanes: Vec::new() }
    }

    /// Adds a row. Missing features become 0, and additional ones are ignored.
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

    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The number of features of each row, at least 1.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// The features of a row; empty beyond the last row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = f32> + '_ {
        let block = if row < self.count { self.block(row / LANES) } else { &[] };
        block.iter().map(move |values| values[row % LANES])
    }

    /// Eight rows: one [`Lanes`] for each feature.
    pub(super) fn block(&self, block: usize) -> &[Lanes] {
        &self.lanes[block * self.features..][..self.features]
    }

    /// The number of rows including the padding of the last block.
    pub(super) fn padded(&self) -> usize {
        self.count.next_multiple_of(LANES)
    }
}

/// Centers in single precision, in the memory layout for computing distances: in groups of [`TOGETHER`].
pub(super) struct Centers {
    features: usize,
    values: Vec<f32>,
}

/// Centers that are processed together: with eight rows, their sums just fit into the registers of every machine.
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

    /// Calls `each` with the index of every center, in order, and its squared distances from the rows of the block.
    #[inline]
    pub(super) fn distances(&self, block: &[Lanes], mut each: impl FnMut(u32, &Lanes)) {
        let firsts = (0..).step_by(TOGETHER);
        for (first, group) in firsts.zip(self.values.chunks(TOGETHER * self.features)) {
            // One compiled version for each size of a group, so that the sums stay in registers.
            match group.len() / self.features {
                1 => group_distances::<1>(block, group, first, &mut each),
                2 => group_distances::<2>(block, group, first, &mut each),
                3 => group_distances::<3>(block, group, first, &mut each),
                4 => group_distances::<4>(block, group, first, &mut each),
                _ => group_distances::<TOGETHER>(block, group, first, &mut each),
            }
        }
    }
}

/// The distances of `C` centers. Each lane sums over the features in order, so the width of the machine's vectors does
/// not matter.
#[inline]
fn group_distances<const C: usize>(block: &[Lanes], centers: &[f32], first: u32, each: &mut impl FnMut(u32, &Lanes)) {
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
