//! What a submission wrote, as far as its participant reads it. Pure.

use domain::outcome::{Outcome, Step};
use domain::{Fault, Logs};

/// The detail of a failure and the end of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    pub detail: Option<String>,
    pub log: Vec<String>,
    /// Why there is less of both than there was.
    pub cut: Option<String>,
}

impl Shown {
    /// What the challenge allows: nothing, unless it allows the tail of the log. The detail of the platform's fault is for
    /// operators.
    #[must_use]
    pub fn allowed(outcome: &Outcome) -> Self {
        let step = outcome.failure.as_ref().map_or(Some(Step::TrainModel), |failure| failure.step);
        if outcome.reporting.logs_of(step) != Logs::Tail {
            return Self::default();
        }
        let failure = outcome.failure.as_ref();
        let detail = failure.filter(|failure| failure.fault == Fault::Participant);
        let of_failure = failure.map(|failure| &failure.log_tail).filter(|log| !log.is_empty());
        let log = of_failure.or_else(|| outcome.training.as_ref().map(|training| &training.log_tail));
        Self {
            detail: detail.and_then(|failure| failure.detail.clone()),
            log: log.cloned().unwrap_or_default(),
            cut: None,
        }
    }

    #[must_use]
    pub fn bytes(&self) -> usize {
        self.detail.iter().chain(&self.log).map(String::len).sum()
    }

    /// What fits into this number of bytes: the detail, then the last lines. `per_day` is what the challenge allows.
    #[must_use]
    pub fn within(mut self, bytes: usize, per_day: u32) -> Self {
        if self.bytes() <= bytes {
            return self;
        }
        self.detail = self.detail.filter(|detail| detail.len() <= bytes);
        let mut left = bytes - self.detail.as_ref().map_or(0, String::len);
        let kept = self.log.iter().rev().take_while(|line| {
            let fits = line.len() <= left;
            left -= if fits { line.len() } else { 0 };
            fits
        });
        let kept = kept.count();
        self.log.drain(..self.log.len() - kept);
        self.cut = Some(format!(
            "The challenge shows a participant {per_day} bytes of logs a day, and the rest of this log exceeds them. The next day begins at 00:00 UTC."
        ));
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn outcome(failure: &Value, logs: &str) -> Outcome {
        serde_json::from_value(json!({
            "submissionId": "-kJ-nOos4KQaL3", "status": "completed", "attempts": 1, "execution": "arn:x",
            "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:02:00Z", "failure": failure,
            "training": {"jobName": "x", "modelUri": "s3://models/x/model.tar.gz", "logTail": ["epoch 1", "epoch 2"]},
            "reporting": {"logs": logs},
        }))
        .unwrap()
    }

    fn failure(step: &str, fault: &str, log: &Value) -> Value {
        json!({"code": "TrainingFailed", "fault": fault, "step": step, "message": "m", "detail": "d", "logTail": log})
    }

    #[test]
    fn the_log_of_training_is_shown_if_no_failure_has_one_and_the_challenge_allows_it() {
        let both = Shown { detail: Some("d".to_owned()), log: vec!["error".to_owned()], cut: None };
        let trained = vec!["epoch 1".to_owned(), "epoch 2".to_owned()];
        let log = json!(["error"]);
        for (failure, logs, expected) in [
            (Value::Null, "tail", Shown { log: trained.clone(), ..Shown::default() }),
            (Value::Null, "sentences", Shown::default()),
            (failure("TrainModel", "participant", &log), "tail", both.clone()),
            (failure("TrainModel", "participant", &log), "none", Shown::default()),
            (failure("TrainModel", "platform", &log), "tail", Shown { detail: None, ..both.clone() }),
            (failure("ScoreSubmission", "participant", &json!([])), "tail", Shown { log: trained, ..both }),
        ] {
            assert_eq!(Shown::allowed(&outcome(&failure, logs)), expected, "{failure} {logs}");
        }
    }

    #[test]
    fn the_last_lines_are_kept_and_the_cut_is_explained() {
        let shown = Shown::allowed(&outcome(&failure("TrainModel", "participant", &json!(["first", "last"])), "tail"));
        assert_eq!(shown.bytes(), 10);
        assert_eq!(shown.clone().within(10, 10), shown);
        let cut = shown.clone().within(9, 9);
        assert_eq!((cut.detail.as_deref(), cut.log), (Some("d"), vec!["last".to_owned()]));
        assert!(cut.cut.unwrap().contains("9 bytes of logs a day"));
        let nothing = shown.within(0, 0);
        assert_eq!((nothing.detail, nothing.log), (None, Vec::new()));
    }

    proptest! {
        #[test]
        fn no_budget_is_exceeded(detail in ".{0,20}", log in prop::collection::vec(".{0,20}", 0..9), bytes in 0..200_usize) {
            let shown = Shown { detail: Some(detail), log, cut: None };
            let all = shown.bytes();
            let within = shown.within(bytes, 200);
            prop_assert!(within.bytes() <= bytes);
            prop_assert_eq!(within.cut.is_none(), all <= bytes);
        }
    }
}
