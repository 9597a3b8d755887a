//! Records and pages of leaderboards as the HTTP API shows them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::{ChallengeId, MetricResult, OriginalityResult, SubmissionId};
use records::{FailureReason, PreparedPredictions, Record, ResultKind, Submission};
use scoring::Metric;
use scoring::concordance::Concordance;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

use crate::error::HttpError;

/// Submissions on a page unless the query says otherwise.
const DEFAULT_LIMIT: i32 = 50;
const MAX_LIMIT: i32 = 100;
const METRIC: &str =
    "metric must be one of logloss, auc, accuracy, rmse, mae and spearman, and can only be used with by=metric.";
const PARAMETERS: [&str; 4] = ["by", "metric", "limit", "next"];
/// Characters of an unknown parameter that an answer quotes.
const MAX_NAME_CHARS: usize = 64;
/// Characters of the longest date in a cursor.
const MAX_DATE_CHARS: usize = 64;

/// The order of a leaderboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SortBy {
    /// Best first, and only ranked submissions: those with this metric that are original and concordant.
    Metric,
    /// Newest first.
    Created,
}

/// Which page of a leaderboard is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub by: SortBy,
    /// The metric to rank by; if absent, the one that the challenge uses at present.
    pub metric: Option<Metric>,
    /// The maximum number of submissions, 1 to 100.
    pub limit: i32,
    /// The last submission of the page before.
    pub after: Option<Cursor>,
}

/// The place of a submission in an index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    pub id: SubmissionId,
    /// Its standing as DynamoDB writes numbers, or its date of creation.
    pub at: String,
    /// The metric by which it is ranked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
}

impl Cursor {
    /// The cursor as a text for a URL.
    #[must_use]
    pub fn token(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(json!(self).to_string())
    }

    fn from_token(token: &str) -> Option<Self> {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(token).ok()?).ok()
    }

    fn fits(&self, by: SortBy) -> bool {
        match by {
            SortBy::Metric => self.metric.is_some() && self.at.parse::<f64>().is_ok_and(f64::is_finite),
            SortBy::Created => self.metric.is_none() && (1..=MAX_DATE_CHARS).contains(&self.at.len()),
        }
    }
}

impl Page {
    /// Reads the optional parameters `by` (`metric` or `created`), `metric`, `limit` and `next`.
    ///
    /// # Errors
    /// An [`HttpError`] that names the parameter.
    pub fn read(query: &BTreeMap<String, String>) -> Result<Self, HttpError> {
        if let Some(unknown) = query.keys().find(|name| !PARAMETERS.contains(&name.as_str())) {
            let unknown: String = unknown.chars().take(MAX_NAME_CHARS).collect();
            let message = format!("There is no parameter {unknown:?}. Use {}.", PARAMETERS.join(", "));
            return Err(HttpError::Malformed { field: None, message });
        }
        let by = match query.get("by").map(String::as_str) {
            None | Some("metric") => SortBy::Metric,
            Some("created") => SortBy::Created,
            Some(_) => return Err(HttpError::malformed("by", "by must be \"metric\" or \"created\".")),
        };
        let metric = query.get("metric").map(|name| {
            let metric = name.parse().ok().filter(|_| by == SortBy::Metric);
            metric.ok_or_else(|| HttpError::malformed("metric", METRIC))
        });
        let limit = query.get("limit").map(|limit| {
            let limit = limit.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
            limit.ok_or_else(|| HttpError::malformed("limit", format!("limit must be a number from 1 to {MAX_LIMIT}.")))
        });
        let after = query.get("next").map(|token| {
            let cursor = Cursor::from_token(token).filter(|cursor| cursor.fits(by));
            cursor.ok_or_else(|| HttpError::malformed("next", "next must be the value of next from the page before."))
        });
        let (metric, limit, after) =
            (metric.transpose()?, limit.transpose()?.unwrap_or(DEFAULT_LIMIT), after.transpose()?);
        // The pages of a leaderboard are of one metric, even if the challenge changes it meanwhile.
        let metric = after.as_ref().map_or(metric, |cursor| cursor.metric);
        Ok(Self { by, metric, limit, after })
    }
}

/// A record as `GET /submissions/{submissionId}` shows it. What is not known yet is null.
#[derive(Clone, Debug, Serialize)]
pub struct RecordView {
    submission_id: SubmissionId,
    challenge_id: ChallengeId,
    user_id: String,
    #[serde(with = "time::serde::rfc3339")]
    created: OffsetDateTime,
    predictions: Option<PreparedPredictions>,
    originality: Option<OriginalityResult>,
    concordance: Option<Concordance>,
    metric: Option<MetricView>,
    failures: BTreeMap<ResultKind, FailureReason>,
}

impl From<Record> for RecordView {
    fn from(record: Record) -> Self {
        let Submission { submission_id, challenge, user_id, created, .. } = record.submission;
        Self {
            submission_id,
            challenge_id: challenge,
            user_id,
            created,
            predictions: record.predictions,
            originality: record.scores.originality,
            concordance: record.scores.concordance,
            metric: record.scores.metric.map(MetricView::from),
            failures: record.failures,
        }
    }
}

/// A metric without its standing, which only serves sorting.
#[derive(Clone, Debug, Serialize)]
struct MetricView {
    name: Metric,
    score: f64,
}

impl From<MetricResult> for MetricView {
    fn from(MetricResult { name, score, .. }: MetricResult) -> Self {
        Self { name, score }
    }
}

