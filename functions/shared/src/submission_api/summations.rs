//! Review summations: how version 6 of the API keeps what became of a submission.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::reviews::{parse, to_json};
use super::{Client, Error};
use crate::SubmissionId;

/// A summation to be written.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewSummation<'a> {
    /// The submission.
    pub submission_id: &'a SubmissionId,
    /// The score, 0 to 100.
    pub aggregate_score: f64,
    /// The scorecard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scorecard_id: Option<&'a str>,
    /// Whether the submission completed.
    pub is_passing: bool,
    /// A summation of the competition's provisional phase.
    pub is_provisional: bool,
    /// Everything else; what stands under `private` is hidden from participants.
    pub metadata: &'a Value,
    /// When the outcome was known, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reviewed_date: Option<&'a str>,
}

/// A summation as the API has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summation {
    /// The summation's id.
    pub id: String,
    /// The scorecard it belongs to.
    #[serde(default)]
    pub scorecard_id: Option<String>,
    /// Its metadata.
    #[serde(default)]
    pub metadata: Value,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Summation>,
}

impl Client {
    /// The summations of a submission, by their ids.
    ///
    /// # Errors
    ///
    /// As [`Client::submission`].
    pub async fn summations(&self, submission: &SubmissionId) -> Result<Vec<Summation>, Error> {
        let query = [("submissionId", submission.as_str()), ("provisional", "true"), ("metadata", "true")];
        let (call, body) = self.call(Method::GET, &["reviewSummations"], &query, None).await?;
        let Page { mut data } = parse(call, &body)?;
        data.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(data)
    }

    /// Writes a new summation. The API keeps none unique: look first.
    ///
    /// # Errors
    ///
    /// As [`Client::submission`].
    pub async fn create_summation(&self, summation: &NewSummation<'_>) -> Result<Summation, Error> {
        let (call, body) = self.call(Method::POST, &["reviewSummations"], &[], Some(&to_json(summation)?)).await?;
        parse(call, &body)
    }

    /// Changes a summation.
    ///
    /// # Errors
    ///
    /// As [`Client::submission`].
    pub async fn update_summation(&self, id: &str, summation: &NewSummation<'_>) -> Result<Summation, Error> {
        let (call, body) = self.call(Method::PATCH, &["reviewSummations", id], &[], Some(&to_json(summation)?)).await?;
        parse(call, &body)
    }
}
