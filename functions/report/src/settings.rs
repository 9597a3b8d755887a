use std::convert::Infallible;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;
use shared::settings::{SettingError, Variables};
use shared::submission_api;

/// What the function is told by its environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `OUTPUT_S3_BUCKET`: where models and outcomes go.
    pub output_bucket: String,
    /// `STACK_NAME`: the dimension of every metric.
    pub stack_name: String,
    /// How outcomes are sent to the Submission API; absent where they are only stored.
    pub review: Option<ReviewSettings>,
    /// What the sweep looks for.
    pub sweep: SweepSettings,
    /// The Submission API.
    pub api: submission_api::Settings,
    /// `AUTH0_SECRET_ARN`: the secret with the API's credentials.
    pub secret_arn: String,
}

/// What the sweep looks for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepSettings {
    /// `STATE_MACHINE_ARN`: the state machine whose executions are looked at.
    pub state_machine: String,
    /// `STAGING_BUCKET`: where records are quarantined.
    pub staging_bucket: String,
    /// `REPORT_DEADLINE_MINUTES` [60]: how long after its end an execution has to be reported.
    pub deadline: Duration,
    /// `SWEEP_LOOK_BACK_HOURS` [48]: how long after its end an execution is still looked at.
    pub look_back: Duration,
}

/// How outcomes are sent to the Submission API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReviewSettings {
    /// As reviews of version 5.
    V5(V5),
    /// As summations of version 6.
    V6 {
        /// `REPORT_SCORECARD_ID` [none]: the scorecard.
        scorecard_id: Option<String>,
    },
}

/// What reviews of version 5 carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V5 {
    /// `REPORT_TYPE_ID`: the type of review, a UUID.
    pub type_id: String,
    /// `REPORT_REVIEWER_ID`: who reviews, a UUID or a number.
    pub reviewer_id: Value,
    /// `REPORT_SCORECARD_ID`: the scorecard, a UUID or a number.
    pub scorecard_id: Value,
}

impl Settings {
    /// Reads the settings; the error names the variable that is missing or malformed. With `SUBMISSION_API_VERSION` [v5]
    /// `v5`, outcomes are sent when `REPORT_TYPE_ID` is there.
    pub fn read(variables: &Variables) -> Result<Self, SettingError> {
        let review = match variables.or_default("SUBMISSION_API_VERSION", Version::V5)? {
            Version::V5 => match variables.optional("REPORT_TYPE_ID")? {
                None => None,
                Some(type_id) => Some(ReviewSettings::V5(V5 {
                    type_id,
                    reviewer_id: variables.required::<Id>("REPORT_REVIEWER_ID")?.0,
                    scorecard_id: variables.required::<Id>("REPORT_SCORECARD_ID")?.0,
                })),
            },
            Version::V6 => Some(ReviewSettings::V6 { scorecard_id: variables.optional("REPORT_SCORECARD_ID")? }),
        };
        Ok(Self {
            output_bucket: variables.required("OUTPUT_S3_BUCKET")?,
            stack_name: variables.required("STACK_NAME")?,
            review,
            sweep: SweepSettings {
                state_machine: variables.required("STATE_MACHINE_ARN")?,
                staging_bucket: variables.required("STAGING_BUCKET")?,
                deadline: Duration::from_mins(variables.or_default::<u32>("REPORT_DEADLINE_MINUTES", 60)?.into()),
                look_back: Duration::from_hours(variables.or_default::<u32>("SWEEP_LOOK_BACK_HOURS", 48)?.into()),
            },
            api: submission_api::Settings::read(variables)?,
            secret_arn: variables.required("AUTH0_SECRET_ARN")?,
        })
    }
}

enum Version {
    V5,
    V6,
}

impl FromStr for Version {
    type Err = &'static str;

    fn from_str(version: &str) -> Result<Self, &'static str> {
        match version {
            "v5" => Ok(Self::V5),
            "v6" => Ok(Self::V6),
            _ => Err("it has to be v5 or v6"),
        }
    }
}

/// An id that the API wants as a number where it is one.
struct Id(Value);

impl FromStr for Id {
    type Err = Infallible;

    fn from_str(id: &str) -> Result<Self, Infallible> {
        Ok(Self(id.parse::<u64>().map_or_else(|_| Value::from(id), Value::from)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: [(&str, &str); 8] = [
        ("OUTPUT_S3_BUCKET", "models"),
        ("STACK_NAME", "mm"),
        ("STATE_MACHINE_ARN", "arn:machine"),
        ("STAGING_BUCKET", "staging"),
        ("AUTH0_SECRET_ARN", "arn"),
        ("SUBMISSION_API_URL", "https://api.example.org/v5"),
        ("AUTH0_URL", "https://auth.example.org"),
        ("AUTH0_AUDIENCE", "audience"),
    ];

    fn review(more: &[(&str, &str)]) -> Result<Option<ReviewSettings>, String> {
        let variables: Variables = COMMON.iter().chain(more).copied().collect();
        Settings::read(&variables).map(|settings| settings.review).map_err(|error| error.to_string())
    }

    #[test]
    fn outcomes_are_sent_when_it_is_known_how() {
        assert_eq!(review(&[]), Ok(None));
        let v5 = [("REPORT_TYPE_ID", "t"), ("REPORT_REVIEWER_ID", "b8ff717c"), ("REPORT_SCORECARD_ID", "30001852")];
        let expected = V5 { type_id: "t".to_owned(), reviewer_id: "b8ff717c".into(), scorecard_id: 30_001_852.into() };
        assert_eq!(review(&v5), Ok(Some(ReviewSettings::V5(expected))));
        assert_eq!(review(&[("SUBMISSION_API_VERSION", "v6")]), Ok(Some(ReviewSettings::V6 { scorecard_id: None })));
        let half = review(&v5[..1]).unwrap_err();
        assert_eq!(half, "the environment variable REPORT_REVIEWER_ID is not set");
    }
}
