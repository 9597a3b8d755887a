//! The function against AWS clients that replay answers: every request that it makes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use shared::settings::Variables;
use submit::http::{Request, Response};
use submit::{Deps, Settings, handle};

const ID: &str = "_9VOLnz2XYZv8J";
const SAFE_ID: &str = "x5f39564f4c6e7a3258595a76384a";
const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:mm-scoring";
const KEY: &str = "a key of some length";

/// Answers in the order in which they are given: a status and a body.
fn replay(answers: &[(u16, Value)]) -> StaticReplayClient {
    let event = |(status, body): &(u16, Value)| {
        let response = HttpResponse::new((*status).try_into().unwrap(), SdkBody::from(body.to_string()));
        ReplayEvent::new(HttpRequest::new(SdkBody::empty()), response)
    };
    StaticReplayClient::new(answers.iter().map(event).collect())
}

fn deps(http: &StaticReplayClient, more: &[(&str, &str)]) -> Deps {
    let common = [
        ("SUBMISSIONS_TABLE", "submissions"),
        ("SCORING_STATE_MACHINE_ARN", MACHINE),
        ("API_KEYS_SECRET_ARN", "arn:keys"),
    ];
    let settings = Settings::read(&common.iter().chain(more).copied().collect::<Variables>()).unwrap();
    macro_rules! client {
        ($service:ident) => {
            $service::Client::from_conf(
                $service::Config::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .credentials_provider(Credentials::for_tests())
                    .region(Region::new("us-east-1"))
                    .retry_config(RetryConfig::disabled())
                    .http_client(http.clone())
                    .build(),
            )
        };
    }
    Deps::new(settings, client!(aws_sdk_dynamodb), client!(aws_sdk_sfn), client!(aws_sdk_secretsmanager))
}

/// Every call so far: its operation and its parameters.
fn calls(http: &StaticReplayClient) -> Vec<(String, Value)> {
    let call = |request: &HttpRequest| {
        let target = request.headers().get("x-amz-target").unwrap();
        (
            target.rsplit_once('.').unwrap().1.to_owned(),
            serde_json::from_slice(request.body().bytes().unwrap()).unwrap(),
        )
    };
    http.actual_requests().map(call).collect()
}

fn names(http: &StaticReplayClient) -> Vec<String> {
    calls(http).into_iter().map(|(name, _)| name).collect()
}

fn secret() -> (u16, Value) {
    (200, json!({"SecretString": json!({"current": KEY, "next": "another key"}).to_string()}))
}

fn found() -> (u16, Value) {
    let text = |text: &str| json!({"S": text});
    let item = json!({"submissionId": text(ID), "round": text("r1"), "userId": text("u1"),
        "created": text("2026-01-01T00:00:00Z"), "concordance": {"M": {"score": {"N": "0.05"}}}});
    (200, json!({"Item": item}))
}

fn started() -> (u16, Value) {
    (200, json!({"executionArn": "arn:execution", "startDate": 1.0}))
}

fn error(kind: &str) -> (u16, Value) {
    (400, json!({"__type": kind, "message": "no"}))
}

fn request(method: &str, path: &str, key: Option<&str>, body: &str) -> Request {
    serde_json::from_value(json!({
        "version": "2.0", "rawPath": path, "rawQueryString": "", "headers": key.map_or(json!({}), |key| json!({"x-api-key": key})),
        "queryStringParameters": {"limit": "1"}, "requestContext": {"http": {"method": method, "path": path}},
        "body": body, "isBase64Encoded": false,
    }))
    .unwrap()
}

fn post(body: &Value) -> Request {
    request("POST", "/", None, &body.to_string())
}

fn answer(response: &Response) -> (u16, Value) {
    (response.status_code, serde_json::from_str(&response.body).unwrap())
}

#[tokio::test]
async fn a_request_starts_the_execution_of_its_submission() {
    let http = replay(&[secret(), found(), started()]);
    let body = json!({"submission_id": ID, "api_key": KEY, "user_id": "u1"});
    let response = handle(post(&body), &deps(&http, &[])).await;
    assert_eq!(answer(&response), (202, json!({"submission_id": ID, "execution": "arn:execution"})));
    let calls = calls(&http);
    assert_eq!(calls[1].1["ConsistentRead"], true);
    let input = json!({"submissionId": ID, "round": "r1"}).to_string();
    let (name, start) = &calls[2];
    assert_eq!(
        (name.as_str(), &start["name"], &start["stateMachineArn"]),
        ("StartExecution", &json!(SAFE_ID), &json!(MACHINE))
    );
    assert_eq!(
        serde_json::from_str::<Value>(start["input"].as_str().unwrap()).unwrap(),
        serde_json::from_str::<Value>(&input).unwrap()
    );
}

