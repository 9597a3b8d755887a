//! Failures of CodeBuild and of builds. Statuses, phases and their contexts:
//! <https://docs.aws.amazon.com/codebuild/latest/APIReference/API_Build.html>.

use domain::{FailureCode, StepError};

use super::{Classification, service_error, unexpected};
use crate::job::Build;
use crate::retry::Retry;

const SERVICE_FAULT: &str = "The image could not be built because the build service failed. The operators have been alerted. You do not need to change the submission or submit it again.";

const REGISTRY_FAULT: &str = "The image could not be built because a registry that the Dockerfile names did not answer. The operators have been alerted. If it is not a public registry that others use as well, name an image of one in the Dockerfile, then submit again.";

const SLOW_PULLS: &str = "The image could not be built because the images that the Dockerfile names could not be pulled within the time limit of the build. The operators have been alerted. If the images are large, name smaller ones in the Dockerfile, then submit again.";

pub(super) fn classify(error: &StepError) -> Classification {
    let fault = || Classification::new(FailureCode::BuildServiceFault, SERVICE_FAULT).reporting(error);
    match error.error.as_str() {
        "CodeBuild.AccountLimitExceededException" => Classification::new(
            FailureCode::QuotaExceeded,
            "The image could not be built because too many other images were being built. The operators have been alerted. You do not need to change the submission or submit it again.",
        )
        .detail(error.cause.clone())
        .retry(Retry::Wait { first: 120 }),
        "CodeBuild.InvalidInputException" | "CodeBuild.ResourceNotFoundException" => fault(),
        // Throttling, a failure of the service and a denied call have the same name.
        "CodeBuild.AWSCodeBuildException" if !service_error::is_temporary(&error.cause) => fault(),
        // An answer without a field that the state machine reads arrives as a QueryEvaluationError.
        name if name.starts_with("CodeBuild.")
            || matches!(name, "States.Timeout" | "States.HeartbeatTimeout" | "States.QueryEvaluationError") =>
        {
            fault().retry(Retry::Fault { first: 60 })
        }
        _ => unexpected(error),
    }
}

/// The message for a build that failed at a known position of the Dockerfile.
pub(super) fn failed_at(position: &str) -> String {
    format!(
        "The image did not build: in the Dockerfile, {position} failed. The last lines of the log show why. Fix the error, check the build with `docker build --platform linux/amd64`, then submit again."
    )
}

/// Classifies a build that failed.
pub(super) fn failed(build: &Build) -> Classification {
    let failed_phase = build.phases.iter().find(|phase| {
        phase.phase_status.as_deref().is_some_and(|status| !matches!(status, "SUCCEEDED" | "IN_PROGRESS"))
    });
    let phase = failed_phase.map_or("", |phase| phase.phase_type.as_str());
    let messages: Vec<&str> = failed_phase
        .into_iter()
        .flat_map(|phase| &phase.contexts)
        .filter_map(|context| context.message.as_deref())
        .collect();
    let classification = match (build.build_status.as_str(), phase) {
        ("FAILED", "BUILD") => Classification::new(
            FailureCode::BuildFailed,
            "The image did not build. The last lines of the log show why. Fix the error, check the build with `docker build --platform linux/amd64`, then submit again.",
        ),
        ("TIMED_OUT", "BUILD") => {
            let limit = build.timeout_in_minutes.map(|minutes| format!(" of {minutes} min")).unwrap_or_default();
            Classification::new(
                FailureCode::BuildTimedOut,
                format!(
                    "The build exceeded its time limit{limit} and was stopped. Install fewer packages or use prebuilt ones, do not download data in the Dockerfile, then submit again."
                ),
            )
        }
        ("STOPPED", _) => Classification::new(
            FailureCode::Aborted,
            "An operator stopped the build. You do not need to change the submission or submit it again. The operators will decide whether to continue.",
        ),
        // An image of the Dockerfile could not be pulled from a registry that its participant may own.
        (_, "PRE_BUILD") => {
            Classification::new(FailureCode::BuildServiceFault, REGISTRY_FAULT).retry(Retry::Once { after: 60 })
        }
        // Images that are too large to be pulled in time are the submission's choice.
        ("TIMED_OUT", "INSTALL") => {
            Classification::new(FailureCode::BuildServiceFault, SLOW_PULLS).retry(Retry::Once { after: 60 })
        }
        // The image of the submission is at hand in this phase and may have caused it.
        (_, "POST_BUILD") => {
            Classification::new(FailureCode::BuildServiceFault, SERVICE_FAULT).retry(Retry::Once { after: 60 })
        }
        _ => Classification::new(FailureCode::BuildServiceFault, SERVICE_FAULT).retry(Retry::Fault { first: 60 }),
    };
    classification.detail(messages.join("; "))
}

