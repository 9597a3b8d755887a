//! Why a submission ended without a model, and whose fault that is.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use lambda_runtime::Diagnostic;
use serde::{Deserialize, Serialize};

/// Who has to do something about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// The submission is at fault: the execution succeeds with a rejected outcome, and nothing is retried.
    Participant,
    /// The platform is at fault: the execution fails, is alarmed on and can be redriven.
    Platform,
}

/// The stable name of a failure, used in reviews, logs, metrics, error types and documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FailureCode {
    /// The submission is no complete, unencrypted zip archive.
    ArchiveInvalid,
    /// The archive holds a name, link or entry that must not be unpacked.
    ArchiveUnsafe,
    /// The archive, or what it unpacks to, exceeds a limit.
    ArchiveTooLarge,
    /// There is no single usable Dockerfile at the root or in `code/`.
    DockerfileMissing,
    /// The image did not build.
    BuildFailed,
    /// The image took longer to build than allowed.
    BuildTimedOut,
    /// The image was built but cannot be trained.
    ImageUnusable,
    /// The training program ended with an error.
    TrainingFailed,
    /// The training program needed more memory than it has.
    TrainingOutOfMemory,
    /// The training program ran longer than allowed.
    TrainingTimedOut,
    /// Training wrote no `predictions.csv`.
    PredictionsMissing,
    /// The predictions do not fit the challenge's ids or range.
    PredictionsInvalid,
    /// The Submission API did not answer, or not in time.
    SubmissionApiUnavailable,
    /// The Submission API refused the processor's credentials or the download.
    SubmissionApiDenied,
    /// The Submission API knows no such submission.
    SubmissionNotFound,
    /// CodeBuild failed, not the build.
    BuildServiceFault,
    /// SageMaker had no machine to train on.
    CapacityUnavailable,
    /// An account limit was reached.
    QuotaExceeded,
    /// SageMaker failed, not the training program.
    TrainingServiceFault,
    /// The scoring failed, not the predictions.
    ScoringFault,
    /// Anything else that is not the participant's doing.
    Internal,
}

impl FailureCode {
    /// Every code, the participant's first.
    pub const ALL: [Self; 21] = [
        Self::ArchiveInvalid,
        Self::ArchiveUnsafe,
        Self::ArchiveTooLarge,
        Self::DockerfileMissing,
        Self::BuildFailed,
        Self::BuildTimedOut,
        Self::ImageUnusable,
        Self::TrainingFailed,
        Self::TrainingOutOfMemory,
        Self::TrainingTimedOut,
        Self::PredictionsMissing,
        Self::PredictionsInvalid,
        Self::SubmissionApiUnavailable,
        Self::SubmissionApiDenied,
        Self::SubmissionNotFound,
        Self::BuildServiceFault,
        Self::CapacityUnavailable,
        Self::QuotaExceeded,
        Self::TrainingServiceFault,
        Self::ScoringFault,
        Self::Internal,
    ];

    /// The code's name, which is also the `errorType` that state machines match.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ArchiveInvalid => "ArchiveInvalid",
            Self::ArchiveUnsafe => "ArchiveUnsafe",
            Self::ArchiveTooLarge => "ArchiveTooLarge",
            Self::DockerfileMissing => "DockerfileMissing",
            Self::BuildFailed => "BuildFailed",
            Self::BuildTimedOut => "BuildTimedOut",
            Self::ImageUnusable => "ImageUnusable",
            Self::TrainingFailed => "TrainingFailed",
            Self::TrainingOutOfMemory => "TrainingOutOfMemory",
            Self::TrainingTimedOut => "TrainingTimedOut",
            Self::PredictionsMissing => "PredictionsMissing",
            Self::PredictionsInvalid => "PredictionsInvalid",
            Self::SubmissionApiUnavailable => "SubmissionApiUnavailable",
            Self::SubmissionApiDenied => "SubmissionApiDenied",
            Self::SubmissionNotFound => "SubmissionNotFound",
            Self::BuildServiceFault => "BuildServiceFault",
            Self::CapacityUnavailable => "CapacityUnavailable",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::TrainingServiceFault => "TrainingServiceFault",
            Self::ScoringFault => "ScoringFault",
            Self::Internal => "Internal",
        }
    }

    /// The code of this name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// Whose fault a failure of this code is.
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
            | Self::Internal => Fault::Platform,
        }
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A function's error: a code that the state machine matches, and a sentence for the person who has to act.
///
/// As a Lambda error its `errorType` is the code's name and its `errorMessage` the sentence; the source is logged only.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// What happened, as a stable name.
    pub code: FailureCode,
    /// What happened and what to do, for the participant or the operator. Free of secrets.
    pub message: Cow<'static, str>,
    /// The error behind it, if any.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure without a further cause.
    pub fn new(code: FailureCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), source: None }
    }

    /// The same failure with the error behind it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Writes the failure with its whole chain of causes to the log.
    pub fn log(&self) {
        let mut causes = Vec::new();
        let mut next: Option<&(dyn Error + 'static)> = self.source.as_deref().map(|source| source as _);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        let causes = causes.join(": ");
        match self.code.fault() {
            Fault::Participant => tracing::info!(code = %self.code, causes, "{}", self.message),
            Fault::Platform => tracing::error!(code = %self.code, causes, "{}", self.message),
        }
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self { error_type: failure.code.as_str().to_owned(), error_message: failure.message.into_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_json_and_error_types() {
        for code in FailureCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert_eq!(FailureCode::from_name(code.as_str()), Some(code));
        }
        assert_eq!(FailureCode::from_name("States.TaskFailed"), None);
    }

    #[test]
    fn a_lambda_error_carries_the_code_and_the_sentence_only() {
        let failure = Failure::new(FailureCode::Internal, "try again").caused_by(std::io::Error::other("secret"));
        let diagnostic = Diagnostic::from(failure);
        assert_eq!(diagnostic.error_type, "Internal");
        assert_eq!(diagnostic.error_message, "try again");
    }
}
