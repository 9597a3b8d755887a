//! What summaries prove about D.

use proptest::prelude::*;
use scoring::{Grid, Summary, ks};

use super::{pool, sorted, values};

/// Grids of every kind: uniform, of pools, of few points, outside of all samples.
fn grids() -> impl Strategy<Value = Grid> {
    let points = prop::collection::btree_set(-200..1400_i32, 1..=64);
    prop_oneof![
        Just(Grid::uniform()),
        prop::collection::vec(values(), 1..5).prop_map(|samples| Grid::of_pool(1, &pool(&samples))),
        points.prop_map(|points| {
            Grid::from_points(2, points.into_iter().map(|point| f64::from(point) / 1000.0).collect()).unwrap()
        }),
        prop_oneof![Just(-1e308), Just(0.0), Just(5e-324), Just(0.5), Just(1.0), Just(1e308)]
            .prop_map(|point| Grid::from_points(3, vec![point]).unwrap()),
    ]
}

proptest! {
    #[test]
    fn only_pairs_that_are_far_are_proven_far(
        first in values(), second in values(), grid in grids(), threshold in 0.0..1.0_f64,
    ) {
        let (first, second) = (sorted(&first), sorted(&second));
        let d = ks::statistic(&first, &second);
        let (first, second) = (Summary::of(&first, &grid), Summary::of(&second, &grid));
        for threshold in [threshold, d.next_down(), d, d.next_up()] {
            let far = first.proves_far(&second, threshold);
            prop_assert!(!far || d >= threshold, "{threshold} {d}");
            prop_assert_eq!(far, second.proves_far(&first, threshold));
        }
        prop_assert!(first.proves_far(&second, 0.0) && !first.proves_far(&second, d.next_up()));
    }

    #[test]
    fn summaries_of_different_grids_prove_nothing(
        first in values(), second in values(), grid in grids(), other in grids(), threshold in 0.0..1.0_f64,
    ) {
        prop_assume!(grid != other);
        let (first, second) = (Summary::of(&sorted(&first), &grid), Summary::of(&sorted(&second), &other));
        prop_assert!(!first.proves_far(&second, threshold));
    }

    #[test]
    fn the_proof_holds_outside_of_the_unit_interval(
        first in prop::collection::vec(-1e3..1e3_f64, 1..50), second in prop::collection::vec(-2.0..2.0_f64, 1..50),
        grid in grids(), threshold in 0.0..1.0_f64,
    ) {
        let (first, second) = (sorted(&first), sorted(&second));
        let d = ks::statistic(&first, &second);
        let (first, second) = (Summary::of(&first, &grid), Summary::of(&second, &grid));
        for threshold in [threshold, d, d.next_up()] {
            prop_assert!(!first.proves_far(&second, threshold) || d >= threshold);
        }
    }

    #[test]
    fn the_proof_holds_for_samples_whose_counts_need_four_bytes(
        (size1, size2) in (65_530..65_545_usize, 65_530..65_545_usize), (low1, low2) in (0..65_000_usize, 0..65_000_usize),
        same_size in any::<bool>(),
    ) {
        let sample = |size: usize, low: usize| sorted(&[vec![0.25; low], vec![0.75; size - low]].concat());
        let (first, second) = (sample(size1, low1), sample(if same_size { size1 } else { size2 }, low2));
        let d = ks::statistic(&first, &second);
        let (first, second) = (Summary::of(&first, &Grid::uniform()), Summary::of(&second, &Grid::uniform()));
        for threshold in [d.next_down(), d, d.next_up()] {
            prop_assert_eq!(first.proves_far(&second, threshold), d >= threshold);
        }
    }

    #[test]
    fn values_on_the_grid_are_decided_exactly(
        first in prop::collection::vec(0..64_usize, 1..200), second in prop::collection::vec(0..64_usize, 1..200),
        threshold in 0.0..1.0_f64,
    ) {
        let grid = Grid::uniform();
        let on_grid = |points: &[usize]| sorted(&points.iter().map(|point| grid.points()[*point]).collect::<Vec<_>>());
        let (first, second) = (on_grid(&first), on_grid(&second));
        let d = ks::statistic(&first, &second);
        let (first, second) = (Summary::of(&first, &grid), Summary::of(&second, &grid));
        for threshold in [threshold, d, d.next_up()] {
            prop_assert_eq!(first.proves_far(&second, threshold), d >= threshold);
        }
    }
}
