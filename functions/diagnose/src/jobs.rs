//! The builds and training jobs behind the steps: what became of them, and stopping those that nobody waits for.

use std::time::Duration;

use aws_config::SdkConfig;
use shared::outcome::Step;
use shared::{AwsSafeId, Failure, FailureCode};
use time::OffsetDateTime;
use tokio::time::timeout;

use crate::builds::Builds;
use crate::training_jobs::TrainingJobs;
use crate::{Described, FailedStep, Settings};

/// How long asking and stopping may take in all: a diagnosis can do without.
const PATIENCE: Duration = Duration::from_secs(20);

/// The services behind the steps, as far as it is they that build and train.
#[derive(Debug, Clone)]
pub(crate) struct Jobs {
    builds: Option<Builds>,
    training: Option<TrainingJobs>,
}

impl Jobs {
    pub(crate) fn new(settings: &Settings, aws: &SdkConfig) -> Self {
        let project = settings.build_project.clone();
        Self {
            builds: project.map(|project| Builds::new(aws_sdk_codebuild::Client::new(aws), project)),
            training: settings.trains_with_sagemaker.then(|| TrainingJobs::new(aws_sdk_sagemaker::Client::new(aws))),
        }
    }

    /// What there is to know of the build or job behind a failed step. One that runs on, or of which nothing is known, is
    /// stopped. Where a service does not answer, only what the error says is known.
    pub(crate) async fn examine(&self, failed: &FailedStep) -> Option<Described> {
        let in_cause = failed.error.described(failed.step);
        let is_known = in_cause.as_ref().is_some_and(|described| !described.is_incomplete() && !described.is_running());
        if is_known || !failed.error.may_run_on(failed.step) {
            return in_cause;
        }
        let examined = timeout(
            PATIENCE,
            Box::pin(async {
                let asked = self.ask(failed, in_cause.as_ref()).await.unwrap_or_else(|error| {
                    tracing::warn!(error, "what became of the step's job cannot be read");
                    None
                });
                if asked.as_ref().is_none_or(Described::is_running) {
                    match self.stop(failed).await {
                        Ok(stopped) if stopped.is_empty() => {}
                        Ok(stopped) => tracing::warn!(?stopped, "stopped what nobody waits for any more"),
                        Err(error) => tracing::error!(error, "what nobody waits for any more cannot be stopped"),
                    }
                }
                asked
            }),
        );
        let asked = examined.await.unwrap_or_else(|_| {
            tracing::warn!("the services did not answer in time");
            None
        });
        asked.or(in_cause)
    }

    async fn ask(&self, failed: &FailedStep, in_cause: Option<&Described>) -> Result<Option<Described>, String> {
        match (failed.step, &self.builds, &self.training) {
            (Step::BuildImage, Some(builds), _) => {
                let build = match in_cause {
                    Some(Described::Build(build)) if !build.id.is_empty() => builds.describe(&build.id).await?,
                    _ => builds.newest(&failed.submission_id.aws_safe()).await?,
                };
                Ok(build.map(Described::Build))
            }
            (Step::TrainModel, _, Some(jobs)) => {
                Ok(jobs.describe(&failed.training_job()).await?.map(Described::TrainingJob))
            }
            _ => Ok(None),
        }
    }

    async fn stop(&self, failed: &FailedStep) -> Result<Vec<String>, String> {
        match (failed.step, &self.builds, &self.training) {
            (Step::BuildImage, Some(builds), _) => {
                builds.stop(&failed.submission_id.aws_safe(), OffsetDateTime::now_utc()).await
            }
            (Step::TrainModel, _, Some(jobs)) => {
                let name = failed.training_job();
                Ok(if jobs.stop(&name).await? { vec![name] } else { Vec::new() })
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Stops every build and job of a submission that runs and was started before `before`.
    pub(crate) async fn stop_all(&self, submission: &AwsSafeId, before: OffsetDateTime) -> Result<(), Failure> {
        let mut stopped = Vec::new();
        let mut problems = Vec::new();
        let mut note = |result: Result<Vec<String>, String>| match result {
            Ok(ids) => stopped.extend(ids),
            Err(error) => problems.push(error),
        };
        if let Some(jobs) = &self.training {
            note(jobs.stop_all(submission, before).await);
        }
        if let Some(builds) = &self.builds {
            note(builds.stop(submission, before).await);
        }
        if !stopped.is_empty() {
            tracing::warn!(?stopped, "stopped what an ended execution had left running");
        }
        if problems.is_empty() {
            return Ok(());
        }
        let message = "What an ended execution has left running could not be stopped; the event is delivered again.";
        Err(Failure::new(FailureCode::Internal, message).caused_by(problems.join("; ")))
    }
}
