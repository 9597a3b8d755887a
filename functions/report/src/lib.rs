//! Reports outcomes: stores them in S3 and sends them to the Submission API.
//!
//! This crate promises:
//! - every execution that ends has exactly one reported outcome, even if it was aborted or could not report itself;
//! - a request that is repeated changes nothing;
//! - an outcome is stored before it is sent, and has the id of its review once it was sent;
//! - other participants see the code, our message and rounded results; only the participant sees text from the submission, which
//!   is redacted and escaped; only operators and organisers see exact results and names in the platform's account.
//!
//! It may not decide what a failure means.

mod artifacts;
mod budget;
mod compose;
mod error;
mod request;
pub mod review;
mod send;
pub mod settings;
pub mod shown;
mod store;
mod sweep;

use aws_config::SdkConfig;
pub use compose::{FinishedExecution, compose};
use domain::SubmissionId;
use domain::execution::Execution;
use domain::outcome::Outcome;
pub use error::ReportError;
pub use request::{Action, Answer, Request, SweepAnswer};
use runtime::metrics::{Metrics, Unit};
use settings::{ReviewSettings, Settings, SweepSettings};
pub use store::Error as StoreError;
use store::Store;
use submission_api::SignedIn;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The function's clients and settings.
#[derive(Debug)]
pub struct Deps {
    stack_name: String,
    /// The region that links lead to.
    region: String,
    review: Option<ReviewSettings>,
    sweep: SweepSettings,
    store: Store,
    sfn: aws_sdk_sfn::Client,
    lambda: aws_sdk_lambda::Client,
    ecr: aws_sdk_ecr::Client,
    api: SignedIn,
}

impl Deps {
    /// Sends nothing yet.
    #[must_use]
    pub fn new(settings: Settings, aws: &SdkConfig) -> Self {
        let secrets = aws_sdk_secretsmanager::Client::new(aws);
        Self {
            stack_name: settings.stack_name,
            region: runtime::aws::region(aws).to_owned(),
            review: settings.review,
            sweep: settings.sweep,
            store: Store::new(aws_sdk_s3::Client::new(aws), settings.output_bucket),
            sfn: aws_sdk_sfn::Client::new(aws),
            lambda: aws_sdk_lambda::Client::new(aws),
            ecr: aws_sdk_ecr::Client::new(aws),
            api: SignedIn::new(secrets, settings.secret_arn, settings.api),
        }
    }

    /// Whether an outcome was sent, or does not have to be.
    fn is_sent(&self, outcome: &Outcome) -> bool {
        outcome.review.is_some() || self.review.is_none()
    }
}

/// Answers one request.
///
/// # Errors
///
/// A [`ReportError`], which has been logged.
pub async fn handle(request: Request, deps: &Deps) -> Result<Answer, ReportError> {
    let submission = request.submission_id();
    runtime::answer(submission.as_ref(), answer(request, deps)).await
}

async fn answer(request: Request, deps: &Deps) -> Result<Answer, ReportError> {
    let outcome = match request {
        Request::Action(Action::Start { submission_id }) => {
            start(&submission_id, deps).await?;
            None
        }
        Request::Action(Action::Finish(finished)) => Some(report(compose(*finished), deps).await?),
        Request::Action(Action::Sweep {}) => return Ok(Answer::Sweep(sweep::sweep(deps).await)),
        Request::ExecutionEnded(event) => execution_ended(&event.detail, deps).await?,
    };
    Ok(outcome.map_or(Answer::Nothing, |outcome| Answer::Outcome(Box::new(outcome))))
}

async fn start(submission: &SubmissionId, deps: &Deps) -> Result<(), ReportError> {
    let Some(settings) = &deps.review else { return Ok(()) };
    let sent = deps.api.call(async |api| send::start(api, settings, submission).await);
    Ok(sent.await?)
}

/// Stores the outcome, sends it, and stores it again with the id of its review: without one, it was not sent.
async fn report(mut outcome: Outcome, deps: &Deps) -> Result<Outcome, ReportError> {
    deps.store.put(&outcome).await?;
    if let Some(settings) = &deps.review {
        let shown = budget::shown(&outcome, deps).await?;
        let files = artifacts::of_outcome(&outcome, &shown, &deps.region).map_err(ReportError::Pack)?;
        let review = deps.api.call(async |api| send::outcome(api, settings, &outcome, &files).await).await?;
        outcome.review = Some(review);
        deps.store.put(&outcome).await?;
    }
    metrics(&outcome, &deps.stack_name).iter().for_each(Metrics::emit);
    tracing::info!(status = ?outcome.status, review = outcome.review, "reported the outcome");
    Ok(outcome)
}

