//! The content of an outcome's review. Pure.

use std::collections::BTreeMap;

use domain::console::Console;
use domain::outcome::{Diagnosis, Links, Outcome, Status, Step};
use domain::{FailureCode, Fault, Scores, SubmissionId};
use scoring::Metric;
use scoring::originality::Offender;
use serde::Serialize;

/// The score of a completed submission whose predictions are not scored.
const COMPLETED_SCORE: f64 = 100.0;

/// The score of a review: the challenge's metric if there is one, 0 if the submission did not complete. Whether it
/// completed is in the metadata: a score of 0 can also be a result.
#[must_use]
pub fn score(outcome: &Outcome) -> f64 {
    let metric = outcome.scores.as_ref().and_then(|scores| Some(scores.metric.as_ref()?.score));
    match outcome.status {
        Status::Completed => metric.unwrap_or(COMPLETED_SCORE),
        Status::Rejected | Status::Failed => 0.0,
    }
}

/// The metadata of an outcome's review. Text is escaped for HTML.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReviewMetadata<'a> {
    #[serde(flatten)]
    public: PublicMetadata<'a>,
    /// The API hides this part from participants.
    private: PrivateMetadata<'a>,
}

/// The metadata of a review while the submission is being processed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StartMetadata<'a> {
    test_type: &'static str,
    status: &'static str,
    private: ExecutionMetadata<'a>,
}

/// The outcome as the participant may read it: without names in the platform's account.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicOutcome<'a> {
    #[serde(flatten)]
    metadata: PublicMetadata<'a>,
    submission_id: &'a SubmissionId,
    finished_at: &'a str,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct PublicMetadata<'a> {
    test_type: &'static str,
    status: Status,
    message: String,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity_retries: Option<u32>,
    seconds: &'a BTreeMap<String, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive_sha256: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_digest: Option<&'a str>,
    #[serde(flatten)]
    results: Option<Results>,
    #[serde(flatten)]
    failure: Option<Failure>,
}

/// The results of scoring, without the offending submissions.
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

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    failure_code: FailureCode,
    fault: Fault,
    step: Option<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    log_tail: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExecutionMetadata<'a> {
    /// ARN of the execution.
    execution: &'a str,
    execution_url: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct PrivateMetadata<'a> {
    #[serde(flatten)]
    execution: ExecutionMetadata<'a>,
    /// `s3://bucket/key`.
    archive: Option<String>,
    image: Option<&'a str>,
    training_job: Option<&'a str>,
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offenders: Option<&'a [Offender]>,
    /// What operators have to know about a failure of the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<&'a Links>,
}

impl<'a> StartMetadata<'a> {
    #[must_use]
    pub fn new(execution: &'a str, region: &str) -> Self {
        Self { test_type: "provisional", status: "processing", private: ExecutionMetadata::new(execution, region) }
    }
}

impl<'a> ReviewMetadata<'a> {
    #[must_use]
    pub fn new(outcome: &'a Outcome, region: &str) -> Self {
        let scores = outcome.scores.as_ref();
        let private = PrivateMetadata {
            execution: ExecutionMetadata::new(&outcome.execution, region),
            archive: outcome.archive.as_ref().map(|archive| format!("s3://{}/{}", archive.bucket, archive.key)),
            image: outcome.image.as_ref().map(|image| image.uri.as_str()),
            training_job: outcome.training.as_ref().map(|training| training.job_name.as_str()),
            model: outcome.training.as_ref().map(|training| training.model_uri.as_str()),
            offenders: scores.and_then(|scores| Some(scores.originality.as_ref()?.offenders.as_slice())),
            detail: outcome
                .failure
                .as_ref()
                .filter(|failure| failure.fault == Fault::Platform)
                .and_then(|failure| Some(escaped(failure.detail.as_deref()?))),
            links: outcome.failure.as_ref().map(|failure| &failure.links).filter(|links| !links.is_empty()),
        };
        Self { public: PublicMetadata::new(outcome), private }
    }
}

/// The outcome as the participant may read it.
#[must_use]
pub fn public(outcome: &Outcome) -> PublicOutcome<'_> {
    PublicOutcome {
        metadata: PublicMetadata::new(outcome),
        submission_id: &outcome.submission_id,
        finished_at: &outcome.finished_at,
    }
}

impl<'a> PublicMetadata<'a> {
    fn new(outcome: &'a Outcome) -> Self {
        let message = match (&outcome.failure, &outcome.scores) {
            (Some(failure), _) => escaped(&failure.message),
            (None, Some(scores)) if scores.originality.as_ref().is_some_and(|originality| !originality.original) => {
                "The model was trained and stored, and its predictions were scored. The submission is not original: it is \
                 too close to an earlier one."
                    .to_owned()
            }
            (None, Some(_)) => "The model was trained and stored, and its predictions were scored.".to_owned(),
            (None, None) => "The model was trained and stored.".to_owned(),
        };
        Self {
            test_type: "provisional",
            status: outcome.status,
            message,
            attempts: outcome.attempts,
            capacity_retries: Some(outcome.capacity_retries).filter(|retries| *retries > 0),
            seconds: &outcome.seconds,
            archive_sha256: outcome.archive.as_ref().map(|archive| archive.sha256.as_str()),
            image_digest: outcome.image.as_ref().map(|image| image.digest.as_str()),
            results: outcome.scores.as_ref().map(Results::from),
            failure: outcome.failure.as_ref().map(Failure::from),
        }
    }
}

