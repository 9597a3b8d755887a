//! What summaries prove about D.

use proptest::prelude::*;
use scoring::{GRID, Summary, ks};

use super::{sorted, values};

proptest! {
    #[test]
    fn only_pairs_that_are_far_are_proven_far(first in values(), second in values(), threshold in 0.0..1.0_f64) {
        let (first, second) = (sorted(&first), sorted(&second));
        let d = ks::statistic(&first, &second);
        let (first, second) = (Summary::of(&first), Summary::of(&second));
        for threshold in [threshold, d.next_down(), d, d.next_up()] {
            let far = first.proves_far(&second, threshold);
            prop_assert!(!far || d >= threshold, "{threshold} {d}");
            prop_assert_eq!(far, second.proves_far(&first, threshold));
        }
        prop_assert!(first.proves_far(&second, 0.0) && !first.proves_far(&second, d.next_up()));
    }

    #[test]
    fn the_proof_holds_outside_of_the_unit_interval(
        first in prop::collection::vec(-1e3..1e3_f64, 1..50), second in prop::collection::vec(-2.0..2.0_f64, 1..50),
        threshold in 0.0..1.0_f64,
    ) {
        let (first, second) = (sorted(&first), sorted(&second));
        let d = ks::statistic(&first, &second);
        let (first, second) = (Summary::of(&first), Summary::of(&second));
        for threshold in [threshold, d, d.next_up()] {
            prop_assert!(!first.proves_far(&second, threshold) || d >= threshold);
        }
    }

    #[test]
    fn values_on_the_grid_are_decided_exactly(
        first in prop::collection::vec(0..=GRID, 1..200), second in prop::collection::vec(0..=GRID, 1..200),
        threshold in 0.0..1.0_f64,
    ) {
        let on_grid = |points: &[usize]| sorted(&points.iter().map(|point| *point as f64 / GRID as f64).collect::<Vec<_>>());
        let (first, second) = (on_grid(&first), on_grid(&second));
        let d = ks::statistic(&first, &second);
        let (first, second) = (Summary::of(&first), Summary::of(&second));
        for threshold in [threshold, d, d.next_up()] {
            prop_assert_eq!(first.proves_far(&second, threshold), d >= threshold);
        }
    }
}
