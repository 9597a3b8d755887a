//! What became of a submission: the document in `s3://OUTPUT_S3_BUCKET/{submissionId}/outcome.json` and in the
//! execution's output.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{FailureCode, Fault, SubmissionId};

/// How a submission ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The image was built and trained, and the model is stored.
    Completed,
    /// The submission is at fault; the participant can mend it and submit again.
    Rejected,
    /// The platform is at fault; the operator can redrive the execution.
    Failed,
}

/// The step of processing a submission that a failure happened in, by its state's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Downloading, verifying and staging the archive.
    FetchSubmission,
    /// Building and pushing the image.
    BuildImage,
    /// Reading the pushed image's digest.
    ResolveImage,
    /// Training the image.
    TrainModel,
    /// Reading the challenge's settings.
    ReadChallenge,
    /// Judging the predictions that training wrote.
    ScoreSubmission,
}

/// The staged archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Archive {
    /// The bucket it is staged in.
    pub bucket: String,
    /// Its key in the bucket.
    pub key: String,
    /// Its version in the bucket, which a build is pinned to.
    pub version_id: String,
    /// Its SHA-256 digest in hexadecimal.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// The built image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// What people pull: `{registry}/{repository}:latest`.
    pub uri: String,
    /// The manifest's digest, `sha256:…`: what is trained.
    pub digest: String,
    /// Size of the compressed layers in bytes, as ECR counts it.
    pub bytes: u64,
}

/// The finished training job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Training {
    /// The job's name.
    pub job_name: String,
    /// Where the model is: `s3://…/model.tar.gz`.
    pub model_uri: String,
    /// Seconds the job's machines were billed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billable_seconds: Option<u64>,
}

/// Where operators read more of a failure: addresses in AWS' consoles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Links {
    /// The build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The training job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_job: Option<String>,
    /// The build's or the job's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

impl Links {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How the predictions that training wrote were judged: as `statemachine/scoring.asl.json` ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Whether it is a near copy of an earlier submission: `original`, `similar_count`, `compared`, `offenders`.
    pub originality: Option<Value>,
    /// Whether its predictions behave alike on all data: `concordant`, `score`, `regions`.
    pub concordance: Option<Value>,
    /// Its score against the hidden truth, where the round has one: `name`, `score`.
    pub metric: Option<Value>,
}

/// A failure as people read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// The failure's stable name.
    pub code: FailureCode,
    /// Who has to do something about it.
    pub fault: Fault,
    /// The step it happened in; absent when the whole execution was ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// What happened and what to do next, in sentences of ours.
    pub message: String,
    /// What the failed service or program said itself, cleaned and bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The last lines of the build's or training's log, cleaned and bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_tail: Vec<String>,
    /// Where operators read more; not for participants.
    #[serde(default, skip_serializing_if = "Links::is_empty")]
    pub links: Links,
    /// Seconds after which the step is worth a new attempt; absent where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The submission's id as the Submission API wrote it.
    pub submission_id: SubmissionId,
    /// How it ended.
    pub status: Status,
    /// Why it did not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Diagnosis>,
    /// The staged archive, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Archive>,
    /// The image, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// The training job, once it completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
    /// How its predictions were judged, where the challenge is scored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Scores>,
    /// How many attempts the last step took, from 1.
    pub attempts: u32,
    /// How many attempts at training found no machine.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub capacity_retries: u32,
    /// Seconds that each step took, by its name, waits between its retries included.
    #[serde(default)]
    pub seconds: BTreeMap<String, f64>,
    /// ARN of the execution.
    pub execution: String,
    /// When the execution started, RFC 3339.
    pub started_at: String,
    /// When the outcome was known, RFC 3339.
    pub finished_at: String,
    /// The id of the review (version 5) or summation (version 6) that says so in the Submission API; absent until it is
    /// sent, and where none is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands on references")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}
