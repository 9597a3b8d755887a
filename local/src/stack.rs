//! The whole system, started and stopped together.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use aws_config::{BehaviorVersion, Region};
use shared::SubmissionId;
use shared::outcome::Outcome;
use tokio::task::JoinSet;

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
}

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
    /// The training jobs so far: the image of each by the job's name.
    pub trained: Arc<Mutex<HashMap<String, String>>>,
    emulator: Emulator,
    tasks: JoinSet<()>,
}

impl Stack {
    /// Starts everything; `say` is told what is going on.
    pub async fn start(options: &Options, say: impl Fn(&str)) -> Result<Self> {
        let tools = options.root.join(".local");
        let work = folder_of_run(&tools.join("runs"))?;
        let engine = Engine::find(&options.root).await?;
        engine.remove_containers().await?;
        engine.prepare_base_image(&work).await?;

        say("starting the AWS emulator");
        let mut emulator = Emulator::start(&tools, &work, options.wait_scale).await?;
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

        let mut tasks = JoinSet::new();
        let trained = Arc::new(Mutex::new(HashMap::new()));
        let build =
            CodeBuild { clients: clients.clone(), engine: engine.clone(), tools: tools.clone(), work: work.clone() };
        let train = SageMaker {
            clients: clients.clone(),
            engine: engine.clone(),
            work: work.clone(),
            memory_bytes: options.memory_bytes,
            trained: Arc::clone(&trained),
        };
        let (sfn, arn) = (clients.sfn.clone(), deployed.build_activity.clone());
        spawn(&mut tasks, "CodeBuild's stand-in", async move {
            activity::work(&sfn, &arn, move |input| build.clone().start_build(input)).await
        });
        let (sfn, arn) = (clients.sfn.clone(), deployed.train_activity.clone());
        spawn(&mut tasks, "SageMaker's stand-in", async move {
            activity::work(&sfn, &arn, move |input| train.clone().create_training_job(input)).await
        });
        let (servers, lambda, intake) = (broker.servers.clone(), clients.lambda.clone(), deployed.intake.clone());
        spawn(&mut tasks, "the Kafka poller", async move { poller::poll(&servers, &lambda, &intake).await });
        Ok(Self { clients, deployed, broker, api, engine, work, trained, emulator, tasks })
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
        if let Err(error) = self.engine.remove_containers().await {
            eprintln!("containers were left: {error:#}");
        }
        self.emulator.stop().await;
        // What cannot be removed is in the way of nobody.
        let _ = std::fs::remove_dir_all(&self.work);
    }
}

/// Makes this run's folder, and removes those of earlier runs that were killed.
fn folder_of_run(runs: &Path) -> Result<PathBuf> {
    let work = runs.join(std::process::id().to_string());
    std::fs::create_dir_all(&work)?;
    for run in std::fs::read_dir(runs)? {
        let run = run?;
        if !is_running(&run.file_name().to_string_lossy()) {
            std::fs::remove_dir_all(run.path()).with_context(|| format!("removing {}", run.path().display()))?;
        }
    }
    Ok(work)
}

/// The sample message for another submission.
#[must_use]
pub fn message(id: &SubmissionId) -> String {
    MESSAGE.replace(SAMPLE_ID, id.as_str())
}

fn spawn(tasks: &mut JoinSet<()>, name: &'static str, work: impl Future<Output = Result<()>> + Send + 'static) {
    tasks.spawn(async move {
        if let Err(error) = work.await {
            eprintln!("{name} stopped: {error:#}");
        }
    });
}
