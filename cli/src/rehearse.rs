//! Running a submission on the local stack and following it to its outcome.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use domain::SubmissionId;
use domain::outcome::Status;
use local::broker::TOPIC;
use local::engine::{Trust, check_data};
use local::stack::{Options, SAMPLE_ID, Stack};
use local::watch::{execution_arn, follow};

use crate::keep::Results;
use crate::up::StackArguments;
use crate::{INTERRUPTED, REJECTED, WrongUsage, screen};

const EXIT_STATUS: &str = "\
Exit status:
  0    completed
  1    the platform failed
  2    wrong usage
  3    the submission was rejected
  130  interrupted";

/// The sample submission.
pub(crate) const SAMPLE: &str = "samples/submissions/regression";
/// How long a message may take to start an execution.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Rehearse a submission: build its image, train its model and score its predictions on this machine
///
/// Shows each step as it happens and the outcome at the end. What is there of the outcome, the model, the predictions and the
/// logs is kept in the folder that the last line names. Run it in the repository of the processor, after `make build-local`.
#[derive(Debug, Args)]
#[command(after_help = format!("Examples:\n  marathon run submission.zip\n  marathon run my-submission/ --memory 8192 --json\n  marathon run my-submission/ --data my-data/ --keep my-results/\n\n{EXIT_STATUS}"))]
pub(crate) struct Run {
    /// The submission: a zip archive, or a folder to be packed
    submission: PathBuf,
    /// The submission's id [default: a new UUID]
    #[arg(long)]
    id: Option<SubmissionId>,
    /// Folder with your own training data, mounted read-only as the training channel /opt/ml/input/data/training; predictions
    /// are kept but not scored [default: the sample data, whose challenge scores the predictions]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    #[command(flatten)]
    rehearsal: Rehearsal,
}

/// Publish the sample message on Kafka and follow the sample submission to its outcome
///
/// The same as `marathon run samples/submissions/regression`. Run it in the repository of the processor, after
/// `make build-local`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct Demo {
    #[command(flatten)]
    rehearsal: Rehearsal,
}

#[derive(Debug, Args)]
struct Rehearsal {
    /// Folder for the outcome, the model, the predictions and the logs [default: results/ID]
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Print the outcome as JSON on standard output, and everything else on standard error
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    stack: StackArguments,
}

fn usage(doing: &str, path: &Path) -> WrongUsage {
    WrongUsage(format!("{doing} {}", path.display()))
}

impl Run {
    pub(crate) async fn run(self, interrupted: impl Future<Output = Result<()>>) -> Result<ExitCode> {
        std::fs::metadata(&self.submission).with_context(|| usage("reading", &self.submission))?;
        let id = match self.id {
            Some(id) => id,
            None => uuid::Uuid::new_v4().to_string().parse()?,
        };
        let mut options = self.rehearsal.stack.options()?;
        if let Some(data) = &self.data {
            std::fs::read_dir(data).with_context(|| usage("reading", data))?;
            if options.trust == Trust::Never {
                check_data(data).with_context(|| usage("reading", data))?;
            }
            options.data = Some(data.canonicalize().with_context(|| usage("reading", data))?);
        }
        self.rehearsal.run(&id, &self.submission, &options, interrupted).await
    }
}

impl Demo {
    pub(crate) async fn run(self, interrupted: impl Future<Output = Result<()>>) -> Result<ExitCode> {
        let mut options = self.rehearsal.stack.options()?;
        if options.trust == Trust::Never {
            // The sample is this repository's own.
            options.trust = Trust::WhereNeeded;
        }
        self.rehearsal.run(&SAMPLE_ID.parse()?, &options.root.join(SAMPLE), &options, interrupted).await
    }
}

impl Rehearsal {
    async fn run(
        &self,
        id: &SubmissionId,
        submission: &Path,
        options: &Options,
        interrupted: impl Future<Output = Result<()>>,
    ) -> Result<ExitCode> {
        let folder = self.keep.clone().unwrap_or_else(|| Path::new("results").join(id.as_str()));
        let is_new = !folder.exists();
        std::fs::create_dir_all(&folder).with_context(|| usage("creating", &folder))?;
        let code = self.follow(id, submission, options, &folder, interrupted).await;
        if is_new {
            // Fails if something is kept there, which is the usual case.
            let _ = std::fs::remove_dir(&folder);
        }
        code
    }

    async fn follow(
        &self,
        id: &SubmissionId,
        submission: &Path,
        options: &Options,
        folder: &Path,
        interrupted: impl Future<Output = Result<()>>,
    ) -> Result<ExitCode> {
        let mut interrupted = std::pin::pin!(interrupted);
        // What was started before an interruption ends with this process.
        let stack = tokio::select! {
            stack = Stack::start(options, |line| self.print(line)) => stack?,
            done = &mut interrupted => return done.map(|()| ExitCode::from(INTERRUPTED)),
        };
        let code = tokio::select! {
            code = self.rehearse(id, submission, &stack, folder) => code,
            done = &mut interrupted => done.map(|()| ExitCode::from(INTERRUPTED)),
        };
        stack.stop().await;
        code
    }

    async fn rehearse(&self, id: &SubmissionId, submission: &Path, stack: &Stack, folder: &Path) -> Result<ExitCode> {
        stack.submit(id, submission).await?;
        self.print(&format!("published on {TOPIC}: {id} passed its antivirus scan"));
        let execution = execution_arn(&stack.deployed.state_machine, id.aws_safe().as_str());
        let ended = follow(&stack.clients.sfn, &execution, START_LIMIT, |visit| {
            if let Some(line) = screen::progress(visit) {
                self.print(&line);
            }
        })
        .await?;
        let outcome = stack.stored_outcome(id).await?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&outcome)?);
        } else {
            anstream::println!("\n{}", screen::end(&ended, &outcome));
        }
        let kept = Results { stack, outcome: &outcome }.keep(folder).await?;
        if outcome.status == Status::Completed
            && outcome.scores.is_none()
            && let Some(rows) = kept.prediction_rows
        {
            self.print(&format!(
                "predictions.csv has {rows} rows. They are not scored: only the sample data has a challenge."
            ));
        }
        self.print(&format!("Kept in {}: {}", folder.display(), kept.names.join(", ")));
        Ok(match outcome.status {
            Status::Completed => ExitCode::SUCCESS,
            Status::Rejected => ExitCode::from(REJECTED),
            Status::Failed => ExitCode::FAILURE,
        })
    }

    fn print(&self, line: &str) {
        if self.json { anstream::eprintln!("{line}") } else { anstream::println!("{line}") }
    }
}
