//! When and how a failed step is retried. Pure.

use domain::FailureCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::FailedStep;
use crate::settings::Settings;

/// Limit for the wait between two attempts, in seconds.
const MAX_WAIT_SECONDS: u32 = 30 * 60;

/// From this age of an execution on, no step waits for machines any more: a day is left until its time limit, which a redrive
/// starts anew; see <https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html>.
const LONGEST_RUN_SECONDS: u32 = 13 * 24 * 60 * 60;

/// Whether a failed step is retried, and for how long. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// A retry cannot help.
    Never,
    /// The submission may have caused the failure: one more attempt.
    Once { after: u32 },
    /// The service failed: until the retry horizon.
    Fault { first: u32 },
    /// All machines are in use: until the horizon for waits, and for as long as the execution may run.
    Wait { first: u32 },
}

/// For how long a step is retried after it first failed, in seconds, and how.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// While a service fails.
    pub fault_seconds: u32,
    /// While all machines are in use.
    pub wait_seconds: u32,
    /// Attempts without spot capacity before training changes to on-demand instances; 0 for never.
    pub spot_fallback_attempts: u32,
}

impl Policy {
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self {
            fault_seconds: settings.retry_horizon_seconds,
            wait_seconds: settings.wait_horizon_seconds,
            spot_fallback_attempts: settings.spot_fallback_attempts,
        }
    }
}

impl Retry {
    /// Seconds to wait before the next attempt; absent if there is none.
    pub(crate) fn seconds(self, failed: &FailedStep, policy: Policy) -> Option<u32> {
        match self {
            Self::Never => None,
            Self::Once { after } => {
                (since(failed, failed.suspected_since.as_deref()) == failed.failed_at).then_some(after)
            }
            Self::Fault { first } => {
                let failing = seconds_between(since(failed, failed.failing_since.as_deref()), &failed.failed_at)?;
                (failing < policy.fault_seconds).then(|| back_off(first, failed.attempt))
            }
            Self::Wait { first } => {
                let running = seconds_between(running_since(failed), &failed.failed_at)?;
                let lasts = waiting_seconds(failed)? < policy.wait_seconds;
                (lasts && running < LONGEST_RUN_SECONDS).then(|| back_off(first, failed.attempt))
            }
        }
    }
}

/// The settings of the next attempt. Absent times are null, because executions read them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NextAttempt {
    /// Attempts so far for which SageMaker had no capacity.
    pub capacity_retries: u32,
    /// Whether to train on spot instances.
    pub spot: bool,
    /// When the service first failed since it last worked, RFC 3339. That all machines are in use is the answer of a service
    /// that works: a wait of hours must not use up the time for faults.
    pub failing_since: Option<String>,
    /// When the step first had to wait for a machine since the start or last redrive, RFC 3339.
    pub waiting_since: Option<String>,
    /// When a failure that the submission may have caused was first retried since the start or last redrive, RFC 3339.
    pub suspected_since: Option<String>,
}

impl NextAttempt {
    /// After `fallback` attempts without spot capacity, training changes to on-demand instances. With 0 it never does.
    #[must_use]
    pub fn after(failed: &FailedStep, code: FailureCode, retry: Retry, fallback: u32) -> Self {
        let shortage = code == FailureCode::CapacityUnavailable;
        let capacity_retries = failed.capacity_retries.saturating_add(shortage.into());
        let falls_back = shortage && fallback > 0 && capacity_retries >= fallback;
        let now_or_earlier = |earlier: &Option<String>| Some(since(failed, earlier.as_deref()).to_owned());
        let mut next = Self {
            capacity_retries,
            spot: failed.spot && !falls_back,
            failing_since: failed.failing_since.clone(),
            waiting_since: failed.waiting_since.clone(),
            suspected_since: failed.suspected_since.clone(),
        };
        match retry {
            Retry::Never => {}
            Retry::Once { .. } => next.suspected_since = now_or_earlier(&failed.suspected_since),
            Retry::Fault { .. } => next.failing_since = now_or_earlier(&failed.failing_since),
            Retry::Wait { .. } => {
                next.waiting_since = now_or_earlier(&failed.waiting_since);
                next.failing_since = None;
            }
        }
        next
    }
}

/// The earlier time at which the step failed in the same way; if there is none since the last redrive, that of this failure.
fn since<'a>(failed: &'a FailedStep, earlier: Option<&'a str>) -> &'a str {
    let Some(earlier) = earlier else { return &failed.failed_at };
    match failed.redriven_at.as_deref().map(time) {
        Some(redriven) if redriven > time(earlier) => &failed.failed_at,
        _ => earlier,
    }
}

