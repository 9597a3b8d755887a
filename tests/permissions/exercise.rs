//! Lets every function make every call that it has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_sfn::types::ExecutionStatus;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::SubmissionId;
use domain::outcome::Status;
use local::broker::TOPIC;
use local::challenge::{CHALLENGE, predictions, register};
use local::clients::Tasks;
use local::stack::{Options, Stack, message};
use local::watch::{Ended, execution_arn, follow};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::sleep;

use crate::functions;
use crate::record::{Call, Fields, Recorder};

const BASE: &str = "FROM public.ecr.aws/docker/library/busybox:1.37\n";

/// A stack whose functions' calls are recorded.
pub(crate) struct Fixture {
    pub(crate) stack: Stack,
    pub(crate) root: PathBuf,
    /// The ARN of the secret with the Submission API's credentials.
    pub(crate) auth0_secret: String,
    recorder: Recorder,
}

impl Fixture {
    pub(crate) async fn start() -> Result<Self> {
        let recorder = Recorder::default();
        let (aws, jobs) = (recorder.proxy().await?, recorder.proxy().await?);
        let root = std::fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?;
        let options = Options {
            wait_scale: 0.01,
            environment: vec![
                ("AWS_ENDPOINT_URL", aws.url.clone()),
                ("AWS_ENDPOINT_URL_CODEBUILD", jobs.url.clone()),
                ("AWS_ENDPOINT_URL_SAGEMAKER", jobs.url.clone()),
            ],
            ..Options::new(root.clone())
        };
        let stack = Stack::start(&options, |_| {}).await?;
        aws.forward_to(&stack.clients.access.endpoint);
        jobs.forward_to(&stack.job_api.url);
        // The template only allows times longer than a test may take.
        functions::set_variable(&stack, "report", "REPORT_DEADLINE_MINUTES", "0").await?;
        functions::set_variable(&stack, "report", "IMAGE_RETENTION_DAYS", "0").await?;
        // Every summary makes a segment.
        functions::set_variable(&stack, "score", "SUMMARIES_PER_SEGMENT", "1").await?;
        let secret = stack.clients.secrets.describe_secret().secret_id("marathon-match/auth0").send().await?;
        let auth0_secret = secret.arn().context("the secret has no ARN")?.to_owned();
        Ok(Self { stack, root, auth0_secret, recorder })
    }

    /// Processes a submission to its end.
    async fn process(&self, id: &SubmissionId, submission: &Path) -> Result<Ended> {
        self.stack.submit(id, submission).await?;
        self.end_of(id).await
    }

    async fn end_of(&self, id: &SubmissionId) -> Result<Ended> {
        let execution = execution_arn(&self.stack.deployed.state_machine, id.aws_safe().as_str());
        follow(&self.stack.clients.sfn, &execution, Duration::from_mins(1), |_| {}).await
    }
}

/// Makes every function do everything, and returns the calls that this took.
pub(crate) async fn all(fixture: &Fixture) -> Result<Vec<Call>> {
    let repository = async {
        let id = completed(fixture).await?;
        // The repository exists now.
        functions::invoke(&fixture.stack, "fetch", &json!({"submissionId": id})).await
    };
    let sample = |name: &str| fixture.root.join("samples/submissions").join(name);
    let (broken, failing, silent) = (sample("broken-build"), sample("failing-training"), submission("exit 0")?);
    tokio::try_join!(
        repository,
        ended(fixture, &broken),
        ended(fixture, &failing),
        ended(fixture, silent.path()),
        stopped_training(fixture),
        stopped_build(fixture),
        quarantined(fixture),
        scored_over_http(fixture),
        unknown(fixture),
        without_outcome(fixture),
    )?;
    let repositories = tags_of_repositories(fixture).await?;
    // Every execution has ended and is due, and every image is old.
    functions::invoke(&fixture.stack, "report", &json!({"action": "sweep"})).await?;
    Ok(with_tags(fixture, &repositories))
}

fn new_id() -> Result<SubmissionId> {
    Ok(uuid::Uuid::new_v4().to_string().parse()?)
}

