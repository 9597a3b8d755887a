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
}

fn key(submission: &SubmissionId) -> String {
    format!("{submission}/outcome.json")
}
