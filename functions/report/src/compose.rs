use std::collections::BTreeMap;

use serde::Deserialize;
use shared::clean::{clean_line, clean_text};
use shared::outcome::{Archive, Diagnosis, Image, Outcome, Scores, Status, Training};
use shared::{Fault, SubmissionId};

/// Characters kept of a failure's message.
const MESSAGE_CHARACTERS: usize = 2000;
/// Characters kept of what a service or program said.
const DETAIL_CHARACTERS: usize = 1024;

/// What an execution knows when it is through with a submission.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finished {
    /// The submission.
    pub submission_id: SubmissionId,
    /// The execution's ARN.
    pub execution: String,
    /// When it started, RFC 3339.
    pub started_at: String,
    /// When the last step ended, RFC 3339.
    pub finished_at: String,
    /// How many attempts the last step took.
    pub attempts: u32,
    /// How many attempts at training found no machine.
    #[serde(default)]
    pub capacity_retries: u32,
    /// Seconds that each step took, by its name.
    #[serde(default)]
    pub seconds: BTreeMap<String, f64>,
    /// The staged archive, once there is one.
    pub archive: Option<Archive>,
    /// The pushed image, once there is one.
    pub image: Option<Image>,
    /// The training job, once it completed.
    pub training: Option<Training>,
    /// How its predictions were judged, where the challenge is scored.
    #[serde(default)]
    pub scores: Option<Scores>,
    /// Why a step failed for good.
    pub diagnosis: Option<Diagnosis>,
}

/// The outcome of a finished execution: completed without a diagnosis, else rejected or failed by whose fault it is.
#[must_use]
pub fn compose(finished: Finished) -> Outcome {
    Outcome {
        status: match &finished.diagnosis {
            None => Status::Completed,
            Some(diagnosis) => match diagnosis.fault {
                Fault::Participant => Status::Rejected,
                Fault::Platform => Status::Failed,
            },
        },
        submission_id: finished.submission_id,
        failure: finished.diagnosis.map(cleaned),
        archive: finished.archive,
        image: finished.image,
        training: finished.training,
        scores: finished.scores,
        attempts: finished.attempts,
        capacity_retries: finished.capacity_retries,
        seconds: finished.seconds,
        execution: finished.execution,
        started_at: finished.started_at,
        finished_at: finished.finished_at,
        review: None,
    }
}

/// The same with nothing hostile left in it: whoever wrote a diagnosis, participants read only what was cleaned.
fn cleaned(diagnosis: Diagnosis) -> Diagnosis {
    Diagnosis {
        message: clean_text(&diagnosis.message, MESSAGE_CHARACTERS),
        detail: diagnosis.detail.map(|detail| clean_text(&detail, DETAIL_CHARACTERS)),
        log_tail: diagnosis.log_tail.iter().map(|line| clean_line(line)).collect(),
        retry_after_seconds: None,
        ..diagnosis
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn finished(diagnosis: &Value) -> Finished {
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
    fn participants_read_what_was_cleaned() {
        let diagnosis = json!({"code": "TrainingFailed", "fault": "participant", "step": "TrainModel",
            "message": "The entry \u{1b}[31mx leaves.", "detail": "key AKIAIOSFODNN7EXAMPLE",
            "logTail": ["password=hunter2", "x".repeat(10_000)]});
        let failure = compose(finished(&diagnosis)).failure.unwrap();
        assert_eq!(failure.message, "The entry x leaves.");
        assert_eq!(failure.detail.as_deref(), Some("key [access key]"));
        assert_eq!((failure.log_tail[0].as_str(), failure.log_tail[1].chars().count()), ("password=[hidden]", 501));
    }

    #[test]
    fn an_outcome_leaves_out_what_is_not_known() {
        let outcome = serde_json::to_value(compose(finished(&Value::Null))).unwrap();
        assert_eq!(
            outcome,
            json!({"submissionId": "-kJ-nOos4KQaL3", "status": "completed", "attempts": 2, "execution": "arn",
                   "startedAt": "a", "finishedAt": "b", "seconds": {}})
        );
    }
}