/// A page as `GET /challenges/{challengeId}/leaderboard` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Leaderboard {
    challenge_id: ChallengeId,
    by: SortBy,
    /// The metric by which submissions are ranked; null if `by` is not `metric`, or if there is none yet.
    metric: Option<Metric>,
    submissions: Vec<Row>,
    /// The value of `next` for the next page.
    next: Option<String>,
}

/// A submission on a leaderboard. What is not known yet is null.
#[derive(Clone, Debug, Serialize)]
struct Row {
    submission_id: SubmissionId,
    user_id: String,
    #[serde(with = "time::serde::rfc3339")]
    created: OffsetDateTime,
    metric: Option<MetricView>,
    concordant: Option<bool>,
    /// The score of concordance.
    concordance: Option<f64>,
    original: Option<bool>,
    /// Whether the leaderboard by metric ranks it.
    ranked: bool,
}

impl Leaderboard {
    #[must_use]
    pub fn new(challenge_id: ChallengeId, page: &Page, records: Vec<Record>, next: Option<&Cursor>) -> Self {
        let submissions = records.into_iter().map(Row::from).collect();
        Self { challenge_id, by: page.by, metric: page.metric, submissions, next: next.map(Cursor::token) }
    }
}

impl From<Record> for Row {
    fn from(record: Record) -> Self {
        let ranked = record.is_ranked();
        let (submission, scores) = (record.submission, record.scores);
        Self {
            submission_id: submission.submission_id,
            user_id: submission.user_id,
            created: submission.created,
            metric: scores.metric.map(MetricView::from),
            concordant: scores.concordance.as_ref().map(|concordance| concordance.concordant),
            concordance: scores.concordance.map(|concordance| concordance.score),
            original: scores.originality.map(|originality| originality.original),
            ranked,
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;
    use records::to_attribute;
    use serde_json::Value;

    use super::*;

    const ID: &str = "_9VOLnz2XYZv8J";

    fn query(pairs: &[(&str, &str)]) -> Result<Page, HttpError> {
        Page::read(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn the_cursor_of_a_page_asks_for_the_next_one() {
        assert_eq!(query(&[]).unwrap(), Page { by: SortBy::Metric, metric: None, limit: 50, after: None });
        let (id, metric) = (ID.parse().unwrap(), Some(Metric::Auc));
        let cursor = Cursor { id, at: "-0.25".to_owned(), metric };
        let page = query(&[("limit", "2"), ("next", &cursor.token())]).unwrap();
        assert_eq!(page, Page { by: SortBy::Metric, metric, limit: 2, after: Some(cursor) });
    }

    #[test]
    fn an_invalid_parameter_is_named() {
        let cursor = |at: &str, metric| Cursor { id: ID.parse().unwrap(), at: at.to_owned(), metric }.token();
        let (bad, other_index) = (cursor("NaN", Some(Metric::Auc)), cursor("0.5", None));
        for (name, value) in [
            ("by", "luck"),
            ("metric", "luck"),
            ("limit", "0"),
            ("limit", "101"),
            ("limit", "many"),
            ("next", "x"),
            ("next", bad.as_str()),
            ("next", other_index.as_str()),
        ] {
            let Err(HttpError::Malformed { field, .. }) = query(&[(name, value)]) else { panic!("{name}={value}") };
            assert_eq!(field, Some(name));
        }
        let unknown = query(&[("sort", "best")]).unwrap_err();
        assert_eq!(unknown.to_string(), "There is no parameter \"sort\". Use by, metric, limit, next.");
        let both = query(&[("by", "created"), ("metric", "auc")]).unwrap_err();
        assert!(matches!(both, HttpError::Malformed { field: Some("metric"), .. }), "{both}");
    }

    #[test]
    fn a_result_that_is_not_known_yet_is_null() {
        // The whole numbers are those that DynamoDB returns for 0.0, 1.0 and -1.0.
        let attributes = json!({
            "submissionId": ID, "userId": "u", "challengeId": "r", "created": "2026-01-01T00:00:00Z",
            "predictionsKey": "predictions/p.csv", "predictions": {"rows": 3}, "standing": -1,
            "concordance": {"concordant": true, "score": 0, "regions": []},
            "metric": {"name": "logloss", "score": 1, "standing": -1},
            "originalityFailure": {"code": "ScoringFault", "message": "m"},
        });
        let AttributeValue::M(item) = to_attribute(attributes) else { panic!("not an object") };
        let record = Record::from_item(item).unwrap();
        assert_eq!(
            json!(RecordView::from(record.clone())),
            json!({"submission_id": ID, "user_id": "u", "challenge_id": "r", "created": "2026-01-01T00:00:00Z",
                "predictions": {"rows": 3}, "originality": null, "metric": {"name": "logloss", "score": 1.0},
                "concordance": {"concordant": true, "score": 0.0, "regions": []},
                "failures": {"originality": {"code": "ScoringFault", "message": "m"}}})
        );
        let page = Page { by: SortBy::Metric, metric: Some(Metric::LogLoss), limit: 1, after: None };
        let board: Value = json!(Leaderboard::new("r".parse().unwrap(), &page, vec![record], None));
        assert_eq!(
            board,
            json!({"challenge_id": "r", "by": "metric", "metric": "logloss", "next": null, "submissions": [
                {"submission_id": ID, "user_id": "u", "created": "2026-01-01T00:00:00Z", "original": null, "ranked": false,
                 "metric": {"name": "logloss", "score": 1.0}, "concordant": true, "concordance": 0.0}]})
        );
    }
}
