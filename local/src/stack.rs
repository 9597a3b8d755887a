//! The whole system, started and stopped together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use aws_sdk_cloudwatchlogs::operation::describe_log_streams::DescribeLogStreamsError;
use domain::SubmissionId;
use domain::outcome::Outcome;
use tokio::process::Child;
use tokio::task::JoinSet;

use crate::broker::{Broker, TOPIC};
use crate::challenge;
use crate::clients::{Clients, Tasks};
use crate::deploy::{self, Deployed};
use crate::emulator::Emulator;
use crate::engine::{Engine, Limits, Trust};
use crate::process::is_running;
use crate::stand_in::activity::{self, Worker};
use crate::stand_in::aws::Aws;
use crate::stand_in::code_build::CodeBuild;
use crate::stand_in::jobs::JobApi;
use crate::stand_in::sage_maker::SageMaker;
use crate::stand_in::submission_api::SubmissionApi;
use crate::{pack, poller};

/// The message that announces the sample submission.
const MESSAGE: &str = include_str!("../../samples/message.json");
/// The submission that the sample message announces.
pub const SAMPLE_ID: &str = "d01c8c8b-2a7f-463f-992b-7bc5423e1dd0";

/// What to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The repository's root.
    pub root: PathBuf,
    /// Bootstrap servers of a Kafka broker to use instead of the built-in one.
    pub kafka: Option<String>,
    /// What a build or training job may use.
    pub limits: Limits,
    pub trust: Trust,
    /// A folder that training containers get as their data, instead of the sample data. Their predictions are not scored,
    /// because only the sample data has a challenge.
    pub data: Option<PathBuf>,
    /// Factor on the waits of state machines. 1 waits as long as on AWS.
    pub wait_scale: f64,
    /// Template parameters to override, as `Name=value`.
    pub parameters: Vec<String>,
    /// Environment variables of the emulator. The functions inherit them.
    pub environment: Vec<(&'static str, String)>,
}

impl Options {
    /// Everything as a person would want it.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            kafka: None,
            limits: Limits { memory_bytes: 4 << 30, disk_bytes: 20 << 30 },
            trust: Trust::Never,
            data: None,
            wait_scale: 1.0,
            parameters: Vec::new(),
            environment: Vec::new(),
        }
    }
}

/// The running system.
pub struct Stack {
    pub clients: Clients,
    pub deployed: Deployed,
    pub broker: Broker,
    pub api: SubmissionApi,
    pub job_api: JobApi,
    pub engine: Engine,
    /// The folder of this run. It is deleted when the system stops.
    pub work: PathBuf,
    /// The arguments of every build so far, by idempotency token.
    pub built: Tasks,
    /// The arguments of every training job so far, by name.
    pub trained: Tasks,
    emulator: Emulator,
    /// The AWS command line of builds. It ends when it is dropped.
    _command_line: Child,
    tasks: JoinSet<()>,
}

impl Stack {
    /// Starts everything. `progress` gets a line for each part that takes longer than a moment.
    pub async fn start(options: &Options, progress: impl Fn(&str)) -> Result<Self> {
        let mut stack = Self::deploy(options, progress).await?;
        stack.spawn_worker(stack.deployed.build_activity.clone(), stack.code_build(options));
        stack.spawn_worker(stack.deployed.train_activity.clone(), stack.sage_maker(options));
        stack.spawn_poller();
        Ok(stack)
    }

    /// Starts everything but the poller and the workers that build and train.
    pub async fn deploy(options: &Options, progress: impl Fn(&str)) -> Result<Self> {
        let tools = options.root.join(".local");
        let work = create_work_folder(&tools.join("runs"))?;
        let engine = Engine::find(&options.root, options.trust).await?;
        engine.prepare_base_image(&work).await?;

        progress("starting the AWS emulator");
        let command_line = Aws::new(&options.root, &tools, &work).start()?;
        let token = uuid::Uuid::new_v4().simple().to_string();
        let job_api = JobApi::start(&token).await?;
        let services = ["AWS_ENDPOINT_URL_CODEBUILD", "AWS_ENDPOINT_URL_SAGEMAKER"];
        let mut environment = services.map(|service| (service, job_api.url.clone())).to_vec();
        environment.extend_from_slice(&options.environment);
        let mut emulator = Emulator::start(&tools, &work, token, options.wait_scale, &environment).await?;
        let clients = Clients::connect(emulator.access.clone()).await;
        let api = SubmissionApi::start(&work.join("submissions")).await?;
        let broker = Broker::start(options.kafka.as_deref())?;
        progress("deploying template.yaml with sam");
        let deployed = match deploy::deploy(&clients, &options.root, &tools, &api.url, &options.parameters).await {
            Ok(deployed) => deployed,
            Err(error) => {
                emulator.stop().await;
                return Err(error);
            }
        };

        if options.data.is_some() {
            let settings = challenge::UNSCORED_SETTINGS;
            deploy::put_settings(&clients, &options.root, &tools, challenge::CHALLENGE, settings).await?;
        }

        Ok(Self {
            clients,
            deployed,
            broker,
            api,
            job_api,
            engine,
            work,
            built: Arc::default(),
            trained: Arc::default(),
            emulator,
            _command_line: command_line,
            tasks: JoinSet::new(),
        })
    }

