//! The tag of a repository that names the build which may push to it.

use aws_sdk_ecr::Client;
use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecr::types::Tag;
use domain::tags;
use runtime::CallFailed;

use crate::build_arn::BuildArn;
use crate::error::ClaimError;

#[derive(Clone, Debug)]
pub(crate) struct Repositories(pub(crate) Client);

impl Repositories {
    pub(crate) async fn claim(&self, repository: &str, build: &BuildArn) -> Result<(), ClaimError> {
        let tag = Tag::builder().key(tags::BUILD).value(build.as_str()).build();
        let tag = tag.expect("invariant: key and value are set");
        let tagged = self.0.tag_resource().resource_arn(build.repository(repository)).tags(tag).send().await;
        tagged.map_err(|error| failed("TagResource", repository, &error))?;
        Ok(())
    }

    /// Takes the tag away if it still names this build.
    pub(crate) async fn release(&self, repository: &str, build: &BuildArn) -> Result<(), ClaimError> {
        let arn = build.repository(repository);
        let listed = self.0.list_tags_for_resource().resource_arn(&arn).send().await;
        let listed = listed.map_err(|error| failed("ListTagsForResource", repository, &error))?;
        if !listed.tags().iter().any(|tag| tag.key() == tags::BUILD && tag.value() == build.as_str()) {
            return Ok(());
        }
        let removed = self.0.untag_resource().resource_arn(&arn).tag_keys(tags::BUILD).send().await;
        removed.map_err(|error| failed("UntagResource", repository, &error))?;
        Ok(())
    }
}

fn failed<E>(operation: &'static str, repository: &str, error: &SdkError<E>) -> ClaimError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    ClaimError::Repository { name: repository.to_owned(), source: CallFailed::new("ECR", operation, error) }
}
