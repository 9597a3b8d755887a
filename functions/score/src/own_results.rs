//! The results of a submission that do not depend on other submissions: concordance and the metric.

use std::sync::Arc;

use domain::{MetricResult, Scores, SubmissionId};
use records::ResultKind;
use scoring::concordance::{self, Concordance};
use scoring::{Limits, Predictions, Truth};

use crate::dataset::{Dataset, DatasetKeys};
use crate::deps::Deps;
use crate::error::ScoreError;
use crate::request::Job;
use crate::stored_values::read_aligned;
use crate::table::Error;

/// Scores concordance, unless it is stored.
pub(crate) async fn concordance(job: &Job, deps: &Deps) -> Result<Concordance, ScoreError> {
    let id = &job.submission_id;
    if let Some(stored) = stored(id, deps).await?.concordance {
        return Ok(stored);
    }
    let scoring = deps.scoring(&job.challenge, &job.settings)?;
    let (dataset, predictions) = predictions(job, &DatasetKeys::of(&job.challenge, &scoring), deps).await?;
    let threshold = scoring.concordance_threshold;
    let result = concordance::score(predictions.values(), &dataset.roster, &dataset.regions, threshold)
        .map_err(ScoreError::Concordance)?;
    if let Some(record) = deps.submissions.store_result(id, ResultKind::Concordance, &result).await? {
        deps.submissions.rank(&record).await?;
        return Ok(result);
    }
    let stored = stored(id, deps).await?.concordance;
    Ok(stored.ok_or_else(|| Error::result_missing(id, ResultKind::Concordance))?)
}

/// Scores a submission against the hidden truth, unless that is stored. `None` if the challenge has no metric.
pub(crate) async fn metric(job: &Job, deps: &Deps) -> Result<Option<MetricResult>, ScoreError> {
    let scoring = deps.scoring(&job.challenge, &job.settings)?;
    let keys = DatasetKeys::of(&job.challenge, &scoring);
    let (Some(name), Some(key)) = (scoring.metric, &keys.truth) else { return Ok(None) };
    let id = &job.submission_id;
    if let Some(stored) = stored(id, deps).await?.metric {
        return Ok(Some(stored));
    }
    let location = deps.objects.location(key);
    let version = deps.objects.version(key).await?;
    let version = version.ok_or_else(|| ScoreError::FileMissing { location: location.clone() })?;
    let (dataset, predictions) = predictions(job, &keys, deps).await?;
    let read = move |reader| Truth::read(reader, &dataset.roster, &Limits::data());
    let truth = deps.objects.parse(key, &version, read).await?;
    let truth = truth.map_err(|error| ScoreError::file(location, error))?;
    let score = truth.score(name, &predictions).map_err(ScoreError::Metric)?;
    // Adding zero turns a negative zero into a positive one.
    let standing = if name.higher_is_better() { score } else { -score } + 0.0;
    let result = MetricResult { name, score, standing };
    if let Some(record) = deps.submissions.store_result(id, ResultKind::Metric, &result).await? {
        deps.submissions.rank(&record).await?;
        return Ok(Some(result));
    }
    let stored = stored(id, deps).await?.metric.ok_or_else(|| Error::result_missing(id, ResultKind::Metric))?;
    Ok(Some(stored))
}

/// The stored results. A step that was stopped after storing one is repeated and ranks the submission here.
async fn stored(id: &SubmissionId, deps: &Deps) -> Result<Scores, Error> {
    let record = deps.submissions.record(id).await?;
    deps.submissions.rank(&record).await?;
    Ok(record.scores)
}

/// The stored predictions, and the dataset that they belong to.
async fn predictions(job: &Job, keys: &DatasetKeys, deps: &Deps) -> Result<(Arc<Dataset>, Predictions), ScoreError> {
    let submission = job.submission_id.as_str();
    let values = read_aligned(&deps.objects, &job.challenge, submission);
    let (dataset, values) = tokio::try_join!(deps.datasets.load(keys), values)?;
    let predictions = Predictions::from_aligned(values, &dataset.roster)
        .map_err(|source| ScoreError::ValuesMisaligned { submission: submission.to_owned(), source })?;
    Ok((dataset, predictions))
}
