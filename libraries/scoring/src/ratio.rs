//! Quotients of counts, rounded only once.

use std::cmp::Ordering;

/// `numerator / denominator` as the nearest f64, ties to even.
///
/// The denominator must not be zero, and the numerator must not exceed it.
#[allow(clippy::cast_precision_loss, reason = "exact, or the one intended rounding")]
pub(crate) fn quotient(numerator: u64, denominator: u64) -> f64 {
    const EXACT: u64 = 1 << f64::MANTISSA_DIGITS;
    if numerator == 0 {
        return 0.0;
    }
    if denominator <= EXACT {
        return numerator as f64 / denominator as f64;
    }
    // Converting a denominator above 2^53 would be a second rounding. Divide in integers instead, to at least 63 bits of
    // quotient, the last of which is set if there is a remainder.
    let shift = 64 + numerator.leading_zeros();
    let shifted = u128::from(numerator) << shift;
    let denominator = u128::from(denominator);
    let bits = (shifted / denominator) | u128::from(!shifted.is_multiple_of(denominator));
    bits as f64 / (1_u128 << shift) as f64
}

/// The smallest numerator whose quotient is not below the threshold, or `denominator + 1` if all are below.
///
/// `numerator < first_reaching(t, d)` is the same as `quotient(numerator, d) < t`, but in integers. No quotient is below a
/// NaN.
pub(crate) fn first_reaching(threshold: f64, denominator: u64) -> u64 {
    let below = |numerator| quotient(numerator, denominator).partial_cmp(&threshold) == Some(Ordering::Less);
    let (mut low, mut high) = (0, denominator + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if below(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_quotient_reaches_its_own_threshold() {
        assert_eq!(first_reaching(0.005, 1800), 9);
        assert_eq!(first_reaching(0.03, 45_000 * 45_000), 60_750_000);
        assert_eq!(first_reaching(0.0, 10), 0);
        assert_eq!(first_reaching(1.5, 10), 11);
        assert_eq!(first_reaching(f64::NAN, 10), 0);
    }

    #[test]
    fn quotients_of_large_counts_are_rounded_once() {
        let largest = u64::from(u32::MAX) * u64::from(u32::MAX);
        assert!((quotient(largest, largest) - 1.0).abs() == 0.0);
        // 2^62 / (2^63 + 2^10) lies next to 0.5 - 2^-54; converting the denominator first would give 0.5.
        assert_eq!(quotient(1 << 62, (1 << 63) + (1 << 10)).to_bits(), (0.5 - 2.0_f64.powi(-54)).to_bits());
    }

    proptest! {
        #[test]
        fn integer_division_agrees_with_exact_division(numerator in 1_u64..1 << 40, denominator in 1_u64 << 40..1 << 50) {
            // Scaling both by 2^12 moves the pair beyond 2^53 and leaves the quotient as it is.
            let exact = quotient(numerator, denominator);
            prop_assert_eq!(quotient(numerator << 12, denominator << 12).to_bits(), exact.to_bits());
        }

        #[test]
        fn smaller_numerators_are_below_the_threshold_and_others_are_not(threshold in 0.0..1.1_f64, denominator in 1_u64..1 << 60) {
            let first = first_reaching(threshold, denominator);
            prop_assert!(first == 0 || quotient(first - 1, denominator) < threshold);
            prop_assert!(first > denominator || quotient(first, denominator) >= threshold);
        }
    }
}
