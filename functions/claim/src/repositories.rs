//! The tags of a repository that name the build which may push to it.

use aws_sdk_ecr::Client;
use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecr::types::Tag;
use runtime::CallFailed;

use crate::build_arn::BuildArn;
use crate::error::ClaimError;
use crate::holder::Holder;

#[derive(Clone, Debug)]
pub(crate) struct Repositories(pub(crate) Client);

impl Repositories {
    pub(crate) async fn claim(&self, repository: &str, build: &BuildArn, holder: &Holder) -> Result<(), ClaimError> {
        let tags = holder.tags().map(|(key, value)| Tag::builder().key(key).value(value).build());
        let tags = tags.map(|tag| tag.expect("invariant: key and value are set")).collect();
        let tag = self.0.tag_resource().resource_arn(build.repository(repository)).set_tags(Some(tags));
        let tagged = tag.send().await;
        tagged.map_err(|error| failed("TagResource", repository, &error))?;
        Ok(())
    }

    /// Takes the tags away that still name this build.
    pub(crate) async fn release(&self, repository: &str, build: &BuildArn, holder: &Holder) -> Result<(), ClaimError> {
        let arn = build.repository(repository);
        let listed = self.0.list_tags_for_resource().resource_arn(&arn).send().await;
        let listed = listed.map_err(|error| failed("ListTagsForResource", repository, &error))?;
        let own = listed.tags().iter().filter(|tag| holder.has(tag.key(), tag.value()));
        let own: Vec<String> = own.map(|tag| tag.key().to_owned()).collect();
        if own.is_empty() {
            return Ok(());
        }
        let removed = self.0.untag_resource().resource_arn(&arn).set_tag_keys(Some(own)).send().await;
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
