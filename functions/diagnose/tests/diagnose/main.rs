//! The function against recorded answers of CodeBuild, SageMaker and CloudWatch Logs: every request that it makes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_types::body::SdkBody;
use diagnose::{Answer, Deps, Diagnosed, Request, Settings, handle};
use serde_json::{Value, json};
use shared::{FailureCode, Fault};

const ID: &str = "d01c8c8b-2a7f-463f-992b-7bc5423e1dd0";
const JOB: &str = "d01c8c8b-2a7f-463f-992b-7bc5423e1dd0-1-2";
const BUILD: &str = "mm-build:0aa";

/// A call by its target and body, and what is answered to it.
fn call(target: &str, body: &Value, status: u16, answer: &Value) -> ReplayEvent {
    let (host, version) = match target.split_once('.').unwrap().0 {
        "CodeBuild_20161006" => ("codebuild.us-east-1", "1.1"),
        "SageMaker" => ("api.sagemaker.us-east-1", "1.1"),
        _ => ("logs.us-east-1", "1.1"),
    };
    ReplayEvent::new(
        http::Request::post(format!("https://{host}.amazonaws.com/"))
            .header("x-amz-target", target)
            .header("content-type", format!("application/x-amz-json-{version}"))
            .body(SdkBody::from(body.to_string()))
            .unwrap(),
        http::Response::builder().status(status).body(SdkBody::from(answer.to_string())).unwrap(),
    )
}

fn builds_listed(ids: &[&str]) -> ReplayEvent {
    let body = json!({"projectName": "mm-build", "sortOrder": "DESCENDING"});
    call("CodeBuild_20161006.ListBuildsForProject", &body, 200, &json!({"ids": ids}))
}

fn builds_read(ids: &[&str], builds: &Value) -> ReplayEvent {
    call("CodeBuild_20161006.BatchGetBuilds", &json!({"ids": ids}), 200, &json!({"builds": builds}))
}

fn build_stopped(id: &str) -> ReplayEvent {
    call("CodeBuild_20161006.StopBuild", &json!({"id": id}), 200, &json!({}))
}

