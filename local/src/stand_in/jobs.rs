//! Stands in for what CodeBuild and SageMaker answer about builds and training jobs:
//! <https://docs.aws.amazon.com/codebuild/latest/APIReference/API_Operations.html>,
//! <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Service.html>.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::emulator::REGION;

/// Which service runs a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Build,
    Training,
}

impl Kind {
    /// The field with the status, its value while the job runs, and its value once it was stopped.
    fn status(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Build => ("BuildStatus", "IN_PROGRESS", "STOPPED"),
            Self::Training => ("TrainingJobStatus", "InProgress", "Stopped"),
        }
    }
}

#[derive(Debug)]
struct Job {
    kind: Kind,
    /// The id of a build or the name of a training job.
    name: String,
    /// In the form of the synchronous integrations, whose fields start with capital letters.
    description: Value,
    stop: Arc<Notify>,
}

impl Job {
    fn is_running(&self) -> bool {
        let (field, running, _) = self.kind.status();
        self.description[field] == running
    }
}

/// Every job so far, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Jobs(Arc<Mutex<Vec<Job>>>);

impl Jobs {
    /// A build that starts now with these arguments of StartBuild.
    pub(crate) fn start_build(&self, uuid: &str, arguments: &Value) -> RunningJob {
        let project = arguments["ProjectName"].as_str().unwrap_or_default();
        let name = format!("{project}:{uuid}");
        let description = json!({
            "Id": name, "Arn": build_arn(&name), "ProjectName": project,
            "BuildStatus": "IN_PROGRESS", "BuildComplete": false, "StartTime": now(),
            "Environment": {
                "Type": "LINUX_CONTAINER", "Image": "local", "ComputeType": "BUILD_GENERAL1_SMALL",
                "EnvironmentVariables": arguments["EnvironmentVariablesOverride"],
            },
            "TimeoutInMinutes": arguments["TimeoutInMinutesOverride"],
        });
        self.start(Kind::Build, name, description)
    }

    /// A training job that starts now under this name.
    pub(crate) fn start_training(&self, name: &str) -> RunningJob {
        let description = json!({
            "TrainingJobName": name, "TrainingJobArn": training_job_arn(name), "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Training", "CreationTime": now(),
        });
        self.start(Kind::Training, name.to_owned(), description)
    }

    fn start(&self, kind: Kind, name: String, description: Value) -> RunningJob {
        let stop = Arc::new(Notify::new());
        self.0.lock().push(Job { kind, name: name.clone(), description, stop: Arc::clone(&stop) });
        RunningJob { jobs: self.clone(), name, stop }
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.0.lock().iter_mut().find(|job| job.name == name) {
            change(job);
        }
    }

