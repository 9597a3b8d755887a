use std::convert::Infallible;
use std::num::NonZeroU32;
use std::str::FromStr;

use shared::settings::{SettingError, Variables};

use crate::challenge::Allowed;

/// What the function is told by its environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `STACK_NAME`: the dimension of every metric.
    pub stack_name: String,
    /// `SUBMISSIONS_TABLE`: submissions and their judgements.
    pub submissions_table: String,
    /// `SUMMARIES_TABLE`: what later judgements of originality need of each prepared submission, by round.
    pub summaries_table: String,
    /// `SCORING_BUCKET`: datasets, predictions, and values that were made of them.
    pub scoring_bucket: String,
    /// `OUTPUT_S3_BUCKET`: where training jobs leave their output.
    pub output_bucket: String,
    /// `MAX_PREDICTIONS_BYTES` [268435456]: the largest predictions.csv, after decompression.
    pub max_predictions_bytes: u64,
    /// What a challenge may ask for: `CHALLENGE_INSTANCE_TYPES` (separated by commas; none allows no override),
    /// `CHALLENGE_MAX_INSTANCE_NUMBER` [1], `CHALLENGE_MAX_VOLUME_SIZE_IN_GB` [30] and
    /// `CHALLENGE_MAX_RUNTIME_IN_SECONDS` [86400].
    pub allowed: Allowed,
}

impl Settings {
    /// Reads the settings; the error names the variable that is missing or malformed.
    pub fn read(variables: &Variables) -> Result<Self, SettingError> {
        let at_most = |name, default| Ok(variables.optional::<NonZeroU32>(name)?.map_or(default, NonZeroU32::get));
        let List(instance_types) = variables.or_default("CHALLENGE_INSTANCE_TYPES", List(Vec::new()))?;
        Ok(Self {
            stack_name: variables.required("STACK_NAME")?,
            submissions_table: variables.required("SUBMISSIONS_TABLE")?,
            summaries_table: variables.required("SUMMARIES_TABLE")?,
            scoring_bucket: variables.required("SCORING_BUCKET")?,
            output_bucket: variables.required("OUTPUT_S3_BUCKET")?,
            max_predictions_bytes: variables.or_default("MAX_PREDICTIONS_BYTES", 256 << 20)?,
            allowed: Allowed {
                instance_types,
                max_instance_number: at_most("CHALLENGE_MAX_INSTANCE_NUMBER", 1)?,
                max_volume_size_in_gb: at_most("CHALLENGE_MAX_VOLUME_SIZE_IN_GB", 30)?,
                max_runtime_in_seconds: at_most("CHALLENGE_MAX_RUNTIME_IN_SECONDS", 86_400)?,
            },
        })
    }
}

/// Texts separated by commas.
struct List(Vec<String>);

impl FromStr for List {
    type Err = Infallible;

    fn from_str(list: &str) -> Result<Self, Infallible> {
        Ok(Self(list.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect()))
    }
}
