use std::io;

use archive::Problem;
use domain::{Coded, FailureCode};
use tokio::task::JoinError;

use crate::{repository, staging};

/// Why a submission could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error(transparent)]
    SubmissionApi(#[from] submission_api::Error),
    #[error(transparent)]
    Archive(#[from] Problem),
    #[error(transparent)]
    Dockerfile(#[from] dockerfile::Problem),
    #[error(
        "The download from the Submission API ended too early, twice and at different positions. The step is retried. If all retries fail, redrive the execution."
    )]
    EndsEarly,
    #[error(transparent)]
    Staging(#[from] staging::Error),
    #[error(transparent)]
    Repository(#[from] repository::Error),
    #[error(
        "The function's temporary storage could not be used. The step is retried. If all retries fail, redrive the execution."
    )]
    Storage(#[source] io::Error),
    #[error(
        "The verification of the archive stopped unexpectedly. The step is retried. If all retries fail, redrive the execution."
    )]
    Panicked(#[source] JoinError),
}

impl Coded for FetchError {
    fn code(&self) -> FailureCode {
        match self {
            Self::SubmissionApi(error) => error.code(),
            Self::Archive(problem) => problem.code(),
            Self::Dockerfile(problem) => problem.code(),
            Self::EndsEarly => FailureCode::SubmissionApiUnavailable,
            Self::Staging(_) | Self::Repository(_) | Self::Storage(_) | Self::Panicked(_) => FailureCode::Internal,
        }
    }
}
