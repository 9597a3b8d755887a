//! The local stack: its options, and leaving it running.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use local::broker::TOPIC;
use local::challenge::CHALLENGE;
use local::deploy::{INPUT_BUCKET, INPUT_PREFIX, OUTPUT_BUCKET};
use local::emulator::REGION;
use local::stack::{Options, Stack};

use crate::INTERRUPTED;

/// Options of every command that starts the local stack.
#[derive(Debug, Args)]
pub(crate) struct StackArguments {
    /// Bootstrap servers (host:port, without TLS) of a Kafka broker to use instead of the built-in one
    #[arg(long, env = "KAFKA_URL", value_name = "SERVERS")]
    kafka_url: Option<String>,
    /// Memory of a training container in MB
    #[arg(long, default_value_t = 4096, value_name = "MB")]
    memory: u64,
    /// Template parameter to override, such as MaxRuntimeInSeconds=600; can be repeated
    #[arg(long = "parameter", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// Factor by which waits between retries are multiplied; 1 waits as long as on AWS
    #[arg(long, default_value_t = 0.05, value_name = "FACTOR")]
    wait_scale: f64,
}

impl StackArguments {
    pub(crate) fn options(&self) -> Result<Options> {
        Ok(Options {
            root: repository()?,
            kafka: self.kafka_url.clone(),
            memory_bytes: self.memory * 1024 * 1024,
            data: None,
            wait_scale: self.wait_scale,
            parameters: self.parameters.clone(),
            environment: Vec::new(),
        })
    }
}

/// The repository that the command runs in: it holds the template and the built functions.
fn repository() -> Result<PathBuf> {
    let here = std::env::current_dir()?;
    let root = here.ancestors().find(|folder| folder.join("template.yaml").is_file());
    root.map(PathBuf::from).context("there is no template.yaml here: run this in the repository of the processor")
}

/// Start the whole system on this machine and leave it running until Ctrl-C
///
/// Prints the addresses of the AWS emulator, the Kafka broker, the Submission API and the scoring API, each with a command
/// to try. Ctrl-C stops everything it started.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  marathon up --kafka-url localhost:9092")]
pub(crate) struct Up {
    #[command(flatten)]
    stack: StackArguments,
}

impl Up {
    pub(crate) async fn run(self, interrupted: impl Future<Output = Result<()>>) -> Result<ExitCode> {
        let options = self.stack.options()?;
        let mut interrupted = std::pin::pin!(interrupted);
        let stack = tokio::select! {
            stack = Stack::start(&options, |line| println!("{line}")) => stack?,
            done = &mut interrupted => return done.map(|()| ExitCode::from(INTERRUPTED)),
        };
        println!("{}", addresses(&stack));
        let done = interrupted.await;
        stack.stop().await;
        done.map(|()| ExitCode::from(INTERRUPTED))
    }
}

fn addresses(stack: &Stack) -> String {
    format!(
        "The system is running. Ctrl-C stops it.

  AWS              {endpoint}  (region {REGION}, any credentials)
                   aws --endpoint-url {endpoint} stepfunctions list-executions --state-machine-arn {machine}
  Kafka            {kafka}  (topic {TOPIC})
                   kcat -P -b {kafka} -t {TOPIC} samples/message.json
  Submission API   {api}/v5  (serves {folder}: put a zip there as ID.zip)
  training data    s3://{INPUT_BUCKET}/{INPUT_PREFIX}
  outcomes         s3://{OUTPUT_BUCKET}/ID/outcome.json
  staging          s3://{staging}/
  scoring          {submit}  (POST /; a key: {key})
                   curl -H 'x-api-key: {key}' {submit}/challenges/{CHALLENGE}/leaderboard
                   predictions go to s3://{scoring}/predictions/{CHALLENGE}/ID.csv, records to the table {table}
  log              {log}",
        endpoint = stack.clients.endpoint,
        machine = stack.deployed.state_machine,
        kafka = stack.broker.servers,
        api = stack.api.url,
        folder = stack.api.folder.display(),
        staging = stack.deployed.staging_bucket,
        submit = stack.deployed.submit_url,
        key = stack.deployed.api_key,
        scoring = stack.deployed.scoring_bucket,
        table = stack.deployed.submissions_table,
        log = stack.work.join("emulator.log").display(),
    )
}
