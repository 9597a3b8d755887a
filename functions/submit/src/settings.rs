use std::num::NonZeroU32;
use std::time::Duration;

use shared::settings::{SettingError, Variables};

/// What the function is told by its environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `SUBMISSIONS_TABLE`: submissions and their judgements.
    pub submissions_table: String,
    /// `SCORING_STATE_MACHINE_ARN`: what judges them.
    pub state_machine: String,
    /// `API_KEYS_SECRET_ARN`: the secret whose values are the keys that are accepted.
    pub secret_arn: String,
    /// `KEY_CACHE_SECONDS` [300]: how long keys are used before they are read again.
    pub key_cache: Duration,
    /// `PUBLIC_READS` [false]: whether records and leaderboards are given without a key.
    pub public_reads: bool,
}

impl Settings {
    /// Reads the settings; the error names the variable that is missing or malformed.
    pub fn read(variables: &Variables) -> Result<Self, SettingError> {
        let key_cache = variables.optional::<NonZeroU32>("KEY_CACHE_SECONDS")?.map_or(300, NonZeroU32::get);
        Ok(Self {
            submissions_table: variables.required("SUBMISSIONS_TABLE")?,
            state_machine: variables.required("SCORING_STATE_MACHINE_ARN")?,
            secret_arn: variables.required("API_KEYS_SECRET_ARN")?,
            key_cache: Duration::from_secs(key_cache.into()),
            public_reads: variables.or_default("PUBLIC_READS", false)?,
        })
    }
}
