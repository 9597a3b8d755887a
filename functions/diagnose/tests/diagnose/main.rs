//! The function against replayed answers of CodeBuild, SageMaker and CloudWatch Logs. Each test checks every request.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use diagnose::settings::Settings;
use diagnose::{Answer, Deps, DiagnoseError, DiagnosisAnswer, Request, handle};
use domain::{Coded, FailureCode, Fault};
use serde_json::{Value, json};
use testing::aws::{ReplayEvent, StaticReplayClient, assert_calls_match, call, refusal, replaying};

const ID: &str = "d01c8c8b-2a7f-463f-992b-7bc5423e1dd0";
const JOB: &str = "d01c8c8b-2a7f-463f-992b-7bc5423e1dd0-1-2";

fn builds_listed(ids: &[&str]) -> ReplayEvent {
    let parameters = json!({"projectName": "mm-build", "sortOrder": "DESCENDING"});
    call("CodeBuild_20161006.ListBuildsForProject", &parameters, 200, &json!({"ids": ids}))
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

fn log_read(group: &str, stream: &str, lines: &[&str]) -> ReplayEvent {
    let parameters = json!({"logGroupName": group, "logStreamName": stream, "startFromHead": false, "limit": 1000});
    let events: Vec<Value> = lines.iter().map(|line| json!({"message": line})).collect();
    call("Logs_20140328.GetLogEvents", &parameters, 200, &json!({"events": events}))
}

fn training_logs_listed(streams: &[&str]) -> ReplayEvent {
    let parameters = json!({"logGroupName": "/aws/sagemaker/TrainingJobs",
        "logStreamNamePrefix": format!("{JOB}/algo-1-"), "limit": 1});
    let streams: Vec<Value> = streams.iter().map(|name| json!({"logStreamName": name})).collect();
    call("Logs_20140328.DescribeLogStreams", &parameters, 200, &json!({"logStreams": streams}))
}

fn job_described(status: u16, answer: &Value) -> ReplayEvent {
    call("SageMaker.DescribeTrainingJob", &json!({"TrainingJobName": JOB}), status, answer)
}

fn job_stopped(name: &str, status: u16, answer: &Value) -> ReplayEvent {
    call("SageMaker.StopTrainingJob", &json!({"TrainingJobName": name}), status, answer)
}

async fn answer(event: Value, calls: Vec<ReplayEvent>, more: &[(&str, &str)]) -> Result<Answer, DiagnoseError> {
    let http = StaticReplayClient::new(calls);
    let settings = [("STACK_NAME", "mm"), ("BUILD_PROJECT", "mm-build"), ("LOG_DELAY_SECONDS", "0")];
    let settings = Settings::read(&settings.iter().chain(more).copied().collect()).unwrap();
    let request: Request = serde_json::from_value(event).unwrap();
    let answer = handle(request, &Deps::new(settings, &replaying(&http))).await;
    assert_calls_match(&http);
    answer
}

fn failed(step: &str, error: &str, cause: &str) -> Value {
    json!({"action": "diagnose", "submissionId": ID, "step": step, "error": {"Error": error, "Cause": cause}, "attempt": 2,
        "redrives": 1, "capacityRetries": 0, "spot": true, "failingSince": null, "redrivenAt": null,
        "startedAt": "2026-01-01T00:00:00Z", "failedAt": "2026-01-01T00:00:00Z"})
}

async fn diagnosed(event: Value, calls: Vec<ReplayEvent>) -> DiagnosisAnswer {
    match answer(event, calls, &[("SPOT_FALLBACK_ATTEMPTS", "1")]).await.unwrap() {
        Answer::Diagnosis(diagnosis) => *diagnosis,
        other => panic!("{other:?} instead of a diagnosis"),
    }
}

#[tokio::test]
async fn a_failed_build_names_the_dockerfile_step_and_links_to_its_log() {
    let lines = ["STEP 2/2: RUN make", "make: token=abc", "Error: building at STEP \"RUN make\": exit status 2"];
    let log = log_read("/aws/codebuild/mm-build", "0aa1b2c3", &lines);
    let cause = include_str!("../fixtures/build-cause-failed.json");
    let DiagnosisAnswer { diagnosis, next } =
        diagnosed(failed("BuildImage", "States.TaskFailed", cause), vec![log]).await;
    assert_eq!((diagnosis.code, diagnosis.fault, next), (FailureCode::BuildFailed, Fault::Participant, None));
    assert!(diagnosis.message.contains("in the Dockerfile, step 2/2 failed."), "{}", diagnosis.message);
    assert_eq!(diagnosis.detail.as_deref(), Some(format!("`RUN make`: {}", lines[2]).as_str()));
    assert_eq!(diagnosis.log_tail[1], "make: token=[redacted]");
    assert!(diagnosis.links.build.unwrap().contains("/123456789012/projects/mm-build/build/mm-build%3A0aa1b2c3/"));
    assert!(diagnosis.links.log.unwrap().ends_with("/log-events/0aa1b2c3"));
}

#[tokio::test]
async fn the_log_of_a_completed_job_is_read_and_redacted() {
    let stream = format!("{JOB}/algo-1-1767225600");
    let event = || json!({"action": "readLog", "submissionId": ID, "trainingJob": JOB});
    let log = |lines| log_read("/aws/sagemaker/TrainingJobs", &stream, lines);
    let calls = vec![training_logs_listed(&[&stream]), log(&["epoch 1", "epoch 1", "password=hunter2"])];
    let expected = vec!["epoch 1 (2 times)".to_owned(), "password=[redacted]".to_owned()];
    assert_eq!(answer(event(), calls, &[]).await.unwrap(), Answer::Log { log_tail: expected });
    let refused = || {
        let parameters = json!({"logGroupName": "/aws/sagemaker/TrainingJobs",
            "logStreamNamePrefix": format!("{JOB}/algo-1-"), "limit": 1});
        call("Logs_20140328.DescribeLogStreams", &parameters, 400, &refusal("AccessDeniedException"))
    };
    let none = || training_logs_listed(&[]);
    for calls in [vec![none(), none()], vec![refused(), refused()]] {
        assert_eq!(answer(event(), calls, &[]).await.unwrap(), Answer::Log { log_tail: Vec::new() });
    }
}

#[tokio::test]
async fn an_empty_log_is_read_again() {
    let log = |lines| log_read("/aws/codebuild/mm-build", "0aa1b2c3", lines);
    let cause = include_str!("../fixtures/build-cause-failed.json");
    let calls = vec![log(&[]), log(&["make: *** [all] Error 2"])];
    let answer = diagnosed(failed("BuildImage", "States.TaskFailed", cause), calls).await;
    assert_eq!(answer.diagnosis.log_tail, ["make: *** [all] Error 2"]);
}

#[tokio::test]
async fn a_build_is_looked_up_if_the_cause_is_a_sentence() {
    let ids = ["mm-build:4dd5e6f7", "mm-build:0aa1b2c3"];
    let answer: Value = serde_json::from_str(include_str!("../fixtures/batch-get-builds.json")).unwrap();
    let calls = vec![
        builds_listed(&ids),
        call("CodeBuild_20161006.BatchGetBuilds", &json!({"ids": ids}), 200, &answer),
        log_read("/aws/codebuild/mm-build", "0aa1b2c3", &["no trace of a step"]),
    ];
    let answer = diagnosed(failed("BuildImage", "States.TaskFailed", "The build failed."), calls).await;
    assert_eq!(answer.diagnosis.code, FailureCode::BuildFailed);
    assert_eq!(
        answer.diagnosis.detail.as_deref(),
        Some("Error while executing command: bash build.sh. Reason: exit status 1")
    );
}

#[tokio::test]
async fn builds_are_read_until_none_of_them_can_run() {
    let page = |token: Option<&str>, ids: &[&str], next: Option<&str>| {
        let mut parameters = json!({"projectName": "mm-build", "sortOrder": "DESCENDING"});
        token.inspect(|token| parameters["nextToken"] = json!(token));
        let answer = json!({"ids": ids, "nextToken": next});
        call("CodeBuild_20161006.ListBuildsForProject", &parameters, 200, &answer)
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let of = |id: &str, submission: &str, age: f64| json!([build(id, submission, "SUCCEEDED", now - age)]);
    let calls = vec![
        page(None, &["mm-build:9"], Some("2")),
        builds_read(&["mm-build:9"], &of("mm-build:9", "x", 60.0)),
        page(Some("2"), &["mm-build:8"], Some("3")),
        builds_read(&["mm-build:8"], &of("mm-build:8", "y", 45.0 * 3600.0)),
    ];
    let answer = diagnosed(failed("BuildImage", "States.TaskFailed", "The build failed."), calls).await;
    assert_eq!(answer.diagnosis.code, FailureCode::Internal);
}

#[tokio::test]
async fn an_orphaned_build_is_stopped_and_no_other() {
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
            log_read("/aws/codebuild/mm", "0aa", &[]),
        ];
        let answer = diagnosed(failed("BuildImage", error, ""), calls).await;
        assert_eq!(answer.diagnosis.code, FailureCode::BuildServiceFault, "{error}");
        assert_eq!(answer.diagnosis.retry_after_seconds, Some(120));
    }
}

