//! Failures of CodeBuild and of builds. Statuses, phases and their contexts:
//! <https://docs.aws.amazon.com/codebuild/latest/APIReference/API_Build.html>.

use serde::Deserialize;
use shared::FailureCode;

use super::{Classification, LogStream, StepError, unexpected};

const SERVICE_FAULT: &str = "The image could not be built because the build service failed. The operators have been alerted; there is nothing to change in the submission.";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Cause {
    build: Build,
}

/// A build, as far as a diagnosis needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Build {
    /// `PROJECT:UUID`.
    #[serde(default)]
    pub id: String,
    /// Its ARN.
    #[serde(default)]
    pub arn: String,
    /// Its status, such as `FAILED`.
    pub build_status: String,
    /// Its phases so far.
    #[serde(default)]
    pub phases: Vec<Phase>,
    /// Where its log is.
    pub logs: Option<Logs>,
}

/// A phase of a build.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Phase {
    /// Its name, such as `BUILD`.
    pub phase_type: String,
    /// How it ended, if it did.
    pub phase_status: Option<String>,
    /// What there is to say of it.
    #[serde(default)]
    pub contexts: Vec<Context>,
}

/// What there is to say of a phase.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Context {
    /// A sentence.
    pub message: Option<String>,
}

/// Where a build's log is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Logs {
    /// The log group.
    pub group_name: Option<String>,
    /// The log stream.
    pub stream_name: Option<String>,
}

impl Build {
    pub(super) fn log(&self) -> Option<LogStream> {
        let logs = self.logs.clone()?;
        Some(LogStream::Named { group: logs.group_name?, stream: logs.stream_name? })
    }
}

/// The build that a cause describes.
pub(super) fn in_cause(cause: &str) -> Option<Build> {
    serde_json::from_str::<Cause>(cause).ok().map(|Cause { build }| build)
}

pub(super) fn classify(error: &StepError) -> Classification {
    match error.error.as_str() {
        "CodeBuild.AccountLimitExceededException" => Classification::new(
            FailureCode::QuotaExceeded,
            "Too many images are being built at the moment. The build starts by itself when there is room.",
        )
        .detail(error.cause.clone())
        .retry_after(120),
        // An answer that lacks what is read from it arrives as a QueryEvaluationError.
        name if name.starts_with("CodeBuild.")
            || matches!(name, "States.Timeout" | "States.HeartbeatTimeout" | "States.QueryEvaluationError") =>
        {
            Classification::new(FailureCode::BuildServiceFault, SERVICE_FAULT)
                .detail(format!("{name}: {}", error.cause))
                .retry_after(60)
        }
        _ => unexpected(error),
    }
}

/// What a participant is told of a build that failed at a known place of the Dockerfile.
pub(super) fn failed_at(place: &str) -> String {
    format!(
        "The image did not build: in the Dockerfile, {place} failed. The last lines of the log show why; mend it, check it with `docker build --platform linux/amd64` and submit again."
    )
}

/// What a build that failed means.
pub(super) fn failed(build: &Build) -> Classification {
    let failing = build.phases.iter().find(|phase| {
        phase.phase_status.as_deref().is_some_and(|status| !matches!(status, "SUCCEEDED" | "IN_PROGRESS"))
    });
    let phase = failing.map_or("", |phase| phase.phase_type.as_str());
    let said: Vec<&str> = failing
        .into_iter()
        .flat_map(|phase| &phase.contexts)
        .filter_map(|context| context.message.as_deref())
        .collect();
    let classification = match (build.build_status.as_str(), phase) {
        ("FAILED", "BUILD") => Classification::new(
            FailureCode::BuildFailed,
            "The image did not build. The last lines of the log show why; mend it, check it with `docker build --platform linux/amd64` and submit again.",
        ),
        ("TIMED_OUT", "QUEUED") => Classification::new(FailureCode::BuildServiceFault, SERVICE_FAULT).retry_after(60),
        ("TIMED_OUT", _) => Classification::new(
            FailureCode::BuildTimedOut,
            "The image took longer to build than is allowed. Install fewer or prebuilt packages, leave downloads of data out of the Dockerfile, and submit again.",
        ),
        ("STOPPED", _) => Classification::new(
            FailureCode::BuildServiceFault,
            "The build was stopped by an operator. There is nothing to change in the submission.",
        ),
        _ => Classification::new(FailureCode::BuildServiceFault, SERVICE_FAULT).retry_after(60),
    };
    classification.detail(said.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::outcome::Step;

    use super::*;
    use crate::classify::{Described, classify as classify_step};

    fn failure(status: &str, phases: &Value) -> (Classification, Option<LogStream>) {
        let cause = json!({"Build": {"Id": "mm:1", "BuildStatus": status, "Phases": phases,
            "Logs": {"GroupName": "/aws/codebuild/mm", "StreamName": "1"}}});
        let error = StepError { error: "States.TaskFailed".to_owned(), cause: cause.to_string() };
        let described = error.described(Step::BuildImage);
        let log = described.as_ref().and_then(Described::log);
        (classify_step(Step::BuildImage, &error, described.as_ref()), log)
    }

    #[test]
    fn a_failed_build_phase_is_the_participants_and_any_other_the_platforms() {
        let context = json!([{"StatusCode": "COMMAND_EXECUTION_ERROR", "Message": "exit status 1"}]);
        for (phase, code) in [
            ("BUILD", FailureCode::BuildFailed),
            ("PRE_BUILD", FailureCode::BuildServiceFault),
            ("POST_BUILD", FailureCode::BuildServiceFault),
            ("DOWNLOAD_SOURCE", FailureCode::BuildServiceFault),
        ] {
            let (classification, log) = failure(
                "FAILED",
                &json!([{"PhaseType": "SUBMITTED", "PhaseStatus": "SUCCEEDED"},
                        {"PhaseType": phase, "PhaseStatus": "FAILED", "Contexts": context},
                        {"PhaseType": "COMPLETED"}]),
            );
            assert_eq!(classification.code, code, "{phase}");
            assert_eq!(classification.detail.as_deref(), Some("exit status 1"));
            assert_eq!(log, Some(LogStream::Named { group: "/aws/codebuild/mm".to_owned(), stream: "1".to_owned() }));
        }
    }

    #[test]
    fn waiting_too_long_in_the_queue_is_not_the_builds_doing() {
        let timed_out = |phase| failure("TIMED_OUT", &json!([{"PhaseType": phase, "PhaseStatus": "TIMED_OUT"}])).0.code;
        assert_eq!(timed_out("BUILD"), FailureCode::BuildTimedOut);
        assert_eq!(timed_out("QUEUED"), FailureCode::BuildServiceFault);
    }

    #[test]
    fn a_full_queue_waits() {
        let error = StepError {
            error: "CodeBuild.AccountLimitExceededException".to_owned(),
            cause: "Cannot have more than 1 builds in queue for the account".to_owned(),
        };
        let classification = classify(&error);
        assert_eq!(classification.code, FailureCode::QuotaExceeded);
        assert_eq!(classification.retry_after_seconds, Some(120));
    }

    #[test]
    fn a_sentence_for_a_cause_is_a_fault_of_the_platform() {
        let error = StepError { error: "States.TaskFailed".to_owned(), cause: "Internal error".to_owned() };
        assert_eq!(classify(&error).code, FailureCode::Internal);
    }
}
