//! Turns what a finished execution knows into the submission's outcome, stores it, and sends it to the Submission API.
//!
//! Whatever is written is looked for first, so that running the function twice on the same event changes nothing.

mod artifacts;
mod compose;
mod request;
pub mod review;
mod send;
mod settings;
mod store;

pub use compose::{Finished, compose};
pub use request::{ExecutionEnded, Request, Step};
use serde_json::Value;
pub use settings::{ReviewSettings, Settings, V5};
use shared::metrics::{Metrics, Unit};
use shared::outcome::Outcome;
use shared::submission_api::{Client, SignedIn};
use shared::{Failure, FailureCode};
use store::Store;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What the function works with.
#[derive(Debug)]
pub struct Deps {
    stack_name: String,
    region: String,
    review: Option<ReviewSettings>,
    store: Store,
    api: SignedIn,
}

impl Deps {
    /// Clients of everything the function talks to, and the region that links lead to. Nothing is sent yet.
    #[must_use]
    pub fn new(
        settings: Settings,
        region: String,
        s3: aws_sdk_s3::Client,
        secrets: aws_sdk_secretsmanager::Client,
    ) -> Self {
        Self {
            stack_name: settings.stack_name,
            region,
            review: settings.review,
            store: Store::new(s3, settings.output_bucket),
            api: SignedIn::new(secrets, settings.secret_arn, settings.api),
        }
    }
}

/// Answers a request; with the outcome where there is one, else with null.
///
/// # Errors
///
/// A [`Failure`] with the code that the state machine retries by; it has been logged.
pub async fn handle(request: Request, deps: &Deps) -> Result<Value, Failure> {
    let outcome = match request {
        Request::Step(Step::Start { submission_id, execution }) => {
            let started = start(&submission_id, &execution, deps).await;
            started.inspect_err(Failure::log).map(|()| None)
        }
        Request::Step(Step::Finish(finished)) => {
            report(compose(*finished), deps).await.inspect_err(Failure::log).map(Some)
        }
        Request::ExecutionEnded(ended) => execution_ended(&ended, deps).await.inspect_err(Failure::log),
    }?;
    serde_json::to_value(outcome)
        .map_err(|error| Failure::new(FailureCode::Internal, "the outcome cannot be written as JSON").caused_by(error))
}

async fn start(submission: &shared::SubmissionId, execution: &str, deps: &Deps) -> Result<(), Failure> {
    let Some(settings) = &deps.review else { return Ok(()) };
    with_api(deps, async |api| Ok(send::start(api, settings, submission, execution, &deps.region).await?)).await
}

/// Stores the outcome, sends it, and stores it again with the review's id: an outcome that has none was not sent.
async fn report(mut outcome: Outcome, deps: &Deps) -> Result<Outcome, Failure> {
    deps.store.put(&outcome).await?;
    if let Some(settings) = &deps.review {
        let review = with_api(deps, async |api| send::outcome(api, settings, &outcome, &deps.region).await).await?;
        outcome.review = Some(review);
        deps.store.put(&outcome).await?;
    }
    count(&outcome, &deps.stack_name).emit();
    tracing::info!(submission_id = %outcome.submission_id, status = ?outcome.status, review = outcome.review, "reported the outcome");
    Ok(outcome)
}

/// Reports an execution that was ended from outside or could not report itself.
async fn execution_ended(ended: &ExecutionEnded, deps: &Deps) -> Result<Option<Outcome>, Failure> {
    let Some(finished) = ended.finished() else {
        tracing::warn!(?ended, "an execution without a submission ended");
        return Ok(None);
    };
    let stored = deps.store.get(&finished.submission_id).await?;
    let outcome = match stored.filter(|outcome| outcome.execution == finished.execution) {
        Some(outcome) if outcome.review.is_some() || deps.review.is_none() => {
            tracing::info!(submission_id = %outcome.submission_id, "the execution had reported its outcome itself");
            return Ok(Some(outcome));
        }
        // It had come to an outcome, and only failed to send it.
        Some(outcome) => outcome,
        None => compose(finished),
    };
    report(outcome, deps).await.map(Some)
}

/// Calls the Submission API. After a refusal the credentials may have been replaced: the next call reads them again.
async fn with_api<T>(deps: &Deps, call: impl AsyncFnOnce(&Client) -> Result<T, Failure>) -> Result<T, Failure> {
    let api = deps.api.client().await?;
    let result = call(&api).await;
    if result.as_ref().is_err_and(|failure| failure.code == FailureCode::SubmissionApiDenied) {
        deps.api.forget().await;
    }
    result
}

fn count(outcome: &Outcome, stack_name: &str) -> Metrics {
    let code = outcome.failure.as_ref().map_or("None", |failure| failure.code.as_str());
    let metrics = Metrics::of_stack(stack_name)
        .dimension("Code", code)
        .value("Outcome", Unit::Count, 1.0)
        .property("submissionId", outcome.submission_id.as_str());
    match seconds_between(&outcome.started_at, &outcome.finished_at) {
        Some(seconds) => metrics.value("SecondsToOutcome", Unit::Seconds, seconds),
        None => metrics,
    }
}

fn seconds_between(start: &str, end: &str) -> Option<f64> {
    let [start, end] = [start, end].map(|at| OffsetDateTime::parse(at, &Rfc3339).ok());
    Some((end? - start?).as_seconds_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_two_readable_times() {
        assert_eq!(seconds_between("2026-01-01T00:00:00Z", "2026-01-01T00:01:00.500Z"), Some(60.5));
        assert_eq!(seconds_between("yesterday", "2026-01-01T00:01:00Z"), None);
    }
}
