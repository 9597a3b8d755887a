//! What CodeBuild says about a build: whether it runs, and what the state machine gave it.

use aws_sdk_codebuild::Client;
use aws_sdk_codebuild::types::{Build, ProjectEnvironment, StatusType};
use runtime::CallFailed;

use crate::build_arn::BuildArn;
use crate::error::ClaimError;

/// A build of this stack's project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StartedBuild {
    pub(crate) is_running: bool,
    pub(crate) archive: ArchiveVersion,
    /// The name of the repository that its image goes to.
    pub(crate) repository: String,
}

/// A version of a staged archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArchiveVersion {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) version_id: String,
}

/// The builds of one project.
#[derive(Clone, Debug)]
pub(crate) struct Builds {
    client: Client,
    project: String,
}

impl Builds {
    pub(crate) fn new(client: Client, project: String) -> Self {
        Self { client, project }
    }

    pub(crate) async fn read(&self, arn: &BuildArn) -> Result<StartedBuild, ClaimError> {
        if arn.project() != self.project {
            return Err(ClaimError::OtherProject { build: arn.clone(), project: self.project.clone() });
        }
        let answer = self.client.batch_get_builds().ids(arn.id()).send().await;
        let answer = answer.map_err(|error| ClaimError::NotRead {
            build: arn.clone(),
            source: CallFailed::new("CodeBuild", "BatchGetBuilds", &error),
        })?;
        let found = answer.builds.unwrap_or_default().into_iter().find(|build| build.arn() == Some(arn.as_str()));
        started(&found.ok_or_else(|| ClaimError::Unknown { build: arn.clone() })?, arn)
    }
}

/// Only the state machine may start builds of the project, so the values that a build was started with are its values. A build
/// cannot change them.
fn started(build: &Build, arn: &BuildArn) -> Result<StartedBuild, ClaimError> {
    let variables = build.environment().map(ProjectEnvironment::environment_variables).unwrap_or_default();
    let value = |name: &'static str| {
        let variable = variables.iter().find(|variable| variable.name() == name);
        let value = variable.map(|variable| variable.value().to_owned()).filter(|value| !value.is_empty());
        value.ok_or_else(|| ClaimError::NotStartedHere { build: arn.clone(), variable: name })
    };
    let uri = value("IMAGE_REPOSITORY_URI")?;
    let name = uri.split_once('/').map(|(_, name)| name.to_owned()).filter(|name| !name.is_empty());
    Ok(StartedBuild {
        is_running: build.build_status() == Some(&StatusType::InProgress),
        archive: ArchiveVersion {
            bucket: value("ARCHIVE_BUCKET")?,
            key: value("ARCHIVE_KEY")?,
            version_id: value("ARCHIVE_VERSION")?,
        },
        repository: name
            .ok_or_else(|| ClaimError::NotStartedHere { build: arn.clone(), variable: "IMAGE_REPOSITORY_URI" })?,
    })
}
