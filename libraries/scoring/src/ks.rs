//! The two-sample Kolmogorov-Smirnov statistic, exactly.
//!
//! D = max over x of |F₁(x) − F₂(x)|, where F₁ and F₂ are the right-continuous empirical distribution functions: both
//! samples advance past equal values before they are compared. (N. Smirnov, 1939; the statistic of
//! `scipy.stats.ks_2samp`, never its p-value.) The gap is kept as the integer |c₁n₂ − c₂n₁| and divided once, so D is
//! the correctly rounded quotient.
//!
//! The search reads little of the samples. It cuts the merged order at a value, which gives the exact gap at the cut,
//! and skips every segment whose gap cannot exceed the largest one found so far.

use crate::ratio::{first_reaching, quotient};
use crate::sorted::Sorted;

/// Segments of at most this many values are merged, which is faster than cutting them further.
const MERGE_UP_TO: usize = 96;

/// D of two samples, from 0 to 1.
///
/// Symmetric, and unchanged when the same strictly increasing function is applied to both samples.
#[must_use]
pub fn statistic(first: &Sorted, second: &Sorted) -> f64 {
    let mut search = Search::new(first, second, u64::MAX);
    search.run();
    search.statistic()
}

/// D if it is below the threshold, else `None`; stops as soon as the threshold is reached.
///
/// The comparison is strict: a D that equals the threshold gives `None`.
#[must_use]
pub fn statistic_below(first: &Sorted, second: &Sorted, threshold: f64) -> Option<f64> {
    let stop_at = first_reaching(threshold, u64::from(first.count()) * u64::from(second.count()));
    let mut search = Search::new(first, second, stop_at);
    search.run();
    (search.largest < stop_at).then(|| search.statistic())
}

/// A search for the largest gap between two samples.
struct Search<'a> {
    first: &'a [f64],
    second: &'a [f64],
    n1: u64,
    n2: u64,
    /// The largest |c₁n₂ − c₂n₁| found so far.
    largest: u64,
    /// The search ends when a gap reaches this.
    stop_at: u64,
}

/// The values from index `from` up to index `to` of each sample. No value outside the segment equals one inside, and
/// the gaps at both ends are known.
#[derive(Clone, Copy)]
struct Segment {
    from: (usize, usize),
    to: (usize, usize),
}

impl<'a> Search<'a> {
    fn new(first: &'a Sorted, second: &'a Sorted, stop_at: u64) -> Self {
        Self {
            first: first.values(),
            second: second.values(),
            n1: u64::from(first.count()),
            n2: u64::from(second.count()),
            largest: 0,
            stop_at,
        }
    }

    fn statistic(&self) -> f64 {
        quotient(self.largest, self.n1 * self.n2)
    }

    fn run(&mut self) {
        // Exact copies are common, and comparing them is faster than searching.
        if self.first != self.second {
            self.search(Segment { from: (0, 0), to: (self.first.len(), self.second.len()) });
        }
    }

    /// Takes the gap where `c1` and `c2` values of the samples lie at or below a value.
    fn record_gap(&mut self, c1: usize, c2: usize) {
        // Both products fit: the counts are at most 2^32 - 1.
        self.largest = self.largest.max((c1 as u64 * self.n2).abs_diff(c2 as u64 * self.n1));
    }

    /// An upper bound of the gaps inside a segment: all values of one sample come before any of the other.
    fn upper_bound(&self, segment: Segment) -> u64 {
        let Segment { from, to } = segment;
        if from.0 == to.0 || from.1 == to.1 {
            // Only one of the functions rises, so the gap is largest at an end.
            return 0;
        }
        let first_above = (to.0 as u64 * self.n2).saturating_sub(from.1 as u64 * self.n1);
        let second_above = (to.1 as u64 * self.n1).saturating_sub(from.0 as u64 * self.n2);
        first_above.max(second_above)
    }

