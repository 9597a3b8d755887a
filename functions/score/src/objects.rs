//! Objects in S3 that are read in the version that was found, and written once.

use std::io::Read;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::{ByteStream, ByteStreamError};
use runtime::CallFailed;
use tokio::task::JoinError;
use tokio_util::io::SyncIoBridge;

/// Attempts of a write while another write of the same object is under way.
const ATTEMPTS: u32 = 5;

/// The objects of a bucket.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    s3: Client,
    bucket: String,
}

/// Why an object could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{location} could not be read. Check the function's permission to read it, then redrive the execution.")]
    Read { location: String, source: CallFailed },
    #[error(
        "{location} could not be read to its end. The step is retried. If all retries fail, redrive the execution."
    )]
    Body { location: String, source: ByteStreamError },
    #[error(
        "{location} could not be written. Check the function's permission to write to it, then redrive the execution."
    )]
    Write { location: String, source: CallFailed },
    #[error(
        "{location} was being written by another execution, or was deleted meanwhile. The step is retried. If all retries fail, redrive the execution."
    )]
    Conflict { location: String },
    #[error(
        "Reading {location} stopped unexpectedly. The step is retried. If all retries fail, redrive the execution."
    )]
    Panicked { location: String, source: JoinError },
}

/// The version of an object: its entity tag, which changes with the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ETag(String);

impl From<&str> for ETag {
    fn from(tag: &str) -> Self {
        Self(tag.to_owned())
    }
}

impl ETag {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Objects {
    pub(crate) fn new(s3: Client, bucket: String) -> Self {
        Self { s3, bucket }
    }

    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The address of an object, for people.
    pub(crate) fn location(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    /// The current version of an object, if there is one.
    pub(crate) async fn version(&self, key: &str) -> Result<Option<ETag>, Error> {
        match self.s3.head_object().bucket(&self.bucket).key(key).send().await {
            // S3 gives every object an entity tag. Without one, `if_match` would fail, which is safe.
            Ok(head) => Ok(Some(ETag::from(head.e_tag().unwrap_or_default()))),
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(None),
            Err(error) => Err(self.not_read("HeadObject", key, &error)),
        }
    }

    /// Parses an object of this version on another thread.
    pub(crate) async fn parse<T: Send + 'static>(
        &self,
        key: &str,
        version: &ETag,
        parse: impl FnOnce(Box<dyn Read + Send>) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let get = self.s3.get_object().bucket(&self.bucket).key(key).if_match(version.as_str());
        let object = get.send().await.map_err(|error| self.not_read("GetObject", key, &error))?;
        let reader = SyncIoBridge::new(object.body.into_async_read());
        let parsed = tokio::task::spawn_blocking(move || parse(Box::new(reader))).await;
        parsed.map_err(|source| Error::Panicked { location: self.location(key), source })
    }

    /// A whole object, if there is one.
    pub(crate) async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let object = match self.s3.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(object) => object,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => return Ok(None),
            Err(error) => return Err(self.not_read("GetObject", key, &error)),
        };
        let body = object.body.collect().await;
        let body = body.map_err(|source| Error::Body { location: self.location(key), source })?;
        Ok(Some(body.into_bytes().to_vec()))
    }

    /// Whether there are objects whose keys start with a prefix.
    pub(crate) async fn any_below(&self, prefix: &str) -> Result<bool, Error> {
        let list = self.s3.list_objects_v2().bucket(&self.bucket).prefix(prefix).max_keys(1);
        match list.send().await {
            Ok(listed) => Ok(!listed.contents().is_empty()),
            Err(error) => Err(self.not_read("ListObjectsV2", prefix, &error)),
        }
    }

    /// Writes an object unless there is one, and returns the stored one: all writers get what the first one wrote.
    ///
    /// See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>.
    pub(crate) async fn write_once(&self, key: &str, bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
        let conflict = || Error::Conflict { location: self.location(key) };
        for attempt in 1..=ATTEMPTS {
            let put = self.s3.put_object().bucket(&self.bucket).key(key).if_none_match("*");
            match put.body(ByteStream::from(bytes.clone())).send().await {
                Ok(_) => return Ok(bytes),
                Err(error) => match status_of(&error) {
                    // Precondition failed: there is one.
                    Some(412) => return self.read(key).await?.ok_or_else(conflict),
                    // Conflict: another write is under way, and may still fail.
                    Some(409) => tokio::time::sleep(Duration::from_millis(50 << attempt)).await,
                    _ => return Err(self.not_written(key, &error)),
                },
            }
        }
        Err(conflict())
    }

    /// Writes an object of this size, replacing any that is there.
    pub(crate) async fn write(&self, key: &str, body: ByteStream, bytes: u64) -> Result<(), Error> {
        let limits = aws_sdk_s3::config::Builder::new().timeout_config(runtime::aws::upload(bytes));
        let put = self.s3.put_object().bucket(&self.bucket).key(key).body(body).customize().config_override(limits);
        put.send().await.map_err(|error| self.not_written(key, &error))?;
        Ok(())
    }

    fn not_read<E>(&self, operation: &'static str, key: &str, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        Error::Read { location: self.location(key), source: CallFailed::new("S3", operation, error) }
    }

    fn not_written<E>(&self, key: &str, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        Error::Write { location: self.location(key), source: CallFailed::new("S3", "PutObject", error) }
    }
}

fn status_of<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}
