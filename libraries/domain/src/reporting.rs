//! What of an outcome participants and the public read.

use serde::{Deserialize, Serialize};

use crate::Decimals;
use crate::outcome::Step;

/// How much of what a submission wrote its participant reads. A log tells whatever the program could read, in any encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Logs {
    /// Only the failure code.
    None,
    /// Only our sentences.
    Sentences,
    /// Also the detail and the last lines of the log.
    Tail,
}

/// What a challenge decides about its outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reporting {
    /// Absent: the tail of a build, which cannot read the challenge's data, and our sentences from training on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<Logs>,
    /// Decimals of the scores that participants and the public read; default 4.
    pub decimals: Decimals,
    /// Bytes of logs and details that a participant reads on a day (UTC); default 65,536.
    #[serde(skip_serializing_if = "is_default_budget")]
    pub log_bytes_per_day: u32,
}

const LOG_BYTES_PER_DAY: u32 = 65_536;

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_default_budget(bytes: &u32) -> bool {
    *bytes == LOG_BYTES_PER_DAY
}

impl Default for Reporting {
    fn default() -> Self {
        Self { logs: None, decimals: Decimals::default(), log_bytes_per_day: LOG_BYTES_PER_DAY }
    }
}

impl Reporting {
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// How much the participant reads of a failure in this step. `None`: the whole execution ended.
    #[must_use]
    pub fn logs_of(self, step: Option<Step>) -> Logs {
        let by_default = match step {
            Some(Step::FetchSubmission | Step::BuildImage | Step::ResolveImage) => Logs::Tail,
            Some(Step::ReadChallenge | Step::TrainModel | Step::ScoreSubmission) | None => Logs::Sentences,
        };
        self.logs.unwrap_or(by_default)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn by_default_only_the_log_of_a_step_without_data_is_shown() {
        let reporting = Reporting::default();
        assert_eq!(reporting.logs_of(Some(Step::BuildImage)), Logs::Tail);
        for step in [Some(Step::TrainModel), Some(Step::ScoreSubmission), None] {
            assert_eq!(reporting.logs_of(step), Logs::Sentences, "{step:?}");
        }
        for logs in [Logs::None, Logs::Sentences, Logs::Tail] {
            let reporting = Reporting { logs: Some(logs), ..reporting };
            for step in [Some(Step::BuildImage), Some(Step::TrainModel), None] {
                assert_eq!(reporting.logs_of(step), logs);
            }
        }
    }

    #[test]
    fn settings_are_read_as_they_are_written() {
        for (json, reporting) in [
            (json!({"decimals": 4}), Reporting::default()),
            (
                json!({"logs": "tail", "decimals": 2, "log_bytes_per_day": 1000}),
                Reporting { logs: Some(Logs::Tail), decimals: 2.try_into().unwrap(), log_bytes_per_day: 1000 },
            ),
        ] {
            assert_eq!(serde_json::from_value::<Reporting>(json.clone()).unwrap(), reporting);
            assert_eq!(serde_json::to_value(reporting).unwrap(), json);
        }
        assert_eq!(serde_json::from_value::<Reporting>(json!({})).unwrap(), Reporting::default());
    }
}
