//! Samples whose common quantiles make a grid.

use crate::sorted::Sorted;

/// Values that a pool takes of each sample.
const VALUES: usize = 256;

/// Evenly spaced values of samples. Each sample has the same weight, whatever its size.
#[derive(Clone, Debug, Default)]
pub struct Pool(Vec<f64>);

impl Pool {
    pub fn add(&mut self, sample: &Sorted) {
        let values = sample.values();
        self.0.extend((0..VALUES).map(|nth| values[middle(nth, VALUES, values.len())]));
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Up to `parts` different quantiles, ascending: the middles of as many parts of the same weight.
    pub(super) fn quantiles(&self, parts: usize) -> Vec<f64> {
        let mut values = self.0.clone();
        values.sort_unstable_by(f64::total_cmp);
        let mut quantiles: Vec<f64> = match values.len() {
            0 => Vec::new(),
            length => (0..parts).map(|nth| values[middle(nth, parts, length)]).collect(),
        };
        quantiles.dedup();
        quantiles
    }
}

/// The index in the middle of a part, of so many parts of so many values.
fn middle(nth: usize, parts: usize, values: usize) -> usize {
    // 64 bits, since a sample has up to u32::MAX values.
    let index = (2 * nth as u64 + 1) * values as u64 / (2 * parts as u64);
    usize::try_from(index).expect("invariant: the index is below the number of values")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(samples: &[&[f64]]) -> Pool {
        let mut pool = Pool::default();
        for sample in samples {
            pool.add(&Sorted::new(sample.to_vec()).unwrap());
        }
        pool
    }

    #[test]
    fn each_sample_has_the_same_weight() {
        let many: Vec<f64> = (0..9000).map(|value| 0.9 + f64::from(value) / 1e5).collect();
        let quantiles = pool(&[&[0.1], &[0.2], &many]).quantiles(6);
        assert_eq!(&quantiles[..2], [0.1, 0.2]);
        assert_eq!(quantiles.len(), 4);
    }

    #[test]
    fn quantiles_are_the_middles_of_parts() {
        let sample: Vec<f64> = (0..1000).map(f64::from).collect();
        let quantiles = pool(&[&sample]).quantiles(4);
        for (quantile, expected) in quantiles.iter().zip([125.0, 375.0, 625.0, 875.0]) {
            assert!((quantile - expected).abs() <= 3.0, "{quantiles:?}");
        }
        assert!(Pool::default().quantiles(4).is_empty());
    }
}
