//! The local stack: its options, and leaving it running.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use local::broker::TOPIC;
use local::challenge::CHALLENGE;
use local::clients::Access;
use local::deploy::{Deployed, INPUT_BUCKET, INPUT_PREFIX, OUTPUT_BUCKET, STACK};
use local::emulator::REGION;
use local::engine::{Limits, Trust};
use local::parameters::Parameters;
use local::stack::{Options, SAMPLE_ID, Stack};

use crate::WrongUsage;
use crate::rehearse::SAMPLE;

/// Options of every command that starts the local stack.
#[derive(Debug, Args)]
pub(crate) struct StackArguments {
    /// Bootstrap servers (host:port, without TLS) of a Kafka broker to use instead of the built-in one
    #[arg(long, env = "KAFKA_URL", value_name = "SERVERS")]
    kafka_url: Option<String>,
    /// Memory of a build and of a training container in MB
    #[arg(long, default_value_t = 4096, value_name = "MB", value_parser = clap::value_parser!(u64).range(64..=1_048_576))]
    memory: u64,
    /// Disk of a build or training job in GB: images, volumes and /opt/ml
    #[arg(long, default_value_t = 20, value_name = "GB", value_parser = clap::value_parser!(u64).range(1..=16_384))]
    disk: u64,
    /// Build and run submissions with docker or podman as they are, and not in an enclosure that keeps them from this machine
    #[arg(long)]
    trust: bool,
    /// Template parameter to override, such as MaxRuntimeInSeconds=600; can be repeated
    #[arg(long = "parameter", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// Factor from 0 to 1 by which waits between retries are multiplied; 1 waits as long as on AWS
    #[arg(long, default_value_t = 0.05, value_name = "FACTOR", value_parser = factor)]
    wait_scale: f64,
}

impl StackArguments {
    /// Refuses parameters that the template does not accept, before anything starts.
    pub(crate) fn options(&self) -> Result<Options> {
        let root = repository()?;
        let template = root.join("template.yaml");
        let template = std::fs::read_to_string(&template).with_context(|| format!("reading {}", template.display()))?;
        Parameters::of_template(&template)?.check(&self.parameters)?;
        Ok(Options {
            kafka: self.kafka_url.clone(),
            limits: Limits { memory_bytes: self.memory << 20, disk_bytes: self.disk << 30 },
            trust: if self.trust { Trust::Always } else { Trust::Never },
            wait_scale: self.wait_scale,
            parameters: self.parameters.clone(),
            ..Options::new(root)
        })
    }
}

fn factor(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|factor| (0.0..=1.0).contains(factor)).ok_or("expected a number from 0 to 1")
}

/// The repository that the command runs in: it holds the template and the built functions.
fn repository() -> Result<PathBuf> {
    let here = std::env::current_dir()?;
    let root = here.ancestors().find(|folder| folder.join("template.yaml").is_file());
    let problem = "there is no template.yaml here or in a parent folder: run this command in the repository of the processor, after `make build-local`";
    root.map(PathBuf::from).with_context(|| WrongUsage(problem.to_owned()))
}

/// Start the whole system on this machine and leave it running until Ctrl-C
///
/// Prints commands to try and the addresses of the AWS emulator, the Kafka broker, the Submission API and the scoring API.
/// Ctrl-C stops everything it started.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  marathon up --kafka-url localhost:9092

Exit status:
  0  stopped by Ctrl-C or SIGTERM
  1  the system did not start
  2  wrong usage")]
pub(crate) struct Up {
    #[command(flatten)]
    stack: StackArguments,
}

impl Up {
    pub(crate) async fn run(self, interrupted: impl Future<Output = Result<()>>) -> Result<ExitCode> {
        let options = self.stack.options()?;
        let mut interrupted = std::pin::pin!(interrupted);
        // An interruption is how this command is meant to end.
        let stack = tokio::select! {
            stack = Stack::start(&options, |line| println!("{line}")) => stack?,
            done = &mut interrupted => return done.map(|()| ExitCode::SUCCESS),
        };
        let done = match stack.serve(&SAMPLE_ID.parse()?, &options.root.join(SAMPLE)) {
            Ok(()) => {
                println!("{}", Running::of(&stack, &options.root));
                interrupted.await
            }
            failed => failed,
        };
        stack.stop().await;
        done.map(|()| ExitCode::SUCCESS)
    }
}

