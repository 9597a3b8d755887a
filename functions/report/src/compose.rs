use std::collections::BTreeMap;

use domain::execution::{Execution, ExecutionStatus};
use domain::outcome::{Archive, Diagnosis, Image, Links, Outcome, Status, Training};
use domain::{ChallengeId, FailureCode, Fault, Reporting, Scores, SubmissionId};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Characters kept of a failure's message.
const MESSAGE_CHARACTERS: usize = 2000;
/// Characters kept of what a failed service or program reported.
const DETAIL_CHARACTERS: usize = 1024;

/// What an execution knows after its last step.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FinishedExecution {
    pub submission_id: SubmissionId,
    /// Absent if the submission could not be fetched, or if the Submission API names none.
    #[serde(default)]
    pub challenge_id: Option<ChallengeId>,
    /// The member. Absent as above.
    #[serde(default)]
    pub participant: Option<String>,
    /// ARN of the execution.
    pub execution: String,
    /// When it started, RFC 3339.
    pub started_at: String,
    /// When its last step ended, RFC 3339.
    pub finished_at: String,
    /// Attempts of the last step, from 1.
    pub attempts: u32,
    /// Attempts at training for which SageMaker had no capacity.
    #[serde(default)]
    pub capacity_retries: u32,
    /// Seconds that each step took, by its name.
    #[serde(default)]
    pub seconds: BTreeMap<String, f64>,
    pub archive: Option<Archive>,
    pub image: Option<Image>,
    pub training: Option<Training>,
    #[serde(default)]
    pub scores: Option<Scores>,
    /// Absent if the challenge decides nothing.
    #[serde(default)]
    pub reporting: Option<Reporting>,
    /// Absent if all steps succeeded.
    pub diagnosis: Option<Diagnosis>,
}

impl FinishedExecution {
    /// An execution that ended without reporting its outcome. `None` if it has no submission.
    #[must_use]
    pub fn unreported(execution: &Execution) -> Option<Self> {
        let named = || execution.error.as_deref().and_then(FailureCode::from_name);
        let (code, message) = match execution.status {
            ExecutionStatus::Aborted => (
                FailureCode::Aborted,
                "An operator stopped the processing of the submission. You do not need to change the submission or submit it again. The operators will decide whether to continue.",
            ),
            ExecutionStatus::TimedOut => (
                FailureCode::Internal,
                "Processing exceeded its time limit. The operators have been alerted. You do not need to change the submission or submit it again.",
            ),
            _ => (
                named().filter(|code| code.fault() == Fault::Platform).unwrap_or(FailureCode::Internal),
                "Processing failed because of a problem with the platform, not with the submission. The operators have been alerted. You do not need to change the submission or submit it again.",
            ),
        };
        Some(Self {
            submission_id: execution.submission_id()?,
            challenge_id: None,
            participant: None,
            execution: execution.execution_arn.clone(),
            started_at: rfc3339(execution.start_date),
            finished_at: rfc3339(execution.stopped_at()),
            attempts: 1,
            capacity_retries: 0,
            seconds: BTreeMap::new(),
            archive: None,
            image: None,
            training: None,
            scores: None,
            reporting: None,
            diagnosis: Some(Diagnosis {
                code,
                fault: Fault::Platform,
                step: None,
                message: message.to_owned(),
                detail: None,
                log_tail: Vec::new(),
                links: Links::default(),
                retry_after_seconds: None,
            }),
        })
    }
}

fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).expect("invariant: the dates of executions have four-digit years")
}

/// The outcome of a finished execution: completed, or rejected or failed depending on whose fault the failure is.
#[must_use]
pub fn compose(finished: FinishedExecution) -> Outcome {
    Outcome {
        status: match &finished.diagnosis {
            None => Status::Completed,
            Some(diagnosis) => match diagnosis.fault {
                Fault::Participant => Status::Rejected,
                Fault::Platform => Status::Failed,
            },
        },
        submission_id: finished.submission_id,
        challenge_id: finished.challenge_id,
        participant: finished.participant,
        failure: finished.diagnosis.map(redacted),
        archive: finished.archive,
        image: finished.image,
        training: finished
            .training
            .map(|training| Training { log_tail: redacted_lines(&training.log_tail), ..training }),
        scores: finished.scores,
        reporting: finished.reporting.unwrap_or_default(),
        attempts: finished.attempts,
        capacity_retries: finished.capacity_retries,
        seconds: finished.seconds,
        execution: finished.execution,
        started_at: finished.started_at,
        finished_at: finished.finished_at,
        review: None,
    }
}

