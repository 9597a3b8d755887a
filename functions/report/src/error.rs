use domain::{Coded, FailureCode};
use runtime::CallFailed;
use zip::result::ZipError;

use crate::store;

/// Why an outcome could not be reported.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    SubmissionApi(#[from] submission_api::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("The artifacts of the outcome could not be packed.")]
    Pack(#[source] ZipError),
    #[error("The executions of the state machine could not be read. Check the function's permissions.")]
    Executions(#[source] CallFailed),
    #[error("The event source mappings of intake could not be read. Check the function's permissions.")]
    Mappings(#[source] CallFailed),
    #[error("The repository {name} could not be read or deleted. Check the function's permissions.")]
    Repository { name: String, source: CallFailed },
    #[error("The repositories could not be listed. Check the function's permissions.")]
    Repositories(#[source] CallFailed),
}

impl Coded for ReportError {
    fn code(&self) -> FailureCode {
        match self {
            Self::SubmissionApi(error) => error.code(),
            Self::Store(_)
            | Self::Pack(_)
            | Self::Executions(_)
            | Self::Mappings(_)
            | Self::Repository { .. }
            | Self::Repositories(_) => FailureCode::Internal,
        }
    }
}
