//! Objects in S3: outcomes, as `{submissionId}/outcome.json`, and documents in other buckets.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream, ByteStreamError};
use domain::SubmissionId;
use domain::outcome::Outcome;
use runtime::CallFailed;
use runtime::settings::BucketName;

/// S3, with the bucket of outcomes.
#[derive(Debug)]
pub(crate) struct Store {
    s3: Client,
    bucket: BucketName,
}

/// The version of an object that was read.
#[derive(Debug)]
pub(crate) struct ETag(String);

/// Why an object could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("s3://{bucket}/{key} could not be written. Check the bucket and the function's permission to write to it.")]
    Write { bucket: BucketName, key: String, source: CallFailed },
    #[error("s3://{bucket}/{key} could not be read. Check the bucket and the function's permission to read it.")]
    Read { bucket: BucketName, key: String, source: CallFailed },
    #[error("s3://{bucket}/{key} was changed again and again while it was being replaced.")]
    Contended { bucket: BucketName, key: String },
    #[error("Reading s3://{bucket}/{key} was interrupted.")]
    Interrupted { bucket: BucketName, key: String, source: ByteStreamError },
    #[error("s3://{bucket}/{prefix} could not be listed. Check the bucket and the function's permission to list it.")]
    List { bucket: BucketName, prefix: String, source: CallFailed },
}

impl Store {
    pub(crate) fn new(s3: Client, bucket: BucketName) -> Self {
        Self { s3, bucket }
    }

    /// Stores an outcome. The same outcome always has the same bytes.
    pub(crate) async fn put(&self, outcome: &Outcome) -> Result<(), Error> {
        let body = serde_json::to_vec_pretty(outcome).expect("invariant: an outcome can be written as JSON");
        self.write(&self.bucket, &key(&outcome.submission_id), body).await
    }

    /// The stored outcome of a submission. `None` if there is none, or if it is not valid and has to be replaced.
    pub(crate) async fn get(&self, submission: &SubmissionId) -> Result<Option<Outcome>, Error> {
        let key = key(submission);
        let Some(body) = self.read(&self.bucket, &key).await? else { return Ok(None) };
        match serde_json::from_slice(&body) {
            Ok(outcome) => Ok(Some(outcome)),
            Err(error) => {
                tracing::warn!(%error, key, "the stored outcome is not valid and is replaced");
                Ok(None)
            }
        }
    }

    /// Writes a JSON document.
    pub(crate) async fn write(&self, bucket: &BucketName, key: &str, body: Vec<u8>) -> Result<(), Error> {
        self.put_object(bucket, key, body).send().await.map_err(|error| not_written(bucket, key, &error))?;
        Ok(())
    }

    /// Writes a JSON document if the present one still has this version, or if there is none. Whether it was written.
    ///
    /// See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>.
    pub(crate) async fn replace(
        &self,
        bucket: &BucketName,
        key: &str,
        seen: Option<ETag>,
        body: Vec<u8>,
    ) -> Result<bool, Error> {
        let put = self.put_object(bucket, key, body);
        let put = match seen {
            Some(ETag(version)) => put.if_match(version),
            None => put.if_none_match("*"),
        };
        match put.send().await {
            Ok(_) => Ok(true),
            // Precondition failed, or another write is under way.
            Err(error) if matches!(status_of(&error), Some(412 | 409)) => Ok(false),
            Err(error) => Err(not_written(bucket, key, &error)),
        }
    }

    fn put_object(&self, bucket: &BucketName, key: &str, body: Vec<u8>) -> PutObjectFluentBuilder {
        let put = self.s3.put_object().bucket(bucket).key(key).content_type("application/json");
        put.body(ByteStream::from(body))
    }

    /// `None` if there is no such object.
    pub(crate) async fn read(&self, bucket: &BucketName, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.read_version(bucket, key).await?.map(|(body, _)| body))
    }

    /// The object and its version. `None` if there is no such object.
    pub(crate) async fn read_version(&self, bucket: &BucketName, key: &str) -> Result<Option<(Vec<u8>, ETag)>, Error> {
        let object = match self.s3.get_object().bucket(bucket).key(key).send().await {
            Ok(object) => object,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => return Ok(None),
            Err(error) => {
                let source = CallFailed::new("S3", "GetObject", &error);
                return Err(Error::Read { bucket: bucket.clone(), key: key.to_owned(), source });
            }
        };
        // S3 gives every object an entity tag. Without one, `if_match` would fail, which is safe.
        let version = ETag(object.e_tag.unwrap_or_default());
        let body = object.body.collect().await;
        let body = body.map_err(|source| Error::Interrupted { bucket: bucket.clone(), key: key.to_owned(), source })?;
        Ok(Some((body.to_vec(), version)))
    }

    /// Counts the objects with this prefix, on up to `pages` pages of 1,000 objects.
    pub(crate) async fn count(&self, bucket: &BucketName, prefix: &str, pages: usize) -> Result<u32, Error> {
        let mut count = 0;
        let mut next = None;
        for _ in 0..pages {
            let list = self.s3.list_objects_v2().bucket(bucket).prefix(prefix).set_continuation_token(next);
            let page = list.send().await.map_err(|error| Error::List {
                bucket: bucket.clone(),
                prefix: prefix.to_owned(),
                source: CallFailed::new("S3", "ListObjectsV2", &error),
            })?;
            count += u32::try_from(page.contents().len()).expect("invariant: a page has up to 1,000 objects");
            next = page.next_continuation_token;
            if next.is_none() {
                break;
            }
        }
        Ok(count)
    }
}

fn not_written(bucket: &BucketName, key: &str, error: &SdkError<PutObjectError>) -> Error {
    let source = CallFailed::new("S3", "PutObject", error);
    Error::Write { bucket: bucket.clone(), key: key.to_owned(), source }
}

fn status_of<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

fn key(submission: &SubmissionId) -> String {
    format!("{submission}/outcome.json")
}
