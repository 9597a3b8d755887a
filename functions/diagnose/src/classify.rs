//! What the error of a failed step means: the error's name and cause in, a failure code out. Pure.

mod build;
mod scoring;
mod training;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use shared::FailureCode;
use shared::clean::clean_text;
use shared::outcome::Step;

use crate::FailingStep;

pub use build::{Build, Context, Logs, Phase};
pub use training::TrainingJob;

/// Characters kept of a sentence of a function of ours.
const MESSAGE_CHARACTERS: usize = 2000;

/// A failure that this function was not prepared for.
const UNEXPECTED: (FailureCode, &str) = (
    FailureCode::Internal,
    "Processing failed for a reason that is not the submission's. The operators have been alerted; there is nothing to change in the submission.",
);

/// An error as a state machine's `Catch` hands it on, see
/// <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StepError {
    /// The error's name, such as `States.TaskFailed` or a failure code.
    #[serde(default)]
    pub error: String,
    /// JSON for a failed build, job or function; a plain sentence for a service's fault.
    #[serde(default)]
    pub cause: String,
}

impl StepError {
    /// The build or training job that the cause describes, if it describes one.
    #[must_use]
    pub fn described(&self, step: Step) -> Option<Described> {
        match step {
            Step::BuildImage => build::in_cause(&self.cause).map(Described::Build),
            Step::TrainModel => serde_json::from_str(&self.cause).ok().map(Described::TrainingJob),
            Step::FetchSubmission | Step::ResolveImage | Step::ReadChallenge | Step::ScoreSubmission => None,
        }
    }

    /// Whether a build or training job may have begun and not have ended, as far as the error tells.
    #[must_use]
    pub fn may_run_on(&self, step: Step) -> bool {
        let never_began = ["CodeBuild.AccountLimitExceededException", "SageMaker.ResourceLimitExceededException"];
        matches!(step, Step::BuildImage | Step::TrainModel)
            && !never_began.contains(&self.error.as_str())
            && FailureCode::from_name(&self.error).is_none()
    }

    /// Whether the error says no more than that the step failed, so that the build or job itself has to be asked.
    #[must_use]
    pub fn is_vague(&self) -> bool {
        self.error.starts_with("States.")
    }
}

/// What a service says of a build or training job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Described {
    /// A build.
    Build(Build),
    /// A training job.
    TrainingJob(TrainingJob),
}

impl Described {
    /// Whether it ended otherwise than well.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        match self {
            Self::Build(build) => !matches!(build.build_status.as_str(), "IN_PROGRESS" | "SUCCEEDED"),
            Self::TrainingJob(job) => matches!(job.training_job_status.as_str(), "Failed" | "Stopped"),
        }
    }

    /// Whether it has not ended yet.
    #[must_use]
    pub fn is_running(&self) -> bool {
        match self {
            Self::Build(build) => build.build_status == "IN_PROGRESS",
            Self::TrainingJob(job) => matches!(job.training_job_status.as_str(), "InProgress" | "Stopping"),
        }
    }

    /// Whether what it does not say has to be asked for.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        match self {
            Self::Build(build) => build.phases.is_empty() || build.logs.is_none(),
            Self::TrainingJob(job) => job.failure_reason.is_empty() && job.secondary_status.is_none(),
        }
    }

    /// Where its log is.
    #[must_use]
    pub fn log(&self) -> Option<LogStream> {
        match self {
            Self::Build(build) => build.log(),
            Self::TrainingJob(job) => job.log(),
        }
    }
}

/// Where a step's log is in CloudWatch Logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogStream {
    /// A stream by its name.
    Named {
        /// The log group.
        group: String,
        /// The stream's whole name.
        stream: String,
    },
    /// The first stream whose name starts with a prefix.
    StartingWith {
        /// The log group.
        group: String,
        /// How the stream's name starts.
        prefix: String,
    },
}

/// What a failure means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classification {
    /// Its stable name.
    pub code: FailureCode,
    /// What happened and what to do, in a sentence of ours or of a function of ours.
    pub message: Cow<'static, str>,
    /// What the service or program said itself: hostile, not yet cleaned.
    pub detail: Option<String>,
    /// Seconds to wait before the first new attempt, where a new attempt can mend it.
    pub retry_after_seconds: Option<u32>,
}

