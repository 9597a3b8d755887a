//! What an outcome's review and files say, and to whom. Pure.

use std::collections::BTreeMap;

use domain::console::Console;
use domain::outcome::{Diagnosis, Outcome, Status, Step};
use domain::{Decimals, FailureCode, Fault, Logs, Scores, SubmissionId};
use scoring::Metric;
use serde::Serialize;

use crate::shown::Shown;

/// The score of a completed submission whose predictions are not scored.
const COMPLETED_SCORE: f64 = 100.0;
const TEST_TYPE: &str = "provisional";
/// What a challenge shows of a rejection if it shows only the code.
const REJECTED: &str = "The submission was rejected. The failure code says why.";

/// The score of a review: the challenge's metric if there is one, 0 if the submission did not complete. Whether it
/// completed is in the metadata: a score of 0 can also be a result.
#[must_use]
pub fn score(outcome: &Outcome) -> f64 {
    let metric = outcome.scores.as_ref().and_then(|scores| Some(scores.metric.as_ref()?.score));
    match outcome.status {
        Status::Completed => metric.map_or(COMPLETED_SCORE, |score| outcome.reporting.decimals.round(score)),
        Status::Rejected | Status::Failed => 0.0,
    }
}

/// The metadata of an outcome's review. Every member of Topcoder can read it, also what the API calls private, so it has no log
/// and no detail. Text is escaped for HTML: a message can name a file or an image of the submission.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReviewMetadata {
    test_type: &'static str,
    status: Status,
    /// Null and not absent: the API merges metadata, and a redrive can complete what had failed.
    failure_code: Option<FailureCode>,
    message: String,
    #[serde(flatten)]
    results: Option<Results>,
}

/// The metadata of a review while the submission is being processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StartMetadata {
    test_type: &'static str,
    status: &'static str,
}

/// The outcome as the participant may read it: without names in the platform's account.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantsOutcome<'a> {
    #[serde(flatten)]
    review: ReviewMetadata,
    submission_id: &'a SubmissionId,
    finished_at: &'a str,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity_retries: Option<u32>,
    seconds: &'a BTreeMap<String, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive_sha256: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_digest: Option<&'a str>,
    #[serde(flatten)]
    failure: Option<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    log_tail: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_cut: Option<&'a str>,
}

/// The whole outcome, for operators and organisers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InternalOutcome<'a> {
    #[serde(flatten)]
    outcome: &'a Outcome,
    /// The execution in the AWS console.
    execution_url: String,
}