#[tokio::test]
async fn an_orphaned_training_job_is_stopped() {
    for stopped in [job_stopped(JOB, 200, &json!({})), job_stopped(JOB, 400, &refusal("ValidationException"))] {
        let calls = vec![
            job_described(200, &json!({"TrainingJobStatus": "InProgress", "SecondaryStatus": "Training"})),
            stopped,
            training_logs_listed(&[]),
        ];
        let answer = diagnosed(failed("TrainModel", "States.Timeout", ""), calls).await;
        assert_eq!(answer.diagnosis.code, FailureCode::TrainingServiceFault);
        assert!(answer.diagnosis.links.training_job.unwrap().ends_with(&format!("#/jobs/{JOB}")));
    }
}

#[tokio::test]
async fn a_training_job_that_failed_is_the_participants_fault_with_the_end_of_its_log() {
    let stream = format!("{JOB}/algo-1-1767225690");
    let lines = ["epoch 1", "Traceback (most recent call last):", "ValueError: NaN"];
    let calls = vec![training_logs_listed(&[&stream]), log_read("/aws/sagemaker/TrainingJobs", &stream, &lines)];
    let cause = include_str!("../fixtures/training-cause-failed.json");
    let DiagnosisAnswer { diagnosis, next } = diagnosed(failed("TrainModel", "States.TaskFailed", cause), calls).await;
    assert_eq!((diagnosis.code, diagnosis.fault, next), (FailureCode::TrainingFailed, Fault::Participant, None));
    assert_eq!(diagnosis.detail.as_deref(), Some("exit code: 1"));
    assert_eq!(diagnosis.log_tail, lines);
}