/// Redacts all text again: the diagnosis can also come from the state machine itself.
fn redacted(diagnosis: Diagnosis) -> Diagnosis {
    Diagnosis {
        message: redact::text(&diagnosis.message, MESSAGE_CHARACTERS),
        detail: diagnosis.detail.map(|detail| redact::text(&detail, DETAIL_CHARACTERS)),
        log_tail: redacted_lines(&diagnosis.log_tail),
        retry_after_seconds: None,
        ..diagnosis
    }
}

fn redacted_lines(log: &[String]) -> Vec<String> {
    log.iter().map(|line| redact::line(line)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn finished(diagnosis: &Value) -> FinishedExecution {
        serde_json::from_value(json!({
            "submissionId": "-kJ-nOos4KQaL3", "execution": "arn", "startedAt": "a", "finishedAt": "b", "attempts": 2,
            "archive": null, "image": null, "training": null, "diagnosis": diagnosis,
        }))
        .unwrap()
    }

    #[test]
    fn the_status_follows_the_fault() {
        let diagnosis =
            |code, fault| json!({"code": code, "fault": fault, "step": "BuildImage", "message": "m", "logTail": ["a"]});
        for (diagnosis, status) in [
            (Value::Null, Status::Completed),
            (diagnosis("BuildFailed", "participant"), Status::Rejected),
            (diagnosis("BuildServiceFault", "platform"), Status::Failed),
        ] {
            assert_eq!(compose(finished(&diagnosis)).status, status);
        }
    }

    #[test]
    fn text_in_an_outcome_is_redacted() {
        let diagnosis = json!({"code": "TrainingFailed", "fault": "participant", "step": "TrainModel",
            "message": "The entry \u{1b}[31mx leaves.", "detail": "key AKIAIOSFODNN7EXAMPLE",
            "logTail": ["password=hunter2", "x".repeat(10_000)]});
        let failure = compose(finished(&diagnosis)).failure.unwrap();
        assert_eq!(failure.message, "The entry x leaves.");
        assert_eq!(failure.detail.as_deref(), Some("key [redacted access key]"));
        assert_eq!((failure.log_tail[0].as_str(), failure.log_tail[1].chars().count()), ("password=[redacted]", 501));
    }

    #[test]
    fn an_outcome_omits_unknown_fields() {
        let outcome = serde_json::to_value(compose(finished(&Value::Null))).unwrap();
        assert_eq!(
            outcome,
            json!({"submissionId": "-kJ-nOos4KQaL3", "status": "completed", "attempts": 2, "execution": "arn",
                   "startedAt": "a", "finishedAt": "b", "seconds": {}})
        );
    }
    fn event(status: &str) -> Execution {
        let event = match status {
            "SUCCEEDED" => include_str!("../../../libraries/domain/tests/fixtures/execution-succeeded.json"),
            "FAILED" => include_str!("../../../libraries/domain/tests/fixtures/execution-failed.json"),
            "TIMED_OUT" => include_str!("../../../libraries/domain/tests/fixtures/execution-timed-out.json"),
            _ => include_str!("../../../libraries/domain/tests/fixtures/execution-aborted.json"),
        };
        serde_json::from_str::<domain::execution::ExecutionStatusChange>(event).unwrap().detail
    }

    #[test]
    fn an_unreported_execution_failed_because_of_the_platform() {
        for (status, code, message) in [
            ("SUCCEEDED", FailureCode::Internal, "Processing failed because of a problem with the platform"),
            ("FAILED", FailureCode::QuotaExceeded, "Processing failed because of a problem with the platform"),
            ("TIMED_OUT", FailureCode::Internal, "Processing exceeded its time limit."),
            ("ABORTED", FailureCode::Aborted, "An operator stopped the processing of the submission."),
        ] {
            let finished = FinishedExecution::unreported(&event(status)).unwrap();
            assert_eq!(
                (finished.started_at.as_str(), finished.finished_at.as_str()),
                ("2026-01-01T00:00:00Z", "2026-01-01T01:02:05.25Z")
            );
            let outcome = compose(finished);
            assert_eq!(outcome.status, Status::Failed);
            let failure = outcome.failure.unwrap();
            assert_eq!((failure.code, failure.fault), (code, Fault::Platform), "{status}");
            assert!(failure.message.starts_with(message), "{}", failure.message);
        }
    }
}
