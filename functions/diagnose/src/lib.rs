//! Turns a failed step of an execution into a failure code, whose fault it is, the last lines of its log and where to read
//! more; stops what would run on without its execution.

mod builds;
mod classify;
mod dockerfile;
mod jobs;
mod logs;
mod request;
mod retry;
mod settings;
mod training_jobs;

pub use classify::{
    Build, Classification, Context, Described, LogStream, Logs, Phase, StepError, TrainingJob, classify,
};
pub use dockerfile::{FailingStep, failing_step};
use jobs::Jobs;
pub use request::{Action, Answer, Diagnosed, FailedStep, Request};
pub use retry::Next;
pub use settings::Settings;
use shared::clean::clean_text;
use shared::console::{Console, LogName};
use shared::metrics::{Metrics, Unit};
use shared::outcome::{Diagnosis, Links};
use shared::{Failure, FailureCode};
use tracing::Instrument;

/// Characters kept of what a failed service or program said.
const DETAIL_CHARACTERS: usize = 1024;

/// What the function works with.
#[derive(Debug, Clone)]
pub struct Deps {
    settings: Settings,
    console: Console,
    logs: aws_sdk_cloudwatchlogs::Client,
    jobs: Jobs,
}

impl Deps {
    /// Clients of everything the function talks to. Nothing is sent yet.
    #[must_use]
    pub fn new(settings: Settings, aws: &aws_config::SdkConfig) -> Self {
        Self {
            console: Console::of_region(aws.region().map(AsRef::as_ref).unwrap_or_default()),
            logs: aws_sdk_cloudwatchlogs::Client::new(aws),
            jobs: Jobs::new(&settings, aws),
            settings,
        }
    }
}

/// Answers one request.
///
/// # Errors
///
/// The diagnosis that it is asked to raise; or that what an ended execution has left running cannot be stopped.
pub async fn handle(request: Request, deps: &Deps) -> Result<Answer, Failure> {
    match request {
        Request::Action(Action::Resume {}) => Ok(Answer::Nothing {}),
        Request::Action(Action::Raise { submission_id, diagnosis }) => {
            let failure = Failure::new(diagnosis.code, diagnosis.message);
            tracing::info_span!("raise", submissionId = %submission_id).in_scope(|| failure.log());
            Err(failure)
        }
        Request::Action(Action::Diagnose(failed)) => {
            let span = tracing::info_span!("diagnose", submissionId = %failed.submission_id);
            // Boxed, as are other calls of services: the compiler limits how deep futures are nested.
            let diagnosed = Box::pin(diagnose(*failed, deps)).instrument(span).await;
            Ok(Answer::Diagnosed(Box::new(diagnosed)))
        }
        Request::ExecutionEnded(ended) => {
            let Some(submission) = ended.detail.submission_id() else {
                tracing::warn!(?ended, "an execution without a submission ended");
                return Ok(Answer::Nothing {});
            };
            let span = tracing::info_span!("stop", submissionId = %submission);
            // What a redriven execution has started since is not this event's to stop.
            let safe_id = submission.aws_safe();
            let stop = Box::pin(deps.jobs.stop_all(&safe_id, ended.detail.stopped_at()));
            stop.instrument(span.clone()).await.inspect_err(|failure| span.in_scope(|| failure.log()))?;
            Ok(Answer::Nothing {})
        }
    }
}

async fn diagnose(failed: FailedStep, deps: &Deps) -> Diagnosed {
    let FailedStep { step, ref error, attempt, .. } = failed;
    let described = Box::pin(deps.jobs.examine(&failed)).await;
    let mut classification = classify(step, error, described.as_ref());
    let stream = described.as_ref().and_then(Described::log);
    let events = match &stream {
        Some(stream) => logs::last_events(&deps.logs, stream).await.unwrap_or_else(|error| {
            tracing::warn!(error, ?stream, "the step's log cannot be read");
            Vec::new()
        }),
        None => Vec::new(),
    };
    if classification.code == FailureCode::BuildFailed
        && let Some(step) = failing_step(logs::lines(&events))
    {
        classification = classification.at(&step);
    }
    let retry_after_seconds = classification
        .retry_after_seconds
        .filter(|_| retry::within_horizon(&failed, deps.settings.retry_horizon_seconds))
        .map(|first| retry::back_off(first, attempt));
    let next =
        retry_after_seconds.map(|_| Next::after(&failed, classification.code, deps.settings.spot_fallback_attempts));
    let code = classification.code;
    if next.is_some() {
        Metrics::of_stack(&deps.settings.stack_name)
            .dimension("Code", code.as_str())
            .value("Retries", Unit::Count, 1.0)
            .property("submissionId", failed.submission_id.as_str())
            .emit();
    }
    tracing::info!(?step, attempt, %code, error = error.error, retry_after_seconds, ?next, "diagnosed a failed step");
    let diagnosis = Diagnosis {
        code,
        fault: code.fault(),
        step: Some(step),
        message: classification.message.into_owned(),
        detail: classification.detail.map(|detail| clean_text(&detail, DETAIL_CHARACTERS)),
        log_tail: logs::last_lines(logs::lines(&events)),
        links: links(&deps.console, described.as_ref(), stream.as_ref()),
        retry_after_seconds,
    };
    Diagnosed { diagnosis, next }
}

fn links(console: &Console, described: Option<&Described>, stream: Option<&LogStream>) -> Links {
    let (build, training_job) = match described {
        Some(Described::Build(build)) => (console.build(&build.arn), None),
        Some(Described::TrainingJob(job)) => {
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
