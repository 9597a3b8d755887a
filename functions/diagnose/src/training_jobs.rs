//! Looks up training jobs in SageMaker, and stops them.

use aws_sdk_sagemaker::Client;
use aws_sdk_sagemaker::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sagemaker::primitives::DateTime;
use aws_sdk_sagemaker::types::TrainingJobStatus;
use domain::AwsSafeId;
use runtime::CallFailed;
use time::OffsetDateTime;

use crate::job::{StoppingCondition, TrainingJob};

/// The training jobs of the account.
#[derive(Debug, Clone)]
pub(crate) struct TrainingJobs {
    client: Client,
}

impl TrainingJobs {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// `None` if the job does not exist.
    pub(crate) async fn describe(&self, name: &str) -> Result<Option<TrainingJob>, CallFailed> {
        match self.client.describe_training_job().training_job_name(name).send().await {
            Ok(job) => Ok(Some(TrainingJob {
                training_job_name: name.to_owned(),
                training_job_status: job.training_job_status().map(|at| at.as_str().to_owned()).unwrap_or_default(),
                secondary_status: job.secondary_status().map(|status| status.as_str().to_owned()),
                failure_reason: job.failure_reason().unwrap_or_default().to_owned(),
                stopping_condition: job.stopping_condition().map(|condition| StoppingCondition {
                    max_runtime_in_seconds: condition
                        .max_runtime_in_seconds()
                        .and_then(|seconds| seconds.try_into().ok()),
                }),
                has_started: job.training_start_time().is_some(),
            })),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failed("DescribeTrainingJob", &error)),
        }
    }

    /// Stops a job. Returns whether it was running.
    pub(crate) async fn stop(&self, name: &str) -> Result<bool, CallFailed> {
        match self.client.stop_training_job().training_job_name(name).send().await {
            Ok(_) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(failed("StopTrainingJob", &error)),
        }
    }

    /// Stops the submission's running jobs that were created up to `before`. Returns their names.
    pub(crate) async fn stop_all(
        &self,
        submission: &AwsSafeId,
        before: OffsetDateTime,
    ) -> Result<Vec<String>, CallFailed> {
        // The id of another submission may contain this one's, so there may be more than one page.
        let mut pages = self
            .client
            .list_training_jobs()
            .name_contains(submission.as_str())
            .status_equals(TrainingJobStatus::InProgress)
            .creation_time_before(DateTime::from_secs(before.unix_timestamp() + 1))
            .into_paginator()
            .send();
        let mut stopped = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed("ListTrainingJobs", &error))?;
            for name in page.training_job_summaries().iter().filter_map(|job| job.training_job_name()) {
                if is_of(name, submission) && self.stop(name).await? {
                    stopped.push(name.to_owned());
                }
            }
        }
        Ok(stopped)
    }
}

/// Whether a job is of this submission: jobs are named `{safe id}-{redrives}-{attempt}`.
fn is_of(name: &str, submission: &AwsSafeId) -> bool {
    let counts = name.strip_prefix(submission.as_str()).and_then(|rest| rest.strip_prefix('-'));
    counts
        .and_then(|counts| counts.split_once('-'))
        .is_some_and(|(redrives, attempt)| redrives.parse::<u32>().is_ok() && attempt.parse::<u32>().is_ok())
}

/// Whether the job does not exist or has ended: SageMaker answers both with a validation error. A job that does not exist
/// also lacks the stack's tag, so that access to it is denied.
fn is_absent<E: ProvideErrorMetadata>(error: &E) -> bool {
    matches!(error.code(), Some("ValidationException" | "ResourceNotFound" | "AccessDeniedException"))
}

fn failed<E>(operation: &'static str, error: &SdkError<E>) -> CallFailed
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    CallFailed::new("SageMaker", operation, error)
}

#[cfg(test)]
mod tests {
    use domain::SubmissionId;

    use super::*;

    #[test]
    fn jobs_of_a_submission_have_its_name_and_two_counts() {
        let id = "-kJ-nOos4KQaL3".parse::<SubmissionId>().unwrap().aws_safe();
        assert!(is_of(&format!("{id}-0-1"), &id) && is_of(&format!("{id}-2-13"), &id));
        for name in
            [format!("{id}"), format!("{id}0-0-1"), format!("y{id}-0-1"), format!("{id}-0-1-2"), format!("{id}-a-1")]
        {
            assert!(!is_of(&name, &id), "{name}");
        }
    }
}
