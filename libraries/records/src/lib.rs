//! The table of submissions: one record for each submission, with every result of scoring.
//!
//! This crate promises:
//! - a record is read as it was last written, and a malformed one is an error that names the submission;
//! - every number is stored in DynamoDB's range without losing a bit, or as the nearest one that DynamoDB can hold.
//!
//! It may not write: only `score` does. Who registers a submission writes `submissionId` (the key), `challengeId`,
//! `userId` and `created` (RFC 3339 with the offset `Z`); scoring adds an attribute for each result, or for the reason why it failed.

mod json;
mod result_kind;

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{ChallengeId, Decimals, FailureCode, Scores, SubmissionId};
pub use json::{from_item, to_attribute};
pub use result_kind::ResultKind;
use runtime::CallFailed;
use scoring::Metric;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The index of a challenge's submissions, sorted by creation.
pub const BY_CREATION: &str = "challenge-created";
/// The index of ranked submissions: each [`ranking`], sorted by `standing`.
pub const BY_RANK: &str = "ranking-standing";

/// The attribute with [`Record::decimals`].
pub const DECIMALS: &str = "decimals";
/// The attribute with [`Submission::from_training`].
pub const FROM_TRAINING: &str = "fromTraining";

/// The ranking of a challenge by a metric: the scores of two metrics cannot be compared, so each metric has its own.
#[must_use]
pub fn ranking(challenge: &ChallengeId, metric: Metric) -> String {
    format!("{challenge}/{metric}")
}

/// Where predictions may be in the scoring bucket.
const PREDICTIONS_FOLDER: &str = "predictions/";

/// The part of a record that registers a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    pub submission_id: SubmissionId,
    pub challenge: ChallengeId,
    pub user_id: String,
    /// Decides which of two submissions is the earlier one.
    pub created: OffsetDateTime,
    /// Whether the predictions are what a training job wrote, which could read the challenge's data. The participant then reads
    /// nothing of them that the challenge does not allow.
    pub from_training: bool,
    /// Where the predictions are in the scoring bucket, if not at [`predictions_key`].
    predictions_key: Option<PredictionsKey>,
}

impl Submission {
    /// The key of the predictions in the scoring bucket.
    #[must_use]
    pub fn predictions_key(&self) -> String {
        match &self.predictions_key {
            Some(PredictionsKey(key)) => key.clone(),
            None => predictions_key(&self.challenge, &self.submission_id),
        }
    }
}

/// A key under `predictions/`. The bucket also holds the truth, which no record may name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct PredictionsKey(String);

impl TryFrom<String> for PredictionsKey {
    type Error = &'static str;

    fn try_from(key: String) -> Result<Self, &'static str> {
        if key.starts_with(PREDICTIONS_FOLDER) { Ok(Self(key)) } else { Err("it must start with predictions/") }
    }
}

/// A date in one form only: the index of a challenge's submissions sorts dates as texts.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Created(OffsetDateTime);

impl TryFrom<String> for Created {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let created = OffsetDateTime::parse(&text, &Rfc3339).ok().filter(|_| text.ends_with('Z'));
        created.map(Self).ok_or("it must be a date and time in UTC that ends with Z, such as 2026-01-21T00:00:50Z")
    }
}

/// Submissions of one user are not compared with each other, so an absent id must not look like one.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct UserId(String);

impl TryFrom<String> for UserId {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, &'static str> {
        if id.trim().is_empty() { Err("it must not be empty") } else { Ok(Self(id)) }
    }
}

/// The default key of a submission's predictions in the scoring bucket.
#[must_use]
pub fn predictions_key(challenge: &ChallengeId, submission: &SubmissionId) -> String {
    format!("{PREDICTIONS_FOLDER}{challenge}/{submission}.csv")
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
    /// Decimals of the scores that readers see, as the challenge's settings had them when the submission was prepared.
    pub decimals: Decimals,
    /// Why results are missing; a result that is there has no failure.
    pub failures: BTreeMap<ResultKind, FailureReason>,
}

#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("The table {table} could not be read.")]
    Call { table: String, source: CallFailed },
    #[error("The record of the submission {id} cannot be used: {attribute} {reason}.")]
    Invalid { id: String, attribute: &'static str, reason: String },
}

impl Record {
    /// Reads the item of a submission; unknown attributes are ignored.
    ///
    /// # Errors
    /// When an attribute is missing or malformed.
    #[allow(clippy::implicit_hasher, reason = "the SDK's items have the default one")]
    pub fn from_item(item: HashMap<String, AttributeValue>) -> Result<Self, RecordError> {
        let attributes = Attributes(from_item(item));
        let mut failures = BTreeMap::new();
        for kind in ResultKind::ALL {
            if let Some(failure) = attributes.optional(kind.failure_attribute())? {
                failures.insert(kind, failure);
            }
        }
        Ok(Self {
            predictions: attributes.optional(ResultKind::Predictions.attribute())?,
            scores: Scores {
                originality: attributes.optional(ResultKind::Originality.attribute())?,
                concordance: attributes.optional(ResultKind::Concordance.attribute())?,
                metric: attributes.optional(ResultKind::Metric.attribute())?,
            },
            decimals: attributes.optional(DECIMALS)?.unwrap_or_default(),
            failures,
            submission: Submission {
                challenge: attributes.required("challengeId")?,
                user_id: attributes.required::<UserId>("userId")?.0,
                created: attributes.required::<Created>("created")?.0,
                from_training: attributes.optional(FROM_TRAINING)?.unwrap_or_default(),
                predictions_key: attributes.optional("predictionsKey")?,
                submission_id: attributes.required("submissionId")?,
            },
        })
    }

