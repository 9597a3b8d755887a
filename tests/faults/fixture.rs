//! A stack in which faults can be injected.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::types::ExecutionStatus;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::{FailureCode, SubmissionId};
use local::broker::TOPIC;
use local::challenge::CHALLENGE;
use local::deploy::put_settings;
use local::stack::{Options, Stack, message};
use local::watch::execution_arn;
use local::{pack, poller};
use serde_json::{Value, json};
use tokio::time::sleep;
use zip::write::SimpleFileOptions;

use crate::call::Call;
use crate::case::{Sample, of_state_machine};
use crate::fault::{Faults, Times};
use crate::functions;
use crate::injection::proxy;
use crate::secrets::{self, SECRETS};
use crate::worker::{Faulty, Running};

/// More than every archive but one has.
const MAX_ARCHIVE_BYTES: usize = 1 << 20;
/// How long a failed step is retried.
const HORIZON_SECONDS: u32 = 60;

pub(crate) struct Fixture {
    pub(crate) stack: Stack,
    pub(crate) faults: Arc<Faults>,
    pub(crate) running: Running,
    root: PathBuf,
    _emulated: tempfile::NamedTempFile,
}

impl Fixture {
    pub(crate) async fn start() -> Result<Self> {
        let faults = Arc::new(Faults::default());
        let (aws, api) = (proxy(&faults).await?, proxy(&faults).await?);
        let emulated = tempfile::NamedTempFile::new()?;
        std::fs::write(emulated.path(), emulated_faults().to_string())?;
        let root = std::fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?;
        let options = Options {
            wait_scale: 0.01,
            parameters: vec![
                format!("SubmissionApiUrl={}/v5", api.url),
                format!("Auth0Url={}/oauth/token", api.url),
                format!("RetryHorizonSeconds={HORIZON_SECONDS}"),
                format!("WaitHorizonSeconds={HORIZON_SECONDS}"),
                format!("MaxArchiveBytes={MAX_ARCHIVE_BYTES}"),
            ],
            environment: vec![
                ("AWS_ENDPOINT_URL", aws.url.clone()),
                ("SFN_MOCK_CONFIG", emulated.path().display().to_string()),
            ],
            ..Options::new(root.clone())
        };
        let mut stack = Stack::deploy(&options, |_| {}).await?;
        aws.forward_to(&stack.clients.access.endpoint);
        api.forward_to(&stack.api.url);
        let running = Running::default();
        let build = Faulty {
            worker: stack.code_build(&options),
            call: Call::StartBuild,
            faults: Arc::clone(&faults),
            running: Arc::clone(&running),
        };
        let train = Faulty {
            worker: stack.sage_maker(&options),
            call: Call::CreateTrainingJob,
            faults: Arc::clone(&faults),
            running: Arc::clone(&running),
        };
        stack.spawn_worker(stack.deployed.build_activity.clone(), build);
        stack.spawn_worker(stack.deployed.train_activity.clone(), train);
        // The template only allows deadlines longer than a test may take.
        functions::set_variable(&stack, "report", "REPORT_DEADLINE_MINUTES", "0").await?;
        Ok(Self { stack, faults, running, root, _emulated: emulated })
    }

    /// Restarts the functions, so that they have neither a token nor the secret.
    pub(crate) async fn cold_start(&self) -> Result<()> {
        for function in ["fetch", "report"] {
            functions::set_variable(&self.stack, function, "COLD_START", &uuid::Uuid::new_v4().to_string()).await?;
        }
        Ok(())
    }