#[tokio::test]
async fn a_training_job_is_looked_up_if_the_cause_is_a_sentence() {
    let job: Value = serde_json::from_str(include_str!("../fixtures/describe-training-job-failed.json")).unwrap();
    let calls = vec![job_described(200, &job), training_logs_listed(&[])];
    let answer = diagnosed(failed("TrainModel", "States.TaskFailed", "The training job failed."), calls).await;
    assert_eq!(answer.diagnosis.code, FailureCode::TrainingServiceFault);
    assert_eq!(answer.diagnosis.detail.as_deref(), job["FailureReason"].as_str());
    assert_eq!(answer.diagnosis.retry_after_seconds, Some(300));
}

#[tokio::test]
async fn a_diagnosis_is_made_even_if_no_service_answers() {
    let calls =
        vec![job_described(500, &refusal("InternalFailure")), job_stopped(JOB, 500, &refusal("InternalFailure"))];
    let answer = diagnosed(failed("TrainModel", "States.TaskFailed", "An internal error."), calls).await;
    assert_eq!(answer.diagnosis.code, FailureCode::Internal);
    assert_eq!(answer.diagnosis.detail.as_deref(), Some("States.TaskFailed: An internal error."));
}

#[tokio::test]
async fn a_full_quota_or_a_failure_with_a_code_needs_no_call() {
    let quota = diagnosed(failed("TrainModel", "SageMaker.ResourceLimitExceededException", "full"), Vec::new()).await;
    assert_eq!((quota.diagnosis.code, quota.diagnosis.retry_after_seconds), (FailureCode::QuotaExceeded, Some(600)));
    assert!(quota.next.unwrap().spot);
    let own = diagnosed(failed("FetchSubmission", "ArchiveInvalid", "{}"), Vec::new()).await;
    assert_eq!(own.diagnosis.code, FailureCode::ArchiveInvalid);
}

#[tokio::test]
async fn a_shortage_of_spot_instances_changes_training_to_on_demand() {
    let stopped =
        json!({"TrainingJobName": JOB, "TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxWaitTimeExceeded"});
    for cause in [include_str!("../fixtures/training-cause-no-capacity.json"), &stopped.to_string()] {
        let answer = diagnosed(failed("TrainModel", "States.TaskFailed", cause), vec![training_logs_listed(&[])]).await;
        assert_eq!(answer.diagnosis.code, FailureCode::CapacityUnavailable);
        let answer = serde_json::to_value(answer).unwrap();
        let since = "2026-01-01T00:00:00Z";
        let next = json!({"capacityRetries": 1, "spot": false, "failingSince": null, "waitingSince": since, "suspectedSince": null});
        assert_eq!((&answer["next"], &answer["retryAfterSeconds"]), (&next, &json!(600)));
    }
}

