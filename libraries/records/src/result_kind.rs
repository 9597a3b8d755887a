use serde::{Deserialize, Serialize};

/// The results of scoring, each with an attribute of its own in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResultKind {
    /// The predictions were read; the other results need this one.
    Predictions,
    /// Whether the submission is a near copy of an earlier one.
    Originality,
    /// Whether the predictions behave alike on all data.
    Concordance,
    /// The score against the hidden truth.
    Metric,
}

impl ResultKind {
    pub const ALL: [Self; 4] = [Self::Predictions, Self::Originality, Self::Concordance, Self::Metric];

    /// The attribute that holds the result.
    #[must_use]
    pub fn attribute(self) -> &'static str {
        match self {
            Self::Predictions => "predictions",
            Self::Originality => "originality",
            Self::Concordance => "concordance",
            Self::Metric => "metric",
        }
    }

    /// The attribute that holds the reason why the result is missing: `{code, message}`.
    #[must_use]
    pub fn failure_attribute(self) -> &'static str {
        match self {
            Self::Predictions => "predictionsFailure",
            Self::Originality => "originalityFailure",
            Self::Concordance => "concordanceFailure",
            Self::Metric => "metricFailure",
        }
    }
}
