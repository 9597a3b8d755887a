use domain::execution::ExecutionStatusChange;
use domain::outcome::{Diagnosis, Step};
use domain::{StepError, SubmissionId};
use serde::{Deserialize, Serialize};

use crate::retry::NextAttempt;

/// The function's request.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Request {
    /// From the state machine.
    Action(Action),
    /// From EventBridge: an execution failed, timed out or was aborted, so its jobs are orphaned.
    ExecutionEnded(ExecutionStatusChange),
}

impl Request {
    /// `None` if the request does not name a submission.
    pub(crate) fn submission_id(&self) -> Option<SubmissionId> {
        match self {
            Self::Action(Action::Diagnose(failed)) => Some(failed.submission_id.clone()),
            Self::Action(Action::ReadLog { submission_id, .. } | Action::Raise { submission_id, .. }) => {
                Some(submission_id.clone())
            }
            Self::ExecutionEnded(event) => event.detail.submission_id(),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase")]
pub enum Action {
    /// Says what the failure of a step means.
    Diagnose(Box<FailedStep>),
    /// Reads the end of the log of a training job that has completed.
    #[serde(rename_all = "camelCase")]
    ReadLog { submission_id: SubmissionId, training_job: String },
    /// Fails with the diagnosis: its code becomes the error's name. Lets an execution continue that was redriven after it
    /// was reported.
    #[serde(rename_all = "camelCase")]
    Raise { submission_id: SubmissionId, execution: String, reported_at_redrive: u32, diagnosis: Box<Diagnosis> },
}

/// A step of an execution that failed.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedStep {
    pub submission_id: SubmissionId,
    pub step: Step,
    pub error: StepError,
    /// The attempt that failed, from 1.
    pub attempt: u32,
    /// Number of redrives of the execution.
    pub redrives: u32,
    /// Attempts before this one for which SageMaker had no capacity.
    pub capacity_retries: u32,
    /// Whether the attempt used spot instances.
    pub spot: bool,
    /// When the service first failed, RFC 3339; absent if it did not, or if it has worked since.
    pub failing_since: Option<String>,
    /// When the step first had to wait for a machine, RFC 3339; absent if it did not. Executions that were started before this
    /// field existed do not send it.
    pub waiting_since: Option<String>,
    /// When a failure that the submission may have caused was first retried, RFC 3339; absent if there was none. As above.
    pub suspected_since: Option<String>,
    /// When the execution was started, RFC 3339.
    pub started_at: String,
    /// When the execution was last redriven, RFC 3339.
    pub redriven_at: Option<String>,
    /// When the step failed this time, RFC 3339.
    pub failed_at: String,
}

impl FailedStep {
    /// The name that the state machine gives to the training job of this attempt.
    pub(crate) fn training_job(&self) -> String {
        format!("{}-{}-{}", self.submission_id.aws_safe(), self.redrives, self.attempt)
    }
}

/// The function's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    Diagnosis(Box<DiagnosisAnswer>),
    #[serde(rename_all = "camelCase")]
    Log {
        /// The last lines, redacted and shortened.
        log_tail: Vec<String>,
    },
    Nothing {},
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiagnosisAnswer {
    #[serde(flatten)]
    pub diagnosis: Diagnosis,
    /// Absent if the step is not retried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<NextAttempt>,
}
