//! Objects in S3 that are read as they were found, and written once.

use std::io::Read;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::ByteStream;
use shared::Failure;
use tokio_util::io::SyncIoBridge;

use crate::fault;

/// How often a write is tried while another one of the same object is under way.
const ATTEMPTS: u32 = 5;

/// A bucket.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    s3: Client,
    bucket: String,
}

/// The version of an object that was found: the entity tag, which changes with the content.
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

    /// The present version of an object, if there is one.
    pub(crate) async fn version(&self, key: &str) -> Result<Option<ETag>, Failure> {
        match self.s3.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(head) => Ok(Some(ETag::from(head.e_tag().unwrap_or_default()))),
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(None),
            Err(error) => Err(fault(format!("s3://{}/{key} cannot be looked up.", self.bucket)).caused_by(error)),
        }
    }

    /// Reads an object of this version to its end, away from other work.
    pub(crate) async fn parse<T: Send + 'static>(
        &self,
        key: &str,
        version: &ETag,
        parse: impl FnOnce(Box<dyn Read + Send>) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let get = self.s3.get_object().bucket(&self.bucket).key(key).if_match(version.as_str());
        let object = get.send().await.map_err(|error| self.unreadable(key).caused_by(error))?;
        let reader = SyncIoBridge::new(object.body.into_async_read());
        let parsed = tokio::task::spawn_blocking(move || parse(Box::new(reader))).await;
        parsed.map_err(|panic| self.unreadable(key).caused_by(panic))
    }

    /// A whole object, if there is one.
    pub(crate) async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        let object = match self.s3.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(object) => object,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => return Ok(None),
            Err(error) => return Err(self.unreadable(key).caused_by(error)),
        };
        let body = object.body.collect().await.map_err(|error| self.unreadable(key).caused_by(error))?;
        Ok(Some(body.into_bytes().to_vec()))
    }

    /// Writes an object unless there is one, and gives what is stored then: whoever writes first, all get the same.
    ///
    /// See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>.
    pub(crate) async fn write_once(&self, key: &str, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let failed = || fault(format!("s3://{}/{key} cannot be written.", self.bucket));
        for attempt in 1..=ATTEMPTS {
            let put = self.s3.put_object().bucket(&self.bucket).key(key).if_none_match("*");
            match put.body(ByteStream::from(bytes.clone())).send().await {
                Ok(_) => return Ok(bytes),
                Err(error) => match status_of(&error) {
                    Some(412) => return self.read(key).await?.ok_or_else(failed),
                    // Another write is under way, and it is not yet known whether it will succeed.
                    Some(409) if attempt < ATTEMPTS => {
                        tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
                    }
                    _ => return Err(failed().caused_by(error)),
                },
            }
        }
        Err(failed())
    }

    /// Writes an object, whether or not there is one.
    pub(crate) async fn write(&self, key: &str, body: ByteStream) -> Result<(), Failure> {
        let put = self.s3.put_object().bucket(&self.bucket).key(key).body(body);
        put.send()
            .await
            .map_err(|error| fault(format!("s3://{}/{key} cannot be written.", self.bucket)).caused_by(error))?;
        Ok(())
    }

    fn unreadable(&self, key: &str) -> Failure {
        fault(format!("s3://{}/{key} cannot be read.", self.bucket))
    }
}

fn status_of<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}
