//! Builds and training jobs, as CodeBuild and SageMaker describe them. Pure.

use domain::outcome::Step;
use domain::{FailureCode, StepError};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// The log group of all training jobs.
const TRAINING_LOG_GROUP: &str = "/aws/sagemaker/TrainingJobs";

/// A build or training job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    Build(Build),
    Training(TrainingJob),
}

/// A build; see <https://docs.aws.amazon.com/codebuild/latest/APIReference/API_Build.html>.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Build {
    /// `PROJECT:UUID`.
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub arn: String,
    pub build_status: String,
    #[serde(default)]
    pub phases: Vec<Phase>,
    pub logs: Option<Logs>,
    pub timeout_in_minutes: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Phase {
    pub phase_type: String,
    /// Absent while the phase runs.
    pub phase_status: Option<String>,
    #[serde(default)]
    pub contexts: Vec<PhaseContext>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PhaseContext {
    pub message: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Logs {
    pub group_name: Option<String>,
    pub stream_name: Option<String>,
}

/// A training job; see <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html>.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TrainingJob {
    #[serde(default)]
    pub training_job_name: String,
    pub training_job_status: String,
    pub secondary_status: Option<String>,
    #[serde(default)]
    pub failure_reason: String,
    pub stopping_condition: Option<StoppingCondition>,
    /// Whether the job got its machines: from then on, the submission's program may have run.
    #[serde(default, rename = "TrainingStartTime", deserialize_with = "is_present")]
    pub has_started: bool,
}

fn is_present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<IgnoredAny>::deserialize(deserializer)?.is_some())
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StoppingCondition {
    pub max_runtime_in_seconds: Option<u32>,
}

/// A job's log in CloudWatch Logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogStream {
    Named {
        group: String,
        stream: String,
    },
    /// The first stream whose name starts with the prefix.
    StartingWith {
        group: String,
        prefix: String,
    },
}

impl LogStream {
    /// The log of the first machine of a training job.
    #[must_use]
    pub fn of_training_job(name: &str) -> Self {
        Self::StartingWith { group: TRAINING_LOG_GROUP.to_owned(), prefix: format!("{name}/algo-1-") }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BuildCause {
    build: Build,
}

impl Job {
    /// The job in the cause of a failed `.sync` task. `None` if the cause is a plain sentence.
    #[must_use]
    pub fn in_cause(step: Step, error: &StepError) -> Option<Self> {
        match step {
            Step::BuildImage => {
                serde_json::from_str::<BuildCause>(&error.cause).ok().map(|cause| Self::Build(cause.build))
            }
            Step::TrainModel => serde_json::from_str(&error.cause).ok().map(Self::Training),
            Step::FetchSubmission | Step::ResolveImage | Step::ReadChallenge | Step::ScoreSubmission => None,
        }
    }

    #[must_use]
    pub fn has_failed(&self) -> bool {
        match self {
            Self::Build(build) => !matches!(build.build_status.as_str(), "IN_PROGRESS" | "SUCCEEDED"),
            Self::Training(job) => matches!(job.training_job_status.as_str(), "Failed" | "Stopped"),
        }
    }

    #[must_use]
    pub fn is_running(&self) -> bool {
        match self {
            Self::Build(build) => build.build_status == "IN_PROGRESS",
            Self::Training(job) => matches!(job.training_job_status.as_str(), "InProgress" | "Stopping"),
        }
    }

    /// Whether fields are missing that the service would provide.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        match self {
            Self::Build(build) => build.phases.is_empty() || build.logs.is_none(),
            Self::Training(job) => job.failure_reason.is_empty() && job.secondary_status.is_none(),
        }
    }

    #[must_use]
    pub fn log(&self) -> Option<LogStream> {
        match self {
            Self::Build(build) => {
                let logs = build.logs.clone()?;
                Some(LogStream::Named { group: logs.group_name?, stream: logs.stream_name? })
            }
            Self::Training(job) if job.training_job_name.is_empty() => None,
            Self::Training(job) => Some(LogStream::of_training_job(&job.training_job_name)),
        }
    }
}

/// Whether a job may have started and may still run after this error.
pub(crate) fn may_still_run(step: Step, error: &StepError) -> bool {
    let not_started = ["CodeBuild.AccountLimitExceededException", "SageMaker.ResourceLimitExceededException"];
    matches!(step, Step::BuildImage | Step::TrainModel)
        && !not_started.contains(&error.error.as_str())
        && FailureCode::from_name(&error.error).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_has_a_named_log_and_a_training_job_a_log_that_starts_with_its_name() {
        let error = |cause: &str| StepError { error: "States.TaskFailed".to_owned(), cause: cause.to_owned() };
        let build = error(include_str!("../tests/fixtures/build-cause-failed.json"));
        assert_eq!(
            Job::in_cause(Step::BuildImage, &build).unwrap().log(),
            Some(LogStream::Named { group: "/aws/codebuild/mm-build".to_owned(), stream: "0aa1b2c3".to_owned() })
        );
        let training = error(include_str!("../tests/fixtures/training-cause-failed.json"));
        let prefix = "d01c8c8b-2a7f-463f-992b-7bc5423e1dd0-1-2/algo-1-".to_owned();
        assert_eq!(
            Job::in_cause(Step::TrainModel, &training).unwrap().log(),
            Some(LogStream::StartingWith { group: TRAINING_LOG_GROUP.to_owned(), prefix })
        );
    }

    #[test]
    fn a_sentence_describes_no_job() {
        let error = StepError { error: "States.TaskFailed".to_owned(), cause: "The build failed.".to_owned() };
        for step in [Step::BuildImage, Step::TrainModel, Step::ScoreSubmission] {
            assert_eq!(Job::in_cause(step, &error), None);
        }
    }
}
