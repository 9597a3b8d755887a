//! When and how a failed step is retried. Pure.

use domain::FailureCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::FailedStep;

/// Limit for the wait between two attempts, in seconds.
const MAX_WAIT_SECONDS: u32 = 30 * 60;

/// The settings of the next attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NextAttempt {
    /// Attempts so far for which SageMaker had no capacity.
    pub capacity_retries: u32,
    /// Whether to train on spot instances.
    pub spot: bool,
    /// When the step first failed since the start or last redrive, RFC 3339.
    pub failing_since: String,
}

impl NextAttempt {
    /// After `fallback` attempts without spot capacity, training changes to on-demand instances. With 0 it never does.
    #[must_use]
    pub fn after(failed: &FailedStep, code: FailureCode, fallback: u32) -> Self {
        let shortage = code == FailureCode::CapacityUnavailable;
        let capacity_retries = failed.capacity_retries.saturating_add(shortage.into());
        let falls_back = shortage && fallback > 0 && capacity_retries >= fallback;
        Self { capacity_retries, spot: failed.spot && !falls_back, failing_since: failing_since(failed).to_owned() }
    }
}

/// When the step first failed since the last redrive.
fn failing_since(failed: &FailedStep) -> &str {
    let parse = |at: &str| OffsetDateTime::parse(at, &Rfc3339).ok();
    let Some(since) = &failed.failing_since else { return &failed.failed_at };
    match failed.redriven_at.as_deref().map(parse) {
        Some(redriven) if redriven > parse(since) => &failed.failed_at,
        _ => since,
    }
}

/// Seconds to wait after this attempt, counted from 1. Doubles with every attempt, up to half an hour.
pub(crate) fn back_off(first_seconds: u32, attempt: u32) -> u32 {
    let doublings = attempt.saturating_sub(1).min(16);
    first_seconds.saturating_mul(1 << doublings).min(MAX_WAIT_SECONDS)
}

/// Whether less than the horizon has passed since the step first failed. False if a time is not readable.
pub(crate) fn within_horizon(failed: &FailedStep, horizon_seconds: u32) -> bool {
    let parse = |at| OffsetDateTime::parse(at, &Rfc3339);
    match (parse(failing_since(failed)), parse(&failed.failed_at)) {
        (Ok(start), Ok(end)) => (end - start).whole_seconds() < i64::from(horizon_seconds),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_an_hour() {
        assert_eq!([1, 2, 3, 7, u32::MAX].map(|attempt| back_off(60, attempt)), [60, 120, 240, 1800, 1800]);
    }

    fn failed(failing_since: Option<&str>, redriven_at: Option<&str>, failed_at: &str) -> FailedStep {
        serde_json::from_value(serde_json::json!({
            "submissionId": "-kJ-nOos4KQaL3", "step": "TrainModel", "error": {}, "attempt": 1, "redrives": 0,
            "capacityRetries": 0, "spot": true, "failingSince": failing_since, "redrivenAt": redriven_at,
            "failedAt": failed_at,
        }))
        .unwrap()
    }

    #[test]
    fn nothing_is_retried_past_the_horizon_or_without_a_clock() {
        let first = Some("2026-01-01T00:00:00Z");
        assert!(within_horizon(&failed(first, None, "2026-01-01T00:59:59Z"), 3600));
        assert!(!within_horizon(&failed(first, None, "2026-01-01T01:00:00Z"), 3600));
        assert!(!within_horizon(&failed(None, None, "2026-01-01T01:00:00Z"), 0));
        assert!(within_horizon(&failed(None, None, "2026-01-09T01:00:00Z"), 1));
        assert!(!within_horizon(&failed(Some(""), None, "2026-01-01T01:00:00Z"), 3600));
        assert!(!within_horizon(&failed(None, None, ""), 3600));
    }

    #[test]
    fn a_redrive_restarts_the_horizon() {
        let before = failed(Some("2026-01-01T00:00:00Z"), Some("2026-01-02T00:00:00.5Z"), "2026-01-02T03:00:00Z");
        assert!(within_horizon(&before, 60));
        let next = NextAttempt::after(&before, FailureCode::Internal, 0);
        assert_eq!(next.failing_since, "2026-01-02T03:00:00Z");
        let after = failed(Some("2026-01-02T03:00:00Z"), Some("2026-01-02T00:00:00.5Z"), "2026-01-02T03:02:00Z");
        assert!(!within_horizon(&after, 60));
    }

    #[test]
    fn only_repeated_shortages_change_training_to_on_demand() {
        let after = |capacity_retries, code, fallback| {
            let step = FailedStep { capacity_retries, ..failed(None, None, "2026-01-01T00:00:00Z") };
            let next = NextAttempt::after(&step, code, fallback);
            (next.capacity_retries, next.spot)
        };
        let shortage = FailureCode::CapacityUnavailable;
        assert_eq!(after(0, shortage, 2), (1, true));
        assert_eq!(after(1, FailureCode::QuotaExceeded, 2), (1, true));
        assert_eq!(after(1, FailureCode::TrainingServiceFault, 2), (1, true));
        assert_eq!(after(1, shortage, 2), (2, false));
        assert_eq!(after(50, shortage, 0), (51, true));
        let on_demand = FailedStep { spot: false, ..failed(None, None, "2026-01-01T00:00:00Z") };
        assert!(!NextAttempt::after(&on_demand, shortage, 0).spot);
    }
}
