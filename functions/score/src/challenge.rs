//! The settings of a challenge: the JSON of the SSM parameter `/{stack}/challenges/{challengeId}`.
//!
//! ```json
//! {
//!   "training": {"instance_type": "ml.c5.xlarge", "input_folder": "houses"},
//!   "scoring": {"training": "training.csv", "truth": "truth.csv", "metric": "logloss", "originality": {"max_similar": 2}},
//!   "reporting": {"logs": "sentences", "decimals": 3}
//! }
//! ```
//!
//! Every key is optional, and unknown keys are refused. Organisers who write this parameter are trusted with a challenge,
//! not with the account, so the operator limits machines and folders.

use std::collections::BTreeMap;

use domain::Reporting;
use scoring::Metric;
use scoring::concordance::DEFAULT_THRESHOLD;
use scoring::originality::{RuleError, Rules};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;

// The limits of hyperparameters, see <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html>.
const MAX_HYPER_PARAMETERS: usize = 100;
const MAX_HYPER_PARAMETER_NAME: usize = 256;
const MAX_HYPER_PARAMETER_VALUE: usize = 2500;

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChallengeSettings {
    pub training: Training,
    /// How predictions are scored; without it, they are not scored.
    pub scoring: Option<Scoring>,
    /// What participants and the public read.
    pub reporting: Reporting,
}

/// How submissions are trained. For absent fields, the settings of the stack apply.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, rename_all(serialize = "camelCase"))]
pub struct Training {
    /// One of the instance types that the operator allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// Number of instances, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_number: Option<u32>,
    /// Storage of each instance, at least 1.
    #[serde(rename(serialize = "volumeSizeInGB"), skip_serializing_if = "Option::is_none")]
    pub volume_size_in_gb: Option<u32>,
    /// At least 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_runtime_in_seconds: Option<u32>,
    /// The folder under the stack's `INPUT_FOLDER_PREFIX` that the container gets. Training needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_folder: Option<FileName>,
    /// The content of the container's `hyperparameters.json`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hyper_parameters: BTreeMap<String, String>,
}

/// How predictions are scored. Files are in the scoring bucket under `datasets/{dataset}/`, as CSV or gzip.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scoring {
    /// The folder of the data; default: the id of the challenge.
    pub dataset: Option<FileName>,
    /// The tournament data with `id`, `data_type` and features; default `tournament.csv`.
    pub tournament: FileName,
    /// Training data, whose rows are clustered together with those of the tournament data.
    pub training: Option<FileName>,
    /// A file `id,region` that is used instead of clustering.
    pub regions: Option<FileName>,
    /// The hidden truth with `id` and `target`; required with `metric`.
    pub truth: Option<FileName>,
    /// The metric against the hidden truth; required with `truth`.
    pub metric: Option<Metric>,
    pub originality: Rules,
    /// Scores of concordance below it are concordant. From 0 to 1; default 0.12.
    pub concordance_threshold: f64,
}

impl Default for Scoring {
    fn default() -> Self {
        Self {
            dataset: None,
            tournament: FileName("tournament.csv".to_owned()),
            training: None,
            regions: None,
            truth: None,
            metric: None,
            originality: Rules::default(),
            concordance_threshold: DEFAULT_THRESHOLD,
        }
    }
}

/// The name of a file or folder: 1 to 128 characters of `[A-Za-z0-9._-]`, not starting with a dot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct FileName(String);

impl FileName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FileName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, &'static str> {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if is_plain && (1..=128).contains(&name.len()) && !name.starts_with('.') {
            Ok(Self(name))
        } else {
            Err("the name of a file or folder is 1 to 128 characters of [A-Za-z0-9._-] and does not start with a dot")
        }
    }
}

/// What the operator allows a challenge to ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// If empty, only the stack's own instance type can be used.
    pub instance_types: Vec<String>,
    pub max_instance_number: u32,
    pub max_volume_size_in_gb: u32,
    pub max_runtime_in_seconds: u32,
}

