//! The tag of a staged archive that names the build which may read it. Other tags stay: S3 only replaces all of them at once.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{Tag, Tagging};
use domain::tags;
use runtime::CallFailed;

use crate::build_arn::BuildArn;
use crate::builds::ArchiveVersion;
use crate::error::ClaimError;

#[derive(Clone, Debug)]
pub(crate) struct Archives(pub(crate) Client);

impl Archives {
    pub(crate) async fn claim(&self, archive: &ArchiveVersion, build: &BuildArn) -> Result<(), ClaimError> {
        let mut tags = self.tags(archive).await?;
        tags.retain(|tag| tag.key() != tags::BUILD);
        let own = Tag::builder().key(tags::BUILD).value(build.as_str()).build();
        tags.push(own.expect("invariant: key and value are set"));
        self.put(archive, tags).await
    }

    /// Takes the tag away if it still names this build.
    pub(crate) async fn release(&self, archive: &ArchiveVersion, build: &BuildArn) -> Result<(), ClaimError> {
        let mut tags = self.tags(archive).await?;
        let before = tags.len();
        tags.retain(|tag| tag.key() != tags::BUILD || tag.value() != build.as_str());
        if tags.len() == before {
            return Ok(());
        }
        if !tags.is_empty() {
            return self.put(archive, tags).await;
        }
        let ArchiveVersion { bucket, key, version_id } = archive;
        let removed = self.0.delete_object_tagging().bucket(bucket).key(key).version_id(version_id).send().await;
        removed.map_err(|error| failed("DeleteObjectTagging", archive, &error))?;
        Ok(())
    }

    async fn tags(&self, archive: &ArchiveVersion) -> Result<Vec<Tag>, ClaimError> {
        let ArchiveVersion { bucket, key, version_id } = archive;
        let read = self.0.get_object_tagging().bucket(bucket).key(key).version_id(version_id).send().await;
        Ok(read.map_err(|error| failed("GetObjectTagging", archive, &error))?.tag_set)
    }

    async fn put(&self, archive: &ArchiveVersion, tags: Vec<Tag>) -> Result<(), ClaimError> {
        let ArchiveVersion { bucket, key, version_id } = archive;
        let tagging = Tagging::builder().set_tag_set(Some(tags)).build().expect("invariant: the tags are set");
        let put = self.0.put_object_tagging().bucket(bucket).key(key).version_id(version_id).tagging(tagging);
        put.send().await.map_err(|error| failed("PutObjectTagging", archive, &error))?;
        Ok(())
    }
}

fn failed<E>(operation: &'static str, archive: &ArchiveVersion, error: &SdkError<E>) -> ClaimError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let uri = format!("s3://{}/{}", archive.bucket, archive.key);
    ClaimError::Archive { uri, source: CallFailed::new("S3", operation, error) }
}