impl Classification {
    fn new(code: FailureCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), detail: None, retry_after_seconds: None }
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        self.detail = (!detail.trim().is_empty()).then_some(detail);
        self
    }

    /// The same, naming the step of the Dockerfile that failed.
    pub(crate) fn at(mut self, step: &FailingStep) -> Self {
        let place = step.place();
        if !place.is_empty() {
            self.message = build::failed_at(&place).into();
        }
        self.detail(&step.said)
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }
}

/// Decides what the error of a step means, given what is known of the build or job that failed.
#[must_use]
pub fn classify(step: Step, error: &StepError, described: Option<&Described>) -> Classification {
    if let Some(code) = FailureCode::from_name(&error.error) {
        return own(code, &error.cause);
    }
    match described.filter(|described| error.is_vague() && described.has_failed()) {
        Some(Described::Build(build)) => return build::failed(build),
        Some(Described::TrainingJob(job)) => return training::failed(job),
        None => {}
    }
    match step {
        Step::FetchSubmission | Step::ReadChallenge => unexpected(error),
        Step::BuildImage => build::classify(error),
        Step::ResolveImage => Classification::new(
            FailureCode::BuildServiceFault,
            "The image was built, but the registry does not show it. The operators have been alerted; there is nothing to change in the submission.",
        )
        .detail(format!("{}: {}", error.error, error.cause))
        .retry_after(60),
        Step::TrainModel => training::classify(error),
        Step::ScoreSubmission => scoring::classify(error),
    }
}

/// A failure that a function of ours has named already.
fn own(code: FailureCode, cause: &str) -> Classification {
    let message = serde_json::from_str::<Value>(cause)
        .ok()
        .and_then(|cause| cause.get("errorMessage")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| UNEXPECTED.1.to_owned());
    Classification::new(code, clean_text(&message, MESSAGE_CHARACTERS))
}

fn unexpected(error: &StepError) -> Classification {
    let (code, message) = UNEXPECTED;
    Classification::new(code, message).detail(format!("{}: {}", error.error, error.cause))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared::Fault;

    use super::*;

    #[test]
    fn a_functions_own_failure_keeps_its_code_and_sentence() {
        let error = StepError {
            error: "ArchiveUnsafe".to_owned(),
            cause: r#"{"errorType":"ArchiveUnsafe","errorMessage":"The entry ../x leaves the archive."}"#.to_owned(),
        };
        let classification = classify(Step::FetchSubmission, &error, None);
        assert_eq!(classification.code, FailureCode::ArchiveUnsafe);
        assert_eq!(classification.message, "The entry ../x leaves the archive.");
    }

    #[test]
    fn a_crash_is_the_platforms() {
        let error = StepError { error: "Runtime.ExitError".to_owned(), cause: "signal: killed".to_owned() };
        let classification = classify(Step::FetchSubmission, &error, None);
        assert_eq!(classification.code, FailureCode::Internal);
        assert_eq!(classification.detail.as_deref(), Some("Runtime.ExitError: signal: killed"));
    }

    fn steps() -> impl Strategy<Value = Step> {
        prop::sample::select(vec![
            Step::FetchSubmission,
            Step::BuildImage,
            Step::ResolveImage,
            Step::TrainModel,
            Step::ReadChallenge,
            Step::ScoreSubmission,
        ])
    }

    proptest! {
        #[test]
        fn any_error_of_any_step_means_something(step in steps(), error in any::<String>(), cause in any::<String>()) {
            let classification = classify(step, &StepError { error, cause }, None);
            prop_assert!(!classification.message.is_empty());
        }

        #[test]
        fn the_participants_faults_are_never_retried(step in steps(), status in "FAILED|FAULT|TIMED_OUT|STOPPED|Failed|Stopped",
            phase in "QUEUED|PRE_BUILD|BUILD|POST_BUILD", reason in "(CapacityError|InternalServerError|ClientError|AlgorithmError): .{0,40}") {
            let cause = serde_json::json!({
                "Build": {"BuildStatus": status, "Phases": [{"PhaseType": phase, "PhaseStatus": status}]},
                "TrainingJobStatus": status, "FailureReason": reason,
            }).to_string();
            let error = StepError { error: "States.TaskFailed".to_owned(), cause };
            let classification = classify(step, &error, error.described(step).as_ref());
            prop_assert!(classification.code.fault() == Fault::Platform || classification.retry_after_seconds.is_none());
        }
    }
}