/// The event of an execution that stopped 3,725.25 seconds after the start of 2026.
fn execution_ended(status: &str) -> Value {
    let event = match status {
        "FAILED" => include_str!("../../../../libraries/domain/tests/fixtures/execution-failed.json"),
        "TIMED_OUT" => include_str!("../../../../libraries/domain/tests/fixtures/execution-timed-out.json"),
        _ => include_str!("../../../../libraries/domain/tests/fixtures/execution-aborted.json"),
    };
    serde_json::from_str(event).unwrap()
}

const STARTED: f64 = 1_767_225_600.0;

fn running_jobs() -> Value {
    json!({"CreationTimeBefore": 1_767_229_326, "NameContains": ID, "StatusEquals": "InProgress"})
}

fn jobs_listed(names: &[String]) -> ReplayEvent {
    let jobs: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({"TrainingJobName": name, "TrainingJobArn": "arn", "CreationTime": STARTED,
                "TrainingJobStatus": "InProgress"})
        })
        .collect();
    call("SageMaker.ListTrainingJobs", &running_jobs(), 200, &json!({"TrainingJobSummaries": jobs}))
}

#[tokio::test]
async fn an_ended_execution_leaves_no_job_running() {
    let list = ["mm-build:1", "mm-build:2"];
    for status in ["FAILED", "TIMED_OUT", "ABORTED"] {
        // A redrive has started the second build since then.
        let builds = json!([
            build("mm-build:1", ID, "IN_PROGRESS", STARTED + 3_725.0),
            build("mm-build:2", ID, "IN_PROGRESS", STARTED + 4_000.0)
        ]);
        let calls = vec![
            jobs_listed(&[JOB.to_owned(), format!("other-{ID}-0-1")]),
            job_stopped(JOB, 200, &json!({})),
            builds_listed(&list),
            builds_read(&list, &builds),
            build_stopped("mm-build:1"),
        ];
        assert_eq!(answer(execution_ended(status), calls, &[]).await.unwrap(), Answer::Nothing {}, "{status}");
    }
}

#[tokio::test]
async fn an_event_fails_if_a_job_could_not_be_stopped() {
    let calls = vec![
        call("SageMaker.ListTrainingJobs", &running_jobs(), 400, &refusal("ThrottlingException")),
        builds_listed(&[]),
    ];
    let error = answer(execution_ended("ABORTED"), calls, &[]).await.unwrap_err();
    assert_eq!(error.code(), FailureCode::Internal);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "SageMaker ListTrainingJobs failed with ThrottlingException: as tested");
}

const EXECUTION: &str = "arn:aws:states:us-east-1:123456789012:execution:mm-processing:d01c8c8b";

/// An execution that failed and may have been redriven; see
/// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html>.
fn execution_described(status: u16, answer: &Value) -> ReplayEvent {
    call("AWSStepFunctions.DescribeExecution", &json!({"executionArn": EXECUTION}), status, answer)
}

fn raise(detail: Option<&str>) -> Value {
    json!({"action": "raise", "submissionId": ID, "execution": EXECUTION, "reportedAtRedrive": 1,
        "diagnosis": {"code": "QuotaExceeded", "fault": "platform", "message": "full", "detail": detail,
            "next": {"ignored": 1}}})
}

#[tokio::test]
async fn a_diagnosis_is_raised_with_its_code() {
    for (detail, raised) in [(None, "full"), (Some("limit is 1"), "limit is 1")] {
        let calls = vec![execution_described(200, &json!({"executionArn": EXECUTION, "redriveCount": 1}))];
        let error = answer(raise(detail), calls, &[]).await.unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (FailureCode::QuotaExceeded, raised));
    }
}

#[tokio::test]
async fn an_execution_continues_if_it_was_redriven_since_its_report() {
    let calls = vec![execution_described(200, &json!({"executionArn": EXECUTION, "redriveCount": 2}))];
    assert_eq!(answer(raise(None), calls, &[]).await.unwrap(), Answer::Nothing {});
    let calls = vec![execution_described(400, &refusal("AccessDeniedException"))];
    assert_eq!(answer(raise(None), calls, &[]).await.unwrap_err().code(), FailureCode::QuotaExceeded);
}
