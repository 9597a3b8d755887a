//! Records and pages of leaderboards as the HTTP API shows them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::{ChallengeId, Decimals, FailureCode, Fault, MetricResult, OriginalityResult, Role, SubmissionId};
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
    pub place: Place,
}

/// By what an index sorts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// By this metric. The standing itself is not in the cursor: it is exact.
    Metric(Metric),
    /// By its date of creation.
    Created(String),
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
        match (&self.place, by) {
            (Place::Metric(_), SortBy::Metric) => true,
            (Place::Created(at), SortBy::Created) => (1..=MAX_DATE_CHARS).contains(&at.len()),
            _ => false,
        }
    }
}

/// The answer to a cursor that is not one of ours.
pub(crate) fn invalid_cursor() -> HttpError {
    HttpError::malformed("next", "next must be the value of next from the page before.")
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
            cursor.ok_or_else(invalid_cursor)
        });
        let (metric, limit, after) =
            (metric.transpose()?, limit.transpose()?.unwrap_or(DEFAULT_LIMIT), after.transpose()?);
        // The pages of a leaderboard are of one metric, even if the challenge changes it meanwhile.
        let metric = match &after {
            Some(Cursor { place: Place::Metric(metric), .. }) => Some(*metric),
            _ => metric,
        };
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
    originality: Option<OriginalityView>,
    concordance: Option<ConcordanceView>,
    metric: Option<MetricView>,
    failures: BTreeMap<ResultKind, FailureView>,
}

impl RecordView {
    /// The record as its reader may see it.
    #[must_use]
    pub fn new(record: Record, reader: Role) -> Self {
        let Submission { submission_id, challenge, user_id, created, .. } = record.submission;
        let scores = record.scores;
        let failures = record.failures.into_iter().map(|(kind, reason)| (kind, FailureView::new(reason, reader)));
        Self {
            submission_id,
            challenge_id: challenge,
            user_id,
            created,
            predictions: record.predictions,
            originality: scores.originality.map(|result| OriginalityView::new(result, reader)),
            concordance: scores.concordance.map(|result| ConcordanceView::new(result, reader)),
            metric: scores.metric.map(|result| MetricView::new(&result, reader)),
            failures: failures.collect(),
        }
    }
}

/// The score as its reader may see it.
fn shown(score: f64, reader: Role) -> f64 {
    match reader {
        Role::Organiser => score,
        Role::Reader => Decimals::default().round(score),
    }
}

/// The result of originality: for an organiser with the offending submissions.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum OriginalityView {
    Whole(OriginalityResult),
    Summary { original: bool, similar_count: u32, compared: usize },
}

impl OriginalityView {
    fn new(result: OriginalityResult, reader: Role) -> Self {
        match reader {
            Role::Organiser => Self::Whole(result),
            Role::Reader => {
                let OriginalityResult { original, similar_count, compared, .. } = result;
                Self::Summary { original, similar_count, compared }
            }
        }
    }
}

/// The result of concordance: for an organiser with the statistics of the regions.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum ConcordanceView {
    Whole(Concordance),
    Summary { concordant: bool, score: f64 },
}

impl ConcordanceView {
    fn new(result: Concordance, reader: Role) -> Self {
        match reader {
            Role::Organiser => Self::Whole(result),
            Role::Reader => Self::Summary { concordant: result.concordant, score: shown(result.score, reader) },
        }
    }
}

/// A metric without its standing, which only serves sorting.
#[derive(Clone, Debug, Serialize)]
struct MetricView {
    name: Metric,
    score: f64,
}

impl MetricView {
    fn new(result: &MetricResult, reader: Role) -> Self {
        Self { name: result.name, score: shown(result.score, reader) }
    }
}