/// A submission whose training runs this script.
fn submission(train: &str) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let run = format!("RUN printf '#!/bin/sh\\n{train}\\n' >/bin/train && chmod +x /bin/train\n");
    std::fs::write(folder.path().join("Dockerfile"), format!("{BASE}{run}"))?;
    Ok(folder)
}

/// Processes a submission that does not come to predictions.
async fn ended(fixture: &Fixture, submission: &Path) -> Result<()> {
    let id = new_id()?;
    fixture.process(&id, submission).await?;
    let outcome = fixture.stack.stored_outcome(&id).await?;
    ensure!(outcome.status == Status::Rejected, "{outcome:?}");
    Ok(())
}

async fn completed(fixture: &Fixture) -> Result<SubmissionId> {
    let id = new_id()?;
    let ended = fixture.process(&id, &fixture.root.join("samples/submissions/regression")).await?;
    ensure!(ended.status == ExecutionStatus::Succeeded, "{} {:?}", ended.status, ended.error);
    let outcome = fixture.stack.stored_outcome(&id).await?;
    ensure!(outcome.scores.is_some(), "it was not scored: {outcome:?}");
    Ok(id)
}

/// Step Functions lost the job, which still runs.
async fn stopped_training(fixture: &Fixture) -> Result<()> {
    let id = new_id()?;
    fixture.stack.submit(&id, submission("sleep 600")?.path()).await?;
    started(&fixture.stack.trained, &id).await?;
    let now = OffsetDateTime::now_utc().format(&Rfc3339)?;
    let request = json!({
        "action": "diagnose", "submissionId": id, "step": "TrainModel", "error": {"Error": "States.Timeout", "Cause": ""},
        "attempt": 1, "redrives": 0, "capacityRetries": 0, "spot": false, "failingSince": null, "redrivenAt": null,
        "startedAt": now, "failedAt": now,
    });
    functions::invoke(&fixture.stack, "diagnose", &request).await?;
    stopped(fixture, &id).await
}

/// The execution ended, and its build still runs.
async fn stopped_build(fixture: &Fixture) -> Result<()> {
    let id = new_id()?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("Dockerfile"), format!("{BASE}RUN sleep 600\n"))?;
    fixture.stack.submit(&id, folder.path()).await?;
    started(&fixture.stack.built, &id).await?;
    functions::invoke(&fixture.stack, "diagnose", &aborted(fixture, &id)).await?;
    stopped(fixture, &id).await
}

/// The event that an execution was aborted.
fn aborted(fixture: &Fixture, id: &SubmissionId) -> Value {
    let now = OffsetDateTime::now_utc().unix_timestamp() * 1000;
    json!({
        "source": "aws.states", "detail-type": "Step Functions Execution Status Change",
        "detail": {
            "executionArn": execution_arn(&fixture.stack.deployed.state_machine, id.aws_safe().as_str()),
            "status": "ABORTED", "input": json!({"submissionId": id}).to_string(), "startDate": now, "stopDate": now,
        },
    })
}

/// The execution ended before it stored an outcome.
async fn without_outcome(fixture: &Fixture) -> Result<()> {
    functions::invoke(&fixture.stack, "report", &aborted(fixture, &new_id()?)).await
}

