use domain::SubmissionId;
use domain::execution::ExecutionStatusChange;
use domain::outcome::Outcome;
use serde::{Deserialize, Serialize};

use crate::compose::FinishedExecution;

/// The function's request.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Request {
    /// From the state machine or a schedule.
    Action(Action),
    /// From EventBridge: an execution failed, timed out or was aborted.
    ExecutionEnded(ExecutionStatusChange),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase")]
pub enum Action {
    /// Reports that processing has started.
    #[serde(rename_all = "camelCase")]
    Start { submission_id: SubmissionId },
    /// Stores and reports the outcome.
    Finish(Box<FinishedExecution>),
    /// Finds and reports executions that ended without a reported outcome. From a schedule.
    Sweep {},
}

impl Request {
    /// `None` for a sweep, and for an event that does not name a submission.
    pub(crate) fn submission_id(&self) -> Option<SubmissionId> {
        match self {
            Self::Action(Action::Start { submission_id, .. }) => Some(submission_id.clone()),
            Self::Action(Action::Finish(finished)) => Some(finished.submission_id.clone()),
            Self::Action(Action::Sweep {}) => None,
            Self::ExecutionEnded(event) => event.detail.submission_id(),
        }
    }
}

/// The function's answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    Outcome(Box<Outcome>),
    Sweep(SweepAnswer),
    /// `null`: processing has started, or the execution has no submission.
    Nothing,
}

/// What a sweep found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepAnswer {
    /// Executions that it looked at.
    pub checked: u32,
    /// Those of them without a reported outcome.
    pub unreported: u32,
    /// Those of them that the sweep has reported.
    pub reported: u32,
    /// Event source mappings that do not work. `None` if they could not be read.
    pub mappings_not_working: Option<u32>,
    /// Repositories that it deleted.
    pub deleted_repositories: u32,
    /// Calls of the sweep that failed.
    pub failed_calls: u32,
}
