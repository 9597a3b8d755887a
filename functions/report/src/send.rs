//! Sends outcomes to the Submission API. Looks first for what is there, so that sending twice changes nothing.

use domain::SubmissionId;
use domain::outcome::{Outcome, Status};
use serde_json::{Value, json};
use submission_api::{Artifact, Client, Error, NewReview, NewSummation, ReviewStatus};

use crate::review;
use crate::review::{ReviewMetadata, StartMetadata};
use crate::settings::{ReviewSettings, V5};

/// The content of a review or summation.
struct Content<'a> {
    submission: &'a SubmissionId,
    status: ReviewStatus,
    score: f64,
    passing: bool,
    metadata: Value,
    /// When the outcome was known, RFC 3339.
    at: Option<&'a str>,
}

/// Reports that processing has started, unless there is a review already.
pub(crate) async fn start(api: &Client, settings: &ReviewSettings, submission: &SubmissionId) -> Result<(), Error> {
    let metadata = json!(StartMetadata::default());
    let content = Content { submission, status: ReviewStatus::Queued, score: 0.0, passing: false, metadata, at: None };
    // A summation is a result, so version 6 gets one only with the outcome.
    if let ReviewSettings::V5(settings) = settings
        && api.reviews(submission, &settings.type_id).await?.is_empty()
    {
        api.create_review(&new_review(settings, &content, Some(0.0))).await?;
    }
    Ok(())
}

/// Sends an outcome and its artifacts. Returns the id of the review or summation.
pub(crate) async fn outcome(
    api: &Client,
    settings: &ReviewSettings,
    outcome: &Outcome,
    files: &[Artifact; 2],
) -> Result<String, Error> {
    let field = match settings {
        ReviewSettings::V5(_) => "artifact",
        ReviewSettings::V6 { .. } => "file",
    };
    match api.artifacts(&outcome.submission_id).await {
        Ok(present) => {
            let is_present =
                |file: &&Artifact| present.iter().any(|name| name.strip_suffix(".zip") == Some(&file.name));
            for file in files.iter().filter(|file| !is_present(file)) {
                api.upload_artifact(&outcome.submission_id, field, file).await?;
            }
        }
        // A submission that the API does not have cannot have artifacts, but it can have a review.
        Err(Error::NotFound { .. }) => {}
        Err(error) => return Err(error),
    }
    let content = Content {
        submission: &outcome.submission_id,
        status: ReviewStatus::Completed,
        score: review::score(outcome),
        passing: outcome.status == Status::Completed,
        metadata: json!(ReviewMetadata::new(outcome)),
        at: Some(&outcome.finished_at),
    };
    Ok(match settings {
        ReviewSettings::V5(settings) => write_review(api, settings, &content).await?,
        ReviewSettings::V6 { scorecard_id } => write_summation(api, scorecard_id.as_deref(), &content).await?,
    })
}

async fn write_review(api: &Client, settings: &V5, content: &Content<'_>) -> Result<String, Error> {
    let reviews = api.reviews(content.submission, &settings.type_id).await?;
    // Two first reports at the same time can create two reviews. The first by id is then kept up to date.
    let Some(review) = reviews.first() else {
        return Ok(api.create_review(&new_review(settings, content, Some(content.score))).await?.id);
    };
    // The API cannot change a score to 0. A review that needs 0 was created with it.
    let score = (content.score != 0.0).then_some(content.score);
    let is_same = review.status == Some(content.status)
        && (score.is_none() || review.score == score)
        && contains(&review.metadata, &content.metadata);
    if !is_same {
        api.update_review(&review.id, &new_review(settings, content, score)).await?;
    }
    Ok(review.id.clone())
}

fn new_review<'a>(settings: &'a V5, content: &'a Content<'_>, score: Option<f64>) -> NewReview<'a> {
    NewReview {
        type_id: &settings.type_id,
        reviewer_id: &settings.reviewer_id,
        submission_id: content.submission,
        score_card_id: &settings.scorecard_id,
        score,
        status: content.status,
        metadata: &content.metadata,
        reviewed_date: content.at,
    }
}

async fn write_summation(api: &Client, scorecard: Option<&str>, content: &Content<'_>) -> Result<String, Error> {
    let summation = NewSummation {
        submission_id: content.submission,
        aggregate_score: content.score,
        scorecard_id: scorecard,
        is_passing: content.passing,
        is_provisional: true,
        metadata: &content.metadata,
        reviewed_date: content.at,
    };
    let summations = api.summations(content.submission).await?;
    let has_scorecard = |id: &Option<String>| scorecard.is_none() || id.as_deref() == scorecard;
    match summations.iter().find(|summation| has_scorecard(&summation.scorecard_id)) {
        None => Ok(api.create_summation(&summation).await?.id),
        Some(present) => {
            if !contains(&present.metadata, &content.metadata) {
                api.update_summation(&present.id, &summation).await?;
            }
            Ok(present.id.clone())
        }
    }
}

/// Whether `present` has every field of `expected` with the same value. Null and absent are the same.
fn contains(present: &Value, expected: &Value) -> bool {
    match (present, expected) {
        (present, Value::Object(expected)) => {
            expected.iter().all(|(name, expected)| contains(present.get(name).unwrap_or(&Value::Null), expected))
        }
        (present, expected) => present == expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn present_metadata_may_have_more_fields() {
        let present = json!({"status": "rejected", "metric": {"name": "auc", "more": 1}, "more": ["a"]});
        assert!(contains(&present, &json!({"status": "rejected", "metric": {"name": "auc", "score": null}})));
        assert!(!contains(&present, &json!({"status": "completed"})));
        assert!(!contains(&present, &json!({"more": ["a", "b"]})));
        assert!(!contains(&json!(null), &json!({"status": "completed"})));
    }
}