fn build(id: &str, submission: &str, status: &str, started: f64) -> Value {
    let phases = json!([{"phaseType": "BUILD", "phaseStatus": "FAILED", "contexts": [{"message": "exit status 1"}]}]);
    json!({"id": id, "arn": format!("arn:aws:codebuild:us-east-1:123456789012:build/{id}"), "buildStatus": status,
        "startTime": started, "phases": phases, "logs": {"groupName": "/aws/codebuild/mm", "streamName": "0aa"},
        "environment": {"type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [{"name": "IMAGE_REPOSITORY_URI", "value": format!("r.example.org/{submission}")}]}})
}

fn log_read(stream: &str, lines: &[&str]) -> ReplayEvent {
    let (group, name) = stream.split_once('|').unwrap();
    let body = json!({"logGroupName": group, "logStreamName": name, "startFromHead": false, "limit": 1000});
    let events: Vec<Value> = lines.iter().map(|line| json!({"message": line})).collect();
    call("Logs_20140328.GetLogEvents", &body, 200, &json!({"events": events}))
}

fn job_described(status: u16, answer: &Value) -> ReplayEvent {
    call("SageMaker.DescribeTrainingJob", &json!({"TrainingJobName": JOB}), status, answer)
}

fn job_stopped(name: &str, status: u16, answer: &Value) -> ReplayEvent {
    call("SageMaker.StopTrainingJob", &json!({"TrainingJobName": name}), status, answer)
}

fn refusal(name: &str) -> Value {
    json!({"__type": name, "message": "as tested"})
}

async fn answer(event: Value, calls: Vec<ReplayEvent>, more: &[(&str, &str)]) -> Result<Answer, shared::Failure> {
    let count = calls.len();
    let http = StaticReplayClient::new(calls);
    let aws = aws_config::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_codebuild::config::SharedCredentialsProvider::new(
            aws_sdk_codebuild::config::Credentials::new("id", "secret", None, None, "test"),
        ))
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .http_client(http.clone())
        .build();
    let settings = [("STACK_NAME", "mm"), ("BUILD_PROJECT", "mm-build")];
    let settings = Settings::read(&settings.iter().chain(more).copied().collect()).unwrap();
    let request: Request = serde_json::from_value(event).unwrap();
    let answer = handle(request, &Deps::new(settings, &aws)).await;
    assert_eq!(http.actual_requests().count(), count, "calls are missing");
    http.assert_requests_match(&[
        "authorization",
        "user-agent",
        "x-amz-user-agent",
        "x-amz-date",
        "amz-sdk-request",
        "amz-sdk-invocation-id",
        "content-length",
    ]);
    answer
}

fn failed(step: &str, error: &str, cause: &str) -> Value {
    json!({"action": "diagnose", "submissionId": ID, "step": step, "error": {"Error": error, "Cause": cause}, "attempt": 2,
        "redrives": 1, "capacityRetries": 0, "spot": true, "failingSince": null, "redrivenAt": null,
        "failedAt": "2026-01-01T00:00:00Z"})
}

async fn diagnosed(event: Value, calls: Vec<ReplayEvent>) -> Diagnosed {
    match answer(event, calls, &[("SPOT_FALLBACK_ATTEMPTS", "1")]).await.unwrap() {
        Answer::Diagnosed(diagnosed) => *diagnosed,
        Answer::Nothing {} => panic!("there is no diagnosis"),
    }
}

#[tokio::test]
async fn a_failed_build_names_the_step_and_leads_to_its_log() {
    let cause = json!({"Build": {"Id": BUILD, "Arn": "arn:aws:codebuild:us-east-1:123456789012:build/mm-build:0aa",
        "BuildStatus": "FAILED", "Phases": [{"PhaseType": "BUILD", "PhaseStatus": "FAILED", "Contexts": []}],
        "Logs": {"GroupName": "/aws/codebuild/mm", "StreamName": "0aa"}}});
    let lines = ["STEP 2/2: RUN make", "make: token=abc", "Error: building at STEP \"RUN make\": exit status 2"];
    let log = log_read("/aws/codebuild/mm|0aa", &lines);
    let Diagnosed { diagnosis, next } =
        diagnosed(failed("BuildImage", "States.TaskFailed", &cause.to_string()), vec![log]).await;
    assert_eq!((diagnosis.code, diagnosis.fault, next), (FailureCode::BuildFailed, Fault::Participant, None));
    assert!(diagnosis.message.contains("in the Dockerfile, step 2/2, `RUN make` failed."), "{}", diagnosis.message);
    assert_eq!(diagnosis.detail.as_deref(), Some(lines[2]));
    assert_eq!(diagnosis.log_tail[1], "make: token=[hidden]");
    assert!(diagnosis.links.build.unwrap().contains("/123456789012/projects/mm-build/build/mm-build%3A0aa/"));
    assert!(diagnosis.links.log.unwrap().ends_with("/log-events/0aa"));
}

#[tokio::test]
async fn a_build_whose_failure_is_a_sentence_is_asked_itself() {
    let calls = vec![
        builds_listed(&["mm-build:other", BUILD]),
        builds_read(
            &["mm-build:other", BUILD],
            &json!([build(BUILD, ID, "FAILED", 1.0), build("mm-build:other", "x", "FAILED", 2.0)]),
        ),
        log_read("/aws/codebuild/mm|0aa", &["no trace of a step"]),
    ];
    let diagnosed = diagnosed(failed("BuildImage", "States.TaskFailed", "The build failed."), calls).await;
    assert_eq!(diagnosed.diagnosis.code, FailureCode::BuildFailed);
    assert_eq!(diagnosed.diagnosis.detail.as_deref(), Some("exit status 1"));
}

#[tokio::test]
async fn a_build_that_nobody_waits_for_is_stopped_and_no_other() {
    let list = ["mm-build:1", "mm-build:2", "mm-build:3"];
    let builds = json!([
        build("mm-build:1", "x", "IN_PROGRESS", 1.0),
        build("mm-build:2", ID, "IN_PROGRESS", 1.0),
        build("mm-build:3", ID, "SUCCEEDED", 1.0)
    ]);
    for error in ["States.Timeout", "States.HeartbeatTimeout", "CodeBuild.SdkClientException"] {
        let calls = vec![
            builds_listed(&list),
            builds_read(&list, &builds),
            builds_listed(&list),
            builds_read(&list, &builds),
            build_stopped("mm-build:2"),
            log_read("/aws/codebuild/mm|0aa", &[]),
        ];
        let diagnosed = diagnosed(failed("BuildImage", error, ""), calls).await;
        assert_eq!(diagnosed.diagnosis.code, FailureCode::BuildServiceFault, "{error}");
        assert_eq!(diagnosed.diagnosis.retry_after_seconds, Some(120));
    }
}

#[tokio::test]
async fn a_job_that_nobody_waits_for_is_stopped() {
    for stopped in [job_stopped(JOB, 200, &json!({})), job_stopped(JOB, 400, &refusal("ValidationException"))] {
        let calls = vec![
            job_described(200, &json!({"TrainingJobStatus": "InProgress", "SecondaryStatus": "Training"})),
            stopped,
            call(
                "Logs_20140328.DescribeLogStreams",
                &json!({"logGroupName": "/aws/sagemaker/TrainingJobs",
                "logStreamNamePrefix": format!("{JOB}/algo-1-"), "limit": 1}),
                200,
                &json!({"logStreams": []}),
            ),
        ];
        let diagnosed = diagnosed(failed("TrainModel", "States.Timeout", ""), calls).await;
        assert_eq!(diagnosed.diagnosis.code, FailureCode::TrainingServiceFault);
        assert!(diagnosed.diagnosis.links.training_job.unwrap().ends_with(&format!("#/jobs/{JOB}")));
    }
}

#[tokio::test]
async fn a_diagnosis_comes_out_although_no_service_answers() {
    let broken = || job_described(500, &refusal("InternalFailure"));
    let calls = vec![broken(), job_stopped(JOB, 500, &refusal("InternalFailure"))];
    let diagnosed = diagnosed(failed("TrainModel", "States.TaskFailed", "An internal error."), calls).await;
    assert_eq!(diagnosed.diagnosis.code, FailureCode::Internal);
    assert_eq!(diagnosed.diagnosis.detail.as_deref(), Some("States.TaskFailed: An internal error."));
}

#[tokio::test]
async fn a_full_quota_or_a_failure_of_ours_asks_nobody() {
    let quota = diagnosed(failed("TrainModel", "SageMaker.ResourceLimitExceededException", "full"), Vec::new()).await;
    assert_eq!((quota.diagnosis.code, quota.diagnosis.retry_after_seconds), (FailureCode::QuotaExceeded, Some(600)));
    assert!(quota.next.unwrap().spot);
    let ours = diagnosed(failed("FetchSubmission", "ArchiveInvalid", "{}"), Vec::new()).await;
    assert_eq!(ours.diagnosis.code, FailureCode::ArchiveInvalid);
}

#[tokio::test]
async fn a_shortage_of_spot_instances_leads_to_training_on_demand() {
    let cause =
        json!({"TrainingJobName": JOB, "TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxWaitTimeExceeded"});
    let no_log = call(
        "Logs_20140328.DescribeLogStreams",
        &json!({"logGroupName": "/aws/sagemaker/TrainingJobs",
        "logStreamNamePrefix": format!("{JOB}/algo-1-"), "limit": 1}),
        200,
        &json!({"logStreams": []}),
    );
    let diagnosed = diagnosed(failed("TrainModel", "States.TaskFailed", &cause.to_string()), vec![no_log]).await;
    assert_eq!(diagnosed.diagnosis.code, FailureCode::CapacityUnavailable);
    let answer = serde_json::to_value(diagnosed).unwrap();
    assert_eq!(answer["next"], json!({"capacityRetries": 1, "spot": false, "failingSince": "2026-01-01T00:00:00Z"}));
    assert_eq!(answer["retryAfterSeconds"], 600);
}

fn ended() -> Value {
    json!({"detail-type": "Step Functions Execution Status Change", "detail": {"executionArn": "arn", "status": "ABORTED",
        "input": json!({"submissionId": ID}).to_string(), "startDate": 1000, "stopDate": 100_000}})
}

fn jobs_listed(names: &[String]) -> ReplayEvent {
    let body = json!({"CreationTimeBefore": 101, "NameContains": ID, "StatusEquals": "InProgress"});
    let jobs: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({"TrainingJobName": name, "TrainingJobArn": "arn",
        "CreationTime": 1.0, "TrainingJobStatus": "InProgress"})
        })
        .collect();
    call("SageMaker.ListTrainingJobs", &body, 200, &json!({"TrainingJobSummaries": jobs}))
}