    fn search(&mut self, segment: Segment) {
        if self.largest >= self.stop_at || self.upper_bound(segment) <= self.largest {
            return;
        }
        let Segment { from, to } = segment;
        let first = &self.first[from.0..to.0];
        let second = &self.second[from.1..to.1];
        if first.len() + second.len() <= MERGE_UP_TO {
            self.merge(from, first, second);
            return;
        }
        // The middle of the longer sample leaves at most three quarters of the segment on either side.
        let cut = if first.len() >= second.len() { first[first.len() / 2] } else { second[second.len() / 2] };
        let (below1, through1) = equal_range(cut, first);
        let (below2, through2) = equal_range(cut, second);
        let below = (from.0 + below1, from.1 + below2);
        let through = (from.0 + through1, from.1 + through2);
        self.record_gap(below.0, below.1);
        self.record_gap(through.0, through.1);
        let mut halves = [Segment { from, to: below }, Segment { from: through, to }];
        if self.upper_bound(halves[0]) < self.upper_bound(halves[1]) {
            halves.swap(0, 1);
        }
        for half in halves {
            self.search(half);
        }
    }

    fn merge(&mut self, from: (usize, usize), first: &[f64], second: &[f64]) {
        let (mut i, mut j) = (0, 0);
        while i < first.len() && j < second.len() {
            let value = first[i].min(second[j]);
            while i < first.len() && first[i] <= value {
                i += 1;
            }
            while j < second.len() && second[j] <= value {
                j += 1;
            }
            self.record_gap(from.0 + i, from.1 + j);
        }
    }
}

/// Where the values that equal the cut start and end.
fn equal_range(cut: f64, values: &[f64]) -> (usize, usize) {
    let begin = values.partition_point(|value| *value < cut);
    // Most runs are short.
    let end = match values[begin..].iter().take(4).position(|value| *value > cut) {
        Some(length) => begin + length,
        None => begin + values[begin..].partition_point(|value| *value <= cut),
    };
    (begin, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(values: &[f64]) -> Sorted {
        Sorted::new(values.to_vec()).unwrap()
    }

    #[test]
    fn known_values() {
        let d = |first: &[f64], second: &[f64]| statistic(&sorted(first), &sorted(second));
        for (first, second, expected) in [
            (&[1.0][..], &[1.0][..], 0.0),
            (&[1.0], &[2.0], 1.0),
            (&[0.5, 0.5, 0.5], &[0.5, 0.6], 0.5),
            (&[0.1, 0.2, 0.3], &[0.2, 0.2], 1.0 / 3.0),
            (&[-0.0], &[0.0], 0.0),
        ] {
            assert_eq!(d(first, second).to_bits(), f64::to_bits(expected), "{first:?} {second:?}");
        }
    }

    #[test]
    fn the_comparison_is_strict() {
        // D = 9/1800 is exactly the literal 0.005.
        let first: Vec<f64> = (0..1800).map(f64::from).collect();
        let second: Vec<f64> = (0..1800).map(|i| if i < 9 { 5000.0 } else { f64::from(i) }).collect();
        let (first, second) = (sorted(&first), sorted(&second));
        assert_eq!(statistic(&first, &second).to_bits(), 0.005_f64.to_bits());
        assert_eq!(statistic_below(&first, &second, 0.005), None);
        assert_eq!(statistic_below(&first, &second, 0.005_f64.next_up()), Some(0.005));
    }

    #[test]
    fn unusual_thresholds_are_compared_like_any_other() {
        let (first, second) = (sorted(&[0.0]), sorted(&[1.0]));
        assert_eq!(statistic_below(&first, &first, 0.0), None);
        assert_eq!(statistic_below(&first, &first, f64::NAN), None);
        assert_eq!(statistic_below(&first, &second, 1.0), None);
        assert_eq!(statistic_below(&first, &second, 1.5), Some(1.0));
        assert_eq!(statistic_below(&first, &second, f64::INFINITY), Some(1.0));
    }
}
