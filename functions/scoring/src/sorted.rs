//! Samples in ascending order.

use crate::radix;

/// A sample in ascending order: at least one value, all finite, without negative zero, at most `u32::MAX` of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Sorted(Vec<f64>);

/// Why values are no sample.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// There is no value, and the statistic of an empty sample is not defined.
    #[error("the sample is empty")]
    Empty,
    /// A value is infinite or no number.
    #[error("value {index} of the sample is not finite")]
    NotFinite {
        /// Its position, from 0.
        index: usize,
    },
    /// A value is smaller than the one before it.
    #[error("value {index} of the sample is smaller than the one before it")]
    NotAscending {
        /// Its position, from 0.
        index: usize,
    },
    /// The sample holds more values than 32 bits can count.
    #[error("the sample has {count} values, more than {}", u32::MAX)]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

impl Sorted {
    /// Sorts values, and turns negative zeros into positive ones.
    ///
    /// # Errors
    /// When there are none or too many, or one is not finite.
    pub fn new(mut values: Vec<f64>) -> Result<Self, SampleError> {
        check_count(values.len())?;
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(SampleError::NotFinite { index });
        }
        radix::sort(&mut values);
        Ok(Self(values))
    }

    /// Takes values that are in ascending order already, as read from where [`Sorted`] was written.
    ///
    /// # Errors
    /// When there are none or too many, one is not finite, or one is smaller than the one before it.
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

    /// The values in ascending order.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// How many values there are, at least one.
    #[must_use]
    pub fn count(&self) -> u32 {
        // Checked when it was made.
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
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
    fn what_is_no_sample_is_refused() {
        assert_eq!(Sorted::new(vec![]), Err(SampleError::Empty));
        assert_eq!(Sorted::new(vec![0.1, f64::NAN]), Err(SampleError::NotFinite { index: 1 }));
        assert_eq!(Sorted::from_ascending(vec![f64::INFINITY]), Err(SampleError::NotFinite { index: 0 }));
        assert_eq!(Sorted::from_ascending(vec![0.2, 0.1]), Err(SampleError::NotAscending { index: 1 }));
    }

    #[test]
    fn zeros_have_one_sign() {
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
