//! A few thousand counts of a sample, which tell most pairs of samples apart without their values.

mod bytes;

use crate::ratio::first_reaching;
use crate::sorted::Sorted;

/// Steps of the grid over [0, 1]: the counts are taken at 0/4096, 1/4096, …, 4096/4096.
pub const GRID: usize = 4096;

const POINTS: usize = GRID + 1;

/// How many values of a sample of probabilities lie at or below each point of a fixed grid.
///
/// The largest gap between the counts of two samples is a lower bound of D. Values outside [0, 1] count at the ends of
/// the grid, so the bound holds for any sample. A summary takes 16 KiB in memory, and a few KiB
/// [as bytes](Self::to_bytes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// `at_or_below[i]` counts the values x ≤ i/4096. Ascending; the last one is the sample's size, at least 1.
    at_or_below: Vec<u32>,
}

impl Summary {
    #[must_use]
    pub fn of(sample: &Sorted) -> Self {
        let mut counts = vec![0; POINTS];
        for value in sample.values() {
            counts[point(*value)] += 1;
        }
        Self::from_counts(counts)
    }

    /// From the number of values at each point; their sum must fit.
    fn from_counts(mut counts: Vec<u32>) -> Self {
        let mut sum = 0;
        for count in &mut counts {
            sum += *count;
            *count = sum;
        }
        Self { at_or_below: counts }
    }

    /// The size of the sample.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.at_or_below[GRID]
    }

    /// Whether the summaries alone prove that D ≥ `threshold`. If not, D may still be anything.
    #[must_use]
    pub fn proves_far(&self, other: &Self, threshold: f64) -> bool {
        let (n1, n2) = (u64::from(self.count()), u64::from(other.count()));
        let far = first_reaching(threshold, n1 * n2);
        let pairs = self.at_or_below.iter().zip(&other.at_or_below);
        if n1 == n2 {
            // The usual case, as all submissions of a challenge predict the same ids: 32 bits suffice.
            let gap = pairs.map(|(at1, at2)| at1.abs_diff(*at2)).fold(0, u32::max);
            return u64::from(gap) * n1 >= far;
        }
        let gap = pairs.map(|(at1, at2)| (u64::from(*at1) * n2).abs_diff(u64::from(*at2) * n1)).fold(0, u64::max);
        gap >= far
    }
}

/// The first point of the grid at or above a value. Multiplying by a power of two is exact, so a larger value never
/// gets a lower point.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturating is intended")]
fn point(value: f64) -> usize {
    ((value * 4096.0).ceil() as usize).min(GRID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_count_from_the_first_point_at_or_above_them() {
        let cases = [
            (0.0, 0),
            (-0.0, 0),
            (-3.0, 0),
            (5e-324, 1),
            (1.0 / 4096.0, 1),
            ((1.0_f64 / 4096.0).next_up(), 2),
            (0.5, 2048),
            (1.0, GRID),
            (1e308, GRID),
            (-1e308, 0),
        ];
        for (value, expected) in cases {
            assert_eq!(point(value), expected, "{value}");
        }
    }

    #[test]
    fn values_between_the_same_points_prove_nothing() {
        let first = Summary::of(&Sorted::new(vec![0.50001, 0.50002]).unwrap());
        let second = Summary::of(&Sorted::new(vec![0.50003]).unwrap());
        assert!(!first.proves_far(&second, f64::MIN_POSITIVE));
        assert!(first.proves_far(&second, 0.0));
    }

    #[test]
    fn samples_at_opposite_ends_are_proven_far() {
        let first = Summary::of(&Sorted::new(vec![0.0; 3]).unwrap());
        let second = Summary::of(&Sorted::new(vec![1.0; 2]).unwrap());
        assert!(first.proves_far(&second, 1.0) && !first.proves_far(&second, 1.5));
        assert!(!first.proves_far(&first, f64::MIN_POSITIVE));
    }
}
