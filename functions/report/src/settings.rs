use shared::settings::{SettingError, Variables};

/// What the function is told by its environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `OUTPUT_S3_BUCKET`: where models and outcomes go.
    pub output_bucket: String,
    /// `STACK_NAME`: the dimension of every metric.
    pub stack_name: String,
}

impl Settings {
    /// Reads the settings; the error names the variable that is missing or malformed.
    pub fn read(variables: &Variables) -> Result<Self, SettingError> {
        Ok(Self {
            output_bucket: variables.required("OUTPUT_S3_BUCKET")?,
            stack_name: variables.required("STACK_NAME")?,
        })
    }
}