    /// Whether leaderboards rank the submission: it has a metric, is original and is concordant. A near copy never stands
    /// above what it copies, and predictions that only fit the validation data never lead.
    #[must_use]
    pub fn is_ranked(&self) -> bool {
        let Scores { originality, concordance, metric } = &self.scores;
        metric.is_some()
            && originality.as_ref().is_some_and(|originality| originality.original)
            && concordance.as_ref().is_some_and(|concordance| concordance.concordant)
    }
}

/// The attributes of a record. Each is read by itself, so that an error names it.
struct Attributes(Map<String, Value>);

impl Attributes {
    fn required<T: DeserializeOwned>(&self, attribute: &'static str) -> Result<T, RecordError> {
        self.optional(attribute)?.ok_or_else(|| self.invalid(attribute, "is missing".to_owned()))
    }

    fn optional<T: DeserializeOwned>(&self, attribute: &'static str) -> Result<Option<T>, RecordError> {
        let Some(value) = self.0.get(attribute).filter(|value| !value.is_null()) else { return Ok(None) };
        let value = T::deserialize(value).map_err(|error| self.invalid(attribute, format!("is not valid: {error}")))?;
        Ok(Some(value))
    }

    fn invalid(&self, attribute: &'static str, reason: String) -> RecordError {
        let id = self.0.get("submissionId").and_then(Value::as_str).unwrap_or("without an id").to_owned();
        RecordError::Invalid { id, attribute, reason }
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
        attributes["decimals"] = json!(2);
        let record = record(attributes).unwrap();
        assert_eq!((record.decimals, record.submission.from_training), (2.try_into().unwrap(), false));
        assert_eq!(record.submission.predictions_key(), "predictions/r1/_9VOLnz2XYZv8J.csv");
        assert_eq!(record.predictions, Some(PreparedPredictions { rows: 3 }));
        assert_eq!(record.scores.concordance.unwrap().score.to_bits(), 0.0_f64.to_bits());
        assert_eq!((record.scores.originality, record.scores.metric), (None, None));
        let reason = FailureReason { code: FailureCode::ScoringFault, message: "m".to_owned() };
        assert_eq!(record.failures, BTreeMap::from([(ResultKind::Metric, reason)]));
    }

    #[test]
    fn an_invalid_record_names_the_submission_and_the_attribute() {
        let mut errors = Vec::new();
        for (attribute, value) in [
            ("created", json!("yesterday")),
            ("created", json!("2026-01-01T01:00:00+01:00")),
            ("created", json!(1_767_225_600)),
            ("challengeId", Value::Null),
            ("userId", json!(7)),
            ("userId", json!(" ")),
            ("predictionsKey", json!("datasets/r1/truth.csv")),
            ("concordance", json!({"concordant": "yes"})),
            ("decimals", json!(18)),
            ("fromTraining", json!("yes")),
        ] {
            let mut attributes = registered();
            attributes[attribute] = value;
            let error = record(attributes).unwrap_err();
            assert!(matches!(&error, RecordError::Invalid { attribute: named, .. } if *named == attribute), "{error}");
            errors.push(error.to_string());
        }
        insta::assert_snapshot!(errors.join("\n"));
    }

    #[test]
    fn only_an_original_and_concordant_submission_with_a_metric_is_ranked() {
        let ranked = |original: Option<bool>, concordant: Option<bool>, metric: bool| {
            let mut attributes = registered();
            if let Some(original) = original {
                attributes["originality"] = json!({"original": original, "similar_count": 0, "compared": 1, "offender_count": 0, "offenders": []});
            }
            if let Some(concordant) = concordant {
                attributes["concordance"] = json!({"concordant": concordant, "score": 0.1, "regions": []});
            }
            if metric {
                attributes["metric"] = json!({"name": "auc", "score": 0.5, "standing": 0.5});
            }
            record(attributes).unwrap().is_ranked()
        };
        assert!(ranked(Some(true), Some(true), true));
        for (original, concordant, metric) in [
            (Some(false), Some(true), true),
            (Some(true), Some(false), true),
            (None, Some(true), true),
            (Some(true), None, true),
            (Some(true), Some(true), false),
        ] {
            assert!(!ranked(original, concordant, metric), "{original:?} {concordant:?} {metric}");
        }
    }
}
