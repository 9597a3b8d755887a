//! Runs the whole system on one machine.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use local::broker::TOPIC;
use local::competition::ROUND;
use local::deploy::{INPUT_BUCKET, INPUT_PREFIX, OUTPUT_BUCKET};
use local::emulator::REGION;
use local::replay::{Replay, Replayed};
use local::stack::{Options, SAMPLE_ID, Stack};
use local::watch::{Ended, execution_arn, follow};
use local::{archive, screen};
use shared::SubmissionId;
use shared::outcome::{Outcome, Status};
use tokio::signal::unix::{SignalKind, signal};

/// The whole Marathon Match Processor on one machine: the real functions on an emulator of AWS, real containers, Kafka.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit status: 0 completed, 3 the submission was rejected, 1 the platform failed, 2 wrong usage, 130 interrupted."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Bootstrap servers of a Kafka broker (plain text) to use instead of one of our own.
    #[arg(long, env = "KAFKA_URL", global = true)]
    kafka_url: Option<String>,
    /// Memory of a training container in MB.
    #[arg(long, default_value_t = 4096, global = true)]
    memory: u64,
    /// Template parameter to override, Name=value; may be repeated.
    #[arg(long = "parameter", global = true)]
    parameters: Vec<String>,
    /// Factor on the waits between retries: 1 is as on AWS.
    #[arg(long, default_value_t = 0.05, global = true)]
    wait_scale: f64,
    /// Print the outcome as JSON and nothing else on standard output.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publish the sample message and follow the sample submission to its outcome.
    Demo,
    /// Rehearse a submission: a zip archive, or a folder to be packed.
    Run {
        /// The submission.
        submission: PathBuf,
        /// The submission's id; a new one unless given.
        #[arg(long)]
        id: Option<SubmissionId>,
    },
    /// Start the system and leave it running until Ctrl-C.
    Up,
    /// Feed records back that a deployed stack has put aside; what is taken is removed from there.
    ///
    /// The stack is looked for with the AWS credentials and region of the environment.
    Replay {
        /// The stack's name.
        #[arg(long)]
        stack: String,
        /// Only show what there is.
        #[arg(long)]
        dry_run: bool,
        /// Keys in the staging bucket; everything under quarantine/ and aws/lambda/ unless given.
        keys: Vec<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let interrupted = async {
        let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return std::future::pending().await;
        };
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    };
    match run(&arguments, interrupted).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The submission that the command names, if it names one.
fn submission(command: &Command) -> Result<Option<(SubmissionId, PathBuf)>> {
    Ok(match command {
        Command::Up | Command::Replay { .. } => None,
        Command::Demo => Some((SAMPLE_ID.parse()?, PathBuf::from("samples/submissions/regression"))),
        Command::Run { submission, id } => {
            std::fs::metadata(submission).with_context(|| format!("reading {}", submission.display()))?;
            let fresh = || uuid::Uuid::new_v4().to_string().parse();
            Some((id.clone().map_or_else(fresh, Ok)?, submission.clone()))
        }
    })
}

async fn run(arguments: &Arguments, interrupted: impl Future<Output = ()>) -> Result<ExitCode> {
    if let Command::Replay { stack, dry_run, keys } = &arguments.command {
        return replay(stack, *dry_run, keys, arguments.json).await;
    }
    let mut interrupted = std::pin::pin!(interrupted);
    let submission = submission(&arguments.command)?;
    let json = arguments.json;
    let say = move |text: &str| if json { eprintln!("{text}") } else { println!("{text}") };
    let options = Options {
        root: std::env::current_dir().context("finding the repository")?,
        kafka: arguments.kafka_url.clone(),
        memory_bytes: arguments.memory * 1024 * 1024,
        wait_scale: arguments.wait_scale,
        parameters: arguments.parameters.clone(),
        environment: Vec::new(),
    };
    // Starting is not interrupted halfway: what it has started by then dies with this process.
    let stack = tokio::select! {
        stack = Stack::start(&options, say) => stack?,
        () = &mut interrupted => return Ok(ExitCode::from(130)),
    };
    let code = tokio::select! {
        code = work(submission, arguments.json, &stack, &say) => code,
        () = &mut interrupted => Ok(ExitCode::from(130)),
    };
    stack.stop().await;
    code
}

