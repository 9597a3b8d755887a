use shared::settings::{SettingError, Variables};

/// What the function is told by its environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `STACK_NAME`: the dimension of every metric.
    pub stack_name: String,
    /// `RETRY_HORIZON_SECONDS` [21600]: how long after its first failure a step is still retried.
    pub retry_horizon_seconds: u32,
    /// `SPOT_FALLBACK_ATTEMPTS` [0]: after how many shortages of spot instances training is done on demand; 0 for never.
    pub spot_fallback_attempts: u32,
    /// `BUILD_PROJECT` [none]: the CodeBuild project that builds; absent where something else builds.
    pub build_project: Option<String>,
    /// `TRAINS_WITH_SAGEMAKER` [true]: false where something else trains.
    pub trains_with_sagemaker: bool,
}

impl Settings {
    /// Reads the settings; the error names the variable that is missing or malformed.
    pub fn read(variables: &Variables) -> Result<Self, SettingError> {
        Ok(Self {
            stack_name: variables.required("STACK_NAME")?,
            retry_horizon_seconds: variables.or_default("RETRY_HORIZON_SECONDS", 6 * 60 * 60)?,
            spot_fallback_attempts: variables.or_default("SPOT_FALLBACK_ATTEMPTS", 0)?,
            build_project: variables.optional("BUILD_PROJECT")?,
            trains_with_sagemaker: variables.or_default("TRAINS_WITH_SAGEMAKER", true)?,
        })
    }
}
