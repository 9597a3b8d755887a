use serde::Deserialize;
use shared::records::Part;
use shared::{Round, SubmissionId};

/// What the state machines ask for.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase")]
pub enum Request {
    /// Read and check the settings of a challenge.
    Configure(Configure),
    /// Take the predictions out of a training job's output and register the submission.
    Extract(Extract),
    /// Read the predictions, and write what this and later judgements need.
    Prepare(Job),
    /// Judge originality, also of later submissions that this one is close to.
    Originality(Job),
    /// Judge concordance.
    Concordance(Job),
    /// Measure against the hidden truth, where the round has one.
    Metric(Job),
    /// Write why a part could not be judged.
    Fail(Fail),
    /// Fail with the code of a failure, or go on if the execution was redriven since.
    Raise(Raise),
}

impl Request {
    /// The submission that it is about, where the state machine names it.
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

/// The settings of a challenge.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configure {
    /// The value of the SSM parameter; absent where there is none.
    pub settings: Option<String>,
}

/// A training job's output.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Extract {
    /// The submission.
    pub submission_id: SubmissionId,
    /// The challenge that it was submitted to.
    pub round: Round,
    /// Whose it is.
    pub user_id: String,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub created: time::OffsetDateTime,
    /// Where the model is: `s3://…/model.tar.gz`; `output.tar.gz` is beside it.
    pub model_uri: String,
}

/// One submission to be judged.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// The submission.
    pub submission_id: SubmissionId,
    /// Its round.
    pub round: Round,
    /// The value of the round's SSM parameter.
    pub settings: String,
}

/// A part that could not be judged.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fail {
    /// The submission.
    pub submission_id: SubmissionId,
    /// The part.
    pub part: Part,
    /// The state's error, as Step Functions gives it.
    pub error: ErrorOutput,
}

/// See <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ErrorOutput {
    /// The error's name.
    pub error: String,
    /// What the failed task says; of a function, its error as JSON.
    #[serde(default)]
    pub cause: String,
}

/// A failure that has to show in the execution's status.
#[derive(Debug, Clone, Deserialize)]
pub struct Raise {
    /// The failure.
    pub failure: crate::failed::Failed,
    /// Whether the execution was redriven after it.
    pub redriven: bool,
}
