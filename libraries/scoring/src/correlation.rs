//! Pearson's correlation.

/// Pearson's correlation of two aligned vectors, from -1 to 1. `None` when a vector is constant, the lengths differ, or
/// squares of the values exceed the range of f64.
///
/// Deviations from the means are summed in order, so the result is the same on every machine.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "no vector is that long")]
pub fn pearson(first: &[f64], second: &[f64]) -> Option<f64> {
    if first.len() != second.len() || is_constant(first) || is_constant(second) {
        return None;
    }
    let count = first.len() as f64;
    let mean1 = first.iter().sum::<f64>() / count;
    let mean2 = second.iter().sum::<f64>() / count;
    let (mut both, mut square1, mut square2) = (0.0, 0.0, 0.0);
    for (value1, value2) in first.iter().zip(second) {
        let (off1, off2) = (value1 - mean1, value2 - mean2);
        both += off1 * off2;
        square1 += off1 * off1;
        square2 += off2 * off2;
    }
    let correlation = both / (f64::sqrt(square1) * f64::sqrt(square2));
    correlation.is_finite().then(|| correlation.clamp(-1.0, 1.0))
}

/// Compares the values themselves, not their deviations from a rounded mean.
#[allow(clippy::float_cmp, reason = "exact equality is intended")]
fn is_constant(values: &[f64]) -> bool {
    values.windows(2).all(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_values_are_reproduced() {
        assert!(pearson(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]).is_some_and(|r| (r - 1.0).abs() < 1e-15));
        assert!(pearson(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]).is_some_and(|r| (r + 1.0).abs() < 1e-15));
        assert_eq!(pearson(&[1.0, 2.0, 1.0, 2.0], &[1.0, 1.0, 2.0, 2.0]), Some(0.0));
        assert_eq!(pearson(&[0.1; 10], &[0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]), None);
        assert_eq!(pearson(&[], &[]), None);
        assert_eq!(pearson(&[1.0, 2.0], &[1.0]), None);
        assert_eq!(pearson(&[1e-320, 0.0], &[1.0, 0.0]), None);
    }

    proptest! {
        #[test]
        fn correlation_is_symmetric_and_in_range(pairs in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64), 2..50)) {
            let (first, second): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            let correlation = pearson(&first, &second);
            prop_assert_eq!(correlation, pearson(&second, &first));
            prop_assert!(correlation.is_none_or(|r| (-1.0..=1.0).contains(&r)));
        }
    }
}
