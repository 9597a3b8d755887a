use domain::{Coded, FailureCode};
use runtime::CallFailed;

use crate::build_arn::BuildArn;

/// Why a build gets nothing, or keeps what it has.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    #[error("The build {build} is not of the project {project}. Only this stack's builds can claim.")]
    OtherProject { build: BuildArn, project: String },
    #[error("CodeBuild does not know the build {build}. Claim with the ARN in CODEBUILD_BUILD_ARN.")]
    Unknown { build: BuildArn },
    #[error(
        "The build {build} was started without a valid {variable}. Start builds by the state machine, which sets it."
    )]
    NotStartedHere { build: BuildArn, variable: &'static str },
    #[error("The build {build} has ended, and can claim nothing.")]
    HasEnded { build: BuildArn },
    #[error("The build {build} still runs, and keeps what it has. The event is delivered again.")]
    StillRuns { build: BuildArn },
    #[error(
        "The build {build} could not be read. The call is repeated. If that keeps failing, check the function's permissions."
    )]
    NotRead { build: BuildArn, source: CallFailed },
    #[error(
        "The tags of the repository {name} could not be read or changed. The call is repeated. If that keeps failing, check the function's permissions."
    )]
    Repository { name: String, source: CallFailed },
    #[error(
        "The tags of {uri} could not be read or changed. The call is repeated. If that keeps failing, check the function's permissions."
    )]
    Archive { uri: String, source: CallFailed },
}

impl Coded for ClaimError {
    fn code(&self) -> FailureCode {
        FailureCode::Internal
    }
}
