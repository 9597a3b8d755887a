//! The thresholds of originality.

use serde::{Deserialize, Serialize};

/// The thresholds of originality. In JSON every field is optional, and unknown fields are refused.
///
/// Values read from JSON are not checked yet; see [`check`](Self::check).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// D below it makes a submission not original. From 0 to 1; default 0.005.
    pub equal_threshold: f64,
    /// D below it, but not below `equal_threshold`, makes a pair similar. From 0 to 1; default 0.03.
    pub similar_threshold: f64,
    /// This many similar pairs make a submission not original. At least 1; default 1.
    pub max_similar: u32,
    /// An absolute correlation above it makes a submission not original. From 0 to 1; off by default. (The server of 2018
    /// used 0.95.)
    pub max_correlation: Option<f64>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { equal_threshold: 0.005, similar_threshold: 0.03, max_similar: 1, max_correlation: None }
    }
}

/// Why rules are not valid. The texts are fragments.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RuleError {
    #[error("{name} is {value}, expected a number from 0 to 1")]
    OutOfRange { name: &'static str, value: f64 },
    #[error("equal_threshold is {equal}, which is above similar_threshold ({similar})")]
    Crossed { equal: f64, similar: f64 },
    #[error("max_similar is 0, which would reject every submission; expected at least 1")]
    NoneAllowed,
}

impl Rules {
    /// Checks that the thresholds are in range and in order.
    ///
    /// # Errors
    /// When they are not.
    pub fn check(&self) -> Result<(), RuleError> {
        let thresholds = [
            ("equal_threshold", Some(self.equal_threshold)),
            ("similar_threshold", Some(self.similar_threshold)),
            ("max_correlation", self.max_correlation),
        ];
        for (name, value) in thresholds {
            if let Some(value) = value.filter(|value| !(0.0..=1.0).contains(value)) {
                return Err(RuleError::OutOfRange { name, value });
            }
        }
        if self.equal_threshold > self.similar_threshold {
            return Err(RuleError::Crossed { equal: self.equal_threshold, similar: self.similar_threshold });
        }
        if self.max_similar == 0 {
            return Err(RuleError::NoneAllowed);
        }
        Ok(())
    }

    /// Whether comparing needs the values in the order of their ids. If not, the values in ascending order suffice.
    #[must_use]
    pub fn needs_aligned(&self) -> bool {
        self.max_correlation.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_are_out_of_range_or_contradictory_are_refused() {
        let rules = Rules::default();
        assert_eq!(rules.check(), Ok(()));
        let nan = Rules { equal_threshold: f64::NAN, ..rules.clone() };
        assert!(matches!(nan.check(), Err(RuleError::OutOfRange { name: "equal_threshold", .. })));
        let crossed = Rules { equal_threshold: 0.04, ..rules.clone() };
        assert_eq!(crossed.check(), Err(RuleError::Crossed { equal: 0.04, similar: 0.03 }));
        assert_eq!(Rules { max_similar: 0, ..rules.clone() }.check(), Err(RuleError::NoneAllowed));
        let beyond = Rules { max_correlation: Some(1.5), ..rules };
        assert!(matches!(beyond.check(), Err(RuleError::OutOfRange { name: "max_correlation", .. })));
    }

    #[test]
    fn json_may_leave_out_fields_but_not_add_any() {
        let rules: Rules = serde_json::from_str(r#"{"max_similar": 3}"#).unwrap();
        assert_eq!(rules, Rules { max_similar: 3, ..Rules::default() });
        assert!(serde_json::from_str::<Rules>(r#"{"max_similiar": 3}"#).is_err());
    }
}
