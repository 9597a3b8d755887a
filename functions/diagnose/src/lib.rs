//! Diagnoses a failed step: its failure code, whose fault it is, the end of its log, and whether to retry it.
//!
//! This crate promises:
//! - every error of every step has a code and a message, even if no AWS service answers;
//! - the participant's faults are never retried, and an error that it does not know is the platform's fault;
//! - a build or training job that no execution waits for is stopped;
//! - text from builds and training jobs is redacted and shortened.
//!
//! It may not write to the Submission API, S3 or a database.

mod builds;
mod classify;
mod decide;
mod dockerfile;
mod error;
mod job;
mod jobs;
mod logs;
mod request;
mod retry;
pub mod settings;
mod training_jobs;

use std::time::Duration;

use aws_config::SdkConfig;
pub use classify::{Classification, classify};
pub use decide::{Decision, decide};
use domain::Fault;
use domain::console::{Console, LogName};
use domain::execution::Execution;
use domain::outcome::Links;
pub use error::{CallsFailed, DiagnoseError};
pub use job::{Build, Job, LogStream, Logs, Phase, PhaseContext, StoppingCondition, TrainingJob};
use jobs::Jobs;
pub use request::{Action, Answer, DiagnosisAnswer, FailedStep, Request};
pub use retry::{NextAttempt, Policy, Retry};
use runtime::metrics::{Metrics, Unit};
use runtime::{CallFailed, Raised};
use settings::Settings;
use tokio::time::sleep;

/// The function's clients and settings.
#[derive(Clone, Debug)]
pub struct Deps {
    stack_name: String,
    policy: Policy,
    console: Console,
    logs: aws_sdk_cloudwatchlogs::Client,
    log_delay: Duration,
    jobs: Jobs,
    executions: aws_sdk_sfn::Client,
}

impl Deps {
    /// Sends nothing yet.
    #[must_use]
    pub fn new(settings: Settings, aws: &SdkConfig) -> Self {
        Self {
            console: Console::of_region(runtime::aws::region(aws)),
            logs: aws_sdk_cloudwatchlogs::Client::new(aws),
            log_delay: Duration::from_secs(settings.log_delay_seconds.into()),
            jobs: Jobs::new(&settings, aws),
            policy: Policy::of(&settings),
            executions: aws_sdk_sfn::Client::new(aws),
            stack_name: settings.stack_name,
        }
    }
}

/// Answers one request.
///
/// # Errors
///
/// The diagnosis that it has to raise, or that orphaned jobs of an ended execution could not be stopped.
pub async fn handle(request: Request, deps: &Deps) -> Result<Answer, DiagnoseError> {
    let submission = request.submission_id();
    runtime::answer(submission.as_ref(), answer(request, deps)).await
}

async fn answer(request: Request, deps: &Deps) -> Result<Answer, DiagnoseError> {
    match request {
        Request::Action(Action::Raise { execution, reported_at_redrive, diagnosis, .. }) => {
            if was_redriven_since(reported_at_redrive, &execution, deps).await {
                return Ok(Answer::Nothing {});
            }
            // The detail is for operators, who read the error of the execution.
            let message = diagnosis.detail.unwrap_or(diagnosis.message);
            Err(Raised { code: diagnosis.code, message }.into())
        }
        Request::Action(Action::Diagnose(failed)) => Ok(Answer::Diagnosis(Box::new(diagnose(&failed, deps).await))),
        Request::Action(Action::ReadLog { training_job, .. }) => {
            Ok(Answer::Log { log_tail: read_log(&training_job, deps).await })
        }
        Request::ExecutionEnded(event) => stop_orphans(&event.detail, deps).await,
    }
}

/// Whether an execution was redriven after it was reported. If it cannot be read, it counts as not redriven: it fails with its
/// failure code, and can be redriven.
async fn was_redriven_since(reported_at_redrive: u32, execution: &str, deps: &Deps) -> bool {
    match deps.executions.describe_execution().execution_arn(execution).send().await {
        Ok(execution) => i64::from(execution.redrive_count().unwrap_or_default()) > i64::from(reported_at_redrive),
        Err(error) => {
            let error = CallFailed::new("Step Functions", "DescribeExecution", &error);
            tracing::error!(%error, execution, "could not read how often the execution was redriven");
            false
        }
    }
}

