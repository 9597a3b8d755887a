use domain::{Coded, FailureCode};
use runtime::{CallFailed, Raised};

/// Why the function fails: because it was asked to raise a failure, or because orphaned jobs still run.
#[derive(Debug, thiserror::Error)]
pub enum DiagnoseError {
    #[error(transparent)]
    Raised(#[from] Raised),
    #[error(
        "A build or training job of an execution that ended could not be stopped. The event is delivered again. If that \
         keeps failing, stop the job by hand and check the function's permissions."
    )]
    NotStopped(#[source] CallsFailed),
}

/// One or more AWS calls that failed.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct CallsFailed(pub Vec<CallFailed>);

impl Coded for DiagnoseError {
    fn code(&self) -> FailureCode {
        match self {
            Self::Raised(raised) => raised.code(),
            Self::NotStopped(_) => FailureCode::Internal,
        }
    }
}
