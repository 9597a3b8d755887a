//! Samples in ascending order.

use crate::radix;

/// A sample in ascending order: 1 to `u32::MAX` finite values, none of them negative zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Sorted(Vec<f64>);

/// Why values are not a sample. The texts are fragments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// The statistic of an empty sample is not defined.
    #[error("the sample is empty")]
    Empty,
    #[error("value {index} is not finite")]
    NotFinite {
        /// From 0.
        index: usize,
    },
    #[error("value {index} is smaller than the one before it")]
    NotAscending {
        /// From 0.
        index: usize,
    },
    #[error("there are {count} values, more than {}", u32::MAX)]
    TooMany { count: usize },
}

impl Sorted {
    /// Sorts values and turns negative zeros into positive ones.
    ///
    /// # Errors
    /// When the sample is empty or too large, or a value is not finite.
    pub fn new(mut values: Vec<f64>) -> Result<Self, SampleError> {
        check_count(values.len())?;
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(SampleError::NotFinite { index });
        }
        radix::sort(&mut values);
        Ok(Self(values))
    }

    /// Takes values that are already in ascending order, such as a stored sample.
    ///
    /// # Errors
    /// When the sample is empty or too large, or a value is not finite or smaller than the one before it.
    pub fn from_ascending(mut values: Vec<f64>) -> Result<Self, SampleError> {
        check_count(values.len())?;
        let mut last = f64::NEG_INFINITY;
        for (index, value) in values.iter_mut().enumerate() {
            if !value.is_finite() {
                return Err(SampleError::NotFinite { index });
            }
            if *value < last {
                return Err(SampleError::NotAscending { index });
            }
            *value += 0.0;
            last = *value;
        }
        Ok(Self(values))
    }

    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// The number of values, at least 1.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.0.len()).expect("invariant: a sample has at most u32::MAX values")
    }
}

fn check_count(count: usize) -> Result<(), SampleError> {
    match u32::try_from(count) {
        Ok(0) => Err(SampleError::Empty),
        Ok(_) => Ok(()),
        Err(_) => Err(SampleError::TooMany { count }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_that_are_not_a_sample_are_refused() {
        assert_eq!(Sorted::new(vec![]), Err(SampleError::Empty));
        assert_eq!(Sorted::new(vec![0.1, f64::NAN]), Err(SampleError::NotFinite { index: 1 }));
        assert_eq!(Sorted::from_ascending(vec![f64::INFINITY]), Err(SampleError::NotFinite { index: 0 }));
        assert_eq!(Sorted::from_ascending(vec![0.2, 0.1]), Err(SampleError::NotAscending { index: 1 }));
    }

    #[test]
    fn negative_zeros_become_positive() {
        for sorted in [Sorted::new(vec![0.0, -0.0]).unwrap(), Sorted::from_ascending(vec![0.0, -0.0]).unwrap()] {
            assert!(sorted.values().iter().all(|value| value.is_sign_positive()));
        }
    }

    proptest! {
        #[test]
        fn sorting_agrees_with_the_standard_library(
            values in prop::collection::vec(prop_oneof![0.0..1.0_f64, -1e300..1e300_f64, Just(-0.0), Just(5e-324), Just(-5e-324)], 1..700),
        ) {
            let mut expected: Vec<f64> = values.iter().map(|value| value + 0.0).collect();
            expected.sort_by(f64::total_cmp);
            let sorted = Sorted::new(values).unwrap();
            prop_assert_eq!(sorted.values(), &expected[..]);
            prop_assert_eq!(Sorted::from_ascending(expected).unwrap(), sorted);
        }
    }
}