/// What the store knows about an execution that has ended.
enum Known {
    /// Its input names no submission.
    NoSubmission,
    Sent(Outcome),
    /// It was ended from outside, or could not report itself.
    NotSent(Outcome),
}

async fn known(execution: &Execution, deps: &Deps) -> Result<Known, StoreError> {
    let Some(finished) = FinishedExecution::unreported(execution) else { return Ok(Known::NoSubmission) };
    let stored = deps.store.get(&finished.submission_id).await?;
    Ok(match stored.filter(|outcome| outcome.execution == finished.execution) {
        Some(outcome) if deps.is_sent(&outcome) => Known::Sent(outcome),
        Some(outcome) => Known::NotSent(outcome),
        None => Known::NotSent(compose(finished)),
    })
}

/// Reports an execution that has ended, unless it reported itself.
async fn execution_ended(execution: &Execution, deps: &Deps) -> Result<Option<Outcome>, ReportError> {
    match known(execution, deps).await? {
        Known::NoSubmission => {
            tracing::warn!(execution = execution.execution_arn, "an execution ended whose input names no submission");
            Ok(None)
        }
        Known::Sent(outcome) => {
            tracing::info!("the execution has reported its outcome itself");
            Ok(Some(outcome))
        }
        Known::NotSent(outcome) => report(outcome, deps).await.map(Some),
    }
}

/// The metrics of an outcome: one line for the whole execution, and one for each step.
fn metrics(outcome: &Outcome, stack_name: &str) -> Vec<Metrics> {
    let line = || Metrics::of_stack(stack_name).property("submissionId", outcome.submission_id.as_str());
    let code = outcome.failure.as_ref().map_or("None", |failure| failure.code.as_str());
    let whole = line()
        .dimension("Code", code)
        .value("Outcome", Unit::Count, 1.0)
        .value("Attempts", Unit::Count, outcome.attempts.into())
        .value("CapacityRetries", Unit::Count, outcome.capacity_retries.into());
    let whole = match seconds_between(&outcome.started_at, &outcome.finished_at) {
        Some(seconds) => whole.value("SecondsToOutcome", Unit::Seconds, seconds),
        None => whole,
    };
    let steps = outcome
        .seconds
        .iter()
        .map(|(step, seconds)| line().dimension("Step", step.as_str()).value("SecondsInStep", Unit::Seconds, *seconds));
    std::iter::once(whole).chain(steps).collect()
}

fn seconds_between(start: &str, end: &str) -> Option<f64> {
    let [start, end] = [start, end].map(|at| OffsetDateTime::parse(at, &Rfc3339).ok());
    Some((end? - start?).as_seconds_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_outcome_is_measured_by_code_and_by_step() {
        let outcome: Outcome = serde_json::from_value(json!({
            "submissionId": "-kJ-nOos4KQaL3", "status": "completed", "attempts": 3, "capacityRetries": 2,
            "execution": "arn", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:02:00Z",
            "seconds": {"BuildImage": 3.5, "TrainModel": 60.0},
        }))
        .unwrap();
        let lines: Vec<Value> =
            metrics(&outcome, "mm").iter().map(|line| line.to_json(OffsetDateTime::UNIX_EPOCH)).collect();
        assert_eq!(lines.len(), 3);
        for (name, value) in
            [("Outcome", 1.0), ("Attempts", 3.0), ("CapacityRetries", 2.0), ("SecondsToOutcome", 120.0)]
        {
            assert_eq!(lines[0][name], value, "{name}");
        }
        assert_eq!(lines[0]["Code"], "None");
        assert_eq!((&lines[1]["Step"], &lines[1]["SecondsInStep"]), (&json!("BuildImage"), &json!(3.5)));
        assert_eq!(lines[1]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Stack"], ["Stack", "Step"]]));
        assert!(lines.iter().all(|line| line["submissionId"] == "-kJ-nOos4KQaL3"));
    }

    #[test]
    fn a_duration_needs_two_valid_times() {
        assert_eq!(seconds_between("2026-01-01T00:00:00Z", "2026-01-01T00:01:00.500Z"), Some(60.5));
        assert_eq!(seconds_between("yesterday", "2026-01-01T00:01:00Z"), None);
    }
}
