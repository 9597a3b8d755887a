use std::num::NonZeroU32;
use std::time::Duration;

use runtime::settings::{SettingError, StateMachineArn, TableName, Variables};

#[derive(Debug, Clone)]
pub struct Settings {
    /// `SUBMISSIONS_TABLE`: submissions and their results.
    pub submissions_table: TableName,
    /// `SCORING_STATE_MACHINE_ARN`: the state machine that scores a submission.
    pub state_machine: StateMachineArn,
    /// `API_KEYS_SECRET_ARN`: the secret whose values are the valid API keys. Any secret id: emulators give a new secret no ARN.
    pub secret_arn: String,
    /// `KEY_CACHE_SECONDS` (default 300), at least 1: how long keys are cached.
    pub key_cache: Duration,
    /// `PUBLIC_READS` (default false): whether records and leaderboards can be read without a key.
    pub public_reads: bool,
}

impl Settings {
    /// # Errors
    ///
    /// Names the first variable that is missing or malformed.
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
