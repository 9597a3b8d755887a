//! Sending a submission on its way, following it, and comparing what came of it.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionError;
use aws_sdk_sfn::types::ExecutionStatus;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::SubmissionId;
use domain::outcome::{Outcome, Status};
use runtime::CallFailed;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::deployed::DeployedStack;
use crate::verify::checklist::{Checklist, Verdict};
use crate::verify::deployment::{Deployment, Filter, Report, Reported};

/// How often an execution is looked at on AWS.
const INTERVAL: Duration = Duration::from_secs(5);
/// The same on an emulator.
const EMULATED_INTERVAL: Duration = Duration::from_millis(500);
/// How often the progress of an execution is shown.
const PROGRESS: Duration = Duration::from_mins(1);
/// How long a message may take to start an execution.
const START_LIMIT: Duration = Duration::from_mins(1);

pub(crate) fn interval() -> Duration {
    if DeployedStack::is_emulated() { EMULATED_INTERVAL } else { INTERVAL }
}

/// The event that Lambda makes of the message that a submission passed its antivirus scan:
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html>.
fn event(filter: &Filter, id: &SubmissionId) -> serde_json::Value {
    let score: serde_json::Value =
        filter.score.parse::<f64>().map_or_else(|_| json!(filter.score), |score| json!(score));
    let message = json!({
        "topic": "verify", "originator": "marathon verify", "mime-type": "application/json",
        "payload": {"resource": filter.resource, "originalTopic": filter.original_topic, "typeId": filter.type_id,
            "score": score, "submissionId": id},
    });
    let record =
        json!({"topic": "verify", "partition": 0, "offset": 0, "value": BASE64_STANDARD.encode(message.to_string())});
    json!({"eventSource": "aws:kafka", "records": {"verify-0": [record]}})
}

/// Announces a submission to `intake`.
pub(crate) async fn announce(deployment: &Deployment, id: &SubmissionId) -> Result<()> {
    let function = deployment.stack.function("intake");
    let payload = Blob::new(event(&deployment.filter, id).to_string());
    let answer = deployment.stack.lambda.invoke().function_name(&function).payload(payload).send().await;
    let answer = answer.with_context(|| format!("invoking {function}"))?;
    let text = answer.payload.map(Blob::into_inner).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    ensure!(answer.function_error.is_none(), "{function} failed: {text}");
    let failures = serde_json::from_str::<serde_json::Value>(&text).ok();
    let failures = failures.and_then(|answer| Some(answer.get("batchItemFailures")?.as_array()?.len()));
    ensure!(failures == Some(0), "{function} did not take the message: {text}");
    Ok(())
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: ExecutionStatus,
    pub(crate) error: Option<String>,
}

/// Whether an execution of this name exists.
pub(crate) async fn exists(deployment: &Deployment, id: &SubmissionId) -> Result<bool, CallFailed> {
    match deployment.sfn.describe_execution().execution_arn(deployment.execution(id)).send().await {
        Ok(_) => Ok(true),
        Err(error) if error.as_service_error().is_some_and(DescribeExecutionError::is_execution_does_not_exist) => {
            Ok(false)
        }
        Err(error) => Err(CallFailed::new("Step Functions", "DescribeExecution", &error)),
    }
}

/// Follows an execution to its end.
pub(crate) async fn follow(
    deployment: &Deployment,
    id: &SubmissionId,
    limit: Duration,
    list: &Checklist,
) -> Result<Ended> {
    let execution = deployment.execution(id);
    let begun = Instant::now();
    let mut shown = begun;
    loop {
        match deployment.sfn.describe_execution().execution_arn(&execution).send().await {
            Ok(found) if *found.status() != ExecutionStatus::Running => {
                return Ok(Ended { status: found.status, error: found.error });
            }
            Ok(_) => {}
            Err(error) if error.as_service_error().is_some_and(DescribeExecutionError::is_execution_does_not_exist) => {
                ensure!(begun.elapsed() < START_LIMIT, "the message of {id} started no execution within a minute");
            }
            Err(error) => return Err(error).context("reading the execution"),
        }
        if begun.elapsed() > limit {
            let minutes = limit.as_secs() / 60;
            bail!("{id} was not processed within {minutes} minutes: look at {execution} in the Step Functions console");
        }
        if shown.elapsed() >= PROGRESS {
            shown = Instant::now();
            list.say(&format!("    {id} is still being processed after {} min", begun.elapsed().as_secs() / 60));
        }
        sleep(interval()).await;
    }
}

