//! Turns what a finished execution knows into the submission's outcome, and stores it.

mod compose;
mod settings;

use aws_sdk_s3::primitives::ByteStream;
pub use compose::{Finished, compose};
pub use settings::Settings;
use shared::metrics::{Metrics, Unit};
use shared::outcome::Outcome;
use shared::{Failure, FailureCode};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What the function works with.
#[derive(Debug, Clone)]
pub struct Deps {
    /// Its settings.
    pub settings: Settings,
    /// The client that stores outcomes.
    pub s3: aws_sdk_s3::Client,
}

/// Stores the outcome as `{submissionId}/outcome.json` in the output bucket, counts it and gives it back.
///
/// The same input is stored as the same bytes under the same key, however often it comes. Fails with
/// [`FailureCode::Internal`] when S3 does not take it.
pub async fn handle(finished: Finished, deps: &Deps) -> Result<Outcome, Failure> {
    let outcome = compose(finished);
    let stored = store(&outcome, deps).await;
    if let Err(failure) = &stored {
        failure.log();
    }
    stored?;
    count(&outcome, &deps.settings.stack_name).emit();
    tracing::info!(submission_id = %outcome.submission_id, status = ?outcome.status, "stored the outcome");
    Ok(outcome)
}

async fn store(outcome: &Outcome, deps: &Deps) -> Result<(), Failure> {
    let body = serde_json::to_vec_pretty(outcome).map_err(|error| {
        Failure::new(FailureCode::Internal, "the outcome cannot be written as JSON").caused_by(error)
    })?;
    let key = format!("{}/outcome.json", outcome.submission_id);
    deps.s3
        .put_object()
        .bucket(&deps.settings.output_bucket)
        .key(&key)
        .content_type("application/json")
        .body(ByteStream::from(body))
        .send()
        .await
        .map_err(|error| {
            Failure::new(FailureCode::Internal, format!("the outcome could not be stored as {key}")).caused_by(error)
        })?;
    Ok(())
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