    /// The answer to a call, or the error and its message.
    fn answer(&self, operation: &str, request: &Value) -> Result<Value, (&'static str, &'static str)> {
        let text = |field: &str| request[field].as_str().unwrap_or_default();
        let jobs = self.0.lock();
        let of_kind = |kind| jobs.iter().rev().filter(move |job| job.kind == kind);
        let job = |kind, name: &str| of_kind(kind).find(|job| job.name == name);
        match operation {
            "CodeBuild_20161006.ListBuildsForProject" => {
                let ids = of_kind(Kind::Build).filter(|job| job.description["ProjectName"] == text("projectName"));
                Ok(json!({"ids": ids.map(|job| &job.name).collect::<Vec<_>>()}))
            }
            "CodeBuild_20161006.BatchGetBuilds" => {
                let ids = request["ids"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let found = ids.filter_map(|id| job(Kind::Build, id));
                Ok(json!({"builds": found.map(|job| in_camel_case(&job.description)).collect::<Vec<_>>()}))
            }
            "CodeBuild_20161006.StopBuild" => {
                let job =
                    job(Kind::Build, text("id")).ok_or(("ResourceNotFoundException", "Build could not be found"))?;
                job.stop.notify_one();
                Ok(json!({"build": in_camel_case(&job.description)}))
            }
            "SageMaker.DescribeTrainingJob" => match job(Kind::Training, text("TrainingJobName")) {
                Some(job) => Ok(job.description.clone()),
                None => Err(("ValidationException", "Requested resource not found.")),
            },
            "SageMaker.ListTrainingJobs" => {
                let before = request["CreationTimeBefore"].as_f64().unwrap_or(f64::MAX);
                let found = of_kind(Kind::Training).filter(|job| {
                    job.name.contains(text("NameContains"))
                        && (request["StatusEquals"].is_null()
                            || job.description["TrainingJobStatus"] == request["StatusEquals"])
                        && job.description["CreationTime"].as_f64().is_some_and(|created| created < before)
                });
                Ok(json!({"TrainingJobSummaries": found.map(|job| &job.description).collect::<Vec<_>>()}))
            }
            "SageMaker.StopTrainingJob" => {
                let job = job(Kind::Training, text("TrainingJobName")).filter(|job| job.is_running());
                let job = job.ok_or(("ValidationException", "The request was rejected: the job is not running."))?;
                job.stop.notify_one();
                Ok(json!({}))
            }
            _ => Err(("UnknownOperationException", "the local stack does not answer this")),
        }
    }
}

/// A job on its way. When it is dropped without an end, its execution ended first and it counts as stopped.
#[derive(Debug)]
pub(crate) struct RunningJob {
    jobs: Jobs,
    name: String,
    stop: Arc<Notify>,
}

impl RunningJob {
    /// Waits until the job is to be stopped.
    pub(crate) async fn stopped(&self) {
        self.stop.notified().await;
    }

    /// Adds how the job ended to its description.
    pub(crate) fn end(self, description: &Value) {
        self.jobs.change(&self.name, |job| {
            for (field, value) in description.as_object().into_iter().flatten() {
                job.description[field] = value.clone();
            }
        });
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        self.jobs.change(&self.name, |job| {
            let (field, _, stopped) = job.kind.status();
            if job.is_running() {
                job.description[field] = json!(stopped);
            }
        });
    }
}

/// The running stand-in.
#[derive(Debug)]
pub struct JobApi {
    /// The endpoint of both services.
    pub url: String,
    pub jobs: Jobs,
    server: tokio::task::JoinHandle<()>,
}

impl JobApi {
    /// Answers requests with the run's secret on a free loopback port.
    pub async fn start(token: &str) -> Result<Self> {
        let jobs = Jobs::default();
        let state = Served { jobs: jobs.clone(), token: token.into() };
        let router = Router::new().route("/", post(call)).with_state(state);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the stand-in for CodeBuild and SageMaker stopped: {error}");
            }
        });
        Ok(Self { url, jobs, server })
    }
}

impl Drop for JobApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Debug, Clone)]
struct Served {
    jobs: Jobs,
    token: Arc<str>,
}

async fn call(State(Served { jobs, token }): State<Served>, headers: HeaderMap, body: String) -> Response {
    if headers.get("x-amz-security-token").is_none_or(|sent| sent.as_bytes() != token.as_bytes()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let operation = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let request = serde_json::from_str(&body).unwrap_or_default();
    match jobs.answer(operation, &request) {
        Ok(answer) => Json(answer).into_response(),
        Err((error, message)) => {
            (StatusCode::BAD_REQUEST, Json(json!({"__type": error, "message": message}))).into_response()
        }
    }
}

/// The ARN of the build with this id.
pub(crate) fn build_arn(id: &str) -> String {
    format!("arn:aws:codebuild:{REGION}:000000000000:build/{id}")
}

/// The ARN of a training job.
pub(crate) fn training_job_arn(name: &str) -> String {
    format!("arn:aws:sagemaker:{REGION}:000000000000:training-job/{name}")
}

/// A description with the field names of CodeBuild's own API.
fn in_camel_case(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let lower = |name: &String| name[..1].to_lowercase() + &name[1..];
            let fields = fields.iter().filter(|(name, _)| !name.is_empty());
            Value::Object(fields.map(|(name, value)| (lower(name), in_camel_case(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(in_camel_case).collect(),
        other => other.clone(),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
