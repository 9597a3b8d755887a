//! Review summations: version 6 of the API stores outcomes as summations.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::reviews::parse;
use crate::{Client, Error};
use domain::SubmissionId;

/// A summation to write.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewSummation<'a> {
    pub submission_id: &'a SubmissionId,
    pub aggregate_score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scorecard_id: Option<&'a str>,
    pub is_passing: bool,
    /// Whether it belongs to the provisional phase of the challenge.
    pub is_provisional: bool,
    /// The API hides the part under `private` from participants.
    pub metadata: &'a Value,
    /// When the outcome was known, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reviewed_date: Option<&'a str>,
}

/// A summation as the API returns it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summation {
    pub id: String,
    #[serde(default)]
    pub scorecard_id: Option<String>,
    #[serde(default)]
    pub metadata: Value,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Summation>,
}

impl Client {
    /// The provisional summations of a submission, sorted by id.
    pub async fn summations(&self, submission: &SubmissionId) -> Result<Vec<Summation>, Error> {
        let query = [("submissionId", submission.as_str()), ("provisional", "true"), ("metadata", "true")];
        let (call, body) = self.call(Method::GET, &["reviewSummations"], &query, None).await?;
        let Page { mut data } = parse(call, &body)?;
        data.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(data)
    }

    /// The API does not prevent a second summation: look for one first.
    pub async fn create_summation(&self, summation: &NewSummation<'_>) -> Result<Summation, Error> {
        let (call, body) = self.call(Method::POST, &["reviewSummations"], &[], Some(&json!(summation))).await?;
        parse(call, &body)
    }

    pub async fn update_summation(&self, id: &str, summation: &NewSummation<'_>) -> Result<Summation, Error> {
        let (call, body) = self.call(Method::PATCH, &["reviewSummations", id], &[], Some(&json!(summation))).await?;
        parse(call, &body)
    }
}
