//! The table of submissions: one record for each submission, with every result of scoring.
//!
//! This crate promises:
//! - a record is read as it was last written, and a malformed one is an error that names the submission;
//! - every number is stored in DynamoDB's range without losing a bit, or as the nearest one that DynamoDB can hold.
//!
//! It may not write: only `score` does. Who registers a submission writes `submissionId` (the key), `challengeId`,
//! `userId` and `created` (RFC 3339, UTC); scoring adds an attribute for each result, or for the reason why it failed.

mod json;
mod result_kind;

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{ChallengeId, FailureCode, Scores, SubmissionId};
pub use json::{from_item, to_attribute};
pub use result_kind::ResultKind;
use runtime::CallFailed;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

/// The index of a challenge's submissions, sorted by creation.
pub const BY_CREATION: &str = "challenge-created";
/// The index of a challenge's submissions that have a metric, sorted by `standing`.
pub const BY_STANDING: &str = "challenge-standing";

/// The part of a record that registers a submission.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Submission {
    pub submission_id: SubmissionId,
    #[serde(rename = "challengeId")]
    pub challenge: ChallengeId,
    pub user_id: String,
    /// Decides which of two submissions is the earlier one.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// Where the predictions are in the scoring bucket, if not at [`predictions_key`].
    #[serde(default)]
    predictions_key: Option<String>,
}

impl Submission {
    /// The key of the predictions in the scoring bucket.
    #[must_use]
    pub fn predictions_key(&self) -> String {
        self.predictions_key.clone().unwrap_or_else(|| predictions_key(&self.challenge, &self.submission_id))
    }
}

/// The default key of a submission's predictions in the scoring bucket.
#[must_use]
pub fn predictions_key(challenge: &ChallengeId, submission: &SubmissionId) -> String {
    format!("predictions/{challenge}/{submission}.csv")
}

/// The predictions were read and prepared for scoring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedPredictions {
    pub rows: usize,
}

/// Why a result is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureReason {
    pub code: FailureCode,
    pub message: String,
}

/// The record of a submission.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub submission: Submission,
    pub predictions: Option<PreparedPredictions>,
    pub scores: Scores,
    /// Why results are missing; a result that is there has no failure.
    pub failures: BTreeMap<ResultKind, FailureReason>,
}

#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("The table {table} could not be read.")]
    Call { table: String, source: CallFailed },
    #[error("The record of the submission {id} is not valid: {reason}.")]
    Invalid { id: String, reason: serde_json::Error },
}

impl Record {
    /// Reads the item of a submission; unknown attributes are ignored.
    ///
    /// # Errors
    /// When an attribute is missing or malformed.
    #[allow(clippy::implicit_hasher, reason = "the SDK's items have the default one")]
    pub fn from_item(item: HashMap<String, AttributeValue>) -> Result<Self, RecordError> {
        let attributes = from_item(item);
        let id = attributes.get("submissionId").and_then(Value::as_str).unwrap_or("without an id").to_owned();
        Self::from_attributes(attributes).map_err(|reason| RecordError::Invalid { id, reason })
    }

    fn from_attributes(mut attributes: Map<String, Value>) -> Result<Self, serde_json::Error> {
        let predictions = attributes.remove(ResultKind::Predictions.attribute()).unwrap_or_default();
        let mut failures = BTreeMap::new();
        for kind in ResultKind::ALL {
            if let Some(failure) = attributes.remove(kind.failure_attribute()) {
                failures.insert(kind, serde_json::from_value(failure)?);
            }
        }
        let attributes = Value::Object(attributes);
        Ok(Self {
            submission: Submission::deserialize(&attributes)?,
            predictions: serde_json::from_value(predictions)?,
            scores: Scores::deserialize(&attributes)?,
            failures,
        })
    }
}

/// The record of a submission as last written, if there is one.
///
/// # Errors
/// When DynamoDB fails or the record is malformed.
pub async fn read(client: &Client, table: &str, id: &SubmissionId) -> Result<Option<Record>, RecordError> {
    let answer = client
        .get_item()
        .table_name(table)
        .key("submissionId", AttributeValue::S(id.to_string()))
        .consistent_read(true)
        .send()
        .await
        .map_err(|error| {
            let source = CallFailed::new("DynamoDB", "GetItem", &error);
            RecordError::Call { table: table.to_owned(), source }
        })?;
    answer.item.map(Record::from_item).transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(attributes: Value) -> Result<Record, RecordError> {
        let AttributeValue::M(item) = to_attribute(attributes) else { panic!("not an object") };
        Record::from_item(item)
    }

    fn registered() -> Value {
        json!({"submissionId": "_9VOLnz2XYZv8J", "challengeId": "r1", "userId": "u1", "created": "2026-01-01T00:00:00Z"})
    }

    #[test]
    fn a_record_has_results_and_the_reasons_why_others_are_missing() {
        let mut attributes = registered();
        attributes["predictions"] = json!({"rows": 3});
        attributes["concordance"] = json!({"concordant": true, "score": 0, "regions": []});
        attributes["metricFailure"] = json!({"code": "ScoringFault", "message": "m"});
        attributes["organisersOwn"] = json!([1, 2]);
        let record = record(attributes).unwrap();
        assert_eq!(record.submission.predictions_key(), "predictions/r1/_9VOLnz2XYZv8J.csv");
        assert_eq!(record.predictions, Some(PreparedPredictions { rows: 3 }));
        assert_eq!(record.scores.concordance.unwrap().score.to_bits(), 0.0_f64.to_bits());
        assert_eq!((record.scores.originality, record.scores.metric), (None, None));
        let reason = FailureReason { code: FailureCode::ScoringFault, message: "m".to_owned() };
        assert_eq!(record.failures, BTreeMap::from([(ResultKind::Metric, reason)]));
    }

    #[test]
    fn an_invalid_record_names_the_submission_and_the_attribute() {
        let mut attributes = registered();
        attributes["created"] = json!("yesterday");
        let error = record(attributes).unwrap_err().to_string();
        assert!(error.starts_with("The record of the submission _9VOLnz2XYZv8J is not valid: "), "{error}");
        let mut attributes = registered();
        attributes.as_object_mut().unwrap().remove("challengeId");
        assert!(record(attributes).unwrap_err().to_string().contains("missing field `challengeId`"));
    }
}
