//! Quotients of counts, rounded once.

use std::cmp::Ordering;

/// `numerator / denominator` as the nearest f64, ties to even, for every pair of counts.
///
/// The denominator is not zero and the numerator does not exceed it.
#[allow(clippy::cast_precision_loss, reason = "either exact, or the one rounding that is meant")]
pub(crate) fn quotient(numerator: u64, denominator: u64) -> f64 {
    const EXACT: u64 = 1 << f64::MANTISSA_DIGITS;
    if numerator == 0 {
        return 0.0;
    }
    if denominator <= EXACT {
        return numerator as f64 / denominator as f64;
    }
    // Beyond 2^53 converting would round as well, so the division is done in integers: at least 63 bits of quotient,
    // the last of which stands for everything below it.
    let shift = 64 + numerator.leading_zeros();
    let shifted = u128::from(numerator) << shift;
    let denominator = u128::from(denominator);
    let bits = (shifted / denominator) | u128::from(!shifted.is_multiple_of(denominator));
    bits as f64 / (1_u128 << shift) as f64
}

/// The smallest numerator whose quotient is not below the threshold, or `denominator + 1` if there is none.
///
/// So `numerator < first_reaching(t, d)` says the same as `quotient(numerator, d) < t`, in integers. Nothing is below
/// a threshold that is no number.
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
    fn a_threshold_is_reached_by_its_own_quotient() {
        assert_eq!(first_reaching(0.005, 1800), 9);
        assert_eq!(first_reaching(0.03, 45_000 * 45_000), 60_750_000);
        assert_eq!(first_reaching(0.0, 10), 0);
        assert_eq!(first_reaching(1.5, 10), 11);
        assert_eq!(first_reaching(f64::NAN, 10), 0);
    }

    #[test]
    fn large_counts_are_rounded_once() {
        let largest = u64::from(u32::MAX) * u64::from(u32::MAX);
        assert!((quotient(largest, largest) - 1.0).abs() == 0.0);
        // 2^62 / (2^63 + 2^10) lies next to 0.5 - 2^-54; converting the denominator first would give 0.5.
        assert_eq!(quotient(1 << 62, (1 << 63) + (1 << 10)).to_bits(), (0.5 - 2.0_f64.powi(-54)).to_bits());
    }

    proptest! {
        #[test]
        fn the_integer_division_agrees_with_the_exact_one(numerator in 1_u64..1 << 40, denominator in 1_u64 << 40..1 << 50) {
            // Scaling both by 2^12 moves the pair beyond 2^53 and leaves the quotient as it is.
            let exact = quotient(numerator, denominator);
            prop_assert_eq!(quotient(numerator << 12, denominator << 12).to_bits(), exact.to_bits());
        }

        #[test]
        fn the_first_reaching_is_the_border(threshold in 0.0..1.1_f64, denominator in 1_u64..1 << 60) {
            let first = first_reaching(threshold, denominator);
            prop_assert!(first == 0 || quotient(first - 1, denominator) < threshold);
            prop_assert!(first > denominator || quotient(first, denominator) >= threshold);
        }
    }
}