/// The results of scoring, rounded and without the offending submissions.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Results {
    concordance: Option<ConcordanceSummary>,
    originality: Option<OriginalitySummary>,
    metric: Option<MetricSummary>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct ConcordanceSummary {
    concordant: bool,
    score: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct OriginalitySummary {
    original: bool,
    similar_count: u32,
    compared: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct MetricSummary {
    name: Metric,
    score: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    fault: Fault,
    step: Option<Step>,
}

impl Default for StartMetadata {
    fn default() -> Self {
        Self { test_type: TEST_TYPE, status: "processing" }
    }
}

impl ReviewMetadata {
    #[must_use]
    pub fn new(outcome: &Outcome) -> Self {
        let message = match (&outcome.failure, &outcome.scores) {
            (Some(failure), _) => match (outcome.reporting.logs_of(failure.step), failure.fault) {
                (Logs::None, Fault::Participant) => REJECTED.to_owned(),
                _ => escaped(&failure.message),
            },
            (None, Some(scores)) if scores.originality.as_ref().is_some_and(|originality| !originality.original) => {
                "The model was trained and stored, and its predictions were scored. The submission is not original: it is \
                 too close to an earlier one."
                    .to_owned()
            }
            (None, Some(_)) => "The model was trained and stored, and its predictions were scored.".to_owned(),
            (None, None) => "The model was trained and stored.".to_owned(),
        };
        Self {
            test_type: TEST_TYPE,
            status: outcome.status,
            failure_code: outcome.failure.as_ref().map(|failure| failure.code),
            message,
            results: outcome.scores.as_ref().map(|scores| Results::new(scores, outcome.reporting.decimals)),
        }
    }
}

impl<'a> ParticipantsOutcome<'a> {
    #[must_use]
    pub fn new(outcome: &'a Outcome, shown: &'a Shown) -> Self {
        Self {
            review: ReviewMetadata::new(outcome),
            submission_id: &outcome.submission_id,
            finished_at: &outcome.finished_at,
            attempts: outcome.attempts,
            capacity_retries: Some(outcome.capacity_retries).filter(|retries| *retries > 0),
            seconds: &outcome.seconds,
            archive_sha256: outcome.archive.as_ref().map(|archive| archive.sha256.as_str()),
            image_digest: outcome.image.as_ref().map(|image| image.digest.as_str()),
            failure: outcome.failure.as_ref().map(|&Diagnosis { fault, step, .. }| Failure { fault, step }),
            detail: shown.detail.as_deref().map(escaped),
            log_tail: shown.log.iter().map(|line| escaped(line)).collect(),
            log_cut: shown.cut.as_deref(),
        }
    }
}

impl<'a> InternalOutcome<'a> {
    #[must_use]
    pub fn new(outcome: &'a Outcome, region: &str) -> Self {
        Self { outcome, execution_url: Console::of_region(region).execution(&outcome.execution) }
    }
}

impl Results {
    fn new(scores: &Scores, decimals: Decimals) -> Self {
        Self {
            concordance: scores.concordance.as_ref().map(|result| ConcordanceSummary {
                concordant: result.concordant,
                score: decimals.round(result.score),
            }),
            originality: scores.originality.as_ref().map(|result| OriginalitySummary {
                original: result.original,
                similar_count: result.similar_count,
                compared: result.compared,
            }),
            metric: scores
                .metric
                .as_ref()
                .map(|result| MetricSummary { name: result.name, score: decimals.round(result.score) }),
        }
    }
}

/// Escapes the five characters `&`, `<`, `>`, `"` and `'`.
fn escaped(text: &str) -> String {
    html_escape::encode_quoted_attribute(text).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rejected() -> Outcome {
        serde_json::from_value(json!({
            "submissionId": "-kJ-nOos4KQaL3", "status": "rejected", "attempts": 1, "execution": "arn:x",
            "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:02:00Z", "seconds": {"BuildImage": 3.5},
            "archive": {"bucket": "b", "key": "k", "versionId": "1", "sha256": "ff", "bytes": 1},
            "failure": {"code": "BuildFailed", "fault": "participant", "step": "BuildImage", "message": "It's broken.",
                        "detail": "<script>\"", "logTail": ["a && b"], "links": {"build": "https://console/build"}},
        }))
        .unwrap()
    }

    fn scored() -> Outcome {
        serde_json::from_value(json!({
            "submissionId": "-kJ-nOos4KQaL3", "status": "completed", "attempts": 2, "capacityRetries": 1,
            "execution": "arn:aws:states:us-east-1:123456789012:execution:mm:x", "seconds": {"TrainModel": 60.0},
            "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:02:00Z",
            "archive": {"bucket": "staging", "key": "submissions/x/submission.zip", "versionId": "1", "sha256": "ff",
                "bytes": 1},
            "image": {"uri": "r/x:latest", "digest": "sha256:0", "bytes": 1},
            "training": {"jobName": "x-0-2", "modelUri": "s3://models/x/model.tar.gz"},
            "scores": {
                "concordance": {"concordant": true, "score": 0.051_234_5, "regions": [{"region": 0, "statistic": 0.05,
                    "validation_test": 0.05, "validation_live": null, "live_test": null}]},
                "originality": {"original": false, "similar_count": 0, "compared": 7, "offender_count": 1,
                    "offenders": [{"submission": "another", "statistic": 0.001, "closeness": "equal",
                        "correlation": null}]},
                "metric": {"name": "logloss", "score": 0.712_345_6, "standing": -0.712_345_6},
            },
        }))
        .unwrap()
    }

    /// Sorted, because a feature of `serde_json` that other crates turn on decides the order of keys.
    fn assert_sorted_snapshot(name: &str, value: &Value) {
        insta::with_settings!({sort_maps => true}, { insta::assert_json_snapshot!(name, value) });
    }

    /// The review, the participant's file and the internal one.
    fn texts(outcome: &Outcome) -> [Value; 3] {
        [
            json!(ReviewMetadata::new(outcome)),
            json!(ParticipantsOutcome::new(outcome, &Shown::allowed(outcome))),
            json!(InternalOutcome::new(outcome, "eu-west-1")),
        ]
    }

    #[test]
    fn a_participant_reads_the_reason_but_no_name_in_the_account() {
        let [_, participants, _] = texts(&rejected());
        assert_eq!(participants["failureCode"], "BuildFailed");
        assert_eq!(participants["message"], "It&#x27;s broken.");
        assert_eq!(participants["detail"], "&lt;script&gt;&quot;");
        assert_eq!(participants["logTail"], json!(["a &amp;&amp; b"]));
        let text = participants.to_string();
        assert!(!text.contains("arn:x") && !text.contains("s3://") && !text.contains("https://"), "{text}");
    }

    #[test]
    fn a_challenge_decides_how_much_of_a_failure_is_shown() {
        let mut outcome = rejected();
        let failure = outcome.failure.as_mut().unwrap();
        (failure.code, failure.step) = (FailureCode::TrainingFailed, Some(Step::TrainModel));
        for (logs, message, log) in [
            (None, "It&#x27;s broken.", Value::Null),
            (Some(Logs::None), REJECTED, Value::Null),
            (Some(Logs::Sentences), "It&#x27;s broken.", Value::Null),
            (Some(Logs::Tail), "It&#x27;s broken.", json!(["a &amp;&amp; b"])),
        ] {
            outcome.reporting.logs = logs;
            let [review, participants, internal] = texts(&outcome);
            for public in [&review, &participants] {
                assert_eq!((&public["failureCode"], &public["message"]), (&json!("TrainingFailed"), &json!(message)));
            }
            assert_eq!(participants["logTail"], log, "{logs:?}");
            assert_eq!(participants.get("detail").is_some(), logs == Some(Logs::Tail), "{logs:?}");
            assert_eq!(internal["failure"]["logTail"], json!(["a && b"]));
        }
        // What the platform has to fix has sentences that no submission can change.
        let failure = outcome.failure.as_mut().unwrap();
        (failure.code, failure.fault) = (FailureCode::QuotaExceeded, Fault::Platform);
        outcome.reporting.logs = Some(Logs::None);
        assert_eq!(texts(&outcome)[0]["message"], "It&#x27;s broken.");
    }

    #[test]
    fn a_challenge_decides_the_precision_of_public_scores() {
        let mut outcome = scored();
        outcome.reporting.decimals = 1.try_into().unwrap();
        assert!((score(&outcome) - 0.7).abs() < f64::EPSILON);
        let [review, participants, internal] = texts(&outcome);
        for public in [review, participants] {
            assert_eq!((&public["metric"]["score"], &public["concordance"]["score"]), (&json!(0.7), &json!(0.1)));
        }
        assert_eq!(internal["scores"]["metric"]["score"], 0.712_345_6);
    }

    #[test]
    fn a_competitor_reads_code_message_and_results() {
        let [review, ..] = texts(&rejected());
        let expected = json!({"testType": "provisional", "status": "rejected", "failureCode": "BuildFailed",
            "message": "It&#x27;s broken."});
        assert_eq!(review, expected);
        let [review, ..] = texts(&scored());
        let names: Vec<&String> = review.as_object().unwrap().keys().collect();
        let mut names: Vec<&str> = names.into_iter().map(String::as_str).collect();
        names.sort_unstable();
        let expected = ["concordance", "failureCode", "message", "metric", "originality", "status", "testType"];
        assert_eq!(names, expected);
        let text = review.to_string();
        assert!(!text.contains("arn:") && !text.contains("s3:") && !text.contains("another"), "{text}");
    }

    #[test]
    fn operators_read_links_and_the_detail_of_a_fault_of_the_platform() {
        let mut outcome = rejected();
        outcome.failure.as_mut().unwrap().fault = Fault::Platform;
        let [_, participants, internal] = texts(&outcome);
        assert_eq!(participants.get("detail"), None);
        assert_eq!(internal["failure"]["detail"], "<script>\"");
        assert_eq!(internal["archive"]["key"], "k");
        assert_eq!(internal["failure"]["links"], json!({"build": "https://console/build"}));
        assert!(internal["executionUrl"].as_str().unwrap().ends_with("#/v2/executions/details/arn:x"));
    }

    #[test]
    fn public_results_are_rounded_and_name_no_other_submission() {
        let mut outcome = scored();
        assert!((score(&outcome) - 0.7123).abs() < f64::EPSILON);
        let [review, participants, internal] = texts(&outcome);
        for public in [review, participants] {
            assert_eq!(public["concordance"], json!({"concordant": true, "score": 0.0512}));
            assert_eq!(public["originality"], json!({"original": false, "similar_count": 0, "compared": 7}));
            assert_eq!(public["metric"], json!({"name": "logloss", "score": 0.7123}));
            assert!(!public.to_string().contains("another"));
        }
        assert_eq!(internal["scores"]["metric"]["score"], 0.712_345_6);
        assert_eq!(internal["scores"]["concordance"]["score"], 0.051_234_5);
        assert_eq!(internal["scores"]["originality"]["offenders"][0]["submission"], "another");
        outcome.scores = Some(Scores::default());
        assert!((score(&outcome) - COMPLETED_SCORE).abs() < f64::EPSILON);
        assert_eq!(texts(&outcome)[0]["metric"], Value::Null);
    }

    #[test]
    fn a_rejected_submission_has_the_score_0() {
        assert!(score(&rejected()).abs() < f64::EPSILON);
    }

    #[test]
    fn the_review_of_a_scored_submission() {
        let outcome = scored();
        let [review, participants, internal] = texts(&outcome);
        assert_sorted_snapshot(
            "scored_submission",
            &json!({"start": StartMetadata::default(), "review": review, "participant": participants,
                "internal": internal, "score": score(&outcome)}),
        );
    }

    #[test]
    fn the_review_and_public_outcome_of_each_failure_code() {
        let reviews: Vec<Value> = FailureCode::ALL
            .iter()
            .map(|code| {
                let mut outcome = rejected();
                let failure = outcome.failure.as_mut().unwrap();
                (failure.code, failure.fault) = (*code, code.fault());
                outcome.status = match code.fault() {
                    Fault::Participant => Status::Rejected,
                    Fault::Platform => Status::Failed,
                };
                let [review, participants, _] = texts(&outcome);
                json!({"review": review, "participant": participants, "score": score(&outcome)})
            })
            .collect();
        assert_sorted_snapshot("each_failure_code", &json!(reviews));
    }
}