    /// Serves the archive of a submission, if the sample has one.
    pub(crate) async fn serve(&self, id: &SubmissionId, sample: Sample) -> Result<()> {
        let train = match sample {
            Sample::Good => "echo a model >/opt/ml/model/model",
            Sample::Failing => "echo reading the data; echo no column feature7 >/opt/ml/output/failure; exit 1",
            Sample::Endless => "sleep 600",
            Sample::Unreadable | Sample::Unknown => return Ok(()),
            Sample::Secrets(code) => return self.serve_secrets(id, code).await,
        };
        // Of a challenge without settings, so that it is not scored.
        self.describe(id, 1)?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("train"), format!("#!/bin/sh\n{train}\n"))?;
        let dockerfile =
            "FROM public.ecr.aws/docker/library/busybox:1.37\nCOPY train /bin/train\nRUN chmod +x /bin/train\n";
        std::fs::write(folder.path().join("Dockerfile"), dockerfile)?;
        self.stack.api.add(id, &pack::archive_of(folder.path(), &self.stack.work)?)
    }

    fn describe(&self, id: &SubmissionId, challenge: u32) -> Result<()> {
        let metadata =
            json!({"id": id, "challengeId": challenge, "memberId": 1, "created": "2026-01-01T00:00:00.000Z"});
        Ok(std::fs::write(self.stack.api.folder.join(format!("{id}.json")), metadata.to_string())?)
    }

    /// Serves an archive with secrets that ends with this code, of a challenge whose settings have one.
    async fn serve_secrets(&self, id: &SubmissionId, code: FailureCode) -> Result<()> {
        let archive = self.stack.work.join(format!("{id}.zip"));
        let (challenge, settings) = match code {
            FailureCode::ScoringFault => (2, Some(secrets::INVALID_SETTINGS)),
            FailureCode::PredictionsMissing | FailureCode::PredictionsInvalid => (CHALLENGE.parse()?, None),
            _ => (3, Some(secrets::SETTINGS)),
        };
        if let Some(settings) = settings {
            let (clients, tools) = (&self.stack.clients, self.root.join(".local"));
            put_settings(clients, &self.root, &tools, &challenge.to_string(), settings).await?;
        }
        self.describe(id, challenge)?;
        let run =
            if code == FailureCode::BuildFailed { format!("RUN echo '{SECRETS}'; exit 1\n") } else { String::new() };
        let predictions = format!("id,probability\n{SECRETS},2\n");
        let train = match code {
            FailureCode::PredictionsMissing => format!("echo '{SECRETS}'"),
            FailureCode::PredictionsInvalid => format!("printf '{predictions}' >/opt/ml/output/data/predictions.csv"),
            FailureCode::ImageUnusable => "exit 127".to_owned(),
            _ => format!("echo '{SECRETS}'; echo '{SECRETS}' >/opt/ml/output/failure; exit 1"),
        };
        let name = match code {
            FailureCode::DockerfileMissing => "password=c4n4ryHq7",
            _ => "Dockerfile",
        };
        let dockerfile =
            format!("FROM public.ecr.aws/docker/library/busybox:1.37\nCOPY --chmod=755 train /bin/train\n{run}");
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&archive)?);
        let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        let mut files = vec![(name, dockerfile), ("train", format!("#!/bin/sh\n{train}\n"))];
        match code {
            FailureCode::ArchiveUnsafe => files.push(("../password=c4n4ryHq7", SECRETS.to_owned())),
            FailureCode::ArchiveTooLarge => files.push(("password=c4n4ryHq7", "x".repeat(MAX_ARCHIVE_BYTES))),
            _ => {}
        }
        for (name, text) in files {
            zip.start_file(name, stored)?;
            zip.write_all(text.as_bytes())?;
        }
        zip.finish()?;
        if code == FailureCode::ArchiveInvalid {
            std::fs::write(&archive, format!("PK{SECRETS}"))?;
        }
        self.stack.api.add(id, &archive)
    }

    /// Invokes `intake` with a batch of one record, as the event source mapping does. Whether it accepted the batch.
    pub(crate) async fn deliver(&self, id: &SubmissionId, sample: Sample, offset: u64) -> Result<bool> {
        let value = if sample == Sample::Unreadable { "not json".to_owned() } else { message(id) };
        let record = json!({"topic": TOPIC, "partition": 0, "offset": offset, "value": BASE64_STANDARD.encode(value)});
        let event = json!({"eventSource": "aws:kafka", "records": {format!("{TOPIC}-0"): [record]}});
        poller::invoke(&self.stack.clients.lambda, &self.stack.deployed.intake, event.to_string().as_bytes()).await
    }

    pub(crate) fn execution(&self, id: &SubmissionId) -> String {
        execution_arn(&self.stack.deployed.state_machine, id.aws_safe().as_str())
    }

    pub(crate) async fn end_of(&self, id: &SubmissionId) -> Result<DescribeExecutionOutput> {
        loop {
            let described = self.stack.clients.sfn.describe_execution().execution_arn(self.execution(id)).send();
            let execution = described.await.context("the message started no execution")?;
            if *execution.status() != ExecutionStatus::Running {
                return Ok(execution);
            }
            sleep(Duration::from_millis(300)).await;
        }
    }

    /// Sends an execution's end to `report`, as EventBridge does: at least once.
    pub(crate) async fn report_end(&self, execution: &DescribeExecutionOutput) -> Result<()> {
        let event = json!({
            "source": "aws.states", "detail-type": "Step Functions Execution Status Change",
            "detail": {
                "executionArn": execution.execution_arn(), "status": execution.status().as_str(),
                "input": execution.input(), "error": execution.error(),
                "startDate": execution.start_date().to_millis()?,
                "stopDate": execution.stop_date().map(|at| at.to_millis()).transpose()?,
            },
        });
        self.report(&event).await
    }

    /// Invokes the function `report`.
    pub(crate) async fn report(&self, event: &Value) -> Result<()> {
        functions::invoke(&self.stack, "report", event).await
    }

    /// Checks that no build, job or enclosure of a submission is left.
    pub(crate) async fn no_orphan(&self, id: &SubmissionId) -> Result<()> {
        let prefix = format!("{}-", id.aws_safe());
        let mut left = String::new();
        for _ in 0..100 {
            let running = self.running.lock().clone();
            let repositories = self.stack.engine.jobs();
            let jobs: Vec<_> = repositories.iter().filter(|name| *name == id.aws_safe().as_str()).collect();
            let tasks: Vec<&String> = running.iter().filter(|name| name.starts_with(&prefix)).collect();
            if tasks.is_empty() && jobs.is_empty() {
                return Ok(());
            }
            left = format!("tasks {tasks:?}, jobs {jobs:?}");
            sleep(Duration::from_millis(200)).await;
        }
        bail!("still running: {left}")
    }
}

/// Faults that the emulator injects itself, in the format of
/// <https://docs.aws.amazon.com/step-functions/latest/dg/sfn-local-mock-cfg-file.html>.
fn emulated_faults() -> Value {
    let (mut cases, mut responses) = (json!({}), json!({}));
    for emulated in of_state_machine() {
        let response = json!({"Throw": {"Error": emulated.error, "Cause": "injected"}});
        let visits = if emulated.times == Times::Once { "0" } else { "0-1000000" };
        cases[emulated.case] = json!({ emulated.state: emulated.case });
        responses[emulated.case] = json!({ visits: response });
    }
    let machine = format!("{}-processing", local::deploy::STACK);
    json!({"StateMachines": { machine: {"TestCases": cases}}, "MockedResponses": responses})
}
