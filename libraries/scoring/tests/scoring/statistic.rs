use proptest::prelude::*;
use scoring::ks::{statistic, statistic_below};

use super::{definition, sorted, values};

fn d_of(first: &[f64], second: &[f64]) -> f64 {
    statistic(&sorted(first), &sorted(second))
}

proptest! {
    #[test]
    fn d_agrees_with_its_definition_to_the_last_bit(first in values(), second in values()) {
        let d = d_of(&first, &second);
        prop_assert_eq!(d.to_bits(), definition(&first, &second).to_bits());
        prop_assert!((0.0..=1.0).contains(&d));
        prop_assert_eq!(d.to_bits(), d_of(&second, &first).to_bits());
    }

    #[test]
    fn the_order_of_the_values_does_not_matter(first in values().prop_shuffle(), second in values()) {
        let mut ascending = first.clone();
        ascending.sort_by(f64::total_cmp);
        prop_assert_eq!(d_of(&first, &second).to_bits(), d_of(&ascending, &second).to_bits());
    }

    #[test]
    fn a_strictly_increasing_function_does_not_matter(first in values(), second in values()) {
        // Doubling and multiplying by 2^-900 keep even the smallest of these values apart from its neighbours.
        let map = |values: &[f64]| values.iter().map(|value| (value + 0.0).to_bits() as f64).collect::<Vec<_>>();
        let scale = |values: &[f64]| values.iter().map(|value| value * 1024.0).collect::<Vec<_>>();
        prop_assert_eq!(d_of(&first, &second), d_of(&scale(&first), &scale(&second)));
        let coarse = |values: &[f64]| values.iter().map(|value| (value * 1e6).round()).collect::<Vec<_>>();
        let (first, second) = (coarse(&first), coarse(&second));
        prop_assert_eq!(d_of(&first, &second), d_of(&map(&first), &map(&second)));
    }

    #[test]
    fn the_triangle_inequality_holds(first in values(), second in values(), third in values()) {
        let (first, second, third) = (sorted(&first), sorted(&second), sorted(&third));
        let detour = statistic(&first, &second) + statistic(&second, &third);
        prop_assert!(statistic(&first, &third) <= detour + 1e-15);
    }

    #[test]
    fn a_threshold_is_decided_as_by_the_statistic(
        first in values(), second in values(), threshold in 0.0..1.0_f64, near in -1..=1_i8,
    ) {
        let (first, second) = (sorted(&first), sorted(&second));
        let d = statistic(&first, &second);
        let at = match near { -1 => d.next_down(), 0 => d, _ => d.next_up() };
        for threshold in [threshold, at] {
            prop_assert_eq!(statistic_below(&first, &second, threshold), Some(d).filter(|d| *d < threshold));
        }
    }
}

#[test]
fn a_sample_has_distance_zero_from_itself() {
    let sample = sorted(&(0..10_000).map(|i| f64::from(i % 977) / 977.0).collect::<Vec<_>>());
    assert_eq!(statistic(&sample, &sample), 0.0);
    assert_eq!(statistic_below(&sample, &sample, f64::MIN_POSITIVE), Some(0.0));
}

#[test]
fn large_samples_agree_with_a_plain_merge() {
    let values = |factor: u64, modulus: u64| -> Vec<f64> {
        (1..=20_000).map(|i| ((i * factor) % modulus) as f64 / modulus as f64).collect()
    };
    for (first, second) in [
        (values(7_919, 104_729), values(104_723, 99_991)),
        (values(7_919, 101), values(104_723, 103)),
        (values(3, 65_537), values(5, 65_537)),
    ] {
        let (first, second) = (sorted(&first), sorted(&second));
        let (a, b) = (first.values(), second.values());
        let (mut i, mut j, mut largest) = (0, 0, 0);
        while i < a.len() && j < b.len() {
            let value = a[i].min(b[j]);
            i += a[i..].iter().take_while(|other| **other <= value).count();
            j += b[j..].iter().take_while(|other| **other <= value).count();
            largest = largest.max((i * b.len()).abs_diff(j * a.len()));
        }
        assert_eq!(statistic(&first, &second), largest as f64 / (a.len() * b.len()) as f64);
    }
}
