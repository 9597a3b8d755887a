//! Sending an outcome to the Submission API. Whatever is sent is looked for first, so that sending twice changes nothing.

use serde_json::Value;
use shared::SubmissionId;
use shared::outcome::{Outcome, Status};
use shared::submission_api::{Artifact, Client, Error, NewReview, NewSummation, ReviewStatus};
use shared::{Failure, FailureCode};

use crate::settings::{ReviewSettings, V5};
use crate::{artifacts, review};

/// How a review stands.
struct Verdict<'a> {
    submission: &'a SubmissionId,
    status: ReviewStatus,
    score: f64,
    passing: bool,
    metadata: Value,
    at: Option<&'a str>,
}

/// Says that processing has started, unless there is a review already.
pub(crate) async fn start(
    api: &Client,
    settings: &ReviewSettings,
    submission: &SubmissionId,
    execution: &str,
    region: &str,
) -> Result<(), Error> {
    let metadata = review::metadata_of_start(execution, region);
    let verdict = Verdict { submission, status: ReviewStatus::Queued, score: 0.0, passing: false, metadata, at: None };
    // A summation is a result: version 6 hears of a submission when there is one.
    if let ReviewSettings::V5(settings) = settings
        && api.reviews(submission, &settings.type_id).await?.is_empty()
    {
        api.create_review(&new_review(settings, &verdict, Some(0.0))).await?;
    }
    Ok(())
}

/// Sends an outcome and its files; gives the id of the review or summation.
pub(crate) async fn outcome(
    api: &Client,
    settings: &ReviewSettings,
    outcome: &Outcome,
    region: &str,
) -> Result<String, Failure> {
    let field = match settings {
        ReviewSettings::V5(_) => "artifact",
        ReviewSettings::V6 { .. } => "file",
    };
    let files = artifacts::of_outcome(outcome, region).map_err(|error| {
        Failure::new(FailureCode::Internal, "the outcome's files could not be packed").caused_by(error)
    })?;
    match api.artifacts(&outcome.submission_id).await {
        Ok(present) => {
            let is_present =
                |file: &&Artifact| present.iter().any(|name| name.strip_suffix(".zip") == Some(&file.name));
            for file in files.iter().filter(|file| !is_present(file)) {
                api.upload_artifact(&outcome.submission_id, field, file).await?;
            }
        }
        // A submission that the API does not know can have no files, but a review: that is not checked.
        Err(Error::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let verdict = Verdict {
        submission: &outcome.submission_id,
        status: ReviewStatus::Completed,
        score: review::score(outcome),
        passing: outcome.status == Status::Completed,
        metadata: review::metadata(outcome, region),
        at: Some(&outcome.finished_at),
    };
    Ok(match settings {
        ReviewSettings::V5(settings) => write_review(api, settings, &verdict).await?,
        ReviewSettings::V6 { scorecard_id } => write_summation(api, scorecard_id.as_deref(), &verdict).await?,
    })
}

async fn write_review(api: &Client, settings: &V5, verdict: &Verdict<'_>) -> Result<String, Error> {
    let reviews = api.reviews(verdict.submission, &settings.type_id).await?;
    // Of several, which only a race of two first reports can make, the first by id is kept up to date.
    let Some(review) = reviews.first() else {
        return Ok(api.create_review(&new_review(settings, verdict, Some(verdict.score))).await?.id);
    };
    // The API cannot change a score to 0; a review that has to have it was made with it.
    let score = (verdict.score != 0.0).then_some(verdict.score);
    let same = review.status == Some(verdict.status)
        && (score.is_none() || review.score == score)
        && contains(&review.metadata, &verdict.metadata);
    if !same {
        api.update_review(&review.id, &new_review(settings, verdict, score)).await?;
    }
    Ok(review.id.clone())
}

fn new_review<'a>(settings: &'a V5, verdict: &'a Verdict<'_>, score: Option<f64>) -> NewReview<'a> {
    NewReview {
        type_id: &settings.type_id,
        reviewer_id: &settings.reviewer_id,
        submission_id: verdict.submission,
        score_card_id: &settings.scorecard_id,
        score,
        status: verdict.status,
        metadata: &verdict.metadata,
        reviewed_date: verdict.at,
    }
}

async fn write_summation(api: &Client, scorecard: Option<&str>, verdict: &Verdict<'_>) -> Result<String, Error> {
    let summation = NewSummation {
        submission_id: verdict.submission,
        aggregate_score: verdict.score,
        scorecard_id: scorecard,
        is_passing: verdict.passing,
        is_provisional: true,
        metadata: &verdict.metadata,
        reviewed_date: verdict.at,
    };
    let summations = api.summations(verdict.submission).await?;
    let ours = |id: &Option<String>| scorecard.is_none() || id.as_deref() == scorecard;
    match summations.iter().find(|summation| ours(&summation.scorecard_id)) {
        None => Ok(api.create_summation(&summation).await?.id),
        Some(present) => {
            if !contains(&present.metadata, &verdict.metadata) {
                api.update_summation(&present.id, &summation).await?;
            }
            Ok(present.id.clone())
        }
    }
}

/// Whether every field is there already, with the same value; nulls count as absent.
fn contains(present: &Value, wanted: &Value) -> bool {
    match (present, wanted) {
        (present, Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| contains(present.get(name).unwrap_or(&Value::Null), wanted))
        }
        (present, wanted) => present == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_there_already_is_recognised_among_more() {
        let present = json!({"status": "rejected", "private": {"execution": "arn", "more": 1}, "logTail": ["a"]});
        assert!(contains(&present, &json!({"status": "rejected", "private": {"execution": "arn", "model": null}})));
        assert!(!contains(&present, &json!({"status": "completed"})));
        assert!(!contains(&present, &json!({"logTail": ["a", "b"]})));
        assert!(!contains(&json!(null), &json!({"status": "completed"})));
    }
}