async fn started(tasks: &Tasks, id: &SubmissionId) -> Result<()> {
    let task = format!("{}-0-1", id.aws_safe());
    for _ in 0..600 {
        if tasks.lock().contains_key(&task) {
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    bail!("{task} did not start")
}

/// Checks that the job was stopped and the execution failed because of that.
async fn stopped(fixture: &Fixture, id: &SubmissionId) -> Result<()> {
    let ended = fixture.end_of(id).await?;
    ensure!(ended.error.as_deref() == Some("Aborted"), "the job was not stopped: {} {:?}", ended.status, ended.error);
    Ok(())
}

async fn unknown(fixture: &Fixture) -> Result<()> {
    let id = new_id()?;
    fixture.stack.broker.publish(None, Some(message(&id).as_bytes())).await?;
    fixture.end_of(&id).await?;
    Ok(())
}

async fn quarantined(fixture: &Fixture) -> Result<()> {
    let record = json!({"topic": TOPIC, "partition": 0, "offset": 1, "value": BASE64_STANDARD.encode("not json")});
    functions::invoke(
        &fixture.stack,
        "intake",
        &json!({"eventSource": "aws:kafka", "records": {format!("{TOPIC}-0"): [record]}}),
    )
    .await
}

async fn scored_over_http(fixture: &Fixture) -> Result<()> {
    let (stack, key) = (&fixture.stack, &fixture.stack.deployed.api_key);
    let client = reqwest::Client::new();
    let copies = [new_id()?, new_id()?];
    for (id, second) in copies.iter().zip(["01", "02"]) {
        let created = format!("2026-01-01T00:00:{second}Z");
        let values = predictions(|at| f64::from(at % 600) / 600.0);
        register(&stack.clients, &stack.deployed, id, &format!("user-of-{id}"), &created, values).await?;
    }
    // The later copy is scored first, and again when the earlier one is.
    for id in copies.iter().rev() {
        let request = json!({"submission_id": id, "api_key": key}).to_string();
        // The second request finds the execution of the first.
        for _ in 0..2 {
            let answer = client.post(&stack.deployed.submit_url).body(request.clone()).send().await?;
            ensure!(answer.status().is_success(), "{}: {}", answer.status(), answer.text().await?);
        }
        let execution = execution_arn(&stack.deployed.scoring_state_machine, id.aws_safe().as_str());
        follow(&stack.clients.sfn, &execution, Duration::from_mins(1), |_| {}).await?;
        let paths = [format!("submissions/{id}"), format!("challenges/{CHALLENGE}/leaderboard")];
        for path in paths {
            let url = format!("{}/{path}", stack.deployed.submit_url);
            let answer = client.get(url).header("x-api-key", key).send().await?;
            ensure!(answer.status().is_success(), "{path}: {} {}", answer.status(), answer.text().await?);
        }
    }
    Ok(())
}

/// The tags of each repository, by its name.
async fn tags_of_repositories(fixture: &Fixture) -> Result<BTreeMap<String, Fields>> {
    let ecr = aws_sdk_ecr::Client::new(&fixture.stack.clients.access.config().await);
    let mut repositories = BTreeMap::new();
    for repository in ecr.describe_repositories().send().await?.repositories() {
        let arn = repository.repository_arn().context("a repository has no ARN")?;
        let tags = ecr.list_tags_for_resource().resource_arn(arn).send().await?;
        let tags = tags.tags().iter().map(|tag| (format!("resourceTag:{}", tag.key()), tag.value().to_owned()));
        repositories.insert(repository.repository_name().unwrap_or_default().to_owned(), tags.collect());
    }
    Ok(repositories)
}

/// The recorded calls, with the tags of the repositories and jobs that they touch.
fn with_tags(fixture: &Fixture, repositories: &BTreeMap<String, Fields>) -> Vec<Call> {
    let mut calls = fixture.recorder.calls();
    for call in &mut calls {
        let of_arn =
            call.fields.get("resourceArn").and_then(|arn| arn.split_once(":repository/")).map(|(_, name)| name);
        let named = ["repositoryName", "repositoryNames"].iter().find_map(|field| call.fields.get(*field));
        if let Some(name) = named.cloned().or(of_arn.map(str::to_owned)) {
            call.fields.extend(repositories.get(&name).cloned().unwrap_or_default());
            call.fields.insert("repositoryName".to_owned(), name);
        }
        if let Some(name) = call.fields.get("trainingJobName") {
            let job = fixture.stack.trained.lock().get(name).cloned().unwrap_or(Value::Null);
            for (name, value) in crate::record::fields_of(&job) {
                if let Some(tag) = name.strip_prefix("tag:") {
                    call.fields.insert(format!("resourceTag:{tag}"), value);
                }
            }
        }
    }
    calls
}