/// The stored outcome of a submission.
pub(crate) async fn outcome(deployment: &Deployment, id: &SubmissionId) -> Result<Outcome, CallFailed> {
    let (bucket, key) = (&deployment.output_bucket, format!("{id}/outcome.json"));
    let object = deployment.stack.s3.get_object().bucket(bucket).key(&key).send().await;
    let object = object.map_err(|error| CallFailed::new("S3", "GetObject", &error))?;
    let invalid = |message: String| CallFailed {
        service: "S3",
        operation: "GetObject",
        code: "InvalidAnswer".to_owned(),
        message: format!("s3://{bucket}/{key}: {message}"),
    };
    let bytes = object.body.collect().await.map_err(|error| invalid(error.to_string()))?.into_bytes();
    serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))
}

const LOOK: &str =
    "Open the execution in the Step Functions console; docs/troubleshooting.md explains the failure code.";

/// Whether an outcome has the expected status.
pub(crate) fn outcome_is(expected: Status, outcome: &Outcome) -> Verdict {
    let code = outcome.failure.as_ref().map(|failure| failure.code);
    let named = code.map(|code| format!(" ({code})")).unwrap_or_default();
    let found = format!("the outcome is {}{named}", word(outcome.status));
    if outcome.status == expected {
        Verdict::passed(found)
    } else {
        Verdict::failed(format!("{found}, expected {}", word(expected)), LOOK)
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Completed => "completed",
        Status::Rejected => "rejected",
        Status::Failed => "failed",
    }
}

/// Whether ECR's digest of the tag `latest` is the outcome's.
pub(crate) fn image(outcome: &Outcome, in_ecr: Option<&str>) -> Verdict {
    let expected = outcome.image.as_ref().map(|image| image.digest.as_str());
    match (expected, in_ecr) {
        (Some(expected), Some(found)) if expected == found => Verdict::passed(format!("ECR has {found}")),
        (expected, found) => Verdict::failed(
            format!(
                "the outcome names {} and ECR's tag latest {}",
                expected.unwrap_or("no image"),
                found.unwrap_or("no image")
            ),
            "Read the build's log: something else may have pushed to the repository.",
        ),
    }
}

/// Whether the training job ran the outcome's image to its end.
pub(crate) fn training(outcome: &Outcome, status: &str, image: &str) -> Verdict {
    let digest = outcome.image.as_ref().map_or("no image", |image| image.digest.as_str());
    if status == "Completed" && image.ends_with(&format!("@{digest}")) {
        Verdict::passed("the job trained this image to its end")
    } else {
        Verdict::failed(
            format!("the job is {status} and trained {image}, but the outcome names {digest}"),
            "Compare the training job in the SageMaker console with the execution.",
        )
    }
}

pub(crate) fn model(uri: Option<&str>, bytes: Option<i64>) -> Verdict {
    match (uri, bytes) {
        (Some(uri), Some(bytes)) if bytes > 0 => Verdict::passed(format!("{uri} has {bytes} bytes")),
        (uri, _) => Verdict::failed(
            format!("the model {} is missing or empty", uri.unwrap_or("has no address and")),
            "Check that the training role may write to the output bucket.",
        ),
    }
}

