//! Reviews: version 5 of the API stores outcomes as reviews.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Client, Error, Id};
use domain::SubmissionId;

/// Reviews on one page, more than a submission has of one type.
const PAGE: &str = "100";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReviewStatus {
    /// The submission is being processed.
    Queued,
    /// The outcome is known.
    Completed,
}

/// A review to write. The API refuses unknown keys.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewReview<'a> {
    /// A UUID.
    pub type_id: &'a str,
    pub reviewer_id: &'a Id,
    pub submission_id: &'a SubmissionId,
    pub score_card_id: &'a Id,
    /// The API cannot change a score to 0: leave it out of such an update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    pub status: ReviewStatus,
    /// The API hides the part under `private` from participants.
    pub metadata: &'a Value,
    /// When the outcome was known, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reviewed_date: Option<&'a str>,
}

/// A review as the API returns it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    pub id: String,
    pub status: Option<ReviewStatus>,
    pub score: Option<f64>,
    #[serde(default)]
    pub metadata: Value,
}

impl Client {
    /// The reviews of one type that a submission has, sorted by id.
    pub async fn reviews(&self, submission: &SubmissionId, type_id: &str) -> Result<Vec<Review>, Error> {
        let query = [("submissionId", submission.as_str()), ("typeId", type_id), ("perPage", PAGE)];
        let (call, body) = self.call(Method::GET, &["reviews"], &query, None).await?;
        let mut reviews: Vec<Review> = parse(call, &body)?;
        reviews.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(reviews)
    }

    pub async fn create_review(&self, review: &NewReview<'_>) -> Result<Review, Error> {
        let (call, body) = self.call(Method::POST, &["reviews"], &[], Some(&json!(review))).await?;
        parse(call, &body)
    }

    /// Replaces the given fields of a review; the API merges the metadata.
    pub async fn update_review(&self, id: &str, review: &NewReview<'_>) -> Result<Review, Error> {
        let (call, body) = self.call(Method::PATCH, &["reviews", id], &[], Some(&json!(review))).await?;
        parse(call, &body)
    }
}

pub(crate) fn parse<'a, T: Deserialize<'a>>(call: String, body: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| Error::malformed(call, &error))
}
