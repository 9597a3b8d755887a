use domain::{ChallengeId, StepError, SubmissionId};
use records::ResultKind;
use serde::Deserialize;

use crate::failed_result::FailedResult;

/// A request of a state machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase")]
pub enum Request {
    /// Read and check the settings of a challenge.
    Configure(Configure),
    /// Take the predictions out of a training job's output and register the submission.
    Extract(Extract),
    /// Read the predictions, and store what this and later submissions need for their results.
    Prepare(Job),
    /// Score originality, and rescore later submissions that are close to this one.
    Originality(Job),
    /// Score concordance.
    Concordance(Job),
    /// Score against the hidden truth, if the challenge has a metric.
    Metric(Job),
    /// Store why a result is missing.
    Fail(Fail),
    /// Fail with the code of a failure, unless the execution was redriven since.
    Raise(Raise),
}

impl Request {
    pub(crate) fn submission_id(&self) -> Option<&SubmissionId> {
        match self {
            Self::Extract(extract) => Some(&extract.submission_id),
            Self::Prepare(job) | Self::Originality(job) | Self::Concordance(job) | Self::Metric(job) => {
                Some(&job.submission_id)
            }
            Self::Fail(fail) => Some(&fail.submission_id),
            Self::Configure(_) | Self::Raise(_) => None,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configure {
    #[serde(rename = "challengeId")]
    pub challenge: ChallengeId,
    /// The value of the challenge's SSM parameter, if it has one.
    pub settings: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Extract {
    pub submission_id: SubmissionId,
    #[serde(rename = "challengeId")]
    pub challenge: ChallengeId,
    pub user_id: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created: time::OffsetDateTime,
    /// The model, `s3://…/model.tar.gz`; `output.tar.gz` is in the same folder.
    pub model_uri: String,
}

/// A submission to score.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    pub submission_id: SubmissionId,
    #[serde(rename = "challengeId")]
    pub challenge: ChallengeId,
    /// The value of the challenge's SSM parameter.
    pub settings: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fail {
    pub submission_id: SubmissionId,
    #[serde(rename = "challengeId")]
    pub challenge: ChallengeId,
    /// The result that is missing.
    pub result: ResultKind,
    pub error: StepError,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Raise {
    pub failure: FailedResult,
    /// Whether the execution was redriven after the failure.
    pub redriven: bool,
}
