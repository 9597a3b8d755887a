//! The whole system, started and stopped together.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use aws_config::{BehaviorVersion, Region};
use serde_json::Value;
use shared::SubmissionId;
use shared::outcome::Outcome;
use tokio::task::JoinSet;

use crate::activity::Worker;
use crate::broker::{Broker, TOPIC};
use crate::codebuild::CodeBuild;
use crate::deploy::{self, Deployed};
use crate::emulator::{Emulator, REGION};
use crate::engine::Engine;
use crate::process::is_running;
use crate::sagemaker::SageMaker;
use crate::submission_api::SubmissionApi;
use crate::{activity, poller};

/// The message of a clean submission, with its id left to fill in.
const MESSAGE: &str = include_str!("../../samples/message.json");
/// The submission of the sample message.
pub const SAMPLE_ID: &str = "d01c8c8b-2a7f-463f-992b-7bc5423e1dd0";

/// What to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The repository's root.
    pub root: PathBuf,
    /// Bootstrap servers of a Kafka broker to use instead of one of our own.
    pub kafka: Option<String>,
    /// Memory of a training container in bytes.
    pub memory_bytes: u64,
    /// Factor on the waits of state machines: 1 is true to life.
    pub wait_scale: f64,
    /// Template parameters to override, `Name=value`.
    pub parameters: Vec<String>,
    /// Variables of the emulator's environment, which the functions inherit.
    pub environment: Vec<(&'static str, String)>,
}

/// The arguments of tasks, by their names.
pub type Tasks = Arc<Mutex<HashMap<String, Value>>>;

/// Clients of the emulator.
#[derive(Debug, Clone)]
pub struct Clients {
    /// The emulator's URL.
    pub endpoint: String,
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// Step Functions.
    pub sfn: aws_sdk_sfn::Client,
    /// Lambda.
    pub lambda: aws_sdk_lambda::Client,
    /// CloudWatch Logs.
    pub logs: aws_sdk_cloudwatchlogs::Client,
    /// Secrets Manager.
    pub secrets: aws_sdk_secretsmanager::Client,
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
}

impl Clients {
    async fn connect(endpoint: String) -> Self {
        let credentials = aws_sdk_s3::config::Credentials::new("test", "test", None, None, "local");
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(credentials)
            .endpoint_url(&endpoint)
            .load()
            .await;
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
        Self {
            endpoint,
            s3: aws_sdk_s3::Client::from_conf(s3),
            sfn: aws_sdk_sfn::Client::new(&config),
            lambda: aws_sdk_lambda::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            secrets: aws_sdk_secretsmanager::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
        }
    }

    /// The same image, by the address of the emulator's registry where it has that of an account's.
    #[must_use]
    pub fn with_local_registry(&self, image: &str) -> String {
        match image.split_once(".dkr.ecr.").and_then(|(_, rest)| rest.split_once('/')) {
            Some((_, repository)) => {
                format!("{}/{repository}", self.endpoint.trim_start_matches("http://"))
            }
            None => image.to_owned(),
        }
    }
}

/// The running system.
pub struct Stack {
    /// Clients of the emulator.
    pub clients: Clients,
    /// The names of what was deployed.
    pub deployed: Deployed,
    /// The Kafka broker.
    pub broker: Broker,
    /// The Submission API's stand-in.
    pub api: SubmissionApi,
    /// The container engine.
    pub engine: Engine,
    /// The folder of this run.
    pub work: PathBuf,
    /// The arguments of every build so far, by its idempotency token.
    pub built: Tasks,
    /// The arguments of every training job so far, by its name.
    pub trained: Tasks,
    emulator: Emulator,
    tasks: JoinSet<()>,
}

impl Stack {
    /// Starts everything; `say` is told what is going on.
    pub async fn start(options: &Options, say: impl Fn(&str)) -> Result<Self> {
        let mut stack = Self::deploy(options, say).await?;
        stack.spawn_worker(stack.deployed.build_activity.clone(), stack.code_build(options));
        stack.spawn_worker(stack.deployed.train_activity.clone(), stack.sage_maker(options));
        stack.spawn_poller();
        Ok(stack)
    }

