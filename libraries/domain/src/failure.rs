//! Failure codes, and whose fault a failure is.

use serde::{Deserialize, Serialize};

/// Who has to act on a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// The execution succeeds with a rejected outcome, and nothing is retried.
    Participant,
    /// The execution fails, raises an alarm and can be redriven.
    Platform,
}

/// The stable name of a failure, used in reviews, logs, metrics, Lambda error types and docs.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
pub enum FailureCode {
    /// The file is not a complete, unencrypted zip archive.
    ArchiveInvalid,
    /// The archive contains a name, link or entry that must not be unpacked.
    ArchiveUnsafe,
    /// The archive, or what it unpacks to, exceeds a limit.
    ArchiveTooLarge,
    /// Not exactly one usable Dockerfile at the root or in `code/`.
    DockerfileMissing,
    /// The image did not build.
    BuildFailed,
    /// The build exceeded its time limit.
    BuildTimedOut,
    /// The image was built but cannot run `train`.
    ImageUnusable,
    /// The training program ended with an error.
    TrainingFailed,
    /// The training program ran out of memory.
    TrainingOutOfMemory,
    /// The training program exceeded its time limit.
    TrainingTimedOut,
    /// Training wrote no `predictions.csv`.
    PredictionsMissing,
    /// The predictions do not match the challenge's ids or range.
    PredictionsInvalid,
    /// The Submission API did not answer in time.
    SubmissionApiUnavailable,
    /// The Submission API refused the processor's credentials or the download.
    SubmissionApiDenied,
    /// The Submission API does not know the submission.
    SubmissionNotFound,
    /// CodeBuild failed, not the build.
    BuildServiceFault,
    /// SageMaker had no capacity for the job.
    CapacityUnavailable,
    /// An account quota was reached.
    QuotaExceeded,
    /// SageMaker failed, not the training program.
    TrainingServiceFault,
    /// Scoring failed, not the predictions.
    ScoringFault,
    /// An operator stopped the execution, the build or the training job.
    Aborted,
    /// Any other failure of the platform.
    Internal,
}

impl FailureCode {
    /// Every code, the participant's first.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The name, which is also the Lambda `errorType` that state machines match.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        name.parse().ok()
    }

    #[must_use]
    pub fn fault(self) -> Fault {
        match self {
            Self::ArchiveInvalid
            | Self::ArchiveUnsafe
            | Self::ArchiveTooLarge
            | Self::DockerfileMissing
            | Self::BuildFailed
            | Self::BuildTimedOut
            | Self::ImageUnusable
            | Self::TrainingFailed
            | Self::TrainingOutOfMemory
            | Self::TrainingTimedOut
            | Self::PredictionsMissing
            | Self::PredictionsInvalid => Fault::Participant,
            Self::SubmissionApiUnavailable
            | Self::SubmissionApiDenied
            | Self::SubmissionNotFound
            | Self::BuildServiceFault
            | Self::CapacityUnavailable
            | Self::QuotaExceeded
            | Self::TrainingServiceFault
            | Self::ScoringFault
            | Self::Aborted
            | Self::Internal => Fault::Platform,
        }
    }
}

/// An error whose variants are decisions: each names its failure code.
///
/// Its text is one or more whole sentences for the person who has to act: what happened, to what, what to do next. It
/// never holds a secret. The technical cause belongs in its source, which only the log shows.
pub trait Coded: std::error::Error + Send + Sync + 'static {
    fn code(&self) -> FailureCode;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_json_and_error_types() {
        for code in FailureCode::ALL.iter().copied() {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert_eq!(FailureCode::from_name(code.as_str()), Some(code));
        }
        assert_eq!(FailureCode::from_name("States.TaskFailed"), None);
    }
}
