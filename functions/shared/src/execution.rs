//! Executions as EventBridge tells of them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::SubmissionId;

/// An event of <https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html>: an execution ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionEnded {
    /// The execution.
    pub detail: Ended,
}

/// An execution that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// Its ARN.
    pub execution_arn: String,
    /// How it ended: `SUCCEEDED`, `FAILED`, `TIMED_OUT` or `ABORTED`.
    pub status: String,
    /// Its input as JSON.
    pub input: String,
    /// When it was started, in milliseconds since 1970.
    pub start_date: i64,
    /// When it ended, in milliseconds since 1970.
    pub stop_date: Option<i64>,
    /// The name of the error that it failed with.
    #[serde(default)]
    pub error: Option<String>,
}

impl Ended {
    /// The submission that it was about; nothing if its input names none.
    #[must_use]
    pub fn submission_id(&self) -> Option<SubmissionId> {
        let input: Value = serde_json::from_str(&self.input).ok()?;
        serde_json::from_value(input.get("submissionId")?.clone()).ok()
    }

    /// When it was started.
    #[must_use]
    pub fn started_at(&self) -> OffsetDateTime {
        at(self.start_date)
    }

    /// When it ended; when it was started, if that is not known.
    #[must_use]
    pub fn stopped_at(&self) -> OffsetDateTime {
        at(self.stop_date.unwrap_or(self.start_date))
    }
}

fn at(milliseconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_names_the_submission_and_the_times() {
        let event: ExecutionEnded = serde_json::from_value(json!({
            "source": "aws.states", "detail": {"executionArn": "arn", "status": "ABORTED", "error": null,
                "input": r#"{"submissionId":"-kJ-nOos4KQaL3"}"#, "startDate": 1_767_225_600_000_i64,
                "stopDate": 1_767_225_660_500_i64, "output": null},
        }))
        .unwrap();
        assert_eq!(event.detail.submission_id().unwrap().as_str(), "-kJ-nOos4KQaL3");
        assert_eq!((event.detail.stopped_at() - event.detail.started_at()).whole_milliseconds(), 60_500);
    }

    #[test]
    fn an_execution_without_a_submission_is_nobodys() {
        for input in ["{}", "", r#"{"submissionId":"../x"}"#] {
            let ended = Ended {
                execution_arn: "arn".to_owned(),
                status: "FAILED".to_owned(),
                input: input.to_owned(),
                start_date: i64::MAX,
                stop_date: None,
                error: None,
            };
            assert_eq!(ended.submission_id(), None);
            assert_eq!(ended.stopped_at(), OffsetDateTime::UNIX_EPOCH);
        }
    }
}