/// Why a result is missing.
#[derive(Clone, Debug, Serialize)]
struct FailureView {
    code: FailureCode,
    /// The message of a fault of the platform is for operators and organisers: it can name what is in the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl FailureView {
    fn new(reason: FailureReason, reader: Role) -> Self {
        let FailureReason { code, message } = reason;
        let is_shown = reader == Role::Organiser || code.fault() == Fault::Participant;
        Self { code, message: Some(message).filter(|_| is_shown) }
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
    pub fn new(
        challenge_id: ChallengeId,
        page: &Page,
        records: Vec<Record>,
        next: Option<&Cursor>,
        reader: Role,
    ) -> Self {
        let submissions = records.into_iter().map(|record| Row::new(record, reader)).collect();
        Self { challenge_id, by: page.by, metric: page.metric, submissions, next: next.map(Cursor::token) }
    }
}

impl Row {
    fn new(record: Record, reader: Role) -> Self {
        let ranked = record.is_ranked();
        let (submission, scores) = (record.submission, record.scores);
        Self {
            submission_id: submission.submission_id,
            user_id: submission.user_id,
            created: submission.created,
            metric: scores.metric.map(|result| MetricView::new(&result, reader)),
            concordant: scores.concordance.as_ref().map(|concordance| concordance.concordant),
            concordance: scores.concordance.map(|concordance| shown(concordance.score, reader)),
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
        let cursor = Cursor { id: ID.parse().unwrap(), place: Place::Metric(Metric::Auc) };
        let page = query(&[("limit", "2"), ("next", &cursor.token())]).unwrap();
        assert_eq!(page, Page { by: SortBy::Metric, metric: Some(Metric::Auc), limit: 2, after: Some(cursor) });
    }

    #[test]
    fn an_invalid_parameter_is_named() {
        let other_index = Cursor { id: ID.parse().unwrap(), place: Place::Created("2026".to_owned()) }.token();
        let bad = BASE64_URL_SAFE_NO_PAD.encode(json!({"id": ID, "place": {"metric": "luck"}}).to_string());
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
            json!(RecordView::new(record.clone(), Role::Organiser)),
            json!({"submission_id": ID, "user_id": "u", "challenge_id": "r", "created": "2026-01-01T00:00:00Z",
                "predictions": {"rows": 3}, "originality": null, "metric": {"name": "logloss", "score": 1.0},
                "concordance": {"concordant": true, "score": 0.0, "regions": []},
                "failures": {"originality": {"code": "ScoringFault", "message": "m"}}})
        );
        let page = Page { by: SortBy::Metric, metric: Some(Metric::LogLoss), limit: 1, after: None };
        let board: Value = json!(Leaderboard::new("r".parse().unwrap(), &page, vec![record], None, Role::Organiser));
        assert_eq!(
            board,
            json!({"challenge_id": "r", "by": "metric", "metric": "logloss", "next": null, "submissions": [
                {"submission_id": ID, "user_id": "u", "created": "2026-01-01T00:00:00Z", "original": null, "ranked": false,
                 "metric": {"name": "logloss", "score": 1.0}, "concordant": true, "concordance": 0.0}]})
        );
    }

    #[test]
    fn a_reader_sees_rounded_scores_and_no_other_submission() {
        let attributes = json!({
            "submissionId": ID, "userId": "u", "challengeId": "r", "created": "2026-01-01T00:00:00Z",
            "concordance": {"concordant": true, "score": 0.051_234_5, "regions": [{"region": 0, "statistic": 0.051_234_5,
                "validation_test": 0.051_234_5, "validation_live": null, "live_test": null}]},
            "originality": {"original": false, "similar_count": 0, "compared": 7, "offender_count": 1, "offenders":
                [{"submission": "another", "statistic": 0.001_234_5, "closeness": "equal", "correlation": null}]},
            "metricFailure": {"code": "ScoringFault", "message": "s3://scoring/truth.csv was not found."},
            "predictionsFailure": {"code": "PredictionsInvalid", "message": "Line 3 has no fields."},
        });
        let AttributeValue::M(item) = to_attribute(attributes) else { panic!("not an object") };
        let record = Record::from_item(item).unwrap();
        let view = json!(RecordView::new(record.clone(), Role::Reader));
        assert_eq!(view["concordance"], json!({"concordant": true, "score": 0.0512}));
        assert_eq!(view["originality"], json!({"original": false, "similar_count": 0, "compared": 7}));
        let failures = json!({"metric": {"code": "ScoringFault"},
            "predictions": {"code": "PredictionsInvalid", "message": "Line 3 has no fields."}});
        assert_eq!(view["failures"], failures);
        let organisers = json!(RecordView::new(record.clone(), Role::Organiser));
        assert_eq!(organisers["originality"]["offenders"][0]["submission"], "another");
        assert_eq!(organisers["concordance"]["regions"][0]["statistic"], 0.051_234_5);

        let page = Page { by: SortBy::Created, metric: None, limit: 1, after: None };
        let board = |reader| json!(Leaderboard::new("r".parse().unwrap(), &page, vec![record.clone()], None, reader));
        assert_eq!(board(Role::Reader)["submissions"][0]["concordance"], 0.0512);
        assert_eq!(board(Role::Organiser)["submissions"][0]["concordance"], 0.051_234_5);
    }
}