/// Why the settings of a challenge are not valid. The texts are fragments.
#[derive(Debug, thiserror::Error)]
pub enum ChallengeError {
    #[error("{}", in_words(.0))]
    Json(#[from] serde_json::Error),
    #[error("training.instance_type {found:?} is not allowed, expected one of {}", .allowed.join(", "))]
    InstanceType { found: String, allowed: Vec<String> },
    #[error("training.{name} is {found}, expected {min} to {max}")]
    OutOfRange { name: &'static str, found: u32, min: u32, max: u32 },
    #[error(
        "training.hyper_parameters has too many or too long entries, expected at most {MAX_HYPER_PARAMETERS}, with names of up to {MAX_HYPER_PARAMETER_NAME} and values of up to {MAX_HYPER_PARAMETER_VALUE} characters"
    )]
    HyperParameters,
    #[error("scoring.originality: {0}")]
    Rules(#[from] RuleError),
    #[error("scoring.concordance_threshold is {0}, expected a number from 0 to 1")]
    Threshold(f64),
    #[error("set both scoring.metric and scoring.truth, or neither")]
    MetricWithoutTruth,
    #[error("training.input_folder is missing, expected the folder of this challenge's training data")]
    InputFolder,
}

/// The names that serde has for types, and what organisers call them.
const TYPES: [(&str, &str); 10] = [
    ("expected f64", "expected a number"),
    ("expected u8", "expected a whole number from 0 to 255"),
    ("expected u32", "expected a whole number"),
    ("expected usize", "expected a whole number"),
    ("expected a map", "expected an object"),
    ("expected struct ChallengeSettings", "expected an object"),
    ("expected struct Rules", "expected an object"),
    ("expected struct Training", "expected an object"),
    ("expected struct Reporting", "expected an object"),
    ("expected struct Scoring", "expected an object"),
];

/// What is wrong with the JSON and where.
fn in_words(error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Eof => format!("the JSON ends too early at line {} column {}", error.line(), error.column()),
        Category::Syntax | Category::Io => format!("invalid JSON at line {} column {}", error.line(), error.column()),
        Category::Data => TYPES.iter().fold(error.to_string(), |text, (name, word)| text.replace(name, word)),
    }
}

impl ChallengeSettings {
    /// Checks what training needs. Without a folder of its own, a challenge would show its participants the data of all
    /// challenges.
    ///
    /// # Errors
    ///
    /// When the folder is missing.
    pub fn check_for_training(&self) -> Result<(), ChallengeError> {
        if self.training.input_folder.is_none() { Err(ChallengeError::InputFolder) } else { Ok(()) }
    }

    /// Reads and checks the settings.
    ///
    /// # Errors
    ///
    /// When they cannot be read, exceed what the operator allows, or contradict each other.
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
        let limits = [
            ("instance_number", self.instance_number, 1, allowed.max_instance_number),
            ("volume_size_in_gb", self.volume_size_in_gb, 1, allowed.max_volume_size_in_gb),
            ("max_runtime_in_seconds", self.max_runtime_in_seconds, 60, allowed.max_runtime_in_seconds),
        ];
        for (name, found, min, max) in limits {
            if let Some(found) = found.filter(|found| !(min..=max).contains(found)) {
                return Err(ChallengeError::OutOfRange { name, found, min, max });
            }
        }
        let fits = |(name, value): (&String, &String)| {
            name.len() <= MAX_HYPER_PARAMETER_NAME && value.len() <= MAX_HYPER_PARAMETER_VALUE
        };
        if self.hyper_parameters.len() > MAX_HYPER_PARAMETERS || !self.hyper_parameters.iter().all(fits) {
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
        ChallengeSettings::read(&json.to_string(), &allowed()).unwrap_err().to_string()
    }

