//! A few thousand counts that tell most pairs of samples apart.

mod bytes;

use crate::ratio::{first_reaching, quotient};
use crate::sorted::Sorted;

/// Steps of the grid over [0, 1]: the counts are taken at 0/4096, 1/4096, …, 4096/4096.
pub const GRID: usize = 4096;

const POINTS: usize = GRID + 1;

/// How many values of a sample of probabilities lie at or below each point of a fixed grid.
///
/// From the summaries of two samples alone [`bounds`](Self::bounds) holds D from both sides. Values outside [0, 1] count
/// at its ends, which keeps the bounds true for any sample. In memory 16 KiB; as bytes a few KiB (see
/// [`to_bytes`](Self::to_bytes)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// `at_or_below[i]` counts the values x ≤ i/4096; ascending, and the last is the sample's size, at least 1.
    at_or_below: Vec<u32>,
}

/// What two summaries say of D: `lower <= D <= upper`, all three rounded from their exact quotients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The largest gap at a point of the grid; D is not below it.
    pub lower: f64,
    /// The largest gap there could be between two points; D is not above it.
    pub upper: f64,
}

impl Summary {
    /// The summary of a sample.
    #[must_use]
    pub fn of(sample: &Sorted) -> Self {
        let mut counts = vec![0; POINTS];
        for value in sample.values() {
            counts[point(*value)] += 1;
        }
        Self::from_counts(counts)
    }

    /// From the number of values at each point, whose sum fits.
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

    /// Bounds of D between the two samples, each inclusive.
    #[must_use]
    pub fn bounds(&self, other: &Self) -> Bounds {
        let (n1, n2) = (u64::from(self.count()), u64::from(other.count()));
        let (mut lower, mut upper) = (0, 0);
        let (mut last1, mut last2) = (0, 0);
        for (at1, at2) in self.at_or_below.iter().zip(&other.at_or_below) {
            let (at1, at2) = (u64::from(*at1), u64::from(*at2));
            lower = lower.max((at1 * n2).abs_diff(at2 * n1));
            if at1 > last1 && at2 > last2 {
                // Both rise since the point before: at worst all of one's values come before any of the other's.
                upper = upper.max((at1 * n2).saturating_sub(last2 * n1)).max((at2 * n1).saturating_sub(last1 * n2));
            }
            (last1, last2) = (at1, at2);
        }
        Bounds { lower: quotient(lower, n1 * n2), upper: quotient(upper.max(lower), n1 * n2) }
    }

    /// Whether the summaries alone prove that D is not below the threshold; `bounds(other).lower >= threshold`, sooner.
    #[must_use]
    pub fn exceeds(&self, other: &Self, threshold: f64) -> bool {
        let (n1, n2) = (u64::from(self.count()), u64::from(other.count()));
        let enough = first_reaching(threshold, n1 * n2);
        let pairs = self.at_or_below.iter().zip(&other.at_or_below);
        if n1 == n2 {
            // Samples of one challenge are of one size, and then 32 bits do.
            let gap = pairs.map(|(at1, at2)| at1.abs_diff(*at2)).max().unwrap_or(0);
            return u64::from(gap) * n1 >= enough;
        }
        let gap = pairs.map(|(at1, at2)| (u64::from(*at1) * n2).abs_diff(u64::from(*at2) * n1)).max().unwrap_or(0);
        gap >= enough
    }
}

/// The first point of the grid at or above a value: multiplying by a power of two is exact, so a larger value never
/// comes to a lower point.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, which is what is meant")]
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
    fn values_between_the_same_points_leave_the_bounds_apart() {
        let first = Summary::of(&Sorted::new(vec![0.50001, 0.50002]).unwrap());
        let second = Summary::of(&Sorted::new(vec![0.50003]).unwrap());
        assert_eq!(first.bounds(&second), Bounds { lower: 0.0, upper: 1.0 });
    }

    #[test]
    fn samples_at_the_ends_are_told_apart_exactly() {
        let first = Summary::of(&Sorted::new(vec![0.0; 3]).unwrap());
        let second = Summary::of(&Sorted::new(vec![1.0; 2]).unwrap());
        assert_eq!(first.bounds(&second), Bounds { lower: 1.0, upper: 1.0 });
        assert_eq!(first.bounds(&first), Bounds { lower: 0.0, upper: 1.0 });
        assert!(first.exceeds(&second, 1.0) && !first.exceeds(&second, 1.5));
    }
}
