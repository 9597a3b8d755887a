//! The thresholds of originality.

use serde::{Deserialize, Serialize};

use crate::summary::Summary;

/// The thresholds of originality; as JSON every field may be left out and no other may be there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// A D below it makes a submission not original. In 0..=1; default 0.005.
    pub equal_threshold: f64,
    /// A D below it, and not below `equal_threshold`, makes a similar pair. In 0..=1; default 0.03.
    pub similar_threshold: f64,
    /// This many similar pairs make a submission not original. At least 1, the default.
    pub max_similar: u32,
    /// An absolute correlation above it makes a submission not original. In 0..=1; off by default (the original
    /// service used 0.95).
    pub max_correlation: Option<f64>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { equal_threshold: 0.005, similar_threshold: 0.03, max_similar: 1, max_correlation: None }
    }
}

/// A threshold that cannot be meant.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RuleError {
    /// A threshold is no number in 0..=1.
    #[error("{name} is {value}: expected a number from 0 to 1")]
    OutOfRange {
        /// The threshold's name.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// What is equal would not be similar.
    #[error("equal_threshold {equal} is above similar_threshold {similar}")]
    Crossed {
        /// `equal_threshold`.
        equal: f64,
        /// `similar_threshold`.
        similar: f64,
    },
    /// Every submission would be rejected.
    #[error("max_similar is 0, which rejects every submission: expected at least 1")]
    NoneAllowed,
}

impl Rules {
    /// Whether the rules can be meant.
    ///
    /// # Errors
    /// When a threshold is outside 0..=1, the two of D are crossed, or `max_similar` is 0.
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

    /// Whether the sorted values of a pair are needed, because their summaries do not prove that they are far.
    ///
    /// For fetching ahead: [`judge`](super::judge) asks for the sorted values of those where this is true, and of those
    /// that correlate.
    #[must_use]
    pub fn needs_values(&self, first: &Summary, second: &Summary) -> bool {
        !first.exceeds(second, self.similar_threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused() {
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
    fn json_may_leave_out_what_it_does_not_change() {
        let rules: Rules = serde_json::from_str(r#"{"max_similar": 3}"#).unwrap();
        assert_eq!(rules, Rules { max_similar: 3, ..Rules::default() });
        assert!(serde_json::from_str::<Rules>(r#"{"max_similiar": 3}"#).is_err());
    }
}
