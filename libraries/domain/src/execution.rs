//! Executions as EventBridge reports them.

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::SubmissionId;

/// The event "Step Functions Execution Status Change"; see
/// <https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html>.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ExecutionStatusChange {
    pub detail: Execution,
}

/// An execution, with the fields of `DescribeExecution` that are read here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    pub execution_arn: String,
    pub status: ExecutionStatus,
    /// JSON.
    pub input: String,
    /// In JSON: milliseconds since 1970, like every date here.
    #[serde(deserialize_with = "milliseconds")]
    pub start_date: OffsetDateTime,
    #[serde(default, deserialize_with = "optional_milliseconds")]
    pub stop_date: Option<OffsetDateTime>,
    /// The name of the error that ended the execution, such as a failure code.
    #[serde(default)]
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, strum::EnumString)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutionStatus {
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
    /// Redriven, and waiting to run again.
    PendingRedrive,
}

impl Execution {
    /// The submission in the input. `None` if the input does not hold a valid id.
    #[must_use]
    pub fn submission_id(&self) -> Option<SubmissionId> {
        let input: Value = serde_json::from_str(&self.input).ok()?;
        serde_json::from_value(input.get("submissionId")?.clone()).ok()
    }

    /// When it stopped; when it started, if the event does not say.
    #[must_use]
    pub fn stopped_at(&self) -> OffsetDateTime {
        self.stop_date.unwrap_or(self.start_date)
    }
}

// Not `time::serde::timestamp::milliseconds`: it reads an i128, which untagged enums do not support.
fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
    let milliseconds = Duration::milliseconds(i64::deserialize(deserializer)?);
    OffsetDateTime::UNIX_EPOCH.checked_add(milliseconds).ok_or_else(|| D::Error::custom("the date is out of range"))
}

fn optional_milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OffsetDateTime>, D::Error> {
    #[derive(Deserialize)]
    struct Date(#[serde(deserialize_with = "milliseconds")] OffsetDateTime);
    Ok(Option::<Date>::deserialize(deserializer)?.map(|Date(date)| date))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const EVENTS: [(&str, ExecutionStatus); 4] = [
        (include_str!("../tests/fixtures/execution-succeeded.json"), ExecutionStatus::Succeeded),
        (include_str!("../tests/fixtures/execution-failed.json"), ExecutionStatus::Failed),
        (include_str!("../tests/fixtures/execution-timed-out.json"), ExecutionStatus::TimedOut),
        (include_str!("../tests/fixtures/execution-aborted.json"), ExecutionStatus::Aborted),
    ];

    #[test]
    fn an_event_names_the_submission_the_status_and_the_times() {
        for (event, status) in EVENTS {
            // Functions read their events from an untagged enum, which buffers them.
            #[derive(Deserialize)]
            #[serde(untagged)]
            enum Event {
                Ended(ExecutionStatusChange),
            }
            let Event::Ended(ExecutionStatusChange { detail }) = serde_json::from_str(event).unwrap();
            assert_eq!(detail.status, status);
            assert_eq!(detail.submission_id().unwrap().as_str(), "d01c8c8b-2a7f-463f-992b-7bc5423e1dd0");
            assert_eq!((detail.stopped_at() - detail.start_date).whole_milliseconds(), 3_725_250, "{status:?}");
        }
    }

    #[test]
    fn statuses_have_the_names_that_step_functions_gives_them() {
        for (name, status) in [("TIMED_OUT", ExecutionStatus::TimedOut), ("RUNNING", ExecutionStatus::Running)] {
            assert_eq!(name.parse(), Ok(status));
            assert_eq!(serde_json::from_value::<ExecutionStatus>(json!(name)).unwrap(), status);
        }
    }

    fn execution(input: &str, start_date: i64) -> Result<Execution, serde_json::Error> {
        serde_json::from_value(
            json!({"executionArn": "arn", "status": "FAILED", "input": input, "startDate": start_date}),
        )
    }

    #[test]
    fn an_execution_can_be_without_a_submission() {
        for input in ["{}", "", r#"{"submissionId":"../x"}"#] {
            let execution = execution(input, 0).unwrap();
            assert_eq!(execution.submission_id(), None);
            assert_eq!(execution.stopped_at(), OffsetDateTime::UNIX_EPOCH);
        }
    }

    #[test]
    fn a_date_that_does_not_exist_is_refused() {
        assert!(execution("{}", i64::MAX).is_err());
    }
}
