//! The tags of a staged archive that name the build which may read it. Other tags stay: S3 only replaces all of them at once.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{Tag, Tagging};
use runtime::CallFailed;

use crate::builds::ArchiveVersion;
use crate::error::ClaimError;
use crate::holder::Holder;

#[derive(Clone, Debug)]
pub(crate) struct Archives(pub(crate) Client);

impl Archives {
    pub(crate) async fn claim(&self, archive: &ArchiveVersion, holder: &Holder) -> Result<(), ClaimError> {
        let mut tags = self.tags(archive).await?;
        tags.retain(|tag| !holder.has_key(tag.key()));
        let own = holder.tags().map(|(key, value)| Tag::builder().key(key).value(value).build());
        tags.extend(own.map(|tag| tag.expect("invariant: key and value are set")));
        self.put(archive, tags).await
    }

    /// Takes the tags away that still name this build.
    pub(crate) async fn release(&self, archive: &ArchiveVersion, holder: &Holder) -> Result<(), ClaimError> {
        let mut tags = self.tags(archive).await?;
        let before = tags.len();
        tags.retain(|tag| !holder.has(tag.key(), tag.value()));
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
