//! Scores submissions of predictions: reads what a result needs, calls the library `scoring`, and stores the result.
//!
//! This crate promises:
//! - each action is a step of `statemachine/scoring.asl.json`, and repeating it changes nothing;
//! - each result is in the submission's record as soon as it is known, so that a failure never hides another result;
//! - values are stored when a submission is prepared: predictions that are replaced later change no result.
//!
//! It may not decide how to score: that is the library's part.

mod answer;
pub mod challenge;
mod dataset;
mod deps;
mod error;
mod extract;
pub mod failed_result;
mod objects;
mod originality;
mod own_results;
mod prepare;
mod request;
mod settings;
mod stored_values;
mod table;

pub use answer::{Answer, Configured, Extracted};
pub use deps::Deps;
use domain::SubmissionId;
pub use error::ScoreError;
use failed_result::FailedResult;
use records::ResultKind;
pub use request::{Configure, Extract, Fail, Job, Raise, Request};
use runtime::Raised;
use runtime::metrics::{Metrics, Unit};
pub use settings::Settings;

/// Answers a request.
///
/// # Errors
///
/// A [`ScoreError`], which has been logged.
pub async fn handle(request: Request, deps: &Deps) -> Result<Answer, ScoreError> {
    runtime::answer(request.submission_id(), act(&request, deps)).await
}

async fn act(request: &Request, deps: &Deps) -> Result<Answer, ScoreError> {
    Ok(match request {
        Request::Configure(configure) => Answer::Configured(configured(configure, deps)?),
        Request::Extract(event) => Answer::Extracted(extract::extract(event, deps).await?),
        Request::Prepare(job) => Answer::Prepared(prepare::prepare(job, deps).await?),
        Request::Originality(job) => {
            let result = originality::originality(job, deps).await?;
            count_result(&deps.stack_name, ResultKind::Originality, &job.submission_id);
            Answer::Originality(result)
        }
        Request::Concordance(job) => {
            let result = own_results::concordance(job, deps).await?;
            count_result(&deps.stack_name, ResultKind::Concordance, &job.submission_id);
            Answer::Concordance(result)
        }
        Request::Metric(job) => match own_results::metric(job, deps).await? {
            Some(result) => {
                count_result(&deps.stack_name, ResultKind::Metric, &job.submission_id);
                Answer::Metric(result)
            }
            None => Answer::Nothing,
        },
        Request::Fail(fail) => Answer::Failed(store_failure(fail, deps).await?),
        Request::Raise(raise) if raise.redriven => Answer::Nothing,
        Request::Raise(raise) => {
            let FailedResult { code, message, .. } = raise.failure.clone();
            return Err(Raised { code, message }.into());
        }
    })
}

/// The settings of a challenge as the state machine needs them.
fn configured(configure: &Configure, deps: &Deps) -> Result<Configured, ScoreError> {
    let settings = configure.settings.as_deref().unwrap_or("{}");
    let challenge = deps.settings(&configure.challenge, settings)?;
    if configure.settings.is_some() {
        challenge.check_for_training().map_err(|source| deps.invalid(&configure.challenge, source))?;
    }
    Ok(Configured {
        is_scored: challenge.scoring.is_some(),
        training: challenge.training,
        reporting: challenge.reporting,
    })
}

async fn store_failure(fail: &Fail, deps: &Deps) -> Result<FailedResult, ScoreError> {
    let failed = FailedResult::from_step_error(fail.result, &fail.error, &deps.parameter(&fail.challenge));
    deps.submissions.store_failure(&fail.submission_id, &failed).await?;
    tracing::info!(code = %failed.code, result = failed.result.attribute(), "stored why a result is missing");
    Ok(failed)
}

fn count_result(stack: &str, result: ResultKind, submission: &SubmissionId) {
    Metrics::of_stack(stack)
        .dimension("Result", result.attribute())
        .value("Scored", Unit::Count, 1.0)
        .property("submissionId", submission.as_str())
        .emit();
}
