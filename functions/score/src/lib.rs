//! Judges submissions of predictions: reads what a judgement needs, calls the library `scoring`, and stores the result.
//!
//! Each action is a step of `statemachine/scoring.asl.json` and writes its own part of the submission's record as soon as
//! it is known. Repeating an action changes nothing.

pub mod challenge;
mod dataset;
pub mod extract;
pub mod failed;
mod judge;
mod objects;
mod originality;
mod prepare;
mod request;
mod settings;
mod table;

use std::borrow::Cow;

use challenge::{Allowed, Challenge, ChallengeError, Scoring};
use dataset::Datasets;
use failed::Failed;
use objects::Objects;
pub use request::{Configure, ErrorOutput, Extract, Fail, Job, Raise, Request};
use serde_json::{Value, json};
pub use settings::Settings;
use shared::metrics::{Metrics, Unit};
use shared::records::Part;
use shared::{Failure, FailureCode, SubmissionId};
use table::Tables;
use tracing::Instrument;

/// What the function works with.
#[derive(Debug)]
pub struct Deps {
    stack_name: String,
    tables: Tables,
    /// The scoring bucket.
    objects: Objects,
    /// The bucket of training jobs' outputs.
    outputs: Objects,
    output_bucket: String,
    datasets: Datasets,
    max_predictions_bytes: u64,
    allowed: Allowed,
}

impl Deps {
    /// Clients of everything the function talks to. Nothing is sent yet.
    #[must_use]
    pub fn new(settings: Settings, s3: aws_sdk_s3::Client, dynamodb: aws_sdk_dynamodb::Client) -> Self {
        let objects = Objects::new(s3.clone(), settings.scoring_bucket);
        Self {
            stack_name: settings.stack_name,
            tables: Tables::new(dynamodb, settings.submissions_table, settings.summaries_table),
            datasets: Datasets::new(objects.clone()),
            objects,
            outputs: Objects::new(s3, settings.output_bucket.clone()),
            output_bucket: settings.output_bucket,
            max_predictions_bytes: settings.max_predictions_bytes,
            allowed: settings.allowed,
        }
    }

    /// How a round is judged.
    fn scoring(&self, settings: &str) -> Result<Scoring, Failure> {
        let challenge = Challenge::read(settings, &self.allowed).map_err(bad_settings)?;
        challenge.scoring.ok_or_else(|| fault("The round's settings have no \"scoring\": it is not judged."))
    }
}

/// Answers a request.
///
/// # Errors
///
/// A [`Failure`] with the code that the state machine decides by; it has been logged.
pub async fn handle(request: Request, deps: &Deps) -> Result<Value, Failure> {
    let span = request
        .submission_id()
        .map_or_else(|| tracing::info_span!("score"), |id| tracing::info_span!("score", submissionId = %id));
    // On the heap: nested as they are, the futures of these calls are too deep a type for the compiler.
    let answer = Box::pin(answer(&request, deps));
    async { answer.await.inspect_err(Failure::log) }.instrument(span).await
}

async fn answer(request: &Request, deps: &Deps) -> Result<Value, Failure> {
    match request {
        Request::Configure(configure) => configured(configure, deps),
        Request::Extract(event) => extract::extract(event, deps).await,
        Request::Prepare(job) => prepare::prepare(job, deps).await,
        Request::Originality(job) => counted(job, Part::Originality, deps, originality::originality(job, deps).await),
        Request::Concordance(job) => counted(job, Part::Concordance, deps, judge::concordance(job, deps).await),
        Request::Metric(job) => counted(job, Part::Metric, deps, judge::metric(job, deps).await),
        Request::Fail(fail) => write_failure(fail, deps).await,
        Request::Raise(raise) if raise.redriven => Ok(Value::Null),
        Request::Raise(raise) => Err(Failure::new(raise.failure.code, raise.failure.message.clone())),
    }
}

/// The settings of a challenge as the state machine needs them.
fn configured(configure: &Configure, deps: &Deps) -> Result<Value, Failure> {
    let settings = configure.settings.as_deref().unwrap_or("{}");
    let challenge = Challenge::read(settings, &deps.allowed).map_err(bad_settings)?;
    Ok(json!({"training": challenge.training, "isScored": challenge.scoring.is_some()}))
}

async fn write_failure(fail: &Fail, deps: &Deps) -> Result<Value, Failure> {
    let failed = Failed::of(fail.part, &fail.error);
    deps.tables.failed(&fail.submission_id, &failed).await?;
    tracing::info!(code = %failed.code, part = ?failed.part, "not judged");
    Ok(json!(failed))
}

fn counted(job: &Job, part: Part, deps: &Deps, judged: Result<Value, Failure>) -> Result<Value, Failure> {
    let judgement = judged?;
    if !judgement.is_null() {
        count(&deps.stack_name, part, &job.submission_id).emit();
    }
    Ok(judgement)
}

fn count(stack: &str, part: Part, submission: &SubmissionId) -> Metrics {
    Metrics::of_stack(stack)
        .dimension("Judgement", part.attribute())
        .value("Judged", Unit::Count, 1.0)
        .property("submissionId", submission.as_str())
}

fn bad_settings(error: ChallengeError) -> Failure {
    fault(format!("The challenge's settings cannot be used: {error}. Correct its SSM parameter, then redrive."))
        .caused_by(error)
}

/// A failure that is not the participant's.
pub(crate) fn fault(message: impl Into<Cow<'static, str>>) -> Failure {
    Failure::new(FailureCode::ScoringFault, message)
}
