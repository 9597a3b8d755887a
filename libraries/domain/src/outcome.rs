//! The outcome of a submission: the document in `s3://OUTPUT_S3_BUCKET/{submissionId}/outcome.json` and in the
//! execution's output.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ChallengeId, FailureCode, Fault, Reporting, Scores, SubmissionId};

/// How processing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The image was built and trained, and the model is stored.
    Completed,
    /// The submission is at fault; the participant can fix it and submit again.
    Rejected,
    /// The platform is at fault; the operator can redrive the execution.
    Failed,
}

/// A step of processing, by the name of its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Downloads, verifies and stages the archive.
    FetchSubmission,
    /// Builds and pushes the image.
    BuildImage,
    /// Looks up the digest of the pushed image.
    ResolveImage,
    TrainModel,
    /// Reads the challenge's settings.
    ReadChallenge,
    /// Scores the predictions that training wrote.
    ScoreSubmission,
}

/// The staged archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Archive {
    pub bucket: String,
    pub key: String,
    /// The S3 version that the build is pinned to.
    pub version_id: String,
    /// In hexadecimal.
    pub sha256: String,
    pub bytes: u64,
}

/// The built image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// The address to pull: `{registry}/{repository}:latest`.
    pub uri: String,
    /// The manifest's digest, `sha256:…`. Training pins it.
    pub digest: String,
    /// Size of the compressed layers in bytes, as ECR counts it.
    pub bytes: u64,
    /// The images that the Dockerfile names, with the digests that they had: `python:3.13=sha256:…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub base_images: Vec<String>,
}

/// The completed training job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Training {
    pub job_name: String,
    /// `s3://…/model.tar.gz`.
    pub model_uri: String,
    /// The last lines of the log, redacted and shortened. Only where the challenge shows them to participants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_tail: Vec<String>,
}

/// Pages of the AWS console about a failure, for operators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Links {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_job: Option<String>,
    /// The log of the build or training job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

impl Links {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a failure means and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    pub code: FailureCode,
    pub fault: Fault,
    /// Absent when the whole execution was stopped or timed out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// What happened and what to do next, in our own sentences.
    pub message: String,
    /// What the failed service, program or function reported, redacted and shortened. For operators if the platform is at
    /// fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The last lines of the log of the build or training job, redacted and shortened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_tail: Vec<String>,
    #[serde(default, skip_serializing_if = "Links::is_empty")]
    pub links: Links,
    /// Seconds to wait before the next attempt; absent if the step is not retried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

/// The outcome of a submission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    pub submission_id: SubmissionId,
    /// Absent if the Submission API names none, or if the whole execution was stopped or timed out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge_id: Option<ChallengeId>,
    /// The Submission API's id of the member. Absent as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participant: Option<String>,
    pub status: Status,
    /// Absent if the submission completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Diagnosis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Archive>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
    /// Absent if the challenge is not scored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Scores>,
    /// Attempts of the last step, from 1.
    pub attempts: u32,
    /// Attempts at training for which SageMaker had no capacity.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub capacity_retries: u32,
    /// Seconds that each step took, by its name, including the waits between attempts.
    #[serde(default)]
    pub seconds: BTreeMap<String, f64>,
    /// What the challenge decides about who reads what.
    #[serde(default, skip_serializing_if = "Reporting::is_default")]
    pub reporting: Reporting,
    /// ARN of the execution.
    pub execution: String,
    /// When the execution started, RFC 3339.
    pub started_at: String,
    /// When the outcome was known, RFC 3339.
    pub finished_at: String,
    /// Id of the review (version 5) or summation (version 6) in the Submission API. Absent until the outcome is sent, and
    /// where outcomes are only stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}
