//! The two-sample Kolmogorov-Smirnov statistic, exactly.
//!
//! D = max over x of |F₁(x) − F₂(x)|, where F₁ and F₂ are the right-continuous empirical distribution functions: both
//! samples are advanced past equal values before they are compared. (N. Smirnov, 1939; the statistic that
//! `scipy.stats.ks_2samp` gives, never its p-value.) The gap is kept as the integer |c₁n₂ − c₂n₁| and divided once, so
//! D is the correctly rounded quotient.
//!
//! Finding it reads little of the samples: the merged order is cut at a value, the gap is known at both ends of each
//! part, and a part whose gap cannot grow beyond the largest one met is let go unread.

use crate::ratio::{first_reaching, quotient};
use crate::sorted::{SampleError, Sorted};

/// Below this many values merging beats cutting.
const FEW: usize = 96;

/// D of two samples, in 0..=1.
///
/// Symmetric, and unchanged when both samples pass through the same strictly increasing map.
#[must_use]
pub fn statistic(first: &Sorted, second: &Sorted) -> f64 {
    let mut search = Search::new(first, second);
    if first.values() != second.values() {
        search.look(Part { from: (0, 0), to: (first.values().len(), second.values().len()) });
    }
    search.statistic()
}

/// D of two samples in any order.
///
/// # Errors
/// When a sample is empty or has a value that is not finite.
pub fn statistic_of(first: Vec<f64>, second: Vec<f64>) -> Result<f64, SampleError> {
    Ok(statistic(&Sorted::new(first)?, &Sorted::new(second)?))
}

/// D if it is below the threshold, nothing otherwise; stops as soon as the threshold is reached.
///
/// The comparison is strict: a D that equals the threshold gives nothing.
#[must_use]
pub fn statistic_below(first: &Sorted, second: &Sorted, threshold: f64) -> Option<f64> {
    let mut search = Search::new(first, second);
    search.enough = first_reaching(threshold, search.n1 * search.n2);
    if first.values() != second.values() {
        search.look(Part { from: (0, 0), to: (first.values().len(), second.values().len()) });
    }
    (search.largest < search.enough).then(|| search.statistic())
}

/// Whether D is not below the threshold, decided without knowing D: stops at the first gap that reaches it, and lets go
/// of every part whose gap cannot.
#[must_use]
pub fn exceeds(first: &Sorted, second: &Sorted, threshold: f64) -> bool {
    let mut search = Search::new(first, second);
    search.enough = first_reaching(threshold, search.n1 * search.n2);
    let Some(just_below) = search.enough.checked_sub(1) else { return true };
    search.largest = just_below;
    search.look(Part { from: (0, 0), to: (first.values().len(), second.values().len()) });
    search.largest >= search.enough
}

/// The largest gap met so far, and the samples it is looked for in.
struct Search<'a> {
    first: &'a [f64],
    second: &'a [f64],
    n1: u64,
    n2: u64,
    /// The largest |c₁n₂ − c₂n₁| met.
    largest: u64,
    /// The gap at which the search is over.
    enough: u64,
}

/// The values after the first `from` and up to the first `to` of each sample. No value outside equals one inside, and
/// the gap at both ends has been met.
#[derive(Clone, Copy)]
struct Part {
    from: (usize, usize),
    to: (usize, usize),
}

impl<'a> Search<'a> {
    fn new(first: &'a Sorted, second: &'a Sorted) -> Self {
        Self {
            first: first.values(),
            second: second.values(),
            n1: u64::from(first.count()),
            n2: u64::from(second.count()),
            largest: 0,
            enough: u64::MAX,
        }
    }

    fn statistic(&self) -> f64 {
        quotient(self.largest, self.n1 * self.n2)
    }

    fn meet(&mut self, c1: usize, c2: usize) {
        // Both products fit: the counts are at most 2^32 - 1.
        self.largest = self.largest.max((c1 as u64 * self.n2).abs_diff(c2 as u64 * self.n1));
    }

