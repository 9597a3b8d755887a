//! What a review says about an outcome. Pure.

use serde_json::{Value, json};
use shared::console::Console;
use shared::outcome::{Outcome, Scores, Status};

/// The score of a completed submission whose predictions nobody judges.
const COMPLETED_SCORE: f64 = 100.0;

/// The outcome's score: that of the challenge's metric where there is one. Whether a submission completed stands in the
/// metadata and not in its score.
#[must_use]
pub fn score(outcome: &Outcome) -> f64 {
    let measured = outcome.scores.as_ref().and_then(|scores| scores.metric.as_ref()?.get("score")?.as_f64());
    match outcome.status {
        Status::Completed => measured.unwrap_or(COMPLETED_SCORE),
        Status::Rejected | Status::Failed => 0.0,
    }
}

/// The metadata of a review of a submission that is being processed.
#[must_use]
pub fn metadata_of_start(execution: &str, region: &str) -> Value {
    json!({
        "testType": "provisional",
        "status": "processing",
        "private": {"execution": execution, "executionUrl": execution_url(execution, region)},
    })
}

/// The metadata of an outcome's review. What came out of the submission is escaped for HTML. Links and places stand under
/// `private`, which the API hides from participants.
#[must_use]
pub fn metadata(outcome: &Outcome, region: &str) -> Value {
    let mut metadata = json!({
        "testType": "provisional",
        "status": outcome.status,
        "attempts": outcome.attempts,
        "seconds": outcome.seconds,
        "message": "The model was trained and stored.",
        "private": {
            "execution": outcome.execution,
            "executionUrl": execution_url(&outcome.execution, region),
            "archive": outcome.archive.as_ref().map(|archive| format!("s3://{}/{}", archive.bucket, archive.key)),
            "image": outcome.image.as_ref().map(|image| image.uri.as_str()),
            "trainingJob": outcome.training.as_ref().map(|training| training.job_name.as_str()),
            "model": outcome.training.as_ref().map(|training| training.model_uri.as_str()),
        },
    });
    if let Some(archive) = &outcome.archive {
        metadata["archiveSha256"] = json!(archive.sha256);
    }
    if let Some(image) = &outcome.image {
        metadata["imageDigest"] = json!(image.digest);
    }
    if outcome.capacity_retries > 0 {
        metadata["capacityRetries"] = json!(outcome.capacity_retries);
    }
    if let Some(scores) = &outcome.scores {
        judgements(scores, &mut metadata);
    }
    if let Some(failure) = &outcome.failure {
        if !failure.links.is_empty() {
            metadata["private"]["links"] = json!(failure.links);
        }
        metadata["failureCode"] = json!(failure.code);
        metadata["fault"] = json!(failure.fault);
        metadata["step"] = json!(failure.step);
        metadata["message"] = json!(escaped(&failure.message));
        metadata["detail"] = json!(failure.detail.as_deref().map(escaped));
        metadata["logTail"] = failure.log_tail.iter().map(|line| escaped(line)).collect();
    }
    metadata
}

/// The judgements in short. Which submissions it is a copy of is for the organisers to say.
fn judgements(scores: &Scores, metadata: &mut Value) {
    let fields = |judgement: &Option<Value>, names: &[&str]| {
        let judgement = judgement.as_ref().filter(|judgement| !judgement.is_null())?;
        Some(names.iter().map(|name| ((*name).to_owned(), judgement[*name].clone())).collect::<Value>())
    };
    metadata["message"] = json!("The model was trained and stored, and its predictions were judged.");
    metadata["concordance"] = json!(fields(&scores.concordance, &["concordant", "score"]));
    metadata["originality"] = json!(fields(&scores.originality, &["original", "similar_count", "compared"]));
    metadata["metric"] = json!(fields(&scores.metric, &["name", "score"]));
    metadata["private"]["offenders"] = scores.originality.as_ref().map_or(Value::Null, |it| it["offenders"].clone());
}

