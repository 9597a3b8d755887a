//! What the error of a failed step means: from its name and cause to a failure code. Pure.

#[cfg(test)]
mod attribution;
mod build;
mod not_run;
mod scoring;
mod service_error;
mod training;

use std::borrow::Cow;

use domain::outcome::Step;
use domain::{FailureCode, Fault, StepError};
use serde::Deserialize;

use self::not_run::InLog;
use crate::dockerfile::{DockerfileStep, failed_dockerfile_step};
use crate::job::Job;
use crate::retry::Retry;

/// Characters kept of a message from one of our functions.
const MESSAGE_CHARACTERS: usize = 2000;

const UNEXPECTED: &str = "Processing failed because of a problem with the platform, not with the submission. The operators have been alerted. You do not need to change the submission or submit it again.";

/// What a failure means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classification {
    pub code: FailureCode,
    /// What happened and what to do, in our own sentences.
    pub message: Cow<'static, str>,
    /// What the service or program reported: hostile text, not yet redacted.
    pub detail: Option<String>,
    pub retry: Retry,
}

impl Classification {
    fn new(code: FailureCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), detail: None, retry: Retry::Never }
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        self.detail = (!detail.trim().is_empty()).then_some(detail);
        self
    }

    /// Adds the error as detail.
    fn reporting(self, error: &StepError) -> Self {
        self.detail(format!("{}: {}", error.error, error.cause))
    }

    fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Adds what the log says. It decides only between codes of the participant, who may have written it.
    pub(crate) fn refined_by<'a>(self, lines: impl Iterator<Item = &'a str>) -> Self {
        match self.code {
            FailureCode::BuildFailed => match failed_dockerfile_step(lines) {
                Some(step) => self.at(&step),
                None => self,
            },
            FailureCode::TrainingFailed | FailureCode::ImageUnusable => {
                let refined = match (self.code, InLog::read(lines)) {
                    (_, InLog::NotRun(why)) => not_run::unusable(Some(why)),
                    (FailureCode::ImageUnusable, InLog::Ran) => training::ran(),
                    _ => return self,
                };
                Self { detail: self.detail, ..refined }
            }
            _ => self,
        }
    }

    /// Names the step of the Dockerfile that failed.
    fn at(mut self, step: &DockerfileStep) -> Self {
        let position = step.position();
        if !position.is_empty() {
            self.message = build::failed_at(&position).into();
        }
        self.detail(step.detail())
    }
}

/// Classifies the error of a step, given the job that failed if it is known.
#[must_use]
pub fn classify(step: Step, error: &StepError, job: Option<&Job>) -> Classification {
    if let Some(code) = FailureCode::from_name(&error.error) {
        return own(code, &error.cause);
    }
    // `States.TaskFailed` and the like only say that the step failed: the job itself knows why.
    let says_nothing = error.error.starts_with("States.");
    match job.filter(|job| says_nothing && job.has_failed()) {
        Some(Job::Build(build)) => return build::failed(build),
        Some(Job::Training(job)) => return training::failed(job),
        None => {}
    }
    match step {
        Step::FetchSubmission | Step::ReadChallenge => unexpected(error),
        Step::BuildImage => build::classify(error),
        Step::ResolveImage => Classification::new(
            FailureCode::BuildServiceFault,
            "The image was built, but the registry does not list it. The operators have been alerted. You do not need to change the submission or submit it again.",
        )
        .reporting(error)
        .retry(Retry::Fault { first: 60 }),
        Step::TrainModel => training::classify(error),
        Step::ScoreSubmission => scoring::classify(error),
    }
}

/// The error of a Lambda function, as Lambda passes it on in the cause.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionError {
    error_message: String,
}

/// A failure to which one of our functions already gave a code. What it says is for whoever is at fault: participants do not
/// read what operators have to do.
fn own(code: FailureCode, cause: &str) -> Classification {
    match (serde_json::from_str::<FunctionError>(cause), code.fault()) {
        (Ok(error), Fault::Participant) => {
            Classification::new(code, redact::text(&error.error_message, MESSAGE_CHARACTERS))
        }
        (Ok(error), Fault::Platform) => Classification::new(code, UNEXPECTED).detail(error.error_message),
        (Err(_), _) => Classification::new(code, UNEXPECTED),
    }
}

