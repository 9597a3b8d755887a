//! The settings of the test challenge, which are made invalid for a moment.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use aws_sdk_ssm::Client;
use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use aws_sdk_ssm::types::ParameterType;
use runtime::CallFailed;

/// Settings that no version accepts.
const INVALID: &str =
    r#"{"invalid": "marathon verify wrote this to see the fault that it causes, and restores what was here"}"#;

/// The SSM parameter of a challenge, and what it held.
pub(crate) struct ChallengeSettings {
    ssm: Client,
    parameter: String,
    before: Option<String>,
}

/// How a person restores the settings if this program cannot.
pub(crate) struct Saved {
    file: Option<PathBuf>,
    pub(crate) by_hand: String,
}

impl Saved {
    /// Deletes the file: the settings are restored.
    pub(crate) fn delete(self) {
        if let Some(file) = self.file {
            // A copy that stays does no harm.
            let _ = std::fs::remove_file(file);
        }
    }
}

impl ChallengeSettings {
    /// Reads the settings. Changes nothing.
    pub(crate) async fn read(ssm: Client, parameter: String) -> Result<Self, CallFailed> {
        let before = value(&ssm, &parameter).await?;
        Ok(Self { ssm, parameter, before })
    }

    /// Saves the settings, if there are any, to a file in the folder.
    pub(crate) fn save(&self, folder: &Path) -> Result<Saved> {
        let parameter = &self.parameter;
        let Some(before) = &self.before else {
            return Ok(Saved { file: None, by_hand: format!("aws ssm delete-parameter --name {parameter}") });
        };
        let file = folder.join(format!("{}.json", parameter.trim_start_matches('/').replace('/', "-")));
        std::fs::write(&file, before).with_context(|| format!("writing {}", file.display()))?;
        let value = file.display();
        let by_hand =
            format!("aws ssm put-parameter --name {parameter} --type String --overwrite --value file://{value}");
        Ok(Saved { file: Some(file), by_hand })
    }

    pub(crate) async fn invalidate(&self) -> Result<(), CallFailed> {
        self.put(INVALID).await
    }

    /// Puts back what was there, and reads it to be sure.
    pub(crate) async fn restore(&self) -> Result<bool, CallFailed> {
        if let Some(before) = &self.before {
            self.put(before).await?;
        } else {
            let deleted = self.ssm.delete_parameter().name(&self.parameter).send().await;
            deleted.map_err(|error| CallFailed::new("SSM", "DeleteParameter", &error))?;
        }
        Ok(value(&self.ssm, &self.parameter).await? == self.before)
    }

    async fn put(&self, value: &str) -> Result<(), CallFailed> {
        let put = self.ssm.put_parameter().name(&self.parameter).value(value).overwrite(true);
        let put = put.r#type(ParameterType::String).send().await;
        put.map(|_| ()).map_err(|error| CallFailed::new("SSM", "PutParameter", &error))
    }
}

async fn value(ssm: &Client, parameter: &str) -> Result<Option<String>, CallFailed> {
    match ssm.get_parameter().name(parameter).send().await {
        Ok(found) => Ok(found.parameter.and_then(|parameter| parameter.value)),
        Err(error) if error.as_service_error().is_some_and(GetParameterError::is_parameter_not_found) => Ok(None),
        Err(error) => Err(CallFailed::new("SSM", "GetParameter", &error)),
    }
}