impl<'a> ExecutionMetadata<'a> {
    fn new(execution: &'a str, region: &str) -> Self {
        Self { execution, execution_url: Console::of_region(region).execution(execution) }
    }
}

impl From<&Scores> for Results {
    fn from(scores: &Scores) -> Self {
        Self {
            concordance: scores
                .concordance
                .as_ref()
                .map(|result| ConcordanceSummary { concordant: result.concordant, score: result.score }),
            originality: scores.originality.as_ref().map(|result| OriginalitySummary {
                original: result.original,
                similar_count: result.similar_count,
                compared: result.compared,
            }),
            metric: scores.metric.as_ref().map(|result| MetricSummary { name: result.name, score: result.score }),
        }
    }
}

impl From<&Diagnosis> for Failure {
    fn from(diagnosis: &Diagnosis) -> Self {
        Self {
            failure_code: diagnosis.code,
            fault: diagnosis.fault,
            step: diagnosis.step,
            detail: diagnosis.detail.as_deref().filter(|_| diagnosis.fault == Fault::Participant).map(escaped),
            log_tail: diagnosis.log_tail.iter().map(|line| escaped(line)).collect(),
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
                "concordance": {"concordant": true, "score": 0.05, "regions": [{"region": 0, "statistic": 0.05,
                    "validation_test": 0.05, "validation_live": null, "live_test": null}]},
                "originality": {"original": false, "similar_count": 0, "compared": 7, "offender_count": 1,
                    "offenders": [{"submission": "another", "statistic": 0.001, "closeness": "equal",
                        "correlation": null}]},
                "metric": {"name": "logloss", "score": 0.69, "standing": -0.69},
            },
        }))
        .unwrap()
    }

    /// Sorted, because a feature of `serde_json` that other crates turn on decides the order of keys.
    fn assert_sorted_snapshot(name: &str, value: &Value) {
        insta::with_settings!({sort_maps => true}, { insta::assert_json_snapshot!(name, value) });
    }

    fn public_json(outcome: &Outcome) -> Value {
        json!(public(outcome))
    }

    #[test]
    fn a_participant_reads_the_reason_but_no_name_in_the_account() {
        let public = public_json(&rejected());
        assert_eq!(public["failureCode"], "BuildFailed");
        assert_eq!(public["message"], "It&#x27;s broken.");
        assert_eq!(public["detail"], "&lt;script&gt;&quot;");
        assert_eq!(public["logTail"], json!(["a &amp;&amp; b"]));
        let text = public.to_string();
        assert!(!text.contains("arn:x") && !text.contains("s3://") && !text.contains("https://"), "{text}");
    }

    #[test]
    fn links_are_private() {
        let outcome = rejected();
        let metadata = json!(ReviewMetadata::new(&outcome, "eu-west-1"));
        assert_eq!(metadata["private"]["archive"], "s3://b/k");
        assert_eq!(metadata["private"]["links"], json!({"build": "https://console/build"}));
        assert!(metadata["private"]["executionUrl"].as_str().unwrap().ends_with("#/v2/executions/details/arn:x"));
    }

    #[test]
    fn results_are_public_and_offenders_are_private() {
        let mut outcome = scored();
        assert!((score(&outcome) - 0.69).abs() < f64::EPSILON);
        let public = public_json(&outcome);
        assert_eq!(public["concordance"], json!({"concordant": true, "score": 0.05}));
        assert_eq!(public["originality"], json!({"original": false, "similar_count": 0, "compared": 7}));
        assert_eq!(public["metric"], json!({"name": "logloss", "score": 0.69}));
        assert!(!public.to_string().contains("another"));
        let metadata = json!(ReviewMetadata::new(&outcome, "us-east-1"));
        assert_eq!(metadata["private"]["offenders"][0]["submission"], "another");
        outcome.scores = Some(Scores::default());
        assert!((score(&outcome) - COMPLETED_SCORE).abs() < f64::EPSILON);
        assert_eq!(public_json(&outcome)["metric"], Value::Null);
    }

    #[test]
    fn a_rejected_submission_has_the_score_0() {
        assert!(score(&rejected()).abs() < f64::EPSILON);
    }

    #[test]
    fn the_review_of_a_scored_submission() {
        let outcome = scored();
        let metadata = json!(ReviewMetadata::new(&outcome, "us-east-1"));
        let start = json!(StartMetadata::new(&outcome.execution, "us-east-1"));
        assert_sorted_snapshot(
            "scored_submission",
            &json!({"start": start, "review": metadata, "public": public_json(&outcome), "score": score(&outcome)}),
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
                let metadata = json!(ReviewMetadata::new(&outcome, "us-east-1"));
                json!({"review": metadata, "public": public_json(&outcome), "score": score(&outcome)})
            })
            .collect();
        assert_sorted_snapshot("each_failure_code", &json!(reviews));
    }
}
