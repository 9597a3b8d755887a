use serde::{Deserialize, Serialize};
use shared::SubmissionId;
use shared::execution::ExecutionEnded;
use shared::outcome::{Diagnosis, Step};

use crate::{Next, StepError};

/// What the function is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Request {
    /// By the state machine.
    Action(Action),
    /// By EventBridge: an execution ended otherwise than well, and what it started must not run on.
    ExecutionEnded(ExecutionEnded),
}

/// What the state machine asks for.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase")]
pub enum Action {
    /// What does the failure of a step mean?
    Diagnose(Box<FailedStep>),
    /// Fail with the diagnosis' code as the error's name.
    #[serde(rename_all = "camelCase")]
    Raise {
        /// The submission.
        submission_id: SubmissionId,
        /// The diagnosis that was reported.
        diagnosis: Diagnosis,
    },
    /// Let a redriven execution go on.
    Resume {},
}

/// A step that failed.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedStep {
    /// The submission.
    pub submission_id: SubmissionId,
    /// The step.
    pub step: Step,
    /// The error that was caught.
    pub error: StepError,
    /// The attempt that failed, from 1.
    pub attempt: u32,
    /// How often the execution had been redriven.
    pub redrives: u32,
    /// How many attempts before this one found no machine.
    pub capacity_retries: u32,
    /// Whether the attempt was to train on spot instances.
    pub spot: bool,
    /// When the step failed for the first time in a row, RFC 3339; absent the first time.
    pub failing_since: Option<String>,
    /// When the execution was last redriven, RFC 3339.
    pub redriven_at: Option<String>,
    /// When it failed this time, RFC 3339.
    pub failed_at: String,
}

impl FailedStep {
    /// The name of the training job of this attempt, as the state machine makes it.
    pub(crate) fn training_job(&self) -> String {
        format!("{}-{}-{}", self.submission_id.aws_safe(), self.redrives, self.attempt)
    }
}

/// The function's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// What a failure means.
    Diagnosed(Box<Diagnosed>),
    /// Nothing to say.
    Nothing {},
}

/// What a failure means, and what the next attempt is made with if there is to be one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosed {
    /// What people read.
    #[serde(flatten)]
    pub diagnosis: Diagnosis,
    /// What the next attempt is made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
}
