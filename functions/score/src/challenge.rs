//! What a challenge sets otherwise than the stack: the JSON of its SSM parameter `/{stack}/challenges/{challengeId}`. Pure.
//!
//! ```json
//! {
//!   "training": {"instance_type": "ml.c5.xlarge", "input_folder": "houses"},
//!   "scoring": {"training": "training.csv", "truth": "truth.csv", "metric": "logloss", "originality": {"max_similar": 2}}
//! }
//! ```
//!
//! Every key may be left out and no other may be there. Whoever writes such a parameter is trusted with a challenge, not
//! with the account, so machines and places are bounded by what the operator allows.

use std::collections::BTreeMap;

use scoring::Metric;
use scoring::concordance::THRESHOLD;
use scoring::originality::{RuleError, Rules};
use serde::{Deserialize, Serialize};

/// The longest name and value of a hyperparameter, and how many there may be, see
/// <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html>.
const HYPER_PARAMETERS: (usize, usize, usize) = (100, 256, 2500);

/// The settings of a challenge.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Challenge {
    /// How submissions are trained; absent for the stack's own settings.
    pub training: Training,
    /// How predictions are judged; absent where they are not.
    pub scoring: Option<Scoring>,
}

/// How submissions are trained; what is absent is as the stack has it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, rename_all(serialize = "camelCase"))]
pub struct Training {
    /// SageMaker's instance type, one of those that the operator allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// Instances of a training job, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_number: Option<u32>,
    /// Storage of an instance in GB, at least 1.
    #[serde(rename(serialize = "volumeSizeInGB"), skip_serializing_if = "Option::is_none")]
    pub volume_size_in_gb: Option<u32>,
    /// The longest training in seconds, at least 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_runtime_in_seconds: Option<u32>,
    /// A folder below the stack's `INPUT_FOLDER_PREFIX` that is given to the container instead of all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_folder: Option<Name>,
    /// What the container finds in `hyperparameters.json`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hyper_parameters: BTreeMap<String, String>,
}

/// How predictions are judged. Files are in the scoring bucket under `datasets/{dataset}/`, CSV or gzip.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scoring {
    /// The folder of the data; the round's id unless given.
    pub dataset: Option<Name>,
    /// The tournament data: `id`, `data_type` and features; default `tournament.csv`.
    pub tournament: Name,
    /// Training data whose rows are clustered before those of the tournament; none unless given.
    pub training: Option<Name>,
    /// A file `id,region` that is honoured instead of clustering.
    pub regions: Option<Name>,
    /// The hidden truth, `id` and `target`; needed with `metric`.
    pub truth: Option<Name>,
    /// The score against the hidden truth; none unless given.
    pub metric: Option<Metric>,
    /// The thresholds of originality.
    pub originality: Rules,
    /// A score of concordance below it is concordant. In 0..=1; default 0.12.
    pub concordance_threshold: f64,
}

impl Default for Scoring {
    fn default() -> Self {
        Self {
            dataset: None,
            tournament: Name("tournament.csv".to_owned()),
            training: None,
            regions: None,
            truth: None,
            metric: None,
            originality: Rules::default(),
            concordance_threshold: THRESHOLD,
        }
    }
}

/// The name of a file or folder: up to 128 characters of `[A-Za-z0-9._-]`, the first of them no dot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, &'static str> {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if is_plain && (1..=128).contains(&name.len()) && !name.starts_with('.') {
            Ok(Self(name))
        } else {
            Err("a file or folder is named by up to 128 characters of [A-Za-z0-9._-], the first of them no dot")
        }
    }
}

/// What a challenge may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Instance types; with none, the stack's own cannot be changed.
    pub instance_types: Vec<String>,
    /// Most instances of a training job.
    pub max_instance_number: u32,
    /// Most storage of an instance in GB.
    pub max_volume_size_in_gb: u32,
    /// The longest training in seconds.
    pub max_runtime_in_seconds: u32,
}

/// Why the settings of a challenge cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ChallengeError {
    /// They are no JSON, have a key that is not known, or a value of another type.
    #[error("they cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The instance type is not on the operator's list.
    #[error("training.instance_type {found:?} is not allowed: expected one of {}", allowed.join(", "))]
    InstanceType {
        /// What is asked for.
        found: String,
        /// What is allowed.
        allowed: Vec<String>,
    },
    /// A number is out of the operator's bounds.
    #[error("training.{name} is {found}: expected {least} to {most}")]
    OutOfBounds {
        /// The setting.
        name: &'static str,
        /// What is asked for.
        found: u32,
        /// The least that makes sense.
        least: u32,
        /// The most that is allowed.
        most: u32,
    },
    /// SageMaker would refuse the hyperparameters.
    #[error("training.hyper_parameters are too many or too long: expected up to 100 of 256 and 2500 characters")]
    HyperParameters,
    /// A threshold cannot be meant.
    #[error("scoring.originality: {0}")]
    Rules(#[from] RuleError),
    /// The threshold of concordance cannot be meant.
    #[error("scoring.concordance_threshold is {0}: expected a number from 0 to 1")]
    Threshold(f64),
    /// There is a metric and nothing to measure by, or the other way round.
    #[error("scoring.metric and scoring.truth need each other")]
    MetricWithoutTruth,
}

