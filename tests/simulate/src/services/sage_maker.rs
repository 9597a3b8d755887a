//! SageMaker: training jobs, as many at once as the quota of instances allows.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use domain::{FailureCode, SubmissionId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Calls, throttled};
use crate::json::Json;
use crate::plan::{Plan, rates};
use crate::quota::Places;
use crate::random::Random;
use crate::step_functions::{Failure, Token};
use crate::submissions::{Index, Submissions};

/// A job with its provisioning, in seconds: median, and spread of the logarithm. Assumptions.
const TRAINING: (f64, f64) = (480.0, 0.5);
/// How long SageMaker looks for a machine. An assumption.
const NO_CAPACITY_AFTER: Duration = Duration::from_mins(10);

#[derive(Debug)]
pub(crate) struct Job {
    token: Token,
    pub submission: Index,
    pub image: String,
    pub ends: Duration,
    instances: u32,
    result: Result<Json, Failure>,
}

#[derive(Debug)]
pub(crate) struct SageMaker {
    pub instances: Places,
    quota: u32,
    jobs: HashMap<String, Job>,
    names: HashSet<String>,
    random: Random,
    faults: f64,
    pub calls: Calls,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateTrainingJob {
    training_job_name: String,
    algorithm_specification: Algorithm,
    resource_config: Resources,
    output_data_config: Output,
    stopping_condition: Value,
    environment: HashMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Algorithm {
    training_image: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resources {
    instance_type: String,
    instance_count: u32,
}

#[derive(Deserialize)]
struct Output {
    #[serde(rename = "S3OutputPath")]
    path: String,
}

/// How a job ends: status, secondary status, reason.
struct End(&'static str, &'static str, &'static str);

impl SageMaker {
    #[must_use]
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            instances: Places::new(plan.quotas.training_instances),
            quota: plan.quotas.training_instances,
            jobs: HashMap::new(),
            names: HashSet::new(),
            random: Random::new(plan.seed, "training"),
            faults: plan.faults,
            calls: Calls::default(),
        }
    }

    /// The API call CreateTrainingJob: <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html>.
    /// Returns the name of the job.
    pub(crate) fn start(
        &mut self,
        token: Token,
        arguments: &Json,
        submissions: &Submissions,
    ) -> Result<(String, &Job), Failure> {
        let request: CreateTrainingJob = arguments.to().map_err(|error| {
            Failure::new("SageMaker.AmazonSageMakerException", format!("1 validation error: {error}"))
        })?;
        self.calls.made += 1;
        if self.random.chance(rates::CALL_THROTTLED * self.faults) {
            self.calls.throttled += 1;
            return Err(throttled("SageMaker.AmazonSageMakerException", "AmazonSageMaker"));
        }
        let name = request.training_job_name.clone();
        if self.names.contains(&name) {
            return Err(Failure::new("SageMaker.ResourceInUseException", "Training job names must be unique."));
        }
        let Resources { instance_type, instance_count } = &request.resource_config;
        if !self.instances.take(*instance_count) {
            self.calls.over_quota += 1;
            let cause = format!(
                "The account-level service limit '{instance_type} for training job usage' is {} Instances. (Service: AmazonSageMaker; Status Code: 400; Error Code: ResourceLimitExceeded; Request ID: 7f; Proxy: null)",
                self.quota
            );
            return Err(Failure::new("SageMaker.ResourceLimitExceededException", cause));
        }
        self.names.insert(name.clone());
        let id: SubmissionId = request.environment["SUBMISSION_ID"].parse().expect("invariant: this is an id");
        let submission = submissions.find(&id);
        let limit = request.stopping_condition["MaxRuntimeInSeconds"].as_u64().unwrap_or_default();
        let (ends, end) = self.draw_end(submissions.get(submission).fault, Duration::from_secs(limit));
        let job = Job {
            token,
            submission,
            image: request.algorithm_specification.training_image.clone(),
            ends,
            instances: *instance_count,
            result: self.result(&request, &end),
        };
        Ok((name.clone(), self.jobs.entry(name).insert_entry(job).into_mut()))
    }

    fn draw_end(&mut self, fault: Option<FailureCode>, limit: Duration) -> (Duration, End) {
        let (median, spread) = TRAINING;
        let takes = self.random.seconds(median, spread).min(limit.mul_f64(0.9));
        let program = |reason| End("Failed", "Failed", reason);
        if self.random.chance(rates::NO_CAPACITY * self.faults) {
            let reason = "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type.";
            return (NO_CAPACITY_AFTER, program(reason));
        }
        if self.random.chance(rates::TRAINING_FAULT * self.faults) {
            let reason = "InternalServerError: We encountered an internal error. Please try again.";
            return (takes.mul_f64(0.5), program(reason));
        }
        match fault {
            Some(FailureCode::TrainingTimedOut) => (limit, End("Stopped", "MaxRuntimeExceeded", "")),
            Some(FailureCode::TrainingFailed) => (takes, program("AlgorithmError: , exit code: 1")),
            Some(FailureCode::TrainingOutOfMemory) => (takes, program("AlgorithmError: , exit code: 137")),
            Some(FailureCode::ImageUnusable) => (takes.mul_f64(0.3), program("AlgorithmError: , exit code: 127")),
            _ => (takes, End("Completed", "Completed", "")),
        }
    }

    /// What the task gets. No AWS page says whether it fails for a job that was stopped, so that half of them do.
    fn result(&mut self, request: &CreateTrainingJob, End(status, secondary, reason): &End) -> Result<Json, Failure> {
        let name = &request.training_job_name;
        let job = json!({
            "TrainingJobName": name, "TrainingJobStatus": status, "SecondaryStatus": secondary,
            "FailureReason": reason, "StoppingCondition": request.stopping_condition,
            "ModelArtifacts": {"S3ModelArtifacts": format!("{}/{name}/output/model.tar.gz", request.output_data_config.path)},
        });
        let succeeds = match *status {
            "Completed" => true,
            "Stopped" => self.random.chance(0.5),
            _ => false,
        };
        if succeeds { Ok(Json::of(&job)) } else { Err(Failure::of_job(job.to_string())) }
    }

    /// A job has ended.
    pub(crate) fn end(&mut self, name: &str) -> (Token, Result<Json, Failure>) {
        let job = self.jobs.remove(name).expect("invariant: a job ends once");
        self.instances.give_back(job.instances);
        (job.token, job.result)
    }
}
