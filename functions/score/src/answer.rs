use domain::{MetricResult, OriginalityResult, Reporting};
use records::PreparedPredictions;
use scoring::concordance::Concordance;
use serde::Serialize;

use crate::challenge::Training;
use crate::failed_result::FailedResult;

/// The answer to a [`Request`](crate::Request) of the same action. Results are in the same form as in the record.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    Configured(Configured),
    Extracted(Extracted),
    Prepared(PreparedPredictions),
    Originality(OriginalityResult),
    Concordance(Concordance),
    Metric(MetricResult),
    Failed(FailedResult),
    /// JSON null: the challenge has no metric, or the execution was redriven.
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Configured {
    /// What the challenge changes about training.
    pub training: Training,
    /// Whether its submissions are scored.
    pub is_scored: bool,
    /// What participants and the public read of its outcomes.
    pub reporting: Reporting,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Extracted {
    /// The key of the predictions in the scoring bucket.
    pub predictions_key: String,
}
