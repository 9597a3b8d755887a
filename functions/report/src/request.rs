use serde::Deserialize;
use serde_json::Value;
use shared::outcome::Diagnosis;
use shared::{FailureCode, Fault, SubmissionId};

use crate::Finished;

/// What the function is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Request {
    /// By the state machine.
    Step(Step),
    /// By EventBridge: an execution ended otherwise than by its own last state.
    ExecutionEnded(ExecutionEnded),
}

/// What the state machine asks for.
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
}

/// An event of
/// <https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html>.
#[derive(Debug, Clone, Deserialize)]
pub struct ExecutionEnded {
    pub(crate) detail: Detail,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Detail {
    execution_arn: String,
    status: String,
    input: String,
    start_date: i64,
    stop_date: Option<i64>,
    #[serde(default)]
    error: Option<String>,
}

impl ExecutionEnded {
    /// The outcome of such an execution: failed, with a reason for its kind of end. Nothing if the event is about an
    /// execution without a submission.
    pub(crate) fn finished(&self) -> Option<Finished> {
        let Detail { execution_arn, status, input, start_date, stop_date, error } = &self.detail;
        let input: Value = serde_json::from_str(input).ok()?;
        let submission_id = serde_json::from_value(input.get("submissionId")?.clone()).ok()?;
        let code = error.as_deref().and_then(FailureCode::from_name).filter(|code| code.fault() == Fault::Platform);
        let message = match status.as_str() {
            "ABORTED" => "Processing was stopped by an operator. There is nothing to change in the submission.",
            "TIMED_OUT" => {
                "Processing took longer than is allowed in all. The operators have been alerted; there is nothing to change in the submission."
            }
            _ => {
                "Processing failed for a reason that is not the submission's. The operators have been alerted; there is nothing to change in the submission."
            }
        };
        Some(Finished {
            submission_id,
            execution: execution_arn.clone(),
            started_at: rfc3339(*start_date),
            finished_at: rfc3339(stop_date.unwrap_or(*start_date)),
            attempts: 1,
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
                retry_after_seconds: None,
            }),
        })
    }
}

/// Milliseconds since 1970 as RFC 3339.
fn rfc3339(milliseconds: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000);
    at.ok().and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok()).unwrap_or_default()
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
        let finished = ended.finished().unwrap();
        assert_eq!(
            (finished.started_at.as_str(), finished.finished_at.as_str()),
            ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00.5Z")
        );
        let diagnosis = finished.diagnosis.unwrap();
        assert_eq!((diagnosis.code, diagnosis.fault), (FailureCode::Internal, Fault::Platform));
        assert!(diagnosis.message.starts_with("Processing was stopped by an operator."));
    }

    #[test]
    fn an_execution_without_a_submission_is_nobodys() {
        for input in ["{}", "", r#"{"submissionId":"../x"}"#] {
            let Request::ExecutionEnded(ended) = event("FAILED", input) else { panic!("it was taken for a step") };
            assert!(ended.finished().is_none(), "{input}");
        }
    }
}