/// What the screen says about a running system.
struct Running<'a> {
    root: &'a Path,
    access: &'a Access,
    kafka: &'a str,
    api: &'a str,
    submissions: &'a Path,
    log: PathBuf,
    deployed: &'a Deployed,
}

impl<'a> Running<'a> {
    fn of(stack: &'a Stack, root: &'a Path) -> Self {
        Self {
            root,
            access: &stack.clients.access,
            kafka: &stack.broker.servers,
            api: &stack.api.url,
            submissions: &stack.api.folder,
            log: stack.work.join("emulator.log"),
            deployed: &stack.deployed,
        }
    }
}

impl Display for Running<'_> {
    /// Every command stands alone on its line, without a comment: not every shell accepts comments at its prompt.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { access: Access { endpoint, token }, kafka, api, .. } = self;
        let (root, submissions, log) = (self.root.display(), self.submissions.display(), self.log.display());
        let Deployed { state_machine, staging_bucket, scoring_bucket, submissions_table, submit_url, api_key, .. } =
            self.deployed;
        write!(
            f,
            "The system is running. Ctrl-C stops it.

Paste these two lines into another terminal. Every command below then works as it stands:

  export AWS_ENDPOINT_URL={endpoint} AWS_DEFAULT_REGION={REGION} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_SESSION_TOKEN={token}
  export PATH=\"$PATH:{root}/.local/tools/bin\"

Announce the sample submission with kcat, or publish the file's content with any other Kafka client:

  kcat -P -b {kafka} -t {TOPIC} {root}/samples/message.json

See its execution. When that has succeeded, read the outcome, the leaderboard, and the log of a function:

  aws stepfunctions list-executions --state-machine-arn {state_machine}
  aws s3 cp s3://{OUTPUT_BUCKET}/{SAMPLE_ID}/outcome.json -
  curl -H 'x-api-key: {api_key}' {submit_url}/challenges/{CHALLENGE}/leaderboard
  aws logs filter-log-events --log-group-name /aws/lambda/{STACK}-report --query 'events[].[message]' --output text

Addresses:

  AWS              {endpoint}  (region {REGION}, only with the session token above)
  Kafka            {kafka}  (topic {TOPIC})
  Submission API   {api}/v5  (serves {submissions}: put a zip there as ID.zip)
  scoring API      {submit_url}  (a key: {api_key})
  training data    s3://{INPUT_BUCKET}/{INPUT_PREFIX}sample/
  outcomes         s3://{OUTPUT_BUCKET}/ID/outcome.json
  staging          s3://{staging_bucket}/
  predictions      s3://{scoring_bucket}/predictions/{CHALLENGE}/ID.csv, their records in the table {submissions_table}
  log              {log}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screen_has_commands_that_work_as_they_stand() {
        let text = str::to_owned;
        let deployed = Deployed {
            intake: text("arn:aws:lambda:us-east-1:000000000000:function:marathon-match-local-intake"),
            state_machine: text("arn:aws:states:us-east-1:000000000000:stateMachine:marathon-match-local-processing"),
            staging_bucket: text("marathon-match-local-staging"),
            scoring_state_machine: text(
                "arn:aws:states:us-east-1:000000000000:stateMachine:marathon-match-local-scoring",
            ),
            scoring_bucket: text("marathon-match-local-scoring"),
            submissions_table: text("marathon-match-local-submissions"),
            submit_url: text("http://127.0.0.1:4566/_aws/lambda-url/0123456789abcdef"),
            api_keys_secret: text("arn:aws:secretsmanager:us-east-1:000000000000:secret:api-keys-abcdef"),
            api_key: text("0123456789abcdef0123456789abcdef"),
            build_activity: text("build"),
            train_activity: text("train"),
        };
        let running = Running {
            root: Path::new("/home/me/processor"),
            access: &Access::new(text("http://127.0.0.1:4566"), text("00112233445566778899aabbccddeeff")),
            kafka: "127.0.0.1:9092",
            api: "http://127.0.0.1:3000",
            submissions: Path::new("/home/me/processor/.local/runs/1-abc/submissions"),
            log: PathBuf::from("/home/me/processor/.local/runs/1-abc/emulator.log"),
            deployed: &deployed,
        };
        insta::assert_snapshot!(running);
    }
}
