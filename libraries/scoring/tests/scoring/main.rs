//! The promises of the public API.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::float_cmp, reason = "results are exact to the last bit")]
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "tests count in small numbers")]

mod bounds;
mod clusters;
mod concordance;
mod csv;
mod grids;
mod messages;
mod metrics;
mod near_copies;
mod reading;
mod statistic;

use proptest::prelude::*;
use scoring::{Pool, Sorted};

/// Samples of every relevant kind: tied, constant, tiny, narrow, wide.
fn values() -> impl Strategy<Value = Vec<f64>> {
    let tied = (0_u8..12).prop_map(|step| f64::from(step) / 8.0);
    let narrow = (0_u16..400).prop_map(|step| 0.5 + f64::from(step) * 1e-5);
    prop_oneof![
        prop::collection::vec(tied, 1..60),
        prop::collection::vec(narrow, 1..400),
        prop::collection::vec(0.0..=1.0_f64, 1..400),
        (0.0..=1.0_f64, 1..300_usize).prop_map(|(value, count)| vec![value; count]),
        prop::collection::vec(prop_oneof![Just(-0.0), Just(0.0), Just(5e-324), Just(1.0)], 1..20),
    ]
}

fn sorted(values: &[f64]) -> Sorted {
    Sorted::new(values.to_vec()).unwrap()
}

fn pool(samples: &[impl AsRef<[f64]>]) -> Pool {
    let mut pool = Pool::default();
    for sample in samples {
        pool.add(&sorted(sample.as_ref()));
    }
    pool
}

/// D by its definition: tries every value of both samples, and counts from scratch each time.
fn definition(first: &[f64], second: &[f64]) -> f64 {
    let at_or_below = |sample: &[f64], x: f64| sample.iter().filter(|value| **value <= x).count() as u64;
    let (n1, n2) = (first.len() as u64, second.len() as u64);
    let gap = |x: &f64| (at_or_below(first, *x) * n2).abs_diff(at_or_below(second, *x) * n1);
    let largest = first.iter().chain(second).map(gap).max().unwrap();
    largest as f64 / (n1 * n2) as f64
}
