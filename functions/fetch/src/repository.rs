//! The ECR repository of a submission's image.

use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecr::operation::create_repository::CreateRepositoryError;
use aws_sdk_ecr::types::{ImageScanningConfiguration, ImageTagMutability, Tag};
use domain::{SubmissionId, tags};
use runtime::CallFailed;
use serde::Serialize;
use serde_json::json;

/// The repositories of a stack, one for each submission.
#[derive(Debug)]
pub struct Repositories {
    ecr: aws_sdk_ecr::Client,
    stack_name: String,
    image_retention_days: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repository {
    /// The submission's safe id.
    pub name: String,
    /// The address for pushing images: `{account}.dkr.ecr.{region}.amazonaws.com/{name}`.
    pub uri: String,
}

/// Why a repository could not be created.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "The repository {name} could not be created or read. Check the function's permissions and the account's quotas, then redrive the execution."
    )]
    Call { name: String, source: CallFailed },
    #[error(
        "ECR returned no address for the repository {name}. The step is retried. If all retries fail, redrive the execution."
    )]
    NoUri { name: String },
}

impl Repositories {
    /// Sends nothing yet.
    #[must_use]
    pub fn new(ecr: aws_sdk_ecr::Client, stack_name: String, image_retention_days: u32) -> Self {
        Self { ecr, stack_name, image_retention_days }
    }

    /// Creates the submission's repository if it does not exist, and sets when its images expire.
    pub async fn ensure(&self, id: &SubmissionId) -> Result<Repository, Error> {
        let name = id.aws_safe().to_string();
        let tag = |key: &str, value: &str| {
            Tag::builder().key(key).value(value).build().expect("invariant: key and value are set")
        };
        let created = self
            .ecr
            .create_repository()
            .repository_name(&name)
            .image_tag_mutability(ImageTagMutability::Mutable)
            .image_scanning_configuration(ImageScanningConfiguration::builder().scan_on_push(true).build())
            .tags(tag(tags::STACK, &self.stack_name))
            .tags(tag(tags::SUBMISSION, id.as_str()))
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
            Err(error) => return Err(failed("CreateRepository", &name, &error)),
        };
        let uri = uri.ok_or_else(|| Error::NoUri { name: name.clone() })?;
        let policy = lifecycle_policy(self.image_retention_days);
        let policy = self.ecr.put_lifecycle_policy().repository_name(&name).lifecycle_policy_text(policy);
        policy.send().await.map_err(|error| failed("PutLifecyclePolicy", &name, &error))?;
        Ok(Repository { name, uri })
    }

    async fn uri_of(&self, name: &str) -> Result<Option<String>, Error> {
        let found = self.ecr.describe_repositories().repository_names(name).send().await;
        let found = found.map_err(|error| failed("DescribeRepositories", name, &error))?;
        Ok(found.repositories.unwrap_or_default().into_iter().find_map(|repository| repository.repository_uri))
    }
}

/// See <https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html>: a rule for all images
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

fn failed<E>(operation: &'static str, name: &str, error: &SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    Error::Call { name: name.to_owned(), source: CallFailed::new("ECR", operation, error) }
}
