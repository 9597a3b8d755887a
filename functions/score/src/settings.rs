use std::convert::Infallible;
use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;

use runtime::settings::{BucketName, SettingError, TableName, Variables};

use crate::challenge::Allowed;

#[derive(Debug, Clone)]
pub struct Settings {
    /// `STACK_NAME`: a dimension of every metric.
    pub stack_name: String,
    /// `SUBMISSIONS_TABLE`: submissions and their results.
    pub submissions_table: TableName,
    /// `SUMMARIES_TABLE`: the summary of each prepared submission, by challenge.
    pub summaries_table: TableName,
    /// `SUMMARIES_PER_SEGMENT` (default 2048, at least 1): so many items of that table are packed into an object in the scoring
    /// bucket.
    pub summaries_per_segment: usize,
    /// `SCORING_BUCKET`: datasets, predictions, and what is derived from them.
    pub scoring_bucket: BucketName,
    /// `OUTPUT_S3_BUCKET`: the output of training jobs.
    pub output_bucket: BucketName,
    /// `MAX_PREDICTIONS_BYTES` (default 268435456): the largest `predictions.csv` after decompression.
    pub max_predictions_bytes: u64,
    /// What a challenge may ask for: `CHALLENGE_INSTANCE_TYPES` (separated by commas; empty allows none),
    /// `CHALLENGE_MAX_INSTANCE_NUMBER` (default 1), `CHALLENGE_MAX_VOLUME_SIZE_IN_GB` (default 30) and
    /// `CHALLENGE_MAX_RUNTIME_IN_SECONDS` (default 86400), each at least 1.
    pub allowed: Allowed,
}

impl Settings {
    /// # Errors
    ///
    /// Names the first variable that is missing or malformed.
    pub fn read(variables: &Variables) -> Result<Self, SettingError> {
        let positive = |name, default| Ok(variables.optional::<NonZeroU32>(name)?.map_or(default, NonZeroU32::get));
        let List(instance_types) = variables.or_default("CHALLENGE_INSTANCE_TYPES", List(Vec::new()))?;
        Ok(Self {
            stack_name: variables.required("STACK_NAME")?,
            submissions_table: variables.required("SUBMISSIONS_TABLE")?,
            summaries_table: variables.required("SUMMARIES_TABLE")?,
            summaries_per_segment: variables
                .optional::<NonZeroUsize>("SUMMARIES_PER_SEGMENT")?
                .map_or(2_048, NonZeroUsize::get),
            scoring_bucket: variables.required("SCORING_BUCKET")?,
            output_bucket: variables.required("OUTPUT_S3_BUCKET")?,
            max_predictions_bytes: variables.or_default("MAX_PREDICTIONS_BYTES", 256 << 20)?,
            allowed: Allowed {
                instance_types,
                max_instance_number: positive("CHALLENGE_MAX_INSTANCE_NUMBER", 1)?,
                max_volume_size_in_gb: positive("CHALLENGE_MAX_VOLUME_SIZE_IN_GB", 30)?,
                max_runtime_in_seconds: positive("CHALLENGE_MAX_RUNTIME_IN_SECONDS", 86_400)?,
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
