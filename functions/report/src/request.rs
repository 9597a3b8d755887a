use serde::Deserialize;
use shared::execution::{Ended, ExecutionEnded};
use shared::outcome::{Diagnosis, Links};
use shared::{FailureCode, Fault, SubmissionId};
use time::format_description::well_known::Rfc3339;

use crate::Finished;

/// What the function is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Request {
    /// By the state machine or a schedule.
    Step(Step),
    /// By EventBridge: an execution ended otherwise than by its own last state.
    ExecutionEnded(ExecutionEnded),
}

impl Request {
    /// The submission that it is about; nothing for a sweep.
    pub(crate) fn submission_id(&self) -> Option<SubmissionId> {
        match self {
            Self::Step(Step::Start { submission_id, .. }) => Some(submission_id.clone()),
            Self::Step(Step::Finish(finished)) => Some(finished.submission_id.clone()),
            Self::Step(Step::Sweep {}) => None,
            Self::ExecutionEnded(ended) => ended.detail.submission_id(),
        }
    }
}

/// What the state machine or a schedule asks for.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase")]
pub enum Step {
    /// Say that processing has started.
    #[serde(rename_all = "camelCase")]
    Start {
        /// The submission.
        submission_id: SubmissionId,
        /// The execution's ARN.
        execution: String,
    },
    /// Store and send the outcome.
    Finish(Box<Finished>),
    /// Look for executions that nobody reported. Asked for by a schedule.
    Sweep {},
}

/// The outcome of an execution that did not come to one itself: failed, with a reason for its kind of end. Nothing if the
/// execution is without a submission.
pub(crate) fn finished(ended: &Ended) -> Option<Finished> {
    let code = ended.error.as_deref().and_then(FailureCode::from_name).filter(|code| code.fault() == Fault::Platform);
    let message = match ended.status.as_str() {
        "ABORTED" => "Processing was stopped by an operator. There is nothing to change in the submission.",
        "TIMED_OUT" => {
            "Processing took longer than is allowed in all. The operators have been alerted; there is nothing to change in the submission."
        }
        _ => {
            "Processing failed for a reason that is not the submission's. The operators have been alerted; there is nothing to change in the submission."
        }
    };
    let rfc3339 = |at: time::OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
    Some(Finished {
        submission_id: ended.submission_id()?,
        execution: ended.execution_arn.clone(),
        started_at: rfc3339(ended.started_at()),
        finished_at: rfc3339(ended.stopped_at()),
        attempts: 1,
        capacity_retries: 0,
        seconds: std::collections::BTreeMap::new(),
        archive: None,
        image: None,
        training: None,
        scores: None,
        diagnosis: Some(Diagnosis {
            code: code.unwrap_or(FailureCode::Internal),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(status: &str, input: &str) -> Request {
        serde_json::from_value(json!({
            "source": "aws.states", "detail-type": "Step Functions Execution Status Change",
            "detail": {"executionArn": "arn", "status": status, "input": input, "startDate": 1_767_225_600_000_i64,
                       "stopDate": 1_767_225_660_500_i64, "error": null, "output": null},
        }))
        .unwrap()
    }

    #[test]
    fn an_ended_execution_is_a_fault_of_the_platform() {
        let Request::ExecutionEnded(ended) = event("ABORTED", r#"{"submissionId":"-kJ-nOos4KQaL3"}"#) else {
            panic!("it was taken for a step");
        };
        let finished = finished(&ended.detail).unwrap();
        assert_eq!(
            (finished.started_at.as_str(), finished.finished_at.as_str()),
            ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00.5Z")
        );
        let diagnosis = finished.diagnosis.unwrap();
        assert_eq!((diagnosis.code, diagnosis.fault), (FailureCode::Internal, Fault::Platform));
        assert!(diagnosis.message.starts_with("Processing was stopped by an operator."));
    }
}
