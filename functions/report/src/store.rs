//! Outcomes in S3.

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use shared::outcome::Outcome;
use shared::{Failure, FailureCode, SubmissionId};

/// The bucket of outcomes.
#[derive(Debug)]
pub(crate) struct Store {
    s3: Client,
    bucket: String,
}

impl Store {
    pub(crate) fn new(s3: Client, bucket: String) -> Self {
        Self { s3, bucket }
    }

    /// Stores an outcome as `{submissionId}/outcome.json`: the same outcome as the same bytes, however often.
    pub(crate) async fn put(&self, outcome: &Outcome) -> Result<(), Failure> {
        let body = serde_json::to_vec_pretty(outcome).map_err(|error| {
            Failure::new(FailureCode::Internal, "the outcome cannot be written as JSON").caused_by(error)
        })?;
        let key = key(&outcome.submission_id);
        let put = self.s3.put_object().bucket(&self.bucket).key(&key).content_type("application/json");
        put.body(ByteStream::from(body)).send().await.map_err(|error| {
            Failure::new(FailureCode::Internal, format!("the outcome could not be stored as {key}")).caused_by(error)
        })?;
        Ok(())
    }

    /// The outcome stored for a submission, if there is a readable one.
    pub(crate) async fn get(&self, submission: &SubmissionId) -> Result<Option<Outcome>, Failure> {
        let key = key(submission);
        let unreadable = || Failure::new(FailureCode::Internal, format!("{key} could not be read"));
        let object = match self.s3.get_object().bucket(&self.bucket).key(&key).send().await {
            Ok(object) => object,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => return Ok(None),
            Err(error) => return Err(unreadable().caused_by(error)),
        };
        let body = object.body.collect().await.map_err(|error| unreadable().caused_by(error))?;
        Ok(serde_json::from_slice(&body.into_bytes()).ok())
    }

    /// How many objects of a bucket begin with this prefix, as far as so many pages of 1,000 objects tell.
    pub(crate) async fn count(&self, bucket: &str, prefix: &str, pages: usize) -> Result<u32, Failure> {
        let mut count = 0;
        let mut next = None;
        for _ in 0..pages {
            let list = self.s3.list_objects_v2().bucket(bucket).prefix(prefix).set_continuation_token(next);
            let page = list.send().await.map_err(|error| {
                Failure::new(FailureCode::Internal, format!("{prefix} could not be listed")).caused_by(error)
            })?;
            count += u32::try_from(page.contents().len()).unwrap_or_default();
            next = page.next_continuation_token;
            if next.is_none() {
                break;
            }
        }
        Ok(count)
    }
}

fn key(submission: &SubmissionId) -> String {
    format!("{submission}/outcome.json")
}