async fn replay(stack: &str, dry_run: bool, keys: &[String], json: bool) -> Result<ExitCode> {
    let root = std::env::current_dir().context("finding the repository")?;
    let replay = Replay::of_stack(&root, stack).await?;
    let keys = if keys.is_empty() { replay.keys().await? } else { keys.to_vec() };
    let mut taken = 0;
    for key in &keys {
        let (word, reason) = if dry_run {
            ("there", String::new())
        } else {
            match replay.replay(key).await? {
                Replayed::Taken => {
                    taken += 1;
                    ("taken", String::new())
                }
                Replayed::Unreadable(reason) => ("unreadable", reason),
                Replayed::Kept(reason) => ("kept", reason),
            }
        };
        if json {
            println!("{}", serde_json::json!({"key": key, "replayed": word, "reason": reason}));
        } else {
            println!("  {word:<11}{key}  {reason}");
        }
    }
    eprintln!("{} put aside, {taken} taken", keys.len());
    Ok(if dry_run || taken == keys.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn work(
    submission: Option<(SubmissionId, PathBuf)>,
    json: bool,
    stack: &Stack,
    say: &impl Fn(&str),
) -> Result<ExitCode> {
    let Some((id, submission)) = submission else {
        say(&up_text(stack));
        return std::future::pending().await;
    };
    let archive = archive::of_submission(&submission, &stack.work)?;
    stack.submit(&id, &archive).await?;
    say(&format!("published on {TOPIC} that {id} is clean"));
    let execution = execution_arn(&stack.deployed.state_machine, id.aws_safe().as_str());
    let ended = follow(&stack.clients.sfn, &execution, Duration::from_mins(1), |visit| {
        if !json {
            screen::show_visit(visit);
        }
    })
    .await?;
    let outcome = stack.stored_outcome(&id).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&outcome)?);
    } else {
        print_end(&ended, &outcome);
    }
    Ok(match outcome.status {
        Status::Completed => ExitCode::SUCCESS,
        Status::Rejected => ExitCode::from(3),
        Status::Failed => ExitCode::FAILURE,
    })
}

fn print_end(ended: &Ended, outcome: &Outcome) {
    println!(
        "\nThe execution {}{}\n",
        ended.status,
        ended.error.as_ref().map(|error| format!(" with {error}")).unwrap_or_default()
    );
    println!("{}\n{}", screen::picture(&ended.visits), screen::outcome(outcome));
    println!("  outcome.json s3://{OUTPUT_BUCKET}/{}/outcome.json", outcome.submission_id);
}

fn up_text(stack: &Stack) -> String {
    format!(
        "The system is running; Ctrl-C ends it and everything in it.

  AWS              {endpoint}  (region {REGION}, any credentials)
                   aws --endpoint-url {endpoint} stepfunctions list-executions --state-machine-arn {machine}
  Kafka            {kafka}  (topic {TOPIC})
                   kcat -P -b {kafka} -t {TOPIC} samples/message.json
  Submission API   {api}/v5  (serves {folder}: put a zip there as ID.zip)
  training data    s3://{INPUT_BUCKET}/{INPUT_PREFIX}
  outcomes         s3://{OUTPUT_BUCKET}/ID/outcome.json
  staging          s3://{staging}/
  scoring          {submit}  (POST /; a key: {key})
                   curl -H 'x-api-key: {key}' {submit}/rounds/{ROUND}/leaderboard
                   predictions go to s3://{scoring}/predictions/{ROUND}/ID.csv, records to the table {table}
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
