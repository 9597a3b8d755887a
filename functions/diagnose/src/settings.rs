use shared::settings::{SettingError, Variables};

/// What the function is told by its environment.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// `RETRY_HORIZON_SECONDS` [21600]: how long after an execution's start or redrive a failed step is still retried.
    pub retry_horizon_seconds: u32,
}

impl Settings {
    /// Reads the settings; the error names the variable that is malformed.
    pub fn read(variables: &Variables) -> Result<Self, SettingError> {
        Ok(Self { retry_horizon_seconds: variables.or_default("RETRY_HORIZON_SECONDS", 6 * 60 * 60)? })
    }
}
