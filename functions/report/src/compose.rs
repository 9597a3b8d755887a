use std::collections::BTreeMap;

use serde::Deserialize;
use shared::outcome::{Archive, Diagnosis, Image, Outcome, Scores, Status, Training};
use shared::{Fault, SubmissionId};

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
        failure: finished.diagnosis,
        archive: finished.archive,
        image: finished.image,
        training: finished.training,
        scores: finished.scores,
        attempts: finished.attempts,
        seconds: finished.seconds,
        execution: finished.execution,
        started_at: finished.started_at,
        finished_at: finished.finished_at,
        review: None,
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
    fn an_outcome_leaves_out_what_is_not_known() {
        let outcome = serde_json::to_value(compose(finished(&Value::Null))).unwrap();
        assert_eq!(
            outcome,
            json!({"submissionId": "-kJ-nOos4KQaL3", "status": "completed", "attempts": 2, "execution": "arn",
                   "startedAt": "a", "finishedAt": "b", "seconds": {}})
        );
    }
}
