//! Reviews: how version 5 of the API keeps what became of a submission.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Client, Error};
use crate::SubmissionId;

/// Reviews that one page of a listing holds; nobody has that many of one type.
const PAGE: &str = "100";

/// How far a review is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReviewStatus {
    /// The submission is being processed.
    Queued,
    /// The outcome is known.
    Completed,
}

/// A review to be written. The API refuses keys it does not know.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewReview<'a> {
    /// The type of review: a UUID.
    pub type_id: &'a str,
    /// Who reviews: a UUID or a number.
    pub reviewer_id: &'a Value,
    /// The submission.
    pub submission_id: &'a SubmissionId,
    /// The scorecard: a UUID or a number.
    pub score_card_id: &'a Value,
    /// The score, 0 to 100. The API cannot change a score to 0, so an update leaves it out then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// How far the review is.
    pub status: ReviewStatus,
    /// Everything else; what stands under `private` is hidden from participants.
    pub metadata: &'a Value,
    /// When the outcome was known, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reviewed_date: Option<&'a str>,
}

/// A review as the API has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    /// The review's id.
    pub id: String,
    /// How far it is.
    pub status: Option<ReviewStatus>,
    /// Its score.
    pub score: Option<f64>,
    /// Its metadata.
    #[serde(default)]
    pub metadata: Value,
}

impl Client {
    /// The reviews of a submission of one type, by their ids.
    ///
    /// # Errors
    ///
    /// As [`Client::submission`].
    pub async fn reviews(&self, submission: &SubmissionId, type_id: &str) -> Result<Vec<Review>, Error> {
        let query = [("submissionId", submission.as_str()), ("typeId", type_id), ("perPage", PAGE)];
        let (call, body) = self.call(Method::GET, &["reviews"], &query, None).await?;
        let mut reviews: Vec<Review> = parse(call, &body)?;
        reviews.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(reviews)
    }

    /// Writes a new review.
    ///
    /// # Errors
    ///
    /// As [`Client::submission`].
    pub async fn create_review(&self, review: &NewReview<'_>) -> Result<Review, Error> {
        let (call, body) = self.call(Method::POST, &["reviews"], &[], Some(&to_json(review)?)).await?;
        parse(call, &body)
    }

    /// Changes a review: what is given replaces what was there, and metadata is merged into what was there.
    ///
    /// # Errors
    ///
    /// As [`Client::submission`].
    pub async fn update_review(&self, id: &str, review: &NewReview<'_>) -> Result<Review, Error> {
        let (call, body) = self.call(Method::PATCH, &["reviews", id], &[], Some(&to_json(review)?)).await?;
        parse(call, &body)
    }
}

pub(super) fn to_json(body: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(body)
        .map_err(|error| Error::Malformed { call: "a request".to_owned(), reason: error.to_string() })
}

pub(super) fn parse<'a, T: Deserialize<'a>>(call: String, body: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| Error::Malformed { call, reason: error.to_string() })
}
