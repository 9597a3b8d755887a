//! Stages the inputs of a build in S3.

use std::path::Path;

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::{ByteStream, ByteStreamError};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::SubmissionId;
use domain::outcome::Archive;
use runtime::CallFailed;
use runtime::settings::BucketName;
use serde::Serialize;
use sha2::{Digest, Sha256};
use submission_api::Download;

/// The build specification. It is compiled in: one from a submission could do anything with the build's role.
const BUILDSPEC: &str = include_str!("../../../buildspec.yml");
/// Bytes of the archive that are read from disk at once.
const READ_AHEAD: usize = 128 << 10;
/// The version id in a bucket whose versioning is suspended.
const NO_VERSION: &str = "null";

/// The bucket of build inputs: archives under `submissions/{safe id}/`, buildspecs under `buildspecs/`.
#[derive(Debug)]
pub struct Staging {
    s3: aws_sdk_s3::Client,
    bucket: BucketName,
}

/// An object in S3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Object {
    pub bucket: String,
    pub key: String,
}

/// Why a submission could not be staged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("The downloaded archive could not be read back from disk. Redrive the execution.")]
    Read(#[source] ByteStreamError),
    #[error(
        "s3://{bucket}/{key} could not be written. Check the bucket and the function's permission to write to it, then redrive the execution."
    )]
    Write { bucket: BucketName, key: String, source: CallFailed },
    /// Without versions, a build cannot be pinned to the verified archive.
    #[error("Versioning is off for the bucket {bucket}. Turn it on, then redrive the execution.")]
    Unversioned { bucket: BucketName },
}

impl Staging {
    /// Sends nothing yet.
    #[must_use]
    pub fn new(s3: aws_sdk_s3::Client, bucket: BucketName) -> Self {
        Self { s3, bucket }
    }

    /// Stages a verified archive. S3 refuses it if its checksum differs from the download's.
    pub async fn archive(&self, id: &SubmissionId, path: &Path, download: &Download) -> Result<Archive, Error> {
        let key = format!("submissions/{}/submission.zip", id.aws_safe());
        let sha256 = hex::encode(download.sha256);
        let body = ByteStream::read_from().path(path).buffer_size(READ_AHEAD).build().await.map_err(Error::Read)?;
        let request = self.s3.put_object().bucket(&self.bucket).key(&key).body(body);
        let limits = aws_sdk_s3::config::Builder::new().timeout_config(runtime::aws::upload(download.bytes));
        let written = request
            .content_type("application/zip")
            .checksum_sha256(BASE64_STANDARD.encode(download.sha256))
            .metadata("sha256", &sha256)
            .metadata("submission-id", id.as_str())
            .customize()
            .config_override(limits)
            .send()
            .await
            .map_err(|error| self.not_written(&key, &error))?;
        match written.version_id {
            Some(version_id) if version_id != NO_VERSION => {
                Ok(Archive { bucket: self.bucket.to_string(), key, version_id, sha256, bytes: download.bytes })
            }
            _ => Err(Error::Unversioned { bucket: self.bucket.clone() }),
        }
    }

    /// Stages the buildspec under the digest of its content: builds of every release find theirs, and share it.
    pub async fn buildspec(&self) -> Result<Object, Error> {
        let key = format!("buildspecs/{}.yml", hex::encode(Sha256::digest(BUILDSPEC)));
        let request = self.s3.put_object().bucket(&self.bucket).key(&key).content_type("application/yaml");
        let written = request.body(ByteStream::from_static(BUILDSPEC.as_bytes())).send().await;
        written.map_err(|error| self.not_written(&key, &error))?;
        Ok(Object { bucket: self.bucket.to_string(), key })
    }

    fn not_written(&self, key: &str, error: &SdkError<PutObjectError>) -> Error {
        Error::Write {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            source: CallFailed::new("S3", "PutObject", error),
        }
    }
}