fn unexpected(error: &StepError) -> Classification {
    Classification::new(FailureCode::Internal, UNEXPECTED).reporting(error)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const STEPS: [Step; 6] = [
        Step::FetchSubmission,
        Step::BuildImage,
        Step::ResolveImage,
        Step::TrainModel,
        Step::ReadChallenge,
        Step::ScoreSubmission,
    ];

    #[allow(clippy::needless_pass_by_value, reason = "tests pass texts and JSON")]
    fn error(name: &str, cause: impl ToString) -> StepError {
        StepError { error: name.to_owned(), cause: cause.to_string() }
    }

    #[test]
    fn an_error_with_a_failure_code_keeps_its_code_and_message() {
        let error = error(
            "ArchiveUnsafe",
            r#"{"errorType":"ArchiveUnsafe","errorMessage":"The name \"../x\" leads out of the archive."}"#,
        );
        for step in STEPS {
            let classification = classify(step, &error, None);
            assert_eq!(classification.code, FailureCode::ArchiveUnsafe);
            assert_eq!(classification.message, r#"The name "../x" leads out of the archive."#);
        }
    }

    #[test]
    fn what_operators_have_to_do_is_not_in_the_participants_message() {
        let error = error("ScoringFault", r#"{"errorMessage":"s3://scoring/t.csv was not found. Upload the file."}"#);
        for step in STEPS {
            let classification = classify(step, &error, None);
            assert_eq!((classification.code, classification.message.as_ref()), (FailureCode::ScoringFault, UNEXPECTED));
            assert_eq!(classification.detail.as_deref(), Some("s3://scoring/t.csv was not found. Upload the file."));
        }
    }

    #[test]
    fn a_crash_is_the_platforms_fault() {
        let classification = classify(Step::FetchSubmission, &error("Runtime.ExitError", "signal: killed"), None);
        assert_eq!(classification.code, FailureCode::Internal);
        assert_eq!(classification.detail.as_deref(), Some("Runtime.ExitError: signal: killed"));
    }

    /// One error for each branch of the classification.
    fn branches() -> Vec<(Step, StepError)> {
        let build = |status: &str, phase: &str| {
            let message = format!("what {phase} reported");
            let phases = json!([{"PhaseType": phase, "PhaseStatus": status, "Contexts": [{"Message": message}]}]);
            (Step::BuildImage, error("States.TaskFailed", json!({"Build": {"BuildStatus": status, "Phases": phases}})))
        };
        let training = |status: &str, secondary: &str, reason: &str| {
            let job = json!({"TrainingJobName": "x-0-1", "TrainingJobStatus": status, "SecondaryStatus": secondary,
                "FailureReason": reason});
            (Step::TrainModel, error("States.TaskFailed", job))
        };
        let scoring = |execution: Value| (Step::ScoreSubmission, error("States.TaskFailed", execution));
        vec![
            (Step::FetchSubmission, error("ArchiveInvalid", json!({"errorMessage": "The submitted file is empty."}))),
            (
                Step::FetchSubmission,
                error(
                    "BuildFailed",
                    json!({"errorMessage": "Line 3 of the Dockerfile has the unknown instruction \"FORM\"."}),
                ),
            ),
            (Step::FetchSubmission, error("Internal", "not JSON")),
            (Step::FetchSubmission, error("Sandbox.Timedout", "Task timed out after 900 seconds")),
            (Step::ReadChallenge, error("Runtime.ExitError", "signal: killed")),
            build("FAILED", "BUILD"),
            build("FAILED", "PRE_BUILD"),
            build("FAULT", "PROVISIONING"),
            build("TIMED_OUT", "BUILD"),
            build("TIMED_OUT", "QUEUED"),
            build("STOPPED", "BUILD"),
            (
                Step::BuildImage,
                error(
                    "CodeBuild.AccountLimitExceededException",
                    "Cannot have more than 1 builds in queue for the account",
                ),
            ),
            (Step::BuildImage, error("CodeBuild.AWSCodeBuildException", "Unable to execute HTTP request")),
            (Step::BuildImage, error("States.Timeout", "")),
            (Step::BuildImage, error("States.TaskFailed", "Internal error")),
            (Step::ResolveImage, error("Ecr.ImageNotFoundException", "The image does not exist")),
            training("Failed", "Failed", "AlgorithmError: , exit code: 1"),
            training("Failed", "Failed", "AlgorithmError: , exit code: 137"),
            training("Failed", "Failed", "AlgorithmError: , exit code: 127"),
            training("Failed", "Failed", "CapacityError: Unable to provision requested ML compute capacity."),
            training("Failed", "Failed", "InternalServerError: We encountered an internal error. Please try again."),
            training("Stopped", "MaxRuntimeExceeded", ""),
            training("Stopped", "MaxWaitTimeExceeded", ""),
            training("Stopped", "Stopped", ""),
            (
                Step::TrainModel,
                error("SageMaker.ResourceLimitExceededException", "The account-level service limit is 1"),
            ),
            (Step::TrainModel, error("SageMaker.AmazonSageMakerException", "ThrottlingException: Rate exceeded")),
            (Step::TrainModel, error("SageMaker.AmazonSageMakerException", "ValidationException: 1 validation error")),
            (Step::TrainModel, error("SageMaker.SdkClientException", "Unable to execute HTTP request")),
            (Step::TrainModel, error("States.HeartbeatTimeout", "")),
            (Step::TrainModel, error("States.TaskFailed", "An internal error")),
            scoring(json!({"Status": "FAILED", "Error": "ScoringFault",
                "Cause": r#"{"errorMessage":"truth.csv is missing."}"#})),
            scoring(json!({"Status": "ABORTED"})),
        ]
    }

    #[test]
    fn each_branch_has_a_code_and_a_message_that_says_what_to_do() {
        let texts = branches().into_iter().map(|(step, error)| {
            let job = Job::in_cause(step, &error);
            let Classification { code, message, detail, retry } = classify(step, &error, job.as_ref());
            format!(
                "{step:?}, {}: {}\n{code}, {retry:?}\n{message}\n{}",
                error.error,
                error.cause,
                detail.unwrap_or_default()
            )
        });
        insta::assert_snapshot!(texts.collect::<Vec<_>>().join("\n\n"));
    }

    /// Prefixes of error names that the classification knows.
    fn is_known(step: Step, name: &str) -> bool {
        FailureCode::from_name(name).is_some()
            || name.starts_with("States.")
            || (step == Step::BuildImage && name.starts_with("CodeBuild."))
            || (step == Step::TrainModel && name.starts_with("SageMaker."))
    }

    proptest! {
        #[test]
        fn an_unknown_error_is_the_platforms_fault(
            step in prop::sample::select(STEPS.to_vec()),
            name in prop_oneof![any::<String>(), "(Lambda|Runtime|Ecr|StepFunctions|Sandbox)\\.[A-Za-z]{1,20}"],
            cause in any::<String>(),
        ) {
            prop_assume!(!is_known(step, &name));
            let classification = classify(step, &error(&name, &cause), None);
            let code = match step {
                Step::FetchSubmission | Step::ReadChallenge | Step::BuildImage | Step::TrainModel => FailureCode::Internal,
                Step::ResolveImage => FailureCode::BuildServiceFault,
                Step::ScoreSubmission => FailureCode::ScoringFault,
            };
            prop_assert_eq!(classification.code, code);
            prop_assert_eq!(classification.code.fault(), Fault::Platform);
            prop_assert!(classification.message.ends_with('.'));
            prop_assert_eq!(classification.detail, Some(format!("{name}: {cause}")));
        }

        #[test]
        fn the_participants_faults_are_never_retried(
            step in prop::sample::select(STEPS.to_vec()),
            status in "FAILED|FAULT|TIMED_OUT|STOPPED|Failed|Stopped",
            phase in "QUEUED|PRE_BUILD|BUILD|POST_BUILD",
            reason in "(CapacityError|InternalServerError|ClientError|AlgorithmError): .{0,40}",
        ) {
            let error = error("States.TaskFailed", json!({
                "Build": {"BuildStatus": status, "Phases": [{"PhaseType": phase, "PhaseStatus": status}]},
                "TrainingJobStatus": status, "FailureReason": reason,
            }));
            let classification = classify(step, &error, Job::in_cause(step, &error).as_ref());
            prop_assert!(classification.code.fault() == Fault::Platform || classification.retry == Retry::Never);
        }
    }
}
