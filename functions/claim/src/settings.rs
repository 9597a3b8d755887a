use runtime::settings::{SettingError, Variables};

/// The function's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `BUILD_PROJECT`: the CodeBuild project whose builds may claim.
    pub build_project: String,
    /// `BUILD_ROLE_ID`: the unique id of their role.
    pub build_role_id: String,
}

impl Settings {
    pub fn read(variables: &Variables) -> Result<Self, SettingError> {
        Ok(Self {
            build_project: variables.required("BUILD_PROJECT")?,
            build_role_id: variables.required("BUILD_ROLE_ID")?,
        })
    }
}
