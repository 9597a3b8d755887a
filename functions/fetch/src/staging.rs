//! Staging what a build needs in S3.

use std::path::Path;

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::{ByteStream, ByteStreamError};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use shared::outcome::Archive;
use shared::submission_api::Download;
use shared::{AwsSafeId, Failure, FailureCode, SubmissionId};

/// How an image is built: compiled in, because one that came with a submission could do anything with the build's role.
const BUILDSPEC: &str = include_str!("../../../buildspec.yml");
/// Bytes of the archive that are read from disk at once while it is sent.
const READ_AHEAD: usize = 128 << 10;
/// The version that a bucket gives which has ceased to keep versions.
const NO_VERSION: &str = "null";

/// The bucket where builds find what they need, under `submissions/{safe id}/`.
#[derive(Debug)]
pub struct Staging {
    s3: aws_sdk_s3::Client,
    bucket: String,
}

/// An object in S3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Object {
    /// The bucket.
    pub bucket: String,
    /// The key in the bucket.
    pub key: String,
}

/// Why something was not staged. All of it is the platform's fault.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The downloaded archive cannot be read.
    #[error("The downloaded archive could not be read back.")]
    Read(#[source] ByteStreamError),
    /// S3 did not take an object.
    #[error("s3://{bucket}/{key} could not be written. Check the bucket and the function's right to it.")]
    Write {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// What happened.
        source: Box<SdkError<PutObjectError>>,
    },
    /// The bucket overwrites objects, so that no build can be pinned to what was verified.
    #[error("The bucket {bucket} keeps no versions. Turn its versioning on.")]
    Unversioned {
        /// The bucket.
        bucket: String,
    },
}

impl Staging {
    /// Nothing is sent yet.
    #[must_use]
    pub fn new(s3: aws_sdk_s3::Client, bucket: String) -> Self {
        Self { s3, bucket }
    }

    /// Stages a verified archive. S3 refuses it if it is not what was downloaded.
    ///
    /// # Errors
    ///
    /// If S3 does not take it or keeps no version of it.
    pub async fn archive(&self, id: &SubmissionId, path: &Path, download: &Download) -> Result<Archive, Error> {
        let key = format!("submissions/{}/submission.zip", id.aws_safe());
        let sha256 = hex::encode(download.sha256);
        let body = ByteStream::read_from().path(path).buffer_size(READ_AHEAD).build().await.map_err(Error::Read)?;
        let request = self.s3.put_object().bucket(&self.bucket).key(&key).body(body);
        let written = request
            .content_type("application/zip")
            .checksum_sha256(BASE64_STANDARD.encode(download.sha256))
            .metadata("sha256", &sha256)
            .metadata("submission-id", id.as_str())
            .send()
            .await
            .map_err(|source| self.not_written(&key, source))?;
        match written.version_id {
            Some(version_id) if version_id != NO_VERSION => {
                Ok(Archive { bucket: self.bucket.clone(), key, version_id, sha256, bytes: download.bytes })
            }
            _ => Err(Error::Unversioned { bucket: self.bucket.clone() }),
        }
    }

    /// Stages the build specification.
    ///
    /// # Errors
    ///
    /// If S3 does not take it.
    pub async fn buildspec(&self, id: &AwsSafeId) -> Result<Object, Error> {
        let key = format!("submissions/{id}/buildspec.yml");
        let request = self.s3.put_object().bucket(&self.bucket).key(&key).content_type("application/yaml");
        let written = request.body(ByteStream::from_static(BUILDSPEC.as_bytes())).send().await;
        written.map_err(|source| self.not_written(&key, source))?;
        Ok(Object { bucket: self.bucket.clone(), key })
    }

    fn not_written(&self, key: &str, source: SdkError<PutObjectError>) -> Error {
        Error::Write { bucket: self.bucket.clone(), key: key.to_owned(), source: Box::new(source) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = Self::new(FailureCode::Internal, error.to_string());
        match error {
            Error::Read(source) => failure.caused_by(source),
            Error::Write { source, .. } => failure.caused_by(source),
            Error::Unversioned { .. } => failure,
        }
    }
}
