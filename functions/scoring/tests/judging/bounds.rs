use proptest::prelude::*;
use scoring::{GRID, Summary, ks};

use super::{sorted, values};

proptest! {
    #[test]
    fn they_always_hold(first in values(), second in values(), threshold in 0.0..1.0_f64) {
        let (first, second) = (sorted(&first), sorted(&second));
        let d = ks::statistic(&first, &second);
        let (first, second) = (Summary::of(&first), Summary::of(&second));
        let bounds = first.bounds(&second);
        prop_assert!(bounds.lower <= d && d <= bounds.upper, "{bounds:?} {d}");
        prop_assert_eq!(bounds, second.bounds(&first));
        for threshold in [threshold, bounds.lower, bounds.lower.next_up()] {
            prop_assert_eq!(first.exceeds(&second, threshold), bounds.lower >= threshold);
        }
    }

    #[test]
    fn they_hold_outside_of_the_unit_interval(
        first in prop::collection::vec(-1e3..1e3_f64, 1..50), second in prop::collection::vec(-2.0..2.0_f64, 1..50),
    ) {
        let (first, second) = (sorted(&first), sorted(&second));
        let d = ks::statistic(&first, &second);
        let bounds = Summary::of(&first).bounds(&Summary::of(&second));
        prop_assert!(bounds.lower <= d && d <= bounds.upper);
    }

    #[test]
    fn they_meet_on_the_grid(first in prop::collection::vec(0..=GRID, 1..200), second in prop::collection::vec(0..=GRID, 1..200)) {
        let on_grid = |points: &[usize]| sorted(&points.iter().map(|point| *point as f64 / GRID as f64).collect::<Vec<_>>());
        let (first, second) = (on_grid(&first), on_grid(&second));
        let bounds = Summary::of(&first).bounds(&Summary::of(&second));
        prop_assert_eq!(bounds.lower, ks::statistic(&first, &second));
    }
}