    #[test]
    fn absent_settings_have_their_defaults() {
        assert_eq!(ChallengeSettings::read("{}", &allowed()).unwrap(), ChallengeSettings::default());
        let challenge =
            ChallengeSettings::read(r#"{"scoring": {"originality": {"max_similar": 2}}}"#, &allowed()).unwrap();
        let scoring = challenge.scoring.unwrap();
        assert_eq!(scoring.originality, Rules { max_similar: 2, ..Rules::default() });
        assert_eq!(
            (scoring.tournament.as_str(), scoring.concordance_threshold.to_bits()),
            ("tournament.csv", 0.12_f64.to_bits())
        );
    }

    #[test]
    fn training_is_written_with_the_names_of_the_state_machine() {
        let json = json!({"training": {"instance_type": "ml.c5.xlarge", "volume_size_in_gb": 100, "instance_number": 2,
            "max_runtime_in_seconds": 60, "input_folder": "houses", "hyper_parameters": {"rounds": "3"}}});
        let challenge = ChallengeSettings::read(&json.to_string(), &allowed()).unwrap();
        assert_eq!(
            serde_json::to_value(challenge.training).unwrap(),
            json!({"instanceType": "ml.c5.xlarge", "volumeSizeInGB": 100, "instanceNumber": 2,
                "maxRuntimeInSeconds": 60, "inputFolder": "houses", "hyperParameters": {"rounds": "3"}})
        );
    }

    #[test]
    fn an_invalid_setting_is_named_with_the_expected_value() {
        for (json, expected) in [
            (json!({"trainin": {}}), "unknown field `trainin`"),
            (json!({"training": {"instance_type": "ml.p4d.24xlarge"}}), "expected one of ml.m5.large, ml.c5.xlarge"),
            (json!({"training": {"instance_number": 3}}), "training.instance_number is 3, expected 1 to 2"),
            (json!({"training": {"volume_size_in_gb": 0}}), "training.volume_size_in_gb is 0, expected 1 to 100"),
            (json!({"training": {"max_runtime_in_seconds": 59}}), "expected 60 to 3600"),
            (json!({"training": {"input_folder": "../secret"}}), "does not start with a dot"),
            (json!({"training": {"input_folder": "a/b"}}), "[A-Za-z0-9._-]"),
            (json!({"training": {"hyper_parameters": {"a": "v".repeat(2501)}}}), "hyper_parameters"),
            (json!({"scoring": {"originality": {"max_similar": 0}}}), "max_similar is 0"),
            (json!({"scoring": {"concordance_threshold": 1.5}}), "concordance_threshold is 1.5"),
            (json!({"scoring": {"metric": "auc"}}), "or neither"),
            (json!({"scoring": {"metric": "luck", "truth": "t.csv"}}), "unknown variant `luck`"),
            (json!(7), "invalid type: integer `7`, expected an object at line 1 column 1"),
            (
                json!({"scoring": {"concordance_threshold": "x"}}),
                "invalid type: string \"x\", expected a number at line",
            ),
            (json!({"training": {"instance_number": 1.5}}), "expected a whole number"),
            (json!({"scoring": 1}), "expected an object"),
            (json!({"reporting": 1}), "expected an object"),
            (
                json!({"reporting": {"logs": "all"}}),
                "unknown variant `all`, expected one of `none`, `sentences`, `tail`",
            ),
            (json!({"reporting": {"decimals": 18}}), "a score has 0 to 17 decimals"),
            (json!({"reporting": {"digits": 1}}), "unknown field `digits`"),
        ] {
            let error = error(&json);
            assert!(error.contains(expected), "{json}: {error}");
        }
    }

    #[test]
    fn text_that_is_not_json_is_named_with_its_place() {
        for (text, expected) in [
            ("{\"scoring\": nope}", "invalid JSON at line 1 column 14"),
            ("{\n\"scoring\": {", "the JSON ends too early at line 2 column 12"),
        ] {
            assert_eq!(ChallengeSettings::read(text, &allowed()).unwrap_err().to_string(), expected);
        }
    }
}