    /// Starts all but the workers of the two activities and the poller.
    pub async fn deploy(options: &Options, say: impl Fn(&str)) -> Result<Self> {
        let tools = options.root.join(".local");
        let work = folder_of_run(&tools.join("runs"))?;
        let engine = Engine::find(&options.root).await?;
        engine.remove_left_containers().await?;
        engine.prepare_base_image(&work).await?;

        say("starting the AWS emulator");
        let mut emulator = Emulator::start(&tools, &work, options.wait_scale, &options.environment).await?;
        let clients = Clients::connect(emulator.endpoint()).await;
        let api = SubmissionApi::start(&work.join("submissions")).await?;
        let broker = Broker::start(options.kafka.as_deref())?;
        say("deploying template.yaml with sam");
        let deployed = match deploy::deploy(&clients, &options.root, &tools, &api.url, &options.parameters).await {
            Ok(deployed) => deployed,
            Err(error) => {
                emulator.stop().await;
                return Err(error);
            }
        };

        Ok(Self {
            clients,
            deployed,
            broker,
            api,
            engine,
            work,
            built: Arc::default(),
            trained: Arc::default(),
            emulator,
            tasks: JoinSet::new(),
        })
    }

    /// What builds images in the place of CodeBuild.
    #[must_use]
    pub fn code_build(&self, options: &Options) -> CodeBuild {
        CodeBuild {
            clients: self.clients.clone(),
            engine: self.engine.clone(),
            tools: options.root.join(".local"),
            work: self.work.clone(),
            built: Arc::clone(&self.built),
        }
    }

    /// What trains images in the place of SageMaker.
    #[must_use]
    pub fn sage_maker(&self, options: &Options) -> SageMaker {
        SageMaker {
            clients: self.clients.clone(),
            engine: self.engine.clone(),
            work: self.work.clone(),
            memory_bytes: options.memory_bytes,
            trained: Arc::clone(&self.trained),
        }
    }

    /// Lets a worker do the tasks of an activity until the system is stopped.
    pub fn spawn_worker(&mut self, activity: String, worker: impl Worker) {
        let (sfn, state_machine) = (self.clients.sfn.clone(), self.deployed.state_machine.clone());
        spawn(&mut self.tasks, async move { activity::work(&sfn, &activity, &state_machine, worker).await });
    }

    /// Lets the Kafka poller feed the function `intake` until the system is stopped.
    pub fn spawn_poller(&mut self) {
        let (servers, lambda, intake) =
            (self.broker.servers.clone(), self.clients.lambda.clone(), self.deployed.intake.clone());
        spawn(&mut self.tasks, async move { poller::poll(&servers, &lambda, &intake).await });
    }

    /// Announces a submission as clean: serves its archive and publishes the sample message with its id.
    pub async fn submit(&self, id: &SubmissionId, archive: &Path) -> Result<()> {
        self.api.add(id, archive)?;
        self.broker
            .publish(None, Some(message(id).as_bytes()))
            .await
            .with_context(|| format!("announcing {id} on {TOPIC}"))
    }

    /// The outcome stored for a submission.
    pub async fn stored_outcome(&self, id: &SubmissionId) -> Result<Outcome> {
        let key = format!("{id}/outcome.json");
        let object = self.clients.s3.get_object().bucket(deploy::OUTPUT_BUCKET).key(&key).send().await;
        let body = object.with_context(|| format!("no outcome is stored as {key}"))?.body.collect().await?;
        Ok(serde_json::from_slice(&body.into_bytes())?)
    }

    /// Ends everything that was started.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        if let Err(error) = self.engine.remove_own_containers().await {
            eprintln!("containers were left: {error:#}");
        }
        self.emulator.stop().await;
        // What cannot be removed is in the way of nobody.
        let _ = std::fs::remove_dir_all(&self.work);
    }
}

/// Makes this run's folder, and removes those of earlier runs that were killed.
fn folder_of_run(runs: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(runs)?;
    for run in std::fs::read_dir(runs)? {
        let run = run?;
        let name = run.file_name().to_string_lossy().into_owned();
        if !is_running(name.split('-').next().unwrap_or(&name)) {
            // Another run may be clearing up as well.
            let _ = std::fs::remove_dir_all(run.path());
        }
    }
    let prefix = format!("{}-", std::process::id());
    Ok(tempfile::Builder::new().prefix(&prefix).tempdir_in(runs).context("making the run's folder")?.keep())
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
