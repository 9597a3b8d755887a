//! The events of an execution's history: <https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html>.

use std::fmt;

use crate::definition::Kind;

/// The most events of one execution, which fails when it reaches them:
/// <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html#service-limits-state-machine-executions>.
pub const LONGEST_HISTORY: usize = 25_000;

/// An event, by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    ExecutionStarted,
    ExecutionSucceeded,
    ExecutionFailed,
    ExecutionTimedOut,
    StateEntered(StateType),
    StateExited(StateType),
    TaskScheduled,
    TaskStarted,
    TaskSubmitted,
    TaskSubmitFailed,
    TaskSucceeded,
    TaskFailed,
    TaskTimedOut,
    ParallelStateStarted,
    ParallelStateSucceeded,
    ParallelStateFailed,
    EvaluationFailed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateType {
    Pass,
    Task,
    Choice,
    Wait,
    Parallel,
    Succeed,
    Fail,
}

impl StateType {
    pub(super) fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Pass { .. } => Self::Pass,
            Kind::Task(_) => Self::Task,
            Kind::Choice { .. } => Self::Choice,
            Kind::Wait { .. } => Self::Wait,
            Kind::Parallel { .. } => Self::Parallel,
            Kind::Succeed { .. } => Self::Succeed,
            Kind::Fail { .. } => Self::Fail,
        }
    }
}

/// The type as the API names it.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StateEntered(kind) => write!(f, "{kind:?}StateEntered"),
            Self::StateExited(kind) => write!(f, "{kind:?}StateExited"),
            other => write!(f, "{other:?}"),
        }
    }
}