#[tokio::test]
async fn an_ended_execution_leaves_nothing_running() {
    let list = ["mm-build:1", "mm-build:2"];
    // The second was started by a redrive since.
    let builds = json!([build("mm-build:1", ID, "IN_PROGRESS", 99.0), build("mm-build:2", ID, "IN_PROGRESS", 200.0)]);
    let calls = vec![
        jobs_listed(&[JOB.to_owned(), format!("other-{ID}-0-1")]),
        job_stopped(JOB, 200, &json!({})),
        builds_listed(&list),
        builds_read(&list, &builds),
        build_stopped("mm-build:1"),
    ];
    assert_eq!(answer(ended(), calls, &[]).await.unwrap(), Answer::Nothing {});
}

#[tokio::test]
async fn an_event_is_delivered_again_when_something_could_not_be_stopped() {
    let body = json!({"CreationTimeBefore": 101, "NameContains": ID, "StatusEquals": "InProgress"});
    let calls =
        vec![call("SageMaker.ListTrainingJobs", &body, 400, &refusal("ThrottlingException")), builds_listed(&[])];
    let failure = answer(ended(), calls, &[]).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::Internal);
}

#[tokio::test]
async fn a_diagnosis_is_raised_by_its_code() {
    let event = json!({"action": "raise", "submissionId": ID,
        "diagnosis": {"code": "QuotaExceeded", "fault": "platform", "message": "full", "next": {"ignored": 1}}});
    assert_eq!(answer(event, Vec::new(), &[]).await.unwrap_err().code, FailureCode::QuotaExceeded);
    assert_eq!(answer(json!({"action": "resume"}), Vec::new(), &[]).await.unwrap(), Answer::Nothing {});
}