/// Whether exactly one review or summation reports the outcome.
pub(crate) fn reported(report: &Report, outcome: &Outcome, found: &[Reported]) -> Verdict {
    const TO_DO: &str = "Read the log of the function report; the sweep reports what is missing.";
    match (report, found) {
        (Report::Nowhere, _) => Verdict::skipped("outcomes of this stack are only stored: ReportTypeId is empty"),
        (_, [one]) => {
            if one.status != word(outcome.status) {
                let found = format!("the review says {:?}, the outcome {:?}", one.status, word(outcome.status));
                Verdict::failed(found, TO_DO)
            } else if outcome.review.as_deref() == Some(one.id.as_str()) {
                Verdict::passed(format!("one review says {}", one.status))
            } else {
                Verdict::failed("the outcome names another review", TO_DO)
            }
        }
        (_, found) => Verdict::failed(format!("{} reviews report the outcome, expected one", found.len()), TO_DO),
    }
}

/// Whether a function wrote lines about the submission since `begun`.
pub(crate) async fn log_lines(
    logs: &aws_sdk_cloudwatchlogs::Client,
    group: &str,
    id: &SubmissionId,
    begun: SystemTime,
) -> Result<usize, CallFailed> {
    let since = begun.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    let lines = logs
        .filter_log_events()
        .log_group_name(group)
        .filter_pattern(format!("\"{id}\""))
        .start_time(i64::try_from(since).unwrap_or_default())
        .send()
        .await
        .map_err(|error| CallFailed::new("CloudWatch Logs", "FilterLogEvents", &error))?;
    Ok(lines.events().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_fits_the_filter_of_the_stack() {
        let filter = Filter {
            original_topic: "o".to_owned(),
            type_id: "t".to_owned(),
            score: "100".to_owned(),
            resource: "review".to_owned(),
        };
        let event = event(&filter, &"_9VOLnz2XYZv8J".parse().unwrap());
        let value = event["records"]["verify-0"][0]["value"].as_str().unwrap();
        let message: serde_json::Value = serde_json::from_slice(&BASE64_STANDARD.decode(value).unwrap()).unwrap();
        let payload = json!({"resource": "review", "originalTopic": "o", "typeId": "t", "score": 100.0,
            "submissionId": "_9VOLnz2XYZv8J"});
        assert_eq!(message["payload"], payload);
    }

    fn completed(more: &serde_json::Value) -> Outcome {
        let mut outcome = json!({
            "submissionId": "_9VOLnz2XYZv8J", "attempts": 1, "execution": "arn", "status": "completed",
            "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:02:00Z",
            "image": {"uri": "registry/x:latest", "digest": "sha256:ab", "bytes": 7},
        });
        outcome.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(outcome).unwrap()
    }

    #[test]
    fn right_and_wrong_results_get_their_verdicts() {
        let outcome = completed(&json!({"review": "r1"}));
        let failed = completed(&json!({"status": "failed",
            "failure": {"code": "QuotaExceeded", "fault": "platform", "message": "m"}}));
        let review = |status: &str, id: &str| Reported { id: id.to_owned(), status: status.to_owned() };
        let reviews = Report::Reviews { type_id: "t".to_owned() };
        let of = |found: &[Reported]| reported(&reviews, &outcome, found);
        let verdicts = [
            outcome_is(Status::Completed, &outcome),
            outcome_is(Status::Completed, &failed),
            image(&outcome, Some("sha256:ab")),
            image(&outcome, Some("sha256:cd")),
            image(&outcome, None),
            training(&outcome, "Completed", "registry/x@sha256:ab"),
            training(&outcome, "Completed", "registry/x@sha256:cd"),
            training(&outcome, "Stopped", "registry/x@sha256:ab"),
            model(Some("s3://out/model.tar.gz"), Some(12)),
            model(Some("s3://out/model.tar.gz"), Some(0)),
            model(None, None),
            of(&[review("completed", "r1")]),
            of(&[review("completed", "r2")]),
            of(&[review("processing", "r1")]),
            of(&[]),
            of(&[review("completed", "r1"), review("completed", "r2")]),
            reported(&Report::Nowhere, &outcome, &[]),
        ];
        insta::assert_snapshot!(verdicts.map(|verdict| format!("{verdict:?}")).join("\n"));
    }
}
