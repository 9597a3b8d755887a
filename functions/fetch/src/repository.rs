//! The ECR repository of a submission's image.

use aws_sdk_ecr::error::{BuildError, SdkError};
use aws_sdk_ecr::operation::create_repository::CreateRepositoryError;
use aws_sdk_ecr::types::{ImageScanningConfiguration, ImageTagMutability, Tag};
use serde::Serialize;
use serde_json::json;
use shared::{Failure, FailureCode, SubmissionId};

/// The tag that names the stack; the build's and training's roles reach repositories by it.
const STACK_TAG: &str = "marathon-match:stack";
/// The tag that names the submission as the Submission API does.
const SUBMISSION_TAG: &str = "marathon-match:submission";

/// The repositories of a stack, one for each submission.
#[derive(Debug)]
pub struct Repositories {
    ecr: aws_sdk_ecr::Client,
    stack: String,
    image_retention_days: u32,
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repository {
    /// Its name, the submission's safe id.
    pub name: String,
    /// What images are pushed to: `{account}.dkr.ecr.{region}.amazonaws.com/{name}`.
    pub uri: String,
}

/// Why there is no repository. All of it is the platform's fault.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// ECR refused a call.
    #[error("ECR refused {action} for the repository {name}. Check the function's rights and the account's quotas.")]
    Call {
        /// The call.
        action: &'static str,
        /// The repository.
        name: String,
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// ECR's answer names no repository.
    #[error("ECR gave no address of the repository {name}.")]
    NoUri {
        /// The repository.
        name: String,
    },
    /// A tag is not complete.
    #[error("A tag of the repository could not be made.")]
    Tag(#[from] BuildError),
}

impl Repositories {
    /// Nothing is sent yet.
    #[must_use]
    pub fn new(ecr: aws_sdk_ecr::Client, stack: String, image_retention_days: u32) -> Self {
        Self { ecr, stack, image_retention_days }
    }

    /// Makes the submission's repository unless it is there, and sets when its images expire.
    ///
    /// # Errors
    ///
    /// If ECR refuses a call.
    pub async fn ensure(&self, id: &SubmissionId) -> Result<Repository, Error> {
        let name = id.aws_safe().to_string();
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        let created = self
            .ecr
            .create_repository()
            .repository_name(&name)
            .image_tag_mutability(ImageTagMutability::Mutable)
            .image_scanning_configuration(ImageScanningConfiguration::builder().scan_on_push(true).build())
            .tags(tag(STACK_TAG, &self.stack)?)
            .tags(tag(SUBMISSION_TAG, id.as_str())?)
            .send()
            .await;
        let uri = match created {
            Ok(created) => created.repository.and_then(|repository| repository.repository_uri),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(CreateRepositoryError::is_repository_already_exists_exception) =>
            {
                self.uri_of(&name).await?
            }
            Err(error) => return Err(refused("CreateRepository", &name, error)),
        };
        let uri = uri.ok_or_else(|| Error::NoUri { name: name.clone() })?;
        let policy = lifecycle_policy(self.image_retention_days);
        let policy = self.ecr.put_lifecycle_policy().repository_name(&name).lifecycle_policy_text(policy);
        policy.send().await.map_err(|error| refused("PutLifecyclePolicy", &name, error))?;
        Ok(Repository { name, uri })
    }

    async fn uri_of(&self, name: &str) -> Result<Option<String>, Error> {
        let found = self.ecr.describe_repositories().repository_names(name).send().await;
        let found = found.map_err(|error| refused("DescribeRepositories", name, error))?;
        Ok(found.repositories.unwrap_or_default().into_iter().find_map(|repository| repository.repository_uri))
    }
}

/// See <https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html>: a rule for any image
/// has to come last.
fn lifecycle_policy(image_retention_days: u32) -> String {
    let expire = |priority: u32, status: &str, days: u32| {
        json!({
            "rulePriority": priority,
            "selection": {"tagStatus": status, "countType": "sinceImagePushed", "countUnit": "days", "countNumber": days},
            "action": {"type": "expire"},
        })
    };
    json!({"rules": [expire(1, "untagged", 1), expire(2, "any", image_retention_days)]}).to_string()
}

fn refused<E>(action: &'static str, name: &str, source: SdkError<E>) -> Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    Error::Call { action, name: name.to_owned(), source: Box::new(source) }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = Self::new(FailureCode::Internal, error.to_string());
        match error {
            Error::Call { source, .. } => failure.caused_by(source),
            Error::NoUri { .. } => failure,
            Error::Tag(source) => failure.caused_by(source),
        }
    }
}
