//! Looks up the builds and training jobs behind the steps, and stops orphaned ones.

use std::time::Duration;

use aws_config::SdkConfig;
use domain::AwsSafeId;
use domain::outcome::Step;
use runtime::CallFailed;
use time::OffsetDateTime;
use tokio::time::timeout;

use crate::builds::Builds;
use crate::error::CallsFailed;
use crate::job::{self, Job};
use crate::request::FailedStep;
use crate::settings::Settings;
use crate::training_jobs::TrainingJobs;

/// Limit for looking up and stopping a job. A diagnosis is possible without.
const LOOKUP_LIMIT: Duration = Duration::from_secs(20);

/// The services that build and train.
#[derive(Clone, Debug)]
pub(crate) struct Jobs {
    builds: Builds,
    training: TrainingJobs,
}

impl Jobs {
    pub(crate) fn new(settings: &Settings, aws: &SdkConfig) -> Self {
        Self {
            builds: Builds::new(aws_sdk_codebuild::Client::new(aws), settings.build_project.clone()),
            training: TrainingJobs::new(aws_sdk_sagemaker::Client::new(aws)),
        }
    }

    /// The job behind a failed step: from the error if that is complete, otherwise from the service. Stops a job that
    /// still runs or that cannot be found. If the service does not answer, the error has to do.
    pub(crate) async fn examine(&self, failed: &FailedStep) -> Option<Job> {
        let in_cause = Job::in_cause(failed.step, &failed.error);
        let is_known = in_cause.as_ref().is_some_and(|job| !job.is_incomplete() && !job.is_running());
        if is_known || !job::may_still_run(failed.step, &failed.error) {
            return in_cause;
        }
        let found = timeout(LOOKUP_LIMIT, self.find_or_stop(failed, in_cause.as_ref())).await.unwrap_or_else(|_| {
            tracing::warn!("the service behind the step did not answer in time");
            None
        });
        found.or(in_cause)
    }

    async fn find_or_stop(&self, failed: &FailedStep, in_cause: Option<&Job>) -> Option<Job> {
        let found = self.find(failed, in_cause).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "could not read the step's job");
            None
        });
        if found.as_ref().is_none_or(Job::is_running) {
            match self.stop(failed).await {
                Ok(jobs) if jobs.is_empty() => {}
                Ok(jobs) => tracing::warn!(?jobs, "stopped orphaned job"),
                Err(error) => tracing::error!(%error, "could not stop orphaned job"),
            }
        }
        found
    }

    async fn find(&self, failed: &FailedStep, in_cause: Option<&Job>) -> Result<Option<Job>, CallFailed> {
        match failed.step {
            Step::BuildImage => {
                let build = match in_cause {
                    Some(Job::Build(build)) if !build.id.is_empty() => self.builds.describe(&build.id).await?,
                    _ => self.builds.newest(&failed.submission_id.aws_safe()).await?,
                };
                Ok(build.map(Job::Build))
            }
            Step::TrainModel => Ok(self.training.describe(&failed.training_job()).await?.map(Job::Training)),
            _ => Ok(None),
        }
    }

    async fn stop(&self, failed: &FailedStep) -> Result<Vec<String>, CallFailed> {
        match failed.step {
            Step::BuildImage => self.builds.stop(&failed.submission_id.aws_safe(), OffsetDateTime::now_utc()).await,
            Step::TrainModel => {
                let name = failed.training_job();
                Ok(if self.training.stop(&name).await? { vec![name] } else { Vec::new() })
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Stops all running builds and jobs of a submission that started up to `before`. Tries both services.
    pub(crate) async fn stop_all(&self, submission: &AwsSafeId, before: OffsetDateTime) -> Result<(), CallsFailed> {
        let results = [self.training.stop_all(submission, before).await, self.builds.stop(submission, before).await];
        let (stopped, failed): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        let jobs: Vec<String> = stopped.into_iter().flatten().flatten().collect();
        if !jobs.is_empty() {
            tracing::warn!(?jobs, "stopped orphaned jobs of an ended execution");
        }
        let failed: Vec<CallFailed> = failed.into_iter().filter_map(Result::err).collect();
        if failed.is_empty() { Ok(()) } else { Err(CallsFailed(failed)) }
    }
}
