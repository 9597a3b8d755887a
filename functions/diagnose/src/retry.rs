//! When and how a failed step is tried again. Pure.

use serde::{Deserialize, Serialize};
use shared::FailureCode;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::FailedStep;

/// The longest wait between two attempts of a step, in seconds.
const LONGEST_WAIT_SECONDS: u32 = 30 * 60;

/// What the next attempt is made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Next {
    /// How many attempts have found no machine so far.
    pub capacity_retries: u32,
    /// Whether it trains on spot instances.
    pub spot: bool,
    /// When the step failed for the first time in a row, RFC 3339.
    pub failing_since: String,
}

impl Next {
    /// What follows a failed attempt: the same again; but when spot instances were wanting for the `fallback`-th time, on
    /// demand. A fallback of 0 stays with spot instances for ever.
    #[must_use]
    pub fn after(failed: &FailedStep, code: FailureCode, fallback: u32) -> Self {
        let shortage = code == FailureCode::CapacityUnavailable;
        let capacity_retries = failed.capacity_retries.saturating_add(shortage.into());
        let gives_up = shortage && fallback > 0 && capacity_retries >= fallback;
        Self { capacity_retries, spot: failed.spot && !gives_up, failing_since: since(failed).to_owned() }
    }
}

/// When the step began to fail. A redrive begins anew.
fn since(failed: &FailedStep) -> &str {
    let parse = |at: &str| OffsetDateTime::parse(at, &Rfc3339).ok();
    let Some(since) = &failed.failing_since else { return &failed.failed_at };
    match failed.redriven_at.as_deref().map(parse) {
        Some(redriven) if redriven > parse(since) => &failed.failed_at,
        _ => since,
    }
}

/// Seconds to wait after this attempt, counted from 1: doubled with every attempt, up to half an hour.
pub(crate) fn back_off(first_seconds: u32, attempt: u32) -> u32 {
    let doublings = attempt.saturating_sub(1).min(16);
    first_seconds.saturating_mul(1 << doublings).min(LONGEST_WAIT_SECONDS)
}

/// Whether less than the horizon has passed since the step began to fail; never without two readable times.
pub(crate) fn within_horizon(failed: &FailedStep, horizon_seconds: u32) -> bool {
    let parse = |at| OffsetDateTime::parse(at, &Rfc3339);
    match (parse(since(failed)), parse(&failed.failed_at)) {
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
    fn a_redrive_begins_anew() {
        let before = failed(Some("2026-01-01T00:00:00Z"), Some("2026-01-02T00:00:00.5Z"), "2026-01-02T03:00:00Z");
        assert!(within_horizon(&before, 60));
        let next = Next::after(&before, FailureCode::Internal, 0);
        assert_eq!(next.failing_since, "2026-01-02T03:00:00Z");
        let after = failed(Some("2026-01-02T03:00:00Z"), Some("2026-01-02T00:00:00.5Z"), "2026-01-02T03:02:00Z");
        assert!(!within_horizon(&after, 60));
    }

    #[test]
    fn spot_is_given_up_after_so_many_shortages_and_only_then() {
        let after = |capacity_retries, code, fallback| {
            let step = FailedStep { capacity_retries, ..failed(None, None, "2026-01-01T00:00:00Z") };
            let next = Next::after(&step, code, fallback);
            (next.capacity_retries, next.spot)
        };
        let shortage = FailureCode::CapacityUnavailable;
        assert_eq!(after(0, shortage, 2), (1, true));
        assert_eq!(after(1, FailureCode::QuotaExceeded, 2), (1, true));
        assert_eq!(after(1, FailureCode::TrainingServiceFault, 2), (1, true));
        assert_eq!(after(1, shortage, 2), (2, false));
        assert_eq!(after(50, shortage, 0), (51, true));
        let on_demand = FailedStep { spot: false, ..failed(None, None, "2026-01-01T00:00:00Z") };
        assert!(!Next::after(&on_demand, shortage, 0).spot);
    }
}
