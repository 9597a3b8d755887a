use std::str::FromStr;
use std::time::Duration;

use runtime::settings::{BucketName, SecretArn, SettingError, StateMachineArn, Variables};
use submission_api::Id;

/// The function's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `STACK_NAME`: the dimension of every metric.
    pub stack_name: String,
    /// `OUTPUT_S3_BUCKET`: the bucket of models and outcomes.
    pub output_bucket: BucketName,
    /// How outcomes are sent to the Submission API; absent if they are only stored.
    pub review: Option<ReviewSettings>,
    pub sweep: SweepSettings,
    pub api: submission_api::Settings,
    /// `AUTH0_SECRET_ARN`: the secret with the API's credentials.
    pub secret_arn: SecretArn,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepSettings {
    /// `STATE_MACHINE_ARN`: the state machine whose executions are checked.
    pub state_machine: StateMachineArn,
    /// `STAGING_BUCKET`: the bucket of quarantined records, and of the sweep's position.
    pub staging_bucket: BucketName,
    /// `INTAKE_FUNCTION`: the function that event source mappings invoke.
    pub intake_function: String,
    /// `INTAKE_NEEDS_MAPPING`: whether it has to have an event source mapping.
    pub needs_mapping: bool,
    /// `REPORT_DEADLINE_MINUTES` (default 60): an execution is reported at the latest this long after its end.
    pub deadline: Duration,
    /// `SWEEP_LOOK_BACK_HOURS` (default 48): executions are checked up to this long after their end when sweeps begin, and
    /// again if they could not be reported.
    pub look_back: Duration,
    /// `IMAGE_RETENTION_DAYS` (default 90): a repository whose images are older is deleted.
    pub image_retention: Duration,
}

/// How outcomes are sent to the Submission API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReviewSettings {
    /// As reviews of version 5.
    V5(V5),
    /// As summations of version 6.
    V6 {
        /// `REPORT_SCORECARD_ID`.
        scorecard_id: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V5 {
    /// `REPORT_TYPE_ID`: the type of review, a UUID.
    pub type_id: String,
    /// `REPORT_REVIEWER_ID`.
    pub reviewer_id: Id,
    /// `REPORT_SCORECARD_ID`.
    pub scorecard_id: Id,
}

impl Settings {
    /// `SUBMISSION_API_VERSION` is `v5` (default) or `v6`. With `v5`, outcomes are only sent if `REPORT_TYPE_ID` is set.
    pub fn read(variables: &Variables) -> Result<Self, SettingError> {
        let review = match variables.or_default("SUBMISSION_API_VERSION", Version::V5)? {
            Version::V5 => match variables.optional("REPORT_TYPE_ID")? {
                None => None,
                Some(type_id) => Some(ReviewSettings::V5(V5 {
                    type_id,
                    reviewer_id: variables.required("REPORT_REVIEWER_ID")?,
                    scorecard_id: variables.required("REPORT_SCORECARD_ID")?,
                })),
            },
            Version::V6 => Some(ReviewSettings::V6 { scorecard_id: variables.optional("REPORT_SCORECARD_ID")? }),
        };
        Ok(Self {
            stack_name: variables.required("STACK_NAME")?,
            output_bucket: variables.required("OUTPUT_S3_BUCKET")?,
            review,
            sweep: SweepSettings {
                state_machine: variables.required("STATE_MACHINE_ARN")?,
                staging_bucket: variables.required("STAGING_BUCKET")?,
                intake_function: variables.required("INTAKE_FUNCTION")?,
                needs_mapping: variables.required("INTAKE_NEEDS_MAPPING")?,
                deadline: Duration::from_mins(variables.or_default::<u32>("REPORT_DEADLINE_MINUTES", 60)?.into()),
                look_back: Duration::from_hours(variables.or_default::<u32>("SWEEP_LOOK_BACK_HOURS", 48)?.into()),
                image_retention: days(variables.or_default::<u32>("IMAGE_RETENTION_DAYS", 90)?),
            },
            api: submission_api::Settings::read(variables)?,
            secret_arn: variables.required("AUTH0_SECRET_ARN")?,
        })
    }
}

fn days(days: u32) -> Duration {
    Duration::from_hours(24 * u64::from(days))
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
            _ => Err("expected v5 or v6"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: [(&str, &str); 10] = [
        ("INTAKE_FUNCTION", "mm-intake"),
        ("INTAKE_NEEDS_MAPPING", "true"),
        ("OUTPUT_S3_BUCKET", "models"),
        ("STACK_NAME", "mm"),
        ("STATE_MACHINE_ARN", "arn:aws:states:us-east-1:123456789012:stateMachine:mm"),
        ("STAGING_BUCKET", "staging"),
        ("AUTH0_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:123456789012:secret:auth0"),
        ("SUBMISSION_API_URL", "https://api.example.org/v5"),
        ("AUTH0_URL", "https://auth.example.org"),
        ("AUTH0_AUDIENCE", "audience"),
    ];

    fn review(more: &[(&str, &str)]) -> Result<Option<ReviewSettings>, SettingError> {
        let variables: Variables = COMMON.iter().chain(more).copied().collect();
        Settings::read(&variables).map(|settings| settings.review)
    }

    #[test]
    fn outcomes_are_sent_if_the_review_type_or_version_6_is_set() {
        assert_eq!(review(&[]), Ok(None));
        let v5 = [("REPORT_TYPE_ID", "t"), ("REPORT_REVIEWER_ID", "b8ff717c"), ("REPORT_SCORECARD_ID", "30001852")];
        let expected = V5 {
            type_id: "t".to_owned(),
            reviewer_id: Id::Text("b8ff717c".to_owned()),
            scorecard_id: Id::Number(30_001_852),
        };
        assert_eq!(review(&v5), Ok(Some(ReviewSettings::V5(expected))));
        assert_eq!(review(&[("SUBMISSION_API_VERSION", "v6")]), Ok(Some(ReviewSettings::V6 { scorecard_id: None })));
        let missing = review(&v5[..1]).unwrap_err();
        assert_eq!(missing, SettingError::Missing { name: "REPORT_REVIEWER_ID" });
    }
}