    /// The worker that builds images instead of CodeBuild.
    #[must_use]
    pub fn code_build(&self, options: &Options) -> CodeBuild {
        CodeBuild {
            clients: self.clients.clone(),
            engine: self.engine.clone(),
            tools: options.root.join(".local"),
            aws: Aws::new(&options.root, &options.root.join(".local"), &self.work),
            work: self.work.clone(),
            limits: options.limits.clone(),
            wait_scale: options.wait_scale,
            built: Arc::clone(&self.built),
            jobs: self.job_api.jobs.clone(),
        }
    }

    /// The worker that trains images instead of SageMaker.
    #[must_use]
    pub fn sage_maker(&self, options: &Options) -> SageMaker {
        SageMaker {
            clients: self.clients.clone(),
            engine: self.engine.clone(),
            work: self.work.clone(),
            limits: options.limits.clone(),
            data: options.data.clone(),
            trained: Arc::clone(&self.trained),
            jobs: self.job_api.jobs.clone(),
        }
    }

    /// Lets a worker do the tasks of an activity until the system stops.
    pub fn spawn_worker(&mut self, activity: String, worker: impl Worker) {
        let (sfn, state_machine) = (self.clients.sfn.clone(), self.deployed.state_machine.clone());
        spawn(&mut self.tasks, async move { activity::work(&sfn, &activity, &state_machine, worker).await });
    }

    /// Lets the Kafka poller invoke `intake` until the system stops.
    pub fn spawn_poller(&mut self) {
        let (servers, lambda, intake) =
            (self.broker.servers.clone(), self.clients.lambda.clone(), self.deployed.intake.clone());
        spawn(&mut self.tasks, async move { poller::poll(&servers, &lambda, &intake).await });
    }

    /// Lets the Submission API serve an archive, or a folder to be packed.
    pub fn serve(&self, id: &SubmissionId, submission: &Path) -> Result<()> {
        self.api.add(id, &pack::archive_of(submission, &self.work)?)
    }

    /// Submits an archive, or a folder to be packed: serves it and publishes the message that it passed its scan.
    pub async fn submit(&self, id: &SubmissionId, submission: &Path) -> Result<()> {
        self.serve(id, submission)?;
        self.broker
            .publish(None, Some(message(id).as_bytes()))
            .await
            .with_context(|| format!("announcing {id} on {TOPIC}"))
    }

    /// The outcome stored for a submission.
    pub async fn stored_outcome(&self, id: &SubmissionId) -> Result<Outcome> {
        let outcome = self.object(deploy::OUTPUT_BUCKET, &format!("{id}/outcome.json")).await?;
        Ok(serde_json::from_slice(&outcome)?)
    }

    /// The bytes of an object in S3.
    pub async fn object(&self, bucket: &str, key: &str) -> Result<Vec<u8>> {
        let object = self.clients.s3.get_object().bucket(bucket).key(key).send().await;
        let object = object.with_context(|| format!("reading s3://{bucket}/{key}"))?;
        Ok(object.body.collect().await?.into_bytes().to_vec())
    }

    /// The logs of a group, one text for each stream, in the order in which the streams were created.
    pub async fn logs(&self, group: &str) -> Result<Vec<String>> {
        let logs = &self.clients.logs;
        let streams = match logs.describe_log_streams().log_group_name(group).send().await {
            Ok(streams) => streams.log_streams.unwrap_or_default(),
            Err(error)
                if error.as_service_error().is_some_and(DescribeLogStreamsError::is_resource_not_found_exception) =>
            {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error).with_context(|| format!("reading the log group {group}")),
        };
        let mut streams: Vec<_> =
            streams.into_iter().filter_map(|stream| Some((stream.creation_time, stream.log_stream_name?))).collect();
        streams.sort();
        let mut texts = Vec::new();
        for (_, stream) in streams {
            let mut text = String::new();
            let mut pages = logs.get_log_events().log_group_name(group).log_stream_name(&stream).start_from_head(true);
            loop {
                let page = pages.clone().send().await.with_context(|| format!("reading the log stream {stream}"))?;
                for event in page.events() {
                    text += event.message().unwrap_or_default();
                    text.push('\n');
                }
                // The last page repeats its token.
                if page.events().is_empty() || page.next_forward_token() == pages.get_next_token().as_deref() {
                    break;
                }
                pages = pages.set_next_token(page.next_forward_token);
            }
            texts.push(text);
        }
        Ok(texts)
    }

    /// Stops everything that was started.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        if let Err(error) = self.engine.finish().await {
            eprintln!("something of the builds and training jobs was left: {error:#}");
        }
        self.emulator.stop().await;
        // The next run removes what cannot be removed now.
        let _ = std::fs::remove_dir_all(&self.work);
    }
}

/// Creates this run's folder and deletes those of earlier runs that were killed.
fn create_work_folder(runs: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(runs)?;
    for run in std::fs::read_dir(runs)? {
        let run = run?;
        let name = run.file_name().to_string_lossy().into_owned();
        if !is_running(name.split('-').next().unwrap_or(&name)) {
            // Another run may be deleting it as well.
            let _ = std::fs::remove_dir_all(run.path());
        }
    }
    let prefix = format!("{}-", std::process::id());
    Ok(tempfile::Builder::new().prefix(&prefix).tempdir_in(runs).context("creating the run's folder")?.keep())
}

/// The sample message for another submission.
#[must_use]
pub fn message(id: &SubmissionId) -> String {
    MESSAGE.replace(SAMPLE_ID, id.as_str())
}

fn spawn(tasks: &mut JoinSet<()>, work: impl Future<Output = Result<()>> + Send + 'static) {
    tasks.spawn(async move {
        if let Err(error) = work.await {
            eprintln!("a part of the local stack stopped: {error:#}");
        }
    });
}
