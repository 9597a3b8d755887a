//! The program `simulate`.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;
use serde_json::json;
use simulate::evening::{Evening, Progress};
use simulate::plan::{Plan, Quotas};
use simulate::table::{Table, duration};
use simulate::wait;

/// Simulate the evening of a deadline on virtual time
///
/// Reads the definitions of the state machines themselves, decides with the code of the functions, and models the services with
/// their documented quotas. Says what waited and how long the tail took. Then lets one submission wait for a training machine
/// for as long as it may, and compares the history of its execution with the limit of Step Functions.
#[derive(Parser)]
#[command(after_help = "\
Exit status:
  0  each submission has one outcome, and the right one
  1  a submission was lost, reported twice, blamed wrongly or failed, or a history reached its limit; or the simulation failed
  2  wrong usage")]
struct Options {
    /// Number of submissions
    #[arg(long, default_value_t = 10_000)]
    submissions: usize,
    /// Minutes in which they arrive, half of them in the last sixth; 0 for all at once
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Seed of everything random: the same seed gives the same evening
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often services fail, as a multiple of the assumed rates; 0 for never
    #[arg(long, default_value_t = 1.0)]
    faults: f64,
    /// Quota: concurrent executions of functions
    #[arg(long, default_value_t = 1000)]
    lambda_concurrency: u32,
    /// Quota: concurrent builds
    #[arg(long, default_value_t = 60)]
    builds: u32,
    /// Quota: training instances
    #[arg(long, default_value_t = 20)]
    training_instances: u32,
    /// Quota: reads of parameters a second
    #[arg(long, default_value_t = 40)]
    parameter_reads: u32,
    /// The folder of the definitions
    #[arg(long, default_value_os_t = in_repository("statemachine"))]
    definitions: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

impl Options {
    fn plan(&self) -> Plan {
        Plan {
            submissions: self.submissions,
            span: Duration::from_mins(self.minutes),
            seed: self.seed,
            faults: self.faults,
            quotas: Quotas {
                lambda_concurrency: self.lambda_concurrency,
                builds: self.builds,
                training_instances: self.training_instances,
                parameter_reads: self.parameter_reads,
                ..Quotas::default()
            },
        }
    }
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let (plan, jsonata) = (options.plan(), in_repository(".local/jsonata/node_modules/jsonata"));
    let began = Instant::now();
    let mut screen = Screen::new(plan.submissions);
    let outcomes = Evening::new(&plan, &options.definitions, &jsonata)?.run(|progress| screen.show(progress))?;
    screen.clear();
    let longest_wait = wait::longest(&options.definitions, &jsonata)?;
    let wait_fits = longest_wait.history.events < longest_wait.history.limit;
    if options.json {
        println!("{}", json!({"evening": outcomes, "longestWait": longest_wait}));
    } else {
        print!("{}", Table { plan: &plan, outcomes: &outcomes });
        println!(
            "longest wait {} for a training machine: {} of {} events in its execution",
            duration(longest_wait.to_outcome.max),
            longest_wait.history.events,
            longest_wait.history.limit
        );
        println!("took         {} for {} events", duration(began.elapsed().as_secs_f64()), outcomes.events);
    }
    Ok(if outcomes.violations.is_empty() && wait_fits { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Progress on standard error: a line that is written over on a terminal, and a line every 10 seconds elsewhere.
struct Screen {
    submissions: usize,
    shown: Instant,
    is_terminal: bool,
}

impl Screen {
    fn new(submissions: usize) -> Self {
        Self { submissions, shown: Instant::now(), is_terminal: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, progress: Progress) {
        let interval = if self.is_terminal { Duration::from_millis(200) } else { Duration::from_secs(10) };
        if self.shown.elapsed() < interval {
            return;
        }
        self.shown = Instant::now();
        let [start, end] = if self.is_terminal { ["\r", "\x1b[K"] } else { ["", "\n"] };
        let elapsed = duration(progress.elapsed.as_secs_f64());
        eprint!("{start}after {elapsed}: {} of {} reported{end}", progress.reported, self.submissions);
        let _ = std::io::stderr().flush();
    }

    fn clear(&self) {
        if self.is_terminal {
            eprint!("\r\x1b[K");
        }
    }
}
