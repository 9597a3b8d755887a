//! From what is known about a failed step to its diagnosis: the decisions of this function without its calls. Pure.

use domain::FailureCode;
use domain::outcome::{Diagnosis, Links};

use crate::classify::{Classification, classify};
use crate::job::Job;
use crate::logs;
use crate::request::{DiagnosisAnswer, FailedStep};
use crate::retry::{NextAttempt, Policy, Retry, waiting_seconds};

/// Characters kept of what a failed service or program reported.
const DETAIL_CHARACTERS: usize = 1024;

/// What a failure means, and whether the step is retried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    classification: Classification,
    /// Seconds to wait before the next attempt; absent if there is none.
    pub retry_after_seconds: Option<u32>,
    pub next: Option<NextAttempt>,
    /// How long the step has been waiting for a machine; absent if it failed for another reason.
    pub waiting_seconds: Option<u32>,
}

/// Decides about a failed step, given its job and the last events of the job's log if they are known.
#[must_use]
pub fn decide(failed: &FailedStep, job: Option<&Job>, log: &[String], policy: Policy) -> Decision {
    let classification = classify(failed.step, &failed.error, job).refined_by(logs::lines(log));
    let (code, retry) = (classification.code, classification.retry);
    let retry_after_seconds = retry.seconds(failed, policy);
    let next = retry_after_seconds.map(|_| NextAttempt::after(failed, code, retry, policy.spot_fallback_attempts));
    let waiting_seconds = if matches!(retry, Retry::Wait { .. }) { waiting_seconds(failed) } else { None };
    Decision { classification, retry_after_seconds, next, waiting_seconds }
}

impl Decision {
    #[must_use]
    pub fn code(&self) -> FailureCode {
        self.classification.code
    }

    /// The answer of the function, with redacted text.
    #[must_use]
    pub fn answer(self, failed: &FailedStep, log: &[String], links: Links) -> DiagnosisAnswer {
        let Classification { code, message, detail, .. } = self.classification;
        let diagnosis = Diagnosis {
            code,
            fault: code.fault(),
            step: Some(failed.step),
            message: message.into_owned(),
            detail: detail.map(|detail| redact::text(&detail, DETAIL_CHARACTERS)),
            log_tail: logs::last_lines(logs::lines(log)),
            links,
            retry_after_seconds: self.retry_after_seconds,
        };
        DiagnosisAnswer { diagnosis, next: self.next }
    }
}
