//! Records and leaderboards as the HTTP API shows them to their readers.

use std::collections::BTreeMap;

use domain::{ChallengeId, Decimals, FailureCode, Fault, MetricResult, OriginalityResult, Role, SubmissionId};
use records::{FailureReason, PreparedPredictions, Record, ResultKind, Submission};
use scoring::Metric;
use scoring::concordance::Concordance;
use serde::Serialize;
use time::OffsetDateTime;

use crate::page::{Cursor, Page, SortBy};

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
            concordance: scores.concordance.map(|result| ConcordanceView::new(result, reader, record.decimals)),
            metric: scores.metric.map(|result| MetricView::new(&result, reader, record.decimals)),
            failures: failures.collect(),
        }
    }
}

/// The score as its reader may see it.
fn shown(score: f64, reader: Role, decimals: Decimals) -> f64 {
    match reader {
        Role::Organiser => score,
        Role::Reader => decimals.round(score),
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
    fn new(result: Concordance, reader: Role, decimals: Decimals) -> Self {
        match reader {
            Role::Organiser => Self::Whole(result),
            Role::Reader => Self::Summary { concordant: result.concordant, score: decimals.round(result.score) },
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
    fn new(result: &MetricResult, reader: Role, decimals: Decimals) -> Self {
        Self { name: result.name, score: shown(result.score, reader, decimals) }
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
        let (submission, scores, decimals) = (record.submission, record.scores, record.decimals);
        Self {
            submission_id: submission.submission_id,
            user_id: submission.user_id,
            created: submission.created,
            metric: scores.metric.map(|result| MetricView::new(&result, reader, decimals)),
            concordant: scores.concordance.as_ref().map(|concordance| concordance.concordant),
            concordance: scores.concordance.map(|concordance| shown(concordance.score, reader, decimals)),
            original: scores.originality.map(|originality| originality.original),
            ranked,
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;
    use records::to_attribute;
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "_9VOLnz2XYZv8J";

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
        let rough = Record { decimals: 1.try_into().unwrap(), ..record.clone() };
        assert_eq!(json!(RecordView::new(rough.clone(), Role::Reader))["concordance"]["score"], 0.1);
        let board_of =
            |record, reader| json!(Leaderboard::new("r".parse().unwrap(), &page, vec![record], None, reader));
        assert_eq!(board_of(rough.clone(), Role::Reader)["submissions"][0]["concordance"], 0.1);
        assert_eq!(board_of(rough, Role::Organiser)["submissions"][0]["concordance"], 0.051_234_5);
        assert_eq!(board(Role::Organiser)["submissions"][0]["concordance"], 0.051_234_5);
    }
}
