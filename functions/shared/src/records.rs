//! The table of submissions: what was handed in, and every judgement on it.
//!
//! Its key is `submissionId`. Whoever takes submissions in writes an item with `submissionId`, `round`, `userId` and
//! `created` (RFC 3339, in UTC); scoring adds one attribute for each judgement as soon as it is known, or one that says
//! why there is none, and changes nothing else.

mod json;

use std::error::Error;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
pub use json::{from_item, to_attribute};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::{Round, SubmissionId};

/// The index of a round's submissions by creation.
pub const BY_CREATION: &str = "round-created";
/// The index of a round's scored submissions by standing.
pub const BY_STANDING: &str = "round-standing";

/// What is judged about a submission, or what has to be there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The predictions, which have to be readable before anything is judged.
    Predictions,
    /// Whether it is a near copy of an earlier submission.
    Originality,
    /// Whether its predictions behave alike on all data.
    Concordance,
    /// Its score against the hidden truth.
    Metric,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 4] = [Self::Predictions, Self::Originality, Self::Concordance, Self::Metric];

    /// The attribute that holds the judgement.
    #[must_use]
    pub fn attribute(self) -> &'static str {
        match self {
            Self::Predictions => "predictions",
            Self::Originality => "originality",
            Self::Concordance => "concordance",
            Self::Metric => "metric",
        }
    }

    /// The attribute that says why there is no judgement: `code` and `message`.
    #[must_use]
    pub fn failure_attribute(self) -> &'static str {
        match self {
            Self::Predictions => "predictionsFailure",
            Self::Originality => "originalityFailure",
            Self::Concordance => "concordanceFailure",
            Self::Metric => "metricFailure",
        }
    }
}

/// What whoever takes submissions in writes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Submission {
    /// Its id.
    pub submission_id: SubmissionId,
    /// The round it was made for.
    pub round: Round,
    /// Whose it is.
    pub user_id: String,
    /// When it was created: this decides which of two submissions is the earlier one.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// Where its predictions are in the scoring bucket, if not at `predictions/{round}/{submissionId}.csv`.
    #[serde(default)]
    pub predictions_key: Option<String>,
}

impl Submission {
    /// Where the predictions are in the scoring bucket.
    #[must_use]
    pub fn predictions_key(&self) -> String {
        self.predictions_key.clone().unwrap_or_else(|| predictions_key(&self.round, &self.submission_id))
    }
}

/// Where a submission's predictions are in the scoring bucket unless its record says otherwise.
#[must_use]
pub fn predictions_key(round: &Round, submission: &SubmissionId) -> String {
    format!("predictions/{round}/{submission}.csv")
}

/// A submission's item: as it was handed in, and as JSON with all that was added.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// As it was handed in.
    pub submission: Submission,
    /// All attributes by their names.
    pub attributes: Map<String, Value>,
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// DynamoDB did not answer, or refused.
    #[error("the table of submissions cannot be read")]
    Call(#[source] Box<dyn Error + Send + Sync>),
    /// The item is not as described in this module.
    #[error("the record of submission {id} is malformed: {reason}")]
    Malformed {
        /// The submission.
        id: SubmissionId,
        /// What is wrong with it.
        reason: String,
    },
}

/// The record of a submission as last written, if there is one.
///
/// # Errors
/// When DynamoDB does not answer or the item is not as described in this module.
pub async fn read(client: &Client, table: &str, id: &SubmissionId) -> Result<Option<Record>, RecordError> {
    let answer = client
        .get_item()
        .table_name(table)
        .key("submissionId", AttributeValue::S(id.to_string()))
        .consistent_read(true)
        .send()
        .await
        .map_err(|error| RecordError::Call(error.into()))?;
    let Some(item) = answer.item else { return Ok(None) };
    let attributes = from_item(item);
    let submission = serde_json::from_value(Value::Object(attributes.clone()))
        .map_err(|error| RecordError::Malformed { id: id.clone(), reason: error.to_string() })?;
    Ok(Some(Record { submission, attributes }))
}