    /// What no gap inside the part exceeds: all of one sample's values before any of the other's.
    fn bound(&self, part: Part) -> u64 {
        if part.from.0 == part.to.0 || part.from.1 == part.to.1 {
            // Only one of the functions rises, so the gap is largest at an end.
            return 0;
        }
        let first_above = (part.to.0 as u64 * self.n2).saturating_sub(part.from.1 as u64 * self.n1);
        let second_above = (part.to.1 as u64 * self.n1).saturating_sub(part.from.0 as u64 * self.n2);
        first_above.max(second_above)
    }

    fn look(&mut self, part: Part) {
        if self.largest >= self.enough || self.bound(part) <= self.largest {
            return;
        }
        let (first, second) = (self.first, self.second);
        let first = &first[part.from.0..part.to.0];
        let second = &second[part.from.1..part.to.1];
        if first.len() + second.len() <= FEW {
            self.merge(part, first, second);
            return;
        }
        // The middle of the longer sample: what is left on either side is at most three quarters of the part.
        let cut = if first.len() >= second.len() { first[first.len() / 2] } else { second[second.len() / 2] };
        let (below1, through1) = run_of(cut, first);
        let (below2, through2) = run_of(cut, second);
        let below = (part.from.0 + below1, part.from.1 + below2);
        let through = (part.from.0 + through1, part.from.1 + through2);
        self.meet(below.0, below.1);
        self.meet(through.0, through.1);
        let mut halves = [Part { from: part.from, to: below }, Part { from: through, to: part.to }];
        if self.bound(halves[0]) < self.bound(halves[1]) {
            halves.swap(0, 1);
        }
        for half in halves {
            self.look(half);
        }
    }

    fn merge(&mut self, part: Part, first: &[f64], second: &[f64]) {
        let (mut i, mut j) = (0, 0);
        while i < first.len() && j < second.len() {
            let value = first[i].min(second[j]);
            while i < first.len() && first[i] <= value {
                i += 1;
            }
            while j < second.len() && second[j] <= value {
                j += 1;
            }
            self.meet(part.from.0 + i, part.from.1 + j);
        }
    }
}

/// Where the values equal to the cut begin and end.
fn run_of(cut: f64, values: &[f64]) -> (usize, usize) {
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
        assert_eq!(statistic_of(vec![1.0], vec![1.0]), Ok(0.0));
        assert_eq!(statistic_of(vec![1.0], vec![2.0]), Ok(1.0));
        assert_eq!(statistic_of(vec![0.5, 0.5, 0.5], vec![0.5, 0.6]), Ok(0.5));
        assert_eq!(statistic_of(vec![0.1, 0.2, 0.3], vec![0.2, 0.2]), Ok(1.0 / 3.0));
        assert_eq!(statistic_of(vec![-0.0], vec![0.0]), Ok(0.0));
        assert_eq!(statistic_of(vec![], vec![0.0]), Err(SampleError::Empty));
    }

    #[test]
    fn the_comparison_is_strict() {
        // D = 9/1800 = 0.005 exactly as the literal is.
        let first: Vec<f64> = (0..1800).map(f64::from).collect();
        let second: Vec<f64> = (0..1800).map(|i| if i < 9 { 5000.0 } else { f64::from(i) }).collect();
        let (first, second) = (sorted(&first), sorted(&second));
        assert_eq!(statistic(&first, &second).to_bits(), 0.005_f64.to_bits());
        assert!(exceeds(&first, &second, 0.005));
        assert_eq!(statistic_below(&first, &second, 0.005), None);
        assert!(!exceeds(&first, &second, 0.005_f64.next_up()));
        assert_eq!(statistic_below(&first, &second, 0.005_f64.next_up()), Some(0.005));
    }

    #[test]
    fn odd_thresholds() {
        let (first, second) = (sorted(&[0.0]), sorted(&[1.0]));
        assert!(exceeds(&first, &first, 0.0) && exceeds(&first, &first, f64::NAN));
        assert!(!exceeds(&first, &second, 1.5) && exceeds(&first, &second, 1.0));
        assert_eq!(statistic_below(&first, &second, f64::INFINITY), Some(1.0));
    }
}
