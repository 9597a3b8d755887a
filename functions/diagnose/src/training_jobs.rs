//! Asking SageMaker about training jobs, and stopping them.

use aws_sdk_sagemaker::Client;
use aws_sdk_sagemaker::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_sagemaker::primitives::DateTime;
use aws_sdk_sagemaker::types::TrainingJobStatus;
use shared::AwsSafeId;
use time::OffsetDateTime;

use crate::classify::TrainingJob;

/// The training jobs of the account.
#[derive(Debug, Clone)]
pub(crate) struct TrainingJobs {
    client: Client,
}

impl TrainingJobs {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// A job by its name; nothing if there is none. The text of an error names the call that failed.
    pub(crate) async fn describe(&self, name: &str) -> Result<Option<TrainingJob>, String> {
        match self.client.describe_training_job().training_job_name(name).send().await {
            Ok(job) => Ok(Some(TrainingJob {
                training_job_name: name.to_owned(),
                training_job_status: job.training_job_status().map(|at| at.as_str().to_owned()).unwrap_or_default(),
                secondary_status: job.secondary_status().map(|status| status.as_str().to_owned()),
                failure_reason: job.failure_reason().unwrap_or_default().to_owned(),
            })),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failed("DescribeTrainingJob", &error)),
        }
    }

    /// Stops a job; whether there was something to stop.
    pub(crate) async fn stop(&self, name: &str) -> Result<bool, String> {
        match self.client.stop_training_job().training_job_name(name).send().await {
            Ok(_) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(failed("StopTrainingJob", &error)),
        }
    }

    /// Stops the submission's jobs that are running and were made before `before`; gives their names.
    pub(crate) async fn stop_all(&self, submission: &AwsSafeId, before: OffsetDateTime) -> Result<Vec<String>, String> {
        let page = self
            .client
            .list_training_jobs()
            .name_contains(submission.as_str())
            .status_equals(TrainingJobStatus::InProgress)
            .creation_time_before(DateTime::from_secs(before.unix_timestamp() + 1))
            .send()
            .await
            .map_err(|error| failed("ListTrainingJobs", &error))?;
        let mut stopped = Vec::new();
        for name in page.training_job_summaries().iter().filter_map(|job| job.training_job_name()) {
            if is_of(name, submission) && self.stop(name).await? {
                stopped.push(name.to_owned());
            }
        }
        Ok(stopped)
    }
}

/// Whether a job is this submission's: `{safe id}-{redrives}-{attempt}`.
fn is_of(name: &str, submission: &AwsSafeId) -> bool {
    let counts = name.strip_prefix(submission.as_str()).and_then(|rest| rest.strip_prefix('-'));
    counts
        .and_then(|counts| counts.split_once('-'))
        .is_some_and(|(redrives, attempt)| redrives.parse::<u32>().is_ok() && attempt.parse::<u32>().is_ok())
}

/// Whether there is no such job, or it has ended: SageMaker calls both a validation error. A job that is not there bears no
/// tag of the stack's either, so that this function may not see it.
fn is_absent<E: ProvideErrorMetadata>(error: &E) -> bool {
    matches!(error.code(), Some("ValidationException" | "ResourceNotFound" | "AccessDeniedException"))
}

fn failed<E: std::error::Error>(call: &str, error: &E) -> String {
    format!("{call}: {}", DisplayErrorContext(error))
}

#[cfg(test)]
mod tests {
    use shared::SubmissionId;

    use super::*;

    #[test]
    fn a_submissions_jobs_bear_its_name_and_two_counts() {
        let id = "-kJ-nOos4KQaL3".parse::<SubmissionId>().unwrap().aws_safe();
        assert!(is_of(&format!("{id}-0-1"), &id) && is_of(&format!("{id}-2-13"), &id));
        for name in
            [format!("{id}"), format!("{id}0-0-1"), format!("y{id}-0-1"), format!("{id}-0-1-2"), format!("{id}-a-1")]
        {
            assert!(!is_of(&name, &id), "{name}");
        }
    }
}