impl Challenge {
    /// Reads settings and checks every one of them.
    ///
    /// # Errors
    /// When they cannot be read, exceed what is allowed or contradict themselves.
    pub fn read(json: &str, allowed: &Allowed) -> Result<Self, ChallengeError> {
        let challenge: Self = serde_json::from_str(json)?;
        challenge.training.check(allowed)?;
        if let Some(scoring) = &challenge.scoring {
            scoring.check()?;
        }
        Ok(challenge)
    }
}

impl Training {
    fn check(&self, allowed: &Allowed) -> Result<(), ChallengeError> {
        if let Some(found) = self.instance_type.as_ref().filter(|found| !allowed.instance_types.contains(found)) {
            return Err(ChallengeError::InstanceType { found: found.clone(), allowed: allowed.instance_types.clone() });
        }
        let bounds = [
            ("instance_number", self.instance_number, 1, allowed.max_instance_number),
            ("volume_size_in_gb", self.volume_size_in_gb, 1, allowed.max_volume_size_in_gb),
            ("max_runtime_in_seconds", self.max_runtime_in_seconds, 60, allowed.max_runtime_in_seconds),
        ];
        for (name, found, least, most) in bounds {
            if let Some(found) = found.filter(|found| !(least..=most).contains(found)) {
                return Err(ChallengeError::OutOfBounds { name, found, least, most });
            }
        }
        let (most, name_length, value_length) = HYPER_PARAMETERS;
        let fit = |(name, value): (&String, &String)| name.len() <= name_length && value.len() <= value_length;
        if self.hyper_parameters.len() > most || !self.hyper_parameters.iter().all(fit) {
            return Err(ChallengeError::HyperParameters);
        }
        Ok(())
    }
}

impl Scoring {
    fn check(&self) -> Result<(), ChallengeError> {
        self.originality.check()?;
        if !(0.0..=1.0).contains(&self.concordance_threshold) {
            return Err(ChallengeError::Threshold(self.concordance_threshold));
        }
        if self.metric.is_some() != self.truth.is_some() {
            return Err(ChallengeError::MetricWithoutTruth);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn allowed() -> Allowed {
        Allowed {
            instance_types: vec!["ml.m5.large".to_owned(), "ml.c5.xlarge".to_owned()],
            max_instance_number: 2,
            max_volume_size_in_gb: 100,
            max_runtime_in_seconds: 3600,
        }
    }

    fn error(json: &serde_json::Value) -> String {
        Challenge::read(&json.to_string(), &allowed()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_left_out_is_as_it_was() {
        assert_eq!(Challenge::read("{}", &allowed()).unwrap(), Challenge::default());
        let challenge = Challenge::read(r#"{"scoring": {"originality": {"max_similar": 2}}}"#, &allowed()).unwrap();
        let scoring = challenge.scoring.unwrap();
        assert_eq!(scoring.originality, Rules { max_similar: 2, ..Rules::default() });
        assert_eq!(
            (scoring.tournament.as_str(), scoring.concordance_threshold.to_bits()),
            ("tournament.csv", 0.12_f64.to_bits())
        );
    }

    #[test]
    fn training_is_passed_on_as_the_state_machine_names_it() {
        let json = json!({"training": {"instance_type": "ml.c5.xlarge", "volume_size_in_gb": 100, "instance_number": 2,
            "max_runtime_in_seconds": 60, "input_folder": "houses", "hyper_parameters": {"rounds": "3"}}});
        let challenge = Challenge::read(&json.to_string(), &allowed()).unwrap();
        assert_eq!(
            serde_json::to_value(challenge.training).unwrap(),
            json!({"instanceType": "ml.c5.xlarge", "volumeSizeInGB": 100, "instanceNumber": 2,
                "maxRuntimeInSeconds": 60, "inputFolder": "houses", "hyperParameters": {"rounds": "3"}})
        );
    }

    #[test]
    fn every_setting_is_bounded() {
        for (json, expected) in [
            (json!({"trainin": {}}), "unknown field `trainin`"),
            (json!({"training": {"instance_type": "ml.p4d.24xlarge"}}), "expected one of ml.m5.large, ml.c5.xlarge"),
            (json!({"training": {"instance_number": 3}}), "training.instance_number is 3: expected 1 to 2"),
            (json!({"training": {"volume_size_in_gb": 0}}), "training.volume_size_in_gb is 0: expected 1 to 100"),
            (json!({"training": {"max_runtime_in_seconds": 59}}), "expected 60 to 3600"),
            (json!({"training": {"input_folder": "../secret"}}), "the first of them no dot"),
            (json!({"training": {"input_folder": "a/b"}}), "[A-Za-z0-9._-]"),
            (json!({"training": {"hyper_parameters": {"a": "v".repeat(2501)}}}), "hyper_parameters"),
            (json!({"scoring": {"originality": {"max_similar": 0}}}), "max_similar is 0"),
            (json!({"scoring": {"concordance_threshold": 1.5}}), "concordance_threshold is 1.5"),
            (json!({"scoring": {"metric": "auc"}}), "need each other"),
            (json!({"scoring": {"metric": "luck", "truth": "t.csv"}}), "unknown variant `luck`"),
            (json!(7), "they cannot be read"),
        ] {
            let error = error(&json);
            assert!(error.contains(expected), "{json}: {error}");
        }
    }
}
