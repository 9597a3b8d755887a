//! What the error of a failed step means: the error's name and cause in, a failure code out. Pure.

mod build;
mod scoring;
mod training;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use shared::FailureCode;
use shared::outcome::Step;

use crate::UNEXPECTED;

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
    /// Where its log is.
    pub log: Option<LogStream>,
    /// Seconds to wait before the first new attempt, where a new attempt can mend it.
    pub retry_after_seconds: Option<u32>,
}

impl Classification {
    fn new(code: FailureCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), detail: None, log: None, retry_after_seconds: None }
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        self.detail = (!detail.trim().is_empty()).then_some(detail);
        self
    }

    fn log(mut self, log: Option<LogStream>) -> Self {
        self.log = log;
        self
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }
}

/// Decides what the error of a step means.
#[must_use]
pub fn classify(step: Step, error: &StepError) -> Classification {
    if let Some(code) = FailureCode::from_name(&error.error) {
        return own(code, &error.cause);
    }
    match step {
        Step::FetchSubmission | Step::ReadChallenge => unexpected(error),
        Step::BuildImage => build::classify(error),
        Step::ResolveImage => Classification::new(
            FailureCode::BuildServiceFault,
            "The image was built, but the registry does not show it. The operators have been alerted; there is nothing to change in the submission.",
        )
        .detail(format!("{}: {}", error.error, error.cause)),
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
    Classification::new(code, crate::clean::clean_text(&message, 2000))
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
        let classification = classify(Step::FetchSubmission, &error);
        assert_eq!(classification.code, FailureCode::ArchiveUnsafe);
        assert_eq!(classification.message, "The entry ../x leaves the archive.");
    }

    #[test]
    fn a_crash_is_the_platforms() {
        let error = StepError { error: "Runtime.ExitError".to_owned(), cause: "signal: killed".to_owned() };
        let classification = classify(Step::FetchSubmission, &error);
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
            let classification = classify(step, &StepError { error, cause });
            prop_assert!(!classification.message.is_empty());
        }

        #[test]
        fn the_participants_faults_are_never_retried(step in steps(), status in "FAILED|FAULT|TIMED_OUT|STOPPED|Failed|Stopped",
            phase in "QUEUED|PRE_BUILD|BUILD|POST_BUILD", reason in "(CapacityError|InternalServerError|ClientError|AlgorithmError): .{0,40}") {
            let cause = serde_json::json!({
                "Build": {"BuildStatus": status, "Phases": [{"PhaseType": phase, "PhaseStatus": status}]},
                "TrainingJobStatus": status, "FailureReason": reason,
            }).to_string();
            let classification = classify(step, &StepError { error: "States.TaskFailed".to_owned(), cause });
            prop_assert!(classification.code.fault() == Fault::Platform || classification.retry_after_seconds.is_none());
        }
    }
}