#[tokio::test]
async fn the_same_submission_is_the_same_execution() {
    let http = replay(&[secret(), found(), error("ExecutionAlreadyExists")]);
    let response = handle(post(&json!({"submission_id": ID, "api_key": KEY})), &deps(&http, &[])).await;
    let execution = format!("arn:aws:states:us-east-1:123456789012:execution:mm-scoring:{SAFE_ID}");
    assert_eq!(answer(&response), (202, json!({"submission_id": ID, "execution": execution})));
}

#[tokio::test]
async fn nothing_is_looked_up_for_a_request_that_is_malformed_and_nothing_but_keys_for_a_wrong_one() {
    let http = replay(&[]);
    let response = handle(post(&json!({"submission_id": "../x", "api_key": KEY})), &deps(&http, &[])).await;
    assert_eq!((response.status_code, names(&http).len()), (400, 0));
    let http = replay(&[secret()]);
    let deps = deps(&http, &[]);
    for _ in 0..2 {
        let response = handle(post(&json!({"submission_id": ID, "api_key": "wrong"})), &deps).await;
        assert_eq!(response.status_code, 401);
        assert!(!response.body.contains(KEY) && !response.body.contains("wrong\""), "{}", response.body);
    }
    assert_eq!(names(&http), ["GetSecretValue"]);
}

#[tokio::test]
async fn keys_are_read_once_and_each_of_them_is_accepted() {
    let http = replay(&[secret(), found(), started(), found(), started()]);
    let deps = deps(&http, &[]);
    for key in [KEY, "another key"] {
        assert_eq!(handle(post(&json!({"submission_id": ID, "api_key": key})), &deps).await.status_code, 202);
    }
    assert_eq!(names(&http), ["GetSecretValue", "GetItem", "StartExecution", "GetItem", "StartExecution"]);
}

#[tokio::test]
async fn an_unknown_submission_or_one_of_another_user_is_not_started() {
    let http = replay(&[secret(), (200, json!({})), found()]);
    let deps = deps(&http, &[]);
    let (status, body) = answer(&handle(post(&json!({"submission_id": ID, "api_key": KEY})), &deps).await);
    assert_eq!((status, &body["error"]), (404, &json!("unknown_submission")));
    let other = json!({"submission_id": ID, "api_key": KEY, "user_id": "u2"});
    let (status, body) = answer(&handle(post(&other), &deps).await);
    assert_eq!((status, &body["field"]), (400, &json!("user_id")));
    assert_eq!(names(&http), ["GetSecretValue", "GetItem", "GetItem"]);
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_no_ones_mistake() {
    for answers in [
        vec![error("ResourceNotFoundException")],
        vec![(200, json!({"SecretString": "{}"}))],
        vec![secret(), error("ResourceNotFoundException")],
        vec![secret(), found(), error("StateMachineDoesNotExist")],
    ] {
        let http = replay(&answers);
        let response = handle(post(&json!({"submission_id": ID, "api_key": KEY})), &deps(&http, &[])).await;
        assert_eq!((response.status_code, response.headers.get("retry-after")), (503, Some(&"2")), "{answers:?}");
    }
}

#[tokio::test]
async fn reading_needs_a_key_unless_reads_are_public() {
    let http = replay(&[found()]);
    let get = || request("GET", &format!("/submissions/{ID}"), None, "");
    assert_eq!(handle(get(), &deps(&http, &[])).await.status_code, 401);
    let (status, record) = answer(&handle(get(), &deps(&http, &[("PUBLIC_READS", "true")])).await);
    assert_eq!((status, &record["concordance"]["score"]), (200, &json!(0.05)));
    assert_eq!(names(&http), ["GetItem"]);
}

#[tokio::test]
async fn a_leaderboard_is_a_query_of_its_index() {
    let key = json!({"submissionId": {"S": ID}, "round": {"S": "r1"}, "standing": {"N": "-0.5"}});
    let page = (200, json!({"Items": [found().1["Item"]], "LastEvaluatedKey": key}));
    let http = replay(&[secret(), page.clone(), page]);
    let deps = deps(&http, &[]);
    let mut next = request("GET", "/rounds/r1/leaderboard", Some(KEY), "");
    let (status, board) = answer(&handle(next.clone(), &deps).await);
    assert_eq!((status, &board["submissions"][0]["submission_id"]), (200, &json!(ID)));
    next.query_string_parameters.insert("next".to_owned(), board["next"].as_str().unwrap().to_owned());
    assert_eq!(handle(next, &deps).await.status_code, 200);
    let calls = calls(&http);
    let (first, second) = (&calls[1].1, &calls[2].1);
    assert_eq!((&first["IndexName"], &first["ScanIndexForward"]), (&json!("round-standing"), &json!(false)));
    assert_eq!((&first["Limit"], &first["ExclusiveStartKey"]), (&json!(1), &Value::Null));
    assert_eq!(second["ExclusiveStartKey"], key);
}
