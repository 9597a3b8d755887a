//! Results of scoring, as stored in the submission's record and reported in its outcome.

use scoring::Metric;
use scoring::concordance::Concordance;
use scoring::originality::Offender;
use serde::{Deserialize, Serialize};

/// The results of one submission. A result is absent until it is known, or if the challenge does not compute it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    pub originality: Option<OriginalityResult>,
    pub concordance: Option<Concordance>,
    pub metric: Option<MetricResult>,
}

/// Whether a submission is original.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OriginalityResult {
    pub original: bool,
    /// Number of similar earlier submissions, not counting equal ones.
    pub similar_count: u32,
    /// Number of earlier submissions that it was compared with.
    pub compared: usize,
    /// Number of earlier submissions that are equal, similar or correlated.
    pub offender_count: usize,
    /// The newest 100 of them. Only organisers and operators may see them.
    pub offenders: Vec<Offender>,
}

/// The score against the hidden truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricResult {
    pub name: Metric,
    pub score: f64,
    /// The score, negated where lower is better: leaderboards sort by it, highest first.
    pub standing: f64,
}