/// When the execution was started or last redriven.
fn running_since(failed: &FailedStep) -> &str {
    failed.redriven_at.as_deref().unwrap_or(&failed.started_at)
}

/// How long the step has been waiting for a machine, in seconds; absent if a time is not readable.
pub(crate) fn waiting_seconds(failed: &FailedStep) -> Option<u32> {
    seconds_between(since(failed, failed.waiting_since.as_deref()), &failed.failed_at)
}

/// Whole seconds; 0 if the times are the wrong way round. Absent if one is not readable.
fn seconds_between(start: &str, end: &str) -> Option<u32> {
    let seconds = (time(end)? - time(start)?).whole_seconds().max(0);
    Some(u32::try_from(seconds).unwrap_or(u32::MAX))
}

fn time(at: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(at, &Rfc3339).ok()
}

/// Seconds to wait after this attempt, counted from 1. Doubles with every attempt, up to half an hour.
pub(crate) fn back_off(first_seconds: u32, attempt: u32) -> u32 {
    let doublings = attempt.saturating_sub(1).min(16);
    first_seconds.saturating_mul(1 << doublings).min(MAX_WAIT_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_an_hour() {
        assert_eq!([1, 2, 3, 7, u32::MAX].map(|attempt| back_off(60, attempt)), [60, 120, 240, 1800, 1800]);
    }

    /// A step that failed before, in whatever way, at `earlier`.
    fn failed(earlier: Option<&str>, redriven_at: Option<&str>, failed_at: &str) -> FailedStep {
        serde_json::from_value(serde_json::json!({
            "submissionId": "-kJ-nOos4KQaL3", "step": "TrainModel", "error": {}, "attempt": 1, "redrives": 0,
            "capacityRetries": 0, "spot": true, "failingSince": earlier, "waitingSince": earlier,
            "suspectedSince": earlier, "redrivenAt": redriven_at, "startedAt": "2026-01-01T00:00:00Z",
            "failedAt": failed_at,
        }))
        .unwrap()
    }

    fn is_retried(retry: Retry, failed: &FailedStep, horizon: u32) -> bool {
        seconds(retry, failed, horizon).is_some()
    }

    fn seconds(retry: Retry, failed: &FailedStep, horizon: u32) -> Option<u32> {
        let wait_seconds = 14 * 24 * 60 * 60;
        retry.seconds(failed, Policy { fault_seconds: horizon, wait_seconds, spot_fallback_attempts: 0 })
    }

    /// The same step when it fails for the next time.
    fn next(failed: &FailedStep, code: FailureCode, retry: Retry, failed_at: &str) -> FailedStep {
        let next = NextAttempt::after(failed, code, retry, 0);
        FailedStep {
            failing_since: next.failing_since,
            waiting_since: next.waiting_since,
            suspected_since: next.suspected_since,
            attempt: failed.attempt + 1,
            failed_at: failed_at.to_owned(),
            ..failed.clone()
        }
    }

    const FAULT: Retry = Retry::Fault { first: 60 };
    const WAIT: Retry = Retry::Wait { first: 300 };
    const ONCE: Retry = Retry::Once { after: 60 };

    #[test]
    fn a_fault_is_retried_until_the_horizon_and_never_without_a_clock() {
        let first = Some("2026-01-01T00:00:00Z");
        assert!(is_retried(FAULT, &failed(first, None, "2026-01-01T00:59:59Z"), 3600));
        assert!(!is_retried(FAULT, &failed(first, None, "2026-01-01T01:00:00Z"), 3600));
        assert!(!is_retried(FAULT, &failed(None, None, "2026-01-01T01:00:00Z"), 0));
        assert!(is_retried(FAULT, &failed(None, None, "2026-01-09T01:00:00Z"), 1));
        assert!(!is_retried(FAULT, &failed(Some(""), None, "2026-01-01T01:00:00Z"), 3600));
        assert!(!is_retried(FAULT, &failed(None, None, ""), 3600));
        assert!(!is_retried(Retry::Never, &failed(None, None, "2026-01-01T00:00:00Z"), 3600));
    }

    #[test]
    fn a_failure_that_the_submission_may_have_caused_is_retried_once() {
        let first = failed(None, None, "2026-01-01T00:00:00.123Z");
        assert_eq!(seconds(ONCE, &first, 3600), Some(60));
        let second = next(&first, FailureCode::BuildServiceFault, ONCE, "2026-01-01T00:00:00.456Z");
        assert_eq!(seconds(ONCE, &second, 3600), None);
        let redriven = FailedStep {
            redriven_at: Some("2026-01-02T00:00:00Z".to_owned()),
            failed_at: "2026-01-02T00:10:00Z".to_owned(),
            ..second
        };
        assert_eq!(seconds(ONCE, &redriven, 0), Some(60));
    }

    #[test]
    fn a_wait_for_machines_lasts_as_long_as_the_execution_may() {
        let first = Some("2026-01-01T00:10:00Z");
        assert!(is_retried(WAIT, &failed(first, None, "2026-01-13T23:59:59Z"), 60), "the horizon ended the wait");
        assert!(!is_retried(WAIT, &failed(first, None, "2026-01-14T00:00:00Z"), 60));
        assert!(is_retried(WAIT, &failed(first, Some("2026-01-14T00:00:00Z"), "2026-01-26T00:00:00Z"), 60));
        let short = Policy { fault_seconds: 0, wait_seconds: 60, spot_fallback_attempts: 0 };
        assert!(WAIT.seconds(&failed(first, None, "2026-01-01T00:10:59Z"), short).is_some());
        assert!(WAIT.seconds(&failed(first, None, "2026-01-01T00:11:00Z"), short).is_none());
    }

    #[test]
    fn a_long_wait_does_not_use_up_the_time_for_faults() {
        let quota = FailureCode::QuotaExceeded;
        let waited = next(&failed(None, None, "2026-01-01T00:00:00Z"), quota, WAIT, "2026-01-02T00:00:00Z");
        assert!(is_retried(FAULT, &waited, 3600) && is_retried(ONCE, &waited, 3600));
        let throttled = next(&waited, FailureCode::TrainingServiceFault, FAULT, "2026-01-02T00:30:00Z");
        assert_eq!(throttled.waiting_since.as_deref(), Some("2026-01-01T00:00:00Z"), "the wait goes on");
        assert!(is_retried(FAULT, &throttled, 3600));
        assert!(!is_retried(
            FAULT,
            &FailedStep { failed_at: "2026-01-02T01:00:00Z".to_owned(), ..throttled.clone() },
            3600
        ));
        let waiting_again = next(&throttled, quota, WAIT, "2026-01-03T00:00:00Z");
        assert!(is_retried(FAULT, &waiting_again, 3600), "the service has worked since");
    }

    #[test]
    fn a_wait_does_not_allow_another_retry_of_what_the_submission_may_have_caused() {
        let suspected = next(
            &failed(None, None, "2026-01-01T00:00:00Z"),
            FailureCode::BuildServiceFault,
            ONCE,
            "2026-01-01T00:02:00Z",
        );
        let waited = next(&suspected, FailureCode::QuotaExceeded, WAIT, "2026-01-01T00:10:00Z");
        assert!(!is_retried(ONCE, &waited, 3600));
    }

    #[test]
    fn a_redrive_restarts_the_horizon() {
        let before = failed(Some("2026-01-01T00:00:00Z"), Some("2026-01-02T00:00:00.5Z"), "2026-01-02T03:00:00Z");
        assert!(is_retried(FAULT, &before, 60));
        let next = NextAttempt::after(&before, FailureCode::Internal, FAULT, 0);
        assert_eq!(next.failing_since.as_deref(), Some("2026-01-02T03:00:00Z"));
        let after = failed(Some("2026-01-02T03:00:00Z"), Some("2026-01-02T00:00:00.5Z"), "2026-01-02T03:02:00Z");
        assert!(!is_retried(FAULT, &after, 60));
    }

    #[test]
    fn only_repeated_shortages_change_training_to_on_demand() {
        let after = |capacity_retries, code, fallback| {
            let step = FailedStep { capacity_retries, ..failed(None, None, "2026-01-01T00:00:00Z") };
            let next = NextAttempt::after(&step, code, WAIT, fallback);
            (next.capacity_retries, next.spot)
        };
        let shortage = FailureCode::CapacityUnavailable;
        assert_eq!(after(0, shortage, 2), (1, true));
        assert_eq!(after(1, FailureCode::QuotaExceeded, 2), (1, true));
        assert_eq!(after(1, FailureCode::TrainingServiceFault, 2), (1, true));
        assert_eq!(after(1, shortage, 2), (2, false));
        assert_eq!(after(50, shortage, 0), (51, true));
        let on_demand = FailedStep { spot: false, ..failed(None, None, "2026-01-01T00:00:00Z") };
        assert!(!NextAttempt::after(&on_demand, shortage, WAIT, 0).spot);
    }
}
