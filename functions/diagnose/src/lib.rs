//! Turns a failed step of an execution into a failure code, whose fault it is, and the last lines of its log.

mod classify;
mod clean;
mod logs;
mod settings;

pub use classify::{Classification, LogStream, StepError, classify};
pub use clean::{clean_line, clean_text};
use serde::{Deserialize, Serialize};
pub use settings::Settings;
use shared::outcome::{Diagnosis, Step};
use shared::{Failure, FailureCode, SubmissionId};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Characters kept of what a failed service or program said.
const DETAIL_CHARACTERS: usize = 1024;
/// The longest wait between two attempts of a step, in seconds.
const LONGEST_WAIT_SECONDS: u32 = 30 * 60;

/// What the function works with.
#[derive(Debug, Clone)]
pub struct Deps {
    /// Its settings.
    pub settings: Settings,
    /// The client that reads the logs of builds and training jobs.
    pub logs: aws_sdk_cloudwatchlogs::Client,
}

/// What a state machine asks for.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase")]
pub enum Request {
    /// What does the failure of a step mean?
    #[serde(rename_all = "camelCase")]
    Diagnose {
        /// The submission.
        submission_id: SubmissionId,
        /// The step that failed.
        step: Step,
        /// The error that was caught.
        error: StepError,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// When the execution was started or last redriven, RFC 3339.
        started_at: String,
        /// When the step failed, RFC 3339.
        failed_at: String,
    },
    /// Fail with the diagnosis' code as the error's name.
    Raise {
        /// The diagnosis that was reported.
        diagnosis: Diagnosis,
    },
    /// Let a redriven execution go on.
    Resume {},
}

/// The function's answer: a diagnosis where one was asked for.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// What a failure means.
    Diagnosis(Box<Diagnosis>),
    /// Nothing to say.
    Nothing {},
}

/// Answers one request. Fails only when it is asked to raise a diagnosis.
pub async fn handle(request: Request, deps: &Deps) -> Result<Answer, Failure> {
    match request {
        Request::Resume {} => Ok(Answer::Nothing {}),
        Request::Raise { diagnosis } => {
            let failure = Failure::new(diagnosis.code, diagnosis.message);
            failure.log();
            Err(failure)
        }
        Request::Diagnose { submission_id, step, error, attempt, started_at, failed_at } => {
            let classification = classify(step, &error);
            let log_tail = match &classification.log {
                Some(stream) => logs::tail(&deps.logs, stream).await.unwrap_or_else(|error| {
                    tracing::warn!(%submission_id, %error, ?stream, "the step's log cannot be read");
                    Vec::new()
                }),
                None => Vec::new(),
            };
            let retry_after_seconds = classification
                .retry_after_seconds
                .filter(|_| within_horizon(&started_at, &failed_at, deps.settings.retry_horizon_seconds))
                .map(|first| back_off(first, attempt));
            let diagnosis = Diagnosis {
                code: classification.code,
                fault: classification.code.fault(),
                step: Some(step),
                message: classification.message.into_owned(),
                detail: classification.detail.map(|detail| clean_text(&detail, DETAIL_CHARACTERS)),
                log_tail,
                retry_after_seconds,
            };
            tracing::info!(%submission_id, ?step, attempt, code = %diagnosis.code, error = error.error,
                retry_after_seconds, "diagnosed a failed step");
            Ok(Answer::Diagnosis(Box::new(diagnosis)))
        }
    }
}

/// Doubles the wait with every attempt.
fn back_off(first_seconds: u32, attempt: u32) -> u32 {
    let doublings = attempt.saturating_sub(1).min(16);
    first_seconds.saturating_mul(1 << doublings).min(LONGEST_WAIT_SECONDS)
}

fn within_horizon(started_at: &str, failed_at: &str, horizon_seconds: u32) -> bool {
    let parse = |at| OffsetDateTime::parse(at, &Rfc3339);
    match (parse(started_at), parse(failed_at)) {
        (Ok(start), Ok(end)) => (end - start).whole_seconds() < i64::from(horizon_seconds),
        _ => false,
    }
}

/// A failure that this function was not prepared for.
pub(crate) const UNEXPECTED: (FailureCode, &str) = (
    FailureCode::Internal,
    "Processing failed for a reason that is not the submission's. The operators have been alerted; there is nothing to change in the submission.",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_an_hour() {
        assert_eq!([1, 2, 3, 7, u32::MAX].map(|attempt| back_off(60, attempt)), [60, 120, 240, 1800, 1800]);
    }

    #[test]
    fn nothing_is_retried_past_the_horizon_or_without_a_clock() {
        assert!(within_horizon("2026-01-01T00:00:00Z", "2026-01-01T00:59:59Z", 3600));
        assert!(!within_horizon("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", 3600));
        assert!(!within_horizon("", "2026-01-01T01:00:00Z", 3600));
    }
}