async fn stop_orphans(execution: &Execution, deps: &Deps) -> Result<Answer, DiagnoseError> {
    let Some(submission) = execution.submission_id() else {
        tracing::warn!(execution = execution.execution_arn, "an execution ended whose input names no submission");
        return Ok(Answer::Nothing {});
    };
    // Jobs that a redrive has started since then are not orphaned.
    let stopped = deps.jobs.stop_all(&submission.aws_safe(), execution.stopped_at()).await;
    stopped.map_err(DiagnoseError::NotStopped)?;
    Ok(Answer::Nothing {})
}

async fn diagnose(failed: &FailedStep, deps: &Deps) -> DiagnosisAnswer {
    let job = deps.jobs.examine(failed).await;
    let stream = job.as_ref().and_then(Job::log);
    let mut events = last_events(stream.as_ref(), deps).await;
    let mut decision = decide(failed, job.as_ref(), &events, deps.policy);
    if events.is_empty() && stream.is_some() && decision.code().fault() == Fault::Participant {
        // The log explains the fault. CloudWatch Logs shows it some seconds after the end of the job.
        sleep(deps.log_delay).await;
        events = last_events(stream.as_ref(), deps).await;
        decision = decide(failed, job.as_ref(), &events, deps.policy);
    }
    let (code, retry_after_seconds) = (decision.code(), decision.retry_after_seconds);
    if decision.next.is_some() {
        Metrics::of_stack(&deps.stack_name)
            .dimension("Code", code.as_str())
            .value("Retries", Unit::Count, 1.0)
            .property("submissionId", failed.submission_id.as_str())
            .emit();
    }
    if let Some(seconds) = decision.waiting_seconds {
        Metrics::of_stack(&deps.stack_name)
            .value("SecondsWaiting", Unit::Seconds, seconds.into())
            .property("submissionId", failed.submission_id.as_str())
            .emit();
    }
    let (step, attempt, error, next) = (failed.step, failed.attempt, &failed.error.error, &decision.next);
    tracing::info!(?step, attempt, %code, error, retry_after_seconds, ?next, "diagnosed a failed step");
    let links = links(&deps.console, job.as_ref(), stream.as_ref());
    decision.answer(failed, &events, links)
}

/// The last lines of the log of a training job; empty if there are none or they cannot be read.
async fn read_log(training_job: &str, deps: &Deps) -> Vec<String> {
    let stream = LogStream::of_training_job(training_job);
    let mut events = last_events(Some(&stream), deps).await;
    if events.is_empty() {
        sleep(deps.log_delay).await;
        events = last_events(Some(&stream), deps).await;
    }
    logs::last_lines(logs::lines(&events))
}

/// The end of the step's log; empty if there is none or it cannot be read.
async fn last_events(stream: Option<&LogStream>, deps: &Deps) -> Vec<String> {
    let Some(stream) = stream else { return Vec::new() };
    logs::last_events(&deps.logs, stream).await.unwrap_or_else(|error| {
        tracing::warn!(%error, ?stream, "could not read the step's log");
        Vec::new()
    })
}

fn links(console: &Console, job: Option<&Job>, stream: Option<&LogStream>) -> Links {
    let (build, training_job) = match job {
        Some(Job::Build(build)) => (console.build(&build.arn), None),
        Some(Job::Training(job)) => {
            let name = Some(job.training_job_name.as_str()).filter(|name| !name.is_empty());
            (None, name.map(|name| console.training_job(name)))
        }
        None => (None, None),
    };
    let log = stream.map(|stream| match stream {
        LogStream::Named { group, stream } => console.log(group, &LogName::Whole(stream)),
        LogStream::StartingWith { group, prefix } => console.log(group, &LogName::Prefix(prefix)),
    });
    Links { build, training_job, log }
}