#[cfg(test)]
mod tests {
    use domain::outcome::Step;
    use serde_json::{Value, json};

    use super::*;
    use crate::classify::classify as classify_step;
    use crate::job::Job;

    fn failure(status: &str, phases: &Value) -> Classification {
        let cause = json!({"Build": {"Id": "mm:1", "BuildStatus": status, "Phases": phases}});
        let error = StepError { error: "States.TaskFailed".to_owned(), cause: cause.to_string() };
        classify_step(Step::BuildImage, &error, Job::in_cause(Step::BuildImage, &error).as_ref())
    }

    #[test]
    fn a_failed_build_phase_is_the_participants_fault_and_any_other_phase_the_platforms() {
        let context = json!([{"StatusCode": "COMMAND_EXECUTION_ERROR", "Message": "exit status 1"}]);
        for (phase, code) in [
            ("BUILD", FailureCode::BuildFailed),
            ("INSTALL", FailureCode::BuildServiceFault),
            ("PRE_BUILD", FailureCode::BuildServiceFault),
            ("POST_BUILD", FailureCode::BuildServiceFault),
            ("DOWNLOAD_SOURCE", FailureCode::BuildServiceFault),
        ] {
            let classification = failure(
                "FAILED",
                &json!([{"PhaseType": "SUBMITTED", "PhaseStatus": "SUCCEEDED"},
                        {"PhaseType": phase, "PhaseStatus": "FAILED", "Contexts": context},
                        {"PhaseType": "COMPLETED"}]),
            );
            assert_eq!(classification.code, code, "{phase}");
            assert_eq!(classification.detail.as_deref(), Some("exit status 1"));
        }
    }

    #[test]
    fn a_registry_that_few_use_is_tried_once_more() {
        let retry = |status, phase| failure(status, &json!([{"PhaseType": phase, "PhaseStatus": status}])).retry;
        assert_eq!(retry("FAILED", "INSTALL"), Retry::Fault { first: 60 });
        assert_eq!(retry("TIMED_OUT", "INSTALL"), Retry::Once { after: 60 });
        assert_eq!(retry("FAILED", "PRE_BUILD"), Retry::Once { after: 60 });
    }

    #[test]
    fn a_timeout_in_the_queue_is_the_platforms_fault() {
        let timed_out = |phase| failure("TIMED_OUT", &json!([{"PhaseType": phase, "PhaseStatus": "TIMED_OUT"}])).code;
        assert_eq!(timed_out("BUILD"), FailureCode::BuildTimedOut);
        assert_eq!(timed_out("QUEUED"), FailureCode::BuildServiceFault);
    }

    #[test]
    fn a_timeout_names_its_limit() {
        let phases = json!([{"PhaseType": "BUILD", "PhaseStatus": "TIMED_OUT"}]);
        let cause =
            json!({"Build": {"Id": "mm:1", "BuildStatus": "TIMED_OUT", "TimeoutInMinutes": 30, "Phases": phases}});
        let error = StepError { error: "States.TaskFailed".to_owned(), cause: cause.to_string() };
        let timed_out = classify_step(Step::BuildImage, &error, Job::in_cause(Step::BuildImage, &error).as_ref());
        assert!(timed_out.message.starts_with("The build exceeded its time limit of 30 min"), "{}", timed_out.message);
    }

    #[test]
    fn a_full_queue_is_retried() {
        let error = StepError {
            error: "CodeBuild.AccountLimitExceededException".to_owned(),
            cause: "Cannot have more than 1 builds in queue for the account".to_owned(),
        };
        let classification = classify(&error);
        assert_eq!(classification.code, FailureCode::QuotaExceeded);
        assert_eq!(classification.retry, Retry::Wait { first: 120 });
    }

    #[test]
    fn a_cause_that_is_a_sentence_is_the_platforms_fault() {
        let error = StepError { error: "States.TaskFailed".to_owned(), cause: "Internal error".to_owned() };
        assert_eq!(classify(&error).code, FailureCode::Internal);
    }
}
