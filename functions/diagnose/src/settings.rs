use runtime::settings::{SettingError, Variables};

/// The function's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `STACK_NAME`: the dimension of every metric.
    pub stack_name: String,
    /// `RETRY_HORIZON_SECONDS` (default 21600): a step is retried for this long after its first failure.
    pub retry_horizon_seconds: u32,
    /// `WAIT_HORIZON_SECONDS` (default 1123200): a step waits for a build or training machine for this long.
    pub wait_horizon_seconds: u32,
    /// `SPOT_FALLBACK_ATTEMPTS` (default 0): attempts without spot capacity before training changes to on-demand instances; 0
    /// for never.
    pub spot_fallback_attempts: u32,
    /// `LOG_DELAY_SECONDS` (default 5): an empty log is read again after this time.
    pub log_delay_seconds: u32,
    /// `BUILD_PROJECT`: the CodeBuild project.
    pub build_project: String,
}

impl Settings {
    pub fn read(variables: &Variables) -> Result<Self, SettingError> {
        Ok(Self {
            stack_name: variables.required("STACK_NAME")?,
            retry_horizon_seconds: variables.or_default("RETRY_HORIZON_SECONDS", 6 * 60 * 60)?,
            wait_horizon_seconds: variables.or_default("WAIT_HORIZON_SECONDS", 13 * 24 * 60 * 60)?,
            spot_fallback_attempts: variables.or_default("SPOT_FALLBACK_ATTEMPTS", 0)?,
            log_delay_seconds: variables.or_default("LOG_DELAY_SECONDS", 5)?,
            build_project: variables.required("BUILD_PROJECT")?,
        })
    }
}
