//! Concordance and the metric: what is judged of one submission by itself.

use std::sync::Arc;

use scoring::stored::aligned_from_bytes;
use scoring::{Limits, Predictions, Truth, concordance};
use serde_json::{Value, json};
use shared::Failure;
use shared::records::Part;

use crate::dataset::{Dataset, Places};
use crate::prepare::aligned_key;
use crate::request::Job;
use crate::{Deps, fault};

/// Judges concordance, unless it is judged.
pub(crate) async fn concordance(job: &Job, deps: &Deps) -> Result<Value, Failure> {
    if let Some(judged) = standing(job, Part::Concordance, deps).await? {
        return Ok(judged);
    }
    let scoring = deps.scoring(&job.settings)?;
    let (dataset, predictions) = predictions(job, &Places::of(&job.round, &scoring), deps).await?;
    let judged =
        concordance::judge(predictions.values(), &dataset.roster, &dataset.regions, scoring.concordance_threshold);
    let judged = judged.map_err(|error| fault(format!("Concordance cannot be judged: {error}.")).caused_by(error))?;
    deps.tables.judged(&job.submission_id, Part::Concordance, json!(judged)).await
}

/// Measures a submission against the hidden truth, unless it is measured; null where the round has no metric.
pub(crate) async fn metric(job: &Job, deps: &Deps) -> Result<Value, Failure> {
    let scoring = deps.scoring(&job.settings)?;
    let places = Places::of(&job.round, &scoring);
    let (Some(metric), Some(key)) = (scoring.metric, places.truth.clone()) else { return Ok(Value::Null) };
    if let Some(judged) = standing(job, Part::Metric, deps).await? {
        return Ok(judged);
    }
    let version = deps.objects.version(&key).await?;
    let version = version.ok_or_else(|| fault(format!("There is no {key} in the scoring bucket: upload it.")))?;
    let (dataset, predictions) = predictions(job, &places, deps).await?;
    let read = move |reader| Truth::read(reader, &dataset.roster, &Limits::data());
    let truth = deps.objects.parse(&key, &version, read).await?;
    let truth = truth.map_err(|error| fault(format!("{key} cannot be used: {error}.")).caused_by(error))?;
    let score = truth.score(metric, &predictions);
    let score = score.map_err(|error| fault(format!("The metric cannot be computed: {error}.")).caused_by(error))?;
    // The larger, the better, whatever the metric: this is what the leaderboard is sorted by.
    let rank = if metric.higher_is_better() { score } else { -score };
    deps.tables
        .judged(&job.submission_id, Part::Metric, json!({"name": metric, "score": score, "standing": rank + 0.0}))
        .await
}

/// The judgement that stands.
async fn standing(job: &Job, part: Part, deps: &Deps) -> Result<Option<Value>, Failure> {
    Ok(deps.tables.record(&job.submission_id).await?.attributes.remove(part.attribute()))
}

/// The stored predictions with the dataset that they are of.
async fn predictions(job: &Job, places: &Places, deps: &Deps) -> Result<(Arc<Dataset>, Predictions), Failure> {
    let id = job.submission_id.as_str();
    let key = aligned_key(&job.round, id);
    let (dataset, bytes) = tokio::try_join!(deps.datasets.load(places), deps.objects.read(&key))?;
    let bytes = bytes.ok_or_else(|| fault(format!("Submission {id} is not prepared.")))?;
    let unusable = |error: String| fault(format!("The stored values of submission {id} cannot be used: {error}."));
    let values = aligned_from_bytes(&bytes).map_err(|error| unusable(error.to_string()))?;
    let predictions =
        Predictions::from_aligned(values, &dataset.roster).map_err(|error| unusable(error.to_string()))?;
    Ok((dataset, predictions))
}
