//! The function against a server that stands in for the AWS services and the Submission API.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod sweep;

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex};

use domain::outcome::{Outcome, Status};
use domain::{Coded, FailureCode};
use report::settings::Settings;
use report::{Answer, Deps, Request, handle};
use runtime::settings::Variables;
use serde_json::{Value, json};
use testing::aws::sending_to;
use testing::server::{Reply, Server};

const ID: &str = "_9VOLnz2XYZv8J";
const OUTCOME: &str = "/models/_9VOLnz2XYZv8J/outcome.json";
const ARTIFACTS: &str = "/submissions/_9VOLnz2XYZv8J/artifacts";

const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:mm";

/// The state of the server.
#[derive(Default)]
struct State {
    outcome: Option<Vec<u8>>,
    artifacts: Vec<String>,
    reviews: Vec<Value>,
    /// If set, calls of the Submission API fail with this status.
    broken: Option<u16>,
    /// The answers of `DescribeExecution`.
    executions: Vec<Value>,
    /// Keys of the objects in the staging bucket.
    staged: Vec<&'static str>,
    /// The position of the sweeps.
    position: Option<Vec<u8>>,
    /// The log budgets by key, and how many writes of them find that another was faster.
    budgets: BTreeMap<String, Vec<u8>>,
    overtaken: usize,
    /// Names and tags of repositories without images, which were created in 2026.
    repositories: Vec<(&'static str, Value)>,
    mappings: Vec<Value>,
    /// Operations that are throttled.
    throttled: Vec<&'static str>,
}

/// A page of `ListObjectsV2`, with one object each.
fn listing(staged: &[&str], target: &str) -> String {
    let query = |name: &str| {
        let value = target.split(['?', '&']).find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        value.map(|value| value.replace("%2F", "/"))
    };
    let prefix = query("prefix").unwrap();
    let keys: Vec<&&str> = staged.iter().filter(|key| key.starts_with(&prefix)).collect();
    let at: usize = query("continuation-token").map_or(0, |token| token.parse().unwrap());
    let contents = keys.get(at).map_or(String::new(), |key| format!("<Contents><Key>{key}</Key></Contents>"));
    let next = if at + 1 < keys.len() {
        format!("<NextContinuationToken>{}</NextContinuationToken>", at + 1)
    } else {
        String::new()
    };
    format!("<ListBucketResult>{contents}{next}</ListBucketResult>")
}

fn with_etag(body: &[u8]) -> Reply {
    let head = format!(
        "HTTP/1.1 200 X\r\nETag: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        etag(body),
        body.len()
    );
    Reply::Raw([head.as_bytes(), body].concat())
}

fn etag(body: &[u8]) -> String {
    format!("\"{}\"", body.len())
}

async fn world(state: &Arc<Mutex<State>>) -> Server {
    let state = Arc::clone(state);
    Server::start(move |request, _| {
        let mut state = state.lock().unwrap();
        let (method, target) = request.line.split_once(' ').unwrap();
        let path = target.split('?').next().unwrap();
        let json = |value: &Value| Reply::status(200, value.to_string());
        let operation = request.header("x-amz-target").and_then(|target| target.rsplit('.').next()).unwrap_or(path);
        if state.throttled.contains(&operation) {
            return Reply::status(400, r#"{"__type": "ThrottlingException", "message": "Rate exceeded"}"#);
        }
        let written = || serde_json::from_slice::<Value>(&request.body).unwrap();
        match (method, path) {
            ("POST", "/") => sweep::answer(operation, &written(), &mut state),
            ("GET", "/2015-03-31/event-source-mappings") => {
                assert_eq!(target.split_once('?').unwrap().1, "FunctionName=mm-intake");
                json(&json!({"EventSourceMappings": state.mappings}))
            }
            ("GET", "/staging/sweep/position.json") => match &state.position {
                Some(position) => Reply::status(200, position),
                None => Reply::status(404, "<Error><Code>NoSuchKey</Code></Error>"),
            },
            ("PUT", "/staging/sweep/position.json") => {
                state.position = Some(request.body.clone());
                Reply::status(200, "")
            }
            ("GET", key) if key.starts_with("/staging/log-budgets/") => match state.budgets.get(key) {
                Some(budget) => with_etag(budget),
                None => Reply::status(404, "<Error><Code>NoSuchKey</Code></Error>"),
            },
            ("PUT", key) if key.starts_with("/staging/log-budgets/") => {
                let present = state.budgets.get(key).map(|budget| etag(budget));
                let expected = request.header("if-match").map(str::to_owned);
                assert_eq!(request.header("if-none-match").is_some(), expected.is_none());
                if state.overtaken > 0 || present != expected {
                    state.overtaken = state.overtaken.saturating_sub(1);
                    return Reply::status(412, "<Error><Code>PreconditionFailed</Code></Error>");
                }
                state.budgets.insert(key.to_owned(), request.body.clone());
                Reply::status(200, "")
            }
            ("GET", "/staging/") => Reply::status(200, listing(&state.staged, target)),
            ("POST", "/token") => json(&json!({"access_token": "t", "expires_in": 3600})),
            ("PUT", OUTCOME) => {
                state.outcome = Some(request.body.clone());
                Reply::status(200, "")
            }
            ("GET", OUTCOME) => match &state.outcome {
                Some(outcome) => Reply::status(200, outcome),
                None => Reply::status(404, "<Error><Code>NoSuchKey</Code></Error>"),
            },
            _ if state.broken.is_some() => Reply::status(state.broken.unwrap(), r#"{"message":"no"}"#),
            ("GET", ARTIFACTS) => json(&json!({"artifacts": state.artifacts})),
            ("POST", ARTIFACTS) => {
                let body = String::from_utf8_lossy(&request.body).into_owned();
                let name = body.split("filename=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
                state.artifacts.push(format!("{name}.zip"));
                json(&json!({"artifact": name}))
            }
            ("GET", "/reviews") => json(&json!(state.reviews)),
            ("GET", "/reviewSummations") => json(&json!({"data": state.reviews, "meta": {}})),
            ("POST", "/reviews" | "/reviewSummations") => {
                let mut review = written();
                review["id"] = json!("r1");
                state.reviews.push(review.clone());
                json(&review)
            }
            ("PATCH", "/reviews/r1" | "/reviewSummations/r1") => {
                let changes = written();
                for (key, value) in changes.as_object().unwrap() {
                    state.reviews[0][key] = value.clone();
                }
                json(&state.reviews[0])
            }
            _ => Reply::status(500, format!("unexpected: {method} {path}")),
        }
    })
    .await
}

const V5: [(&str, &str); 3] =
    [("REPORT_TYPE_ID", "type"), ("REPORT_REVIEWER_ID", "reviewer"), ("REPORT_SCORECARD_ID", "30001852")];
const V6: [(&str, &str); 1] = [("SUBMISSION_API_VERSION", "v6")];

fn deps(server: &Server, review: &[(&str, &str)]) -> Deps {
    let token = format!("{}/token", server.url);
    let common = [
        ("OUTPUT_S3_BUCKET", "models"),
        ("STACK_NAME", "mm"),
        ("STATE_MACHINE_ARN", MACHINE),
        ("STAGING_BUCKET", "staging"),
        ("INTAKE_FUNCTION", "mm-intake"),
        ("INTAKE_NEEDS_MAPPING", "false"),
        ("AUTH0_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:123456789012:secret:auth0"),
        ("SUBMISSION_API_URL", server.url.as_str()),
        ("AUTH0_URL", token.as_str()),
        ("AUTH0_AUDIENCE", "audience"),
    ];
    let settings = Settings::read(&common.iter().chain(review).copied().collect::<Variables>()).unwrap();
    Deps::new(settings, &sending_to(&server.url))
}

fn request(value: Value) -> Request {
    serde_json::from_value(value).unwrap()
}

async fn outcome(request: Request, deps: &Deps) -> Outcome {
    match handle(request, deps).await.unwrap() {
        Answer::Outcome(outcome) => *outcome,
        other => panic!("{other:?} instead of an outcome"),
    }
}

fn start() -> Request {
    request(json!({"action": "start", "submissionId": ID}))
}

fn finish(diagnosis: &Value) -> Request {
    request(json!({
        "action": "finish", "submissionId": ID, "execution": "arn:e", "attempts": 1, "seconds": {"TrainModel": 2.5},
        "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:02:00Z", "archive": null,
        "image": {"uri": "r/x:latest", "digest": "sha256:0", "bytes": 1},
        "training": {"jobName": "x-0-1", "modelUri": "s3://models/x/model.tar.gz"}, "diagnosis": diagnosis,
    }))
}

fn broken_build() -> Value {
    json!({"code": "BuildFailed", "fault": "participant", "step": "BuildImage", "message": "It did not build.",
           "logTail": ["<b>"]})
}

/// The lines of the requests without their query, except those for secrets and tokens.
fn lines(server: &Server) -> Vec<String> {
    let lines = server.requests().into_iter().map(|request| request.line.split('?').next().unwrap().to_owned());
    lines.filter(|line| line != "POST /" && line != "POST /token").collect()
}

#[tokio::test]
async fn a_submission_has_one_review_from_start_to_outcome() {
    let state = Arc::default();
    let server = world(&state).await;
    let deps = deps(&server, &V5);
    handle(start(), &deps).await.unwrap();
    assert_eq!(
        state.lock().unwrap().reviews,
        [json!({
            "id": "r1", "typeId": "type", "reviewerId": "reviewer", "submissionId": ID, "scoreCardId": 30_001_852,
            "score": 0.0, "status": "queued",
            "metadata": {"testType": "provisional", "status": "processing"},
        })]
    );
    let outcome = outcome(finish(&Value::Null), &deps).await;
    assert_eq!((outcome.status, outcome.review.as_deref()), (Status::Completed, Some("r1")));
    let state = state.lock().unwrap();
    let [review] = state.reviews.as_slice() else { panic!("{:?}", state.reviews) };
    assert_eq!((&review["status"], &review["score"]), (&json!("completed"), &json!(100.0)));
    assert_eq!(review["reviewedDate"], "2026-01-01T00:02:00Z");
    assert_eq!(review["metadata"], metadata_of_completed());
    assert_eq!(state.artifacts, ["outcome-20260101T000200Z.zip", "outcome-20260101T000200Z-internal.zip"]);
    let stored: Outcome = serde_json::from_slice(state.outcome.as_ref().unwrap()).unwrap();
    assert_eq!(stored, outcome);
}

#[tokio::test]
async fn reporting_twice_changes_nothing() {
    for (version, path) in [(&V5[..], "/reviews"), (&V6[..], "/reviewSummations")] {
        let state = Arc::default();
        let server = world(&state).await;
        let deps = deps(&server, version);
        let first = handle(finish(&broken_build()), &deps).await.unwrap();
        let (reviews, calls) = (state.lock().unwrap().reviews.clone(), lines(&server).len());
        let second = handle(finish(&broken_build()), &deps).await.unwrap();
        assert_eq!(first, second);
        assert_eq!(state.lock().unwrap().reviews, reviews);
        let put = format!("PUT {OUTCOME}");
        let budget = format!("GET /staging/log-budgets/2026-01-01/none/{ID}.json");
        let expected = [put.clone(), budget, format!("GET {ARTIFACTS}"), format!("GET {path}"), put];
        assert_eq!(lines(&server)[calls..], expected);
    }
}

#[tokio::test]
async fn a_score_of_0_stays_as_the_queued_review_has_it() {
    let state = Arc::default();
    let server = world(&state).await;
    let deps = deps(&server, &V5);
    handle(start(), &deps).await.unwrap();
    handle(finish(&broken_build()), &deps).await.unwrap();
    let patch = server.requests().into_iter().find(|request| request.line == "PATCH /reviews/r1").unwrap();
    let patch: Value = serde_json::from_slice(&patch.body).unwrap();
    assert!(patch.get("score").is_none(), "{patch}");
    assert_eq!(patch["metadata"]["failureCode"], "BuildFailed");
    assert!(!patch.to_string().contains("lt;b"), "the log is in the review: {patch}");
}

#[tokio::test]
async fn version_6_gets_one_summation_with_the_outcome() {
    let state = Arc::default();
    let server = world(&state).await;
    let deps = deps(&server, &V6);
    handle(start(), &deps).await.unwrap();
    assert!(lines(&server).is_empty());
    handle(finish(&Value::Null), &deps).await.unwrap();
    let summation = state.lock().unwrap().reviews[0].clone();
    assert_eq!(summation["aggregateScore"], 100.0);
    assert_eq!((&summation["isPassing"], &summation["isProvisional"]), (&json!(true), &json!(true)));
    handle(finish(&broken_build()), &deps).await.unwrap();
    assert_eq!(state.lock().unwrap().reviews[0]["isPassing"], false);
    assert_eq!(server.count("POST /reviewSummations"), 1);
}

#[tokio::test]
async fn an_outcome_that_cannot_be_sent_is_stored() {
    for (status, code) in [(503, FailureCode::SubmissionApiUnavailable), (403, FailureCode::SubmissionApiDenied)] {
        let state = Arc::new(Mutex::new(State { broken: Some(status), ..State::default() }));
        let server = world(&state).await;
        let error = handle(finish(&Value::Null), &deps(&server, &V5)).await.unwrap_err();
        assert_eq!(error.code(), code);
        let stored: Outcome = serde_json::from_slice(state.lock().unwrap().outcome.as_ref().unwrap()).unwrap();
        assert_eq!(stored.review, None);
    }
}

fn aborted(execution: &str) -> Request {
    request(json!({"source": "aws.states", "detail-type": "Step Functions Execution Status Change", "detail": {
        "executionArn": execution, "status": "ABORTED", "input": json!({"submissionId": ID}).to_string(),
        "startDate": 1_767_225_600_000_i64, "stopDate": 1_767_225_660_000_i64}}))
}

#[tokio::test]
async fn an_aborted_execution_is_reported_once() {
    let state = Arc::default();
    let server = world(&state).await;
    let deps = deps(&server, &V5);
    handle(start(), &deps).await.unwrap();
    let outcome = outcome(aborted("arn:e"), &deps).await;
    assert_eq!(outcome.status, Status::Failed);
    assert_eq!(state.lock().unwrap().reviews[0]["metadata"]["failureCode"], "Aborted");
    let calls = lines(&server).len();
    handle(aborted("arn:e"), &deps).await.unwrap();
    assert_eq!(lines(&server)[calls..], [format!("GET {OUTCOME}")]);
}

#[tokio::test]
async fn an_execution_that_reported_itself_is_not_reported_again() {
    let state = Arc::default();
    let server = world(&state).await;
    let deps = deps(&server, &V5);
    handle(finish(&broken_build()), &deps).await.unwrap();
    let calls = lines(&server).len();
    handle(aborted("arn:e"), &deps).await.unwrap();
    assert_eq!(lines(&server)[calls..], [format!("GET {OUTCOME}")]);
}

#[tokio::test]
async fn a_stored_outcome_that_was_not_sent_is_sent_when_the_execution_ends() {
    let state = Arc::new(Mutex::new(State { broken: Some(503), ..State::default() }));
    let server = world(&state).await;
    let deps = deps(&server, &V5);
    handle(finish(&broken_build()), &deps).await.unwrap_err();
    state.lock().unwrap().broken = None;
    let outcome = outcome(aborted("arn:e"), &deps).await;
    assert_eq!((outcome.status, outcome.review.as_deref()), (Status::Rejected, Some("r1")));
    assert_eq!(state.lock().unwrap().reviews[0]["metadata"]["failureCode"], "BuildFailed");
}

/// An outcome of this time with a log of 10 bytes.
fn with_log(finished: &str, per_day: u32) -> Request {
    let diagnosis = json!({"code": "TrainingFailed", "fault": "participant", "step": "TrainModel", "message": "m",
        "logTail": ["first", "last."]});
    request(json!({
        "action": "finish", "submissionId": ID, "challengeId": "30049360", "participant": "8547899", "execution": "arn:e",
        "attempts": 1, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": finished, "archive": null, "image": null,
        "training": null, "diagnosis": diagnosis, "reporting": {"logs": "tail", "log_bytes_per_day": per_day},
    }))
}

/// The log of each artifact that participants can read, in the order of the uploads.
fn shown_logs(server: &Server) -> Vec<String> {
    let uploads = server.requests().into_iter().filter(|request| request.line == format!("POST {ARTIFACTS}"));
    let logs = uploads.filter_map(|request| {
        let start = request.body.windows(4).position(|bytes| bytes == b"PK\x03\x04")?;
        let mut zip = zip::ZipArchive::new(Cursor::new(&request.body[start..])).unwrap();
        let is_internal = String::from_utf8_lossy(&request.body[..start]).contains("internal");
        let mut log = String::new();
        if let Ok(mut file) = zip.by_name("log.txt") {
            file.read_to_string(&mut log).unwrap();
        }
        (!is_internal).then_some(log)
    });
    logs.collect()
}

#[tokio::test]
async fn a_participant_reads_no_more_of_logs_than_the_budget_of_the_day() {
    let state = Arc::new(Mutex::new(State { overtaken: 1, ..State::default() }));
    let server = world(&state).await;
    let deps = deps(&server, &V5);
    for finished in ["2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z", "2026-01-01T12:00:00Z", "2026-01-02T00:00:00Z"] {
        handle(with_log(finished, 15), &deps).await.unwrap();
    }
    assert_eq!(shown_logs(&server), ["first\nlast.\n", "last.\n", "", "first\nlast.\n"]);
    let keys: Vec<String> = state.lock().unwrap().budgets.keys().cloned().collect();
    let day = |day| format!("/staging/log-budgets/2026-01-{day}/30049360/8547899.json");
    assert_eq!(keys, [day("01"), day("02")]);

    // Reporting again, as after a failed upload, grants the same.
    state.lock().unwrap().artifacts.clear();
    handle(with_log("2026-01-01T11:00:00Z", 15), &deps).await.unwrap();
    assert_eq!(shown_logs(&server).last().unwrap(), "last.\n");

    // Without a valid ledger, nothing is shown, and the outcome is reported all the same.
    state.lock().unwrap().budgets.insert(day("03"), b"x".to_vec());
    handle(with_log("2026-01-03T00:00:00Z", 15), &deps).await.unwrap();
    assert_eq!(shown_logs(&server).last().unwrap(), "");
}

#[tokio::test]
async fn a_budget_that_others_change_all_the_time_is_an_error_that_is_retried() {
    let state = Arc::new(Mutex::new(State { overtaken: usize::MAX, ..State::default() }));
    let server = world(&state).await;
    let error = handle(with_log("2026-01-01T10:00:00Z", 15), &deps(&server, &V5)).await.unwrap_err();
    assert_eq!(error.code(), FailureCode::Internal);
    assert!(error.to_string().contains("changed again and again"), "{error}");
}

#[tokio::test]
async fn without_a_review_type_outcomes_are_only_stored() {
    let state = Arc::default();
    let server = world(&state).await;
    let deps = deps(&server, &[]);
    handle(start(), &deps).await.unwrap();
    handle(finish(&Value::Null), &deps).await.unwrap();
    assert_eq!(
        server.requests().iter().map(|request| request.line.split('?').next().unwrap()).collect::<Vec<_>>(),
        [format!("PUT {OUTCOME}")]
    );
}

/// All requests except those for tokens, secrets and S3: the line, and the body if it is JSON.
fn api_calls(server: &Server) -> Vec<(String, Value)> {
    let others = ["POST /token", "PUT /models", "GET /models", "GET /staging", "PUT /staging"];
    let requests = server
        .requests()
        .into_iter()
        .filter(|request| request.line != "POST /" && !others.iter().any(|other| request.line.starts_with(other)));
    requests
        .map(|request| {
            assert_eq!(request.header("authorization"), Some("Bearer t"), "{}", request.line);
            (request.line.clone(), serde_json::from_slice(&request.body).unwrap_or(Value::Null))
        })
        .collect()
}

/// The metadata of the review of a completed submission.
fn metadata_of_completed() -> Value {
    json!({"testType": "provisional", "status": "completed", "failureCode": null,
        "message": "The model was trained and stored."})
}

#[tokio::test]
async fn each_call_of_version_5_has_exactly_these_parameters() {
    let state = Arc::default();
    let server = world(&state).await;
    let deps = deps(&server, &V5);
    handle(start(), &deps).await.unwrap();
    handle(finish(&Value::Null), &deps).await.unwrap();
    let looked_up = format!("GET /reviews?submissionId={ID}&typeId=type&perPage=100");
    let common = |status: &str, metadata: Value| {
        json!({"typeId": "type", "reviewerId": "reviewer", "submissionId": ID,
        "scoreCardId": 30_001_852, "status": status, "metadata": metadata})
    };
    let mut queued = common("queued", json!({"testType": "provisional", "status": "processing"}));
    queued["score"] = json!(0.0);
    let mut completed = common("completed", metadata_of_completed());
    completed["score"] = json!(100.0);
    completed["reviewedDate"] = json!("2026-01-01T00:02:00Z");
    assert_eq!(
        api_calls(&server),
        [
            (looked_up.clone(), Value::Null),
            ("POST /reviews".to_owned(), queued),
            (format!("GET {ARTIFACTS}"), Value::Null),
            (format!("POST {ARTIFACTS}"), Value::Null),
            (format!("POST {ARTIFACTS}"), Value::Null),
            (looked_up, Value::Null),
            ("PATCH /reviews/r1".to_owned(), completed),
        ]
    );
}

#[tokio::test]
async fn each_call_of_version_6_has_exactly_these_parameters() {
    let state = Arc::default();
    let server = world(&state).await;
    let deps = deps(&server, &V6);
    handle(finish(&Value::Null), &deps).await.unwrap();
    let summation = json!({"submissionId": ID, "aggregateScore": 100.0, "isPassing": true, "isProvisional": true,
        "metadata": metadata_of_completed(), "reviewedDate": "2026-01-01T00:02:00Z"});
    assert_eq!(
        api_calls(&server)[3..],
        [
            (format!("GET /reviewSummations?submissionId={ID}&provisional=true&metadata=true"), Value::Null),
            ("POST /reviewSummations".to_owned(), summation),
        ]
    );
}

#[tokio::test]
async fn artifacts_are_sent_as_a_file_in_the_versions_field() {
    for (version, field) in [(&V5[..], "artifact"), (&V6[..], "file")] {
        let state = Arc::default();
        let server = world(&state).await;
        handle(finish(&Value::Null), &deps(&server, version)).await.unwrap();
        let uploads: Vec<String> = server
            .requests()
            .into_iter()
            .filter(|request| request.line == format!("POST {ARTIFACTS}"))
            .map(|request| String::from_utf8_lossy(&request.body).into_owned())
            .collect();
        assert_eq!(uploads.len(), 2);
        for (upload, name) in uploads.iter().zip(["outcome-20260101T000200Z", "outcome-20260101T000200Z-internal"]) {
            let part = format!("form-data; name=\"{field}\"; filename=\"{name}\"\r\n\r\nPK");
            assert!(upload.contains(&part), "{upload}");
        }
    }
}