/// The outcome as the participant may read it: without places in the platform's account.
#[must_use]
pub fn public(outcome: &Outcome, region: &str) -> Value {
    let mut public = metadata(outcome, region);
    if let Some(fields) = public.as_object_mut() {
        fields.remove("private");
        fields.insert("submissionId".to_owned(), json!(outcome.submission_id));
        fields.insert("finishedAt".to_owned(), json!(outcome.finished_at));
    }
    public
}

fn execution_url(execution: &str, region: &str) -> String {
    Console::of_region(region).execution(execution)
}

/// The five characters that mean something in HTML, as references.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected() -> Outcome {
        serde_json::from_value(json!({
            "submissionId": "-kJ-nOos4KQaL3", "status": "rejected", "attempts": 1, "execution": "arn:x",
            "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:02:00Z", "seconds": {"BuildImage": 3.5},
            "archive": {"bucket": "b", "key": "k", "versionId": "1", "sha256": "ff", "bytes": 1},
            "failure": {"code": "BuildFailed", "fault": "participant", "step": "BuildImage", "message": "It's broken.",
                        "detail": "<script>", "logTail": ["a && b"], "links": {"build": "https://console/build"}},
        }))
        .unwrap()
    }

    #[test]
    fn a_participant_reads_the_reason_and_no_place_in_the_account() {
        let public = public(&rejected(), "us-east-1");
        assert_eq!(public["failureCode"], "BuildFailed");
        assert_eq!(public["message"], "It&#39;s broken.");
        assert_eq!(public["detail"], "&lt;script&gt;");
        assert_eq!(public["logTail"], json!(["a &amp;&amp; b"]));
        let text = public.to_string();
        assert!(!text.contains("arn:x") && !text.contains("s3://") && !text.contains("https://"), "{text}");
    }

    #[test]
    fn links_are_private() {
        let metadata = metadata(&rejected(), "eu-west-1");
        assert_eq!(metadata["private"]["archive"], "s3://b/k");
        assert_eq!(metadata["private"]["links"], json!({"build": "https://console/build"}));
        assert!(metadata["private"]["executionUrl"].as_str().unwrap().ends_with("#/v2/executions/details/arn:x"));
    }

    #[test]
    fn judgements_are_told_and_who_was_copied_is_private() {
        let mut outcome = rejected();
        (outcome.status, outcome.failure) = (Status::Completed, None);
        outcome.scores = serde_json::from_value(json!({
            "concordance": {"concordant": true, "score": 0.05, "regions": [{"region": 0}]},
            "originality": {"original": false, "similar_count": 0, "compared": 7, "offenders": [{"submission": "another"}]},
            "metric": {"name": "logloss", "score": 0.69, "standing": -0.69},
        }))
        .unwrap();
        assert!((score(&outcome) - 0.69).abs() < f64::EPSILON);
        let public = public(&outcome, "us-east-1");
        assert_eq!(public["concordance"], json!({"concordant": true, "score": 0.05}));
        assert_eq!(public["originality"], json!({"original": false, "similar_count": 0, "compared": 7}));
        assert_eq!(public["metric"], json!({"name": "logloss", "score": 0.69}));
        assert!(!public.to_string().contains("another"));
        assert_eq!(metadata(&outcome, "us-east-1")["private"]["offenders"][0]["submission"], "another");
        outcome.scores =
            serde_json::from_value(json!({"originality": null, "concordance": null, "metric": null})).unwrap();
        assert!((score(&outcome) - COMPLETED_SCORE).abs() < f64::EPSILON);
        assert_eq!(metadata(&outcome, "us-east-1")["metric"], Value::Null);
    }

    #[test]
    fn a_score_is_not_a_status() {
        assert!(score(&rejected()).abs() < f64::EPSILON);
        assert_eq!(metadata_of_start("arn:x", "r")["status"], "processing");
    }
}
