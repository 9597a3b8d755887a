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
mod sweep;

pub use compose::{Finished, compose};
pub use request::{Request, Step};
use serde_json::Value;
pub use settings::{ReviewSettings, Settings, SweepSettings, V5};
use shared::execution::Ended;
use shared::metrics::{Metrics, Unit};
use shared::outcome::Outcome;
use shared::submission_api::{Client, SignedIn};
use shared::{Failure, FailureCode};
use store::Store;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::Instrument;

/// What the function works with.
#[derive(Debug)]
pub struct Deps {
    stack_name: String,
    region: String,
    review: Option<ReviewSettings>,
    sweep: SweepSettings,
    store: Store,
    sfn: aws_sdk_sfn::Client,
    api: SignedIn,
}

impl Deps {
    /// Clients of everything the function talks to, and the region that links lead to. Nothing is sent yet.
    #[must_use]
    pub fn new(
        settings: Settings,
        region: String,
        s3: aws_sdk_s3::Client,
        sfn: aws_sdk_sfn::Client,
        secrets: aws_sdk_secretsmanager::Client,
    ) -> Self {
        Self {
            stack_name: settings.stack_name,
            region,
            review: settings.review,
            sweep: settings.sweep,
            store: Store::new(s3, settings.output_bucket),
            sfn,
            api: SignedIn::new(secrets, settings.secret_arn, settings.api),
        }
    }

    /// Whether an outcome has been sent, or need not be.
    fn is_sent(&self, outcome: &Outcome) -> bool {
        outcome.review.is_some() || self.review.is_none()
    }
}

/// Answers a request: with the outcome where there is one, a sweep with what it counted, else with null.
///
/// # Errors
///
/// A [`Failure`] with the code that the state machine retries by; it has been logged.
pub async fn handle(request: Request, deps: &Deps) -> Result<Value, Failure> {
    let span = request.submission_id().map_or_else(
        || tracing::info_span!("report"),
        |submission| tracing::info_span!("report", submissionId = %submission),
    );
    // Boxed: the compiler limits how deep futures are nested.
    Box::pin(answer(request, deps))
        .instrument(span.clone())
        .await
        .inspect_err(|failure| span.in_scope(|| failure.log()))
}

async fn answer(request: Request, deps: &Deps) -> Result<Value, Failure> {
    let outcome = match request {
        Request::Step(Step::Start { submission_id, execution }) => {
            start(&submission_id, &execution, deps).await?;
            None
        }
        Request::Step(Step::Finish(finished)) => Some(report(compose(*finished), deps).await?),
        Request::Step(Step::Sweep {}) => return Box::pin(sweep::sweep(deps)).await,
        Request::ExecutionEnded(ended) => execution_ended(&ended.detail, None, deps).await?,
    };
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
    measured(&outcome, &deps.stack_name).iter().for_each(Metrics::emit);
    tracing::info!(status = ?outcome.status, review = outcome.review, "reported the outcome");
    Ok(outcome)
}

/// Reports an execution that was ended from outside or could not report itself; `own` is the outcome that it came to.
async fn execution_ended(ended: &Ended, own: Option<Outcome>, deps: &Deps) -> Result<Option<Outcome>, Failure> {
    let Some(finished) = request::finished(ended) else {
        tracing::warn!(?ended, "an execution without a submission ended");
        return Ok(None);
    };
    let stored = deps.store.get(&finished.submission_id).await?;
    let outcome = match stored.filter(|outcome| outcome.execution == finished.execution) {
        Some(outcome) if deps.is_sent(&outcome) => {
            tracing::info!("the execution had reported its outcome itself");
            return Ok(Some(outcome));
        }
        // It had come to an outcome, and only failed to send it.
        Some(outcome) => outcome,
        None => own.filter(|own| own.execution == finished.execution).unwrap_or_else(|| compose(finished)),
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

/// What is measured of an outcome: one line for the whole, and one for each stage.
fn measured(outcome: &Outcome, stack_name: &str) -> Vec<Metrics> {
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
    let stages = outcome.seconds.iter().map(|(stage, seconds)| {
        line().dimension("Stage", stage.as_str()).value("SecondsInStage", Unit::Seconds, *seconds)
    });
    std::iter::once(whole).chain(stages).collect()
}

fn seconds_between(start: &str, end: &str) -> Option<f64> {
    let [start, end] = [start, end].map(|at| OffsetDateTime::parse(at, &Rfc3339).ok());
    Some((end? - start?).as_seconds_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_outcome_is_measured_by_code_and_by_stage() {
        let outcome: Outcome = serde_json::from_value(json!({
            "submissionId": "-kJ-nOos4KQaL3", "status": "completed", "attempts": 3, "capacityRetries": 2,
            "execution": "arn", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:02:00Z",
            "seconds": {"BuildImage": 3.5, "TrainModel": 60.0},
        }))
        .unwrap();
        let lines: Vec<Value> =
            measured(&outcome, "mm").iter().map(|line| line.to_json(OffsetDateTime::UNIX_EPOCH)).collect();
        assert_eq!(lines.len(), 3);
        for (name, value) in
            [("Outcome", 1.0), ("Attempts", 3.0), ("CapacityRetries", 2.0), ("SecondsToOutcome", 120.0)]
        {
            assert_eq!(lines[0][name], value, "{name}");
        }
        assert_eq!(lines[0]["Code"], "None");
        assert_eq!((&lines[1]["Stage"], &lines[1]["SecondsInStage"]), (&json!("BuildImage"), &json!(3.5)));
        assert_eq!(lines[1]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Stack"], ["Stack", "Stage"]]));
        assert!(lines.iter().all(|line| line["submissionId"] == "-kJ-nOos4KQaL3"));
    }

    #[test]
    fn durations_need_two_readable_times() {
        assert_eq!(seconds_between("2026-01-01T00:00:00Z", "2026-01-01T00:01:00.500Z"), Some(60.5));
        assert_eq!(seconds_between("yesterday", "2026-01-01T00:01:00Z"), None);
    }
}
