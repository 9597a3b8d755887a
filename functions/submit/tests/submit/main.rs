//! The function against replayed answers of AWS. Every call that it makes is checked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use runtime::settings::Variables;
use serde_json::{Value, json};
use submit::http::{Request, Response};
use submit::{Deps, Settings, handle};
use testing::aws::{ReplayEvent, StaticReplayClient, calls, refusal, replaying};

const ID: &str = "_9VOLnz2XYZv8J";
const SAFE_ID: &str = "x5f39564f4c6e7a3258595a76384a";
const KEYS: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mm/api-keys";
const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:mm-scoring";
const KEY: &str = "a key of some length";
const READER: &str = "the key of a reader";

/// Answers in the order in which they are given: a status and a body.
fn replay(answers: &[(u16, Value)]) -> StaticReplayClient {
    let event = |(status, body): &(u16, Value)| -> ReplayEvent { testing::aws::answer(*status, &[], body.to_string()) };
    StaticReplayClient::new(answers.iter().map(event).collect())
}

fn deps(http: &StaticReplayClient, more: &[(&str, &str)]) -> Deps {
    let common =
        [("SUBMISSIONS_TABLE", "submissions"), ("SCORING_STATE_MACHINE_ARN", MACHINE), ("API_KEYS_SECRET_ARN", KEYS)];
    let settings = Settings::read(&common.iter().chain(more).copied().collect::<Variables>()).unwrap();
    Deps::new(settings, &replaying(http))
}

fn names(http: &StaticReplayClient) -> Vec<String> {
    calls(http).into_iter().map(|(name, _)| name).collect()
}

fn secret() -> (u16, Value) {
    (
        200,
        json!({"SecretString": json!({"organiser": KEY, "organiser-next": "another key", "reader": READER}).to_string()}),
    )
}

fn found() -> (u16, Value) {
    let text = |text: &str| json!({"S": text});
    let item = json!({"submissionId": text(ID), "challengeId": text("r1"), "userId": text("u1"),
        "created": text("2026-01-01T00:00:00Z"), "concordance": {"M": {"concordant": {"BOOL": true}, "score": {"N": "0.05"}, "regions": {"L": []}}}});
    (200, json!({"Item": item}))
}

fn get_item() -> Value {
    json!({"TableName": "submissions", "Key": {"submissionId": {"S": ID}}, "ConsistentRead": true})
}

fn started() -> (u16, Value) {
    (200, json!({"executionArn": "arn:execution", "startDate": 1.0}))
}

fn error(kind: &str) -> (u16, Value) {
    (400, refusal(kind))
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
    let input = json!({"submissionId": ID, "challengeId": "r1"}).to_string();
    assert_eq!(
        calls(&http),
        [
            ("GetSecretValue".to_owned(), json!({"SecretId": KEYS})),
            ("GetItem".to_owned(), get_item()),
            ("StartExecution".to_owned(), json!({"name": SAFE_ID, "stateMachineArn": MACHINE, "input": input})),
        ]
    );
}

/// The answer of `DescribeExecution`.
fn described(stop_date: Option<f64>) -> (u16, Value) {
    let status = if stop_date.is_some() { "SUCCEEDED" } else { "RUNNING" };
    let mut execution =
        json!({"executionArn": execution(), "stateMachineArn": MACHINE, "status": status, "startDate": 1.0});
    if let Some(stop_date) = stop_date {
        execution["stopDate"] = json!(stop_date);
    }
    (200, execution)
}

fn execution() -> String {
    format!("arn:aws:states:us-east-1:123456789012:execution:mm-scoring:{SAFE_ID}")
}

#[tokio::test]
async fn submitting_again_returns_the_execution_while_it_runs_and_the_result_once_it_has_ended() {
    let again = post(&json!({"submission_id": ID, "api_key": KEY}));
    let http = replay(&[secret(), found(), error("ExecutionAlreadyExists"), described(None)]);
    let response = handle(again.clone(), &deps(&http, &[])).await;
    assert_eq!(answer(&response), (202, json!({"submission_id": ID, "execution": execution()})));
    assert_eq!(calls(&http)[3], ("DescribeExecution".to_owned(), json!({"executionArn": execution()})));

    let ended = described(Some(1_767_312_000.5));
    let http = replay(&[secret(), found(), error("ExecutionAlreadyExists"), ended, found()]);
    let (status, body) = answer(&handle(again, &deps(&http, &[])).await);
    assert_eq!(
        (status, &body["execution"], &body["ended"]),
        (200, &json!(execution()), &json!("2026-01-02T00:00:00Z"))
    );
    assert_eq!(body["record"]["concordance"]["score"], 0.05);
}

#[tokio::test]
async fn predictions_that_cannot_be_scored_are_answered_with_422_until_they_are_submitted_anew() {
    let mut rejected = found();
    rejected.1["Item"]["predictionsFailure"] =
        json!({"M": {"code": {"S": "PredictionsInvalid"}, "message": {"S": "Line 3 has no fields."}}});
    let http = replay(&[secret(), rejected.clone(), error("ExecutionAlreadyExists"), described(Some(1.0)), rejected]);
    let response = handle(post(&json!({"submission_id": ID, "api_key": KEY})), &deps(&http, &[])).await;
    let expected = json!({"error": "unscorable", "field": "predictions", "message": "Line 3 has no fields."});
    assert_eq!(answer(&response), (422, expected));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_answered_with_422_and_its_attribute() {
    for (attribute, value) in [
        ("created", json!({"S": "yesterday"})),
        ("userId", json!({"NULL": true})),
        ("challengeId", json!({"S": "not an id"})),
        ("predictionsKey", json!({"S": "datasets/r1/truth.csv"})),
    ] {
        let mut record = found();
        record.1["Item"][attribute] = value;
        let http = replay(&[secret(), record]);
        let (status, body) =
            answer(&handle(post(&json!({"submission_id": ID, "api_key": KEY})), &deps(&http, &[])).await);
        assert_eq!((status, &body["error"], &body["field"]), (422, &json!("unscorable"), &json!(attribute)), "{body}");
        assert_eq!(names(&http), ["GetSecretValue", "GetItem"]);
    }
}

#[tokio::test]
async fn a_malformed_request_calls_nothing_and_a_wrong_key_reads_the_keys_once() {
    let http = replay(&[]);
    let response = handle(post(&json!({"submission_id": "../x", "api_key": KEY})), &deps(&http, &[])).await;
    assert_eq!((response.status_code, names(&http).len()), (400, 0));
    let http = replay(&[secret()]);
    let deps = deps(&http, &[]);
    for _ in 0..10_000 {
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
async fn an_unknown_submission_or_one_of_another_participant_is_not_started() {
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
async fn a_failing_service_is_answered_with_503_and_a_time_to_retry() {
    for answers in [
        vec![error("ThrottlingException")],
        vec![secret(), error("ProvisionedThroughputExceededException")],
        vec![secret(), found(), error("ThrottlingException")],
        vec![secret(), found(), error("ExecutionAlreadyExists"), error("ThrottlingException")],
    ] {
        // The SDK repeats a throttled call.
        let throttled = answers.last().unwrap().clone();
        let answers: Vec<_> = answers.into_iter().chain(std::iter::repeat_n(throttled, 10)).collect();
        let http = replay(&answers);
        let response = handle(post(&json!({"submission_id": ID, "api_key": KEY})), &deps(&http, &[])).await;
        assert_eq!((response.status_code, response.headers.get("retry-after")), (503, Some(&"2")), "{answers:?}");
    }
}

#[tokio::test]
async fn what_an_operator_has_to_fix_is_answered_with_500() {
    for answers in [
        vec![error("ResourceNotFoundException")],
        vec![(200, json!({"SecretString": "not JSON"}))],
        vec![secret(), error("ResourceNotFoundException")],
        vec![secret(), found(), error("StateMachineDoesNotExist")],
    ] {
        let http = replay(&answers);
        let response = handle(post(&json!({"submission_id": ID, "api_key": KEY})), &deps(&http, &[])).await;
        assert_eq!((response.status_code, response.headers.get("retry-after")), (500, None), "{answers:?}");
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

/// The record of [`found`] with a metric.
fn with_metric(name: &str) -> Value {
    let mut item = found().1["Item"].clone();
    item["metric"] = json!({"M": {"name": {"S": name}, "score": {"N": "0.5"}, "standing": {"N": "-0.5"}}});
    item
}

#[tokio::test]
async fn a_leaderboard_ranks_by_the_metric_of_the_newest_submission_that_has_one() {
    let newest = (200, json!({"Items": [found().1["Item"], with_metric("logloss"), with_metric("auc")]}));
    let key = json!({"submissionId": {"S": ID}, "ranking": {"S": "r1/logloss"}, "standing": {"N": "-0.5"}});
    let page = (200, json!({"Items": [with_metric("logloss")], "LastEvaluatedKey": key}));
    let record = (200, json!({"Item": with_metric("logloss")}));
    let http = replay(&[secret(), newest, page.clone(), record, page]);
    let deps = deps(&http, &[]);
    let mut next = request("GET", "/challenges/r1/leaderboard", Some(KEY), "");
    let (status, board) = answer(&handle(next.clone(), &deps).await);
    assert_eq!(
        (status, &board["submissions"][0]["submission_id"], &board["metric"]),
        (200, &json!(ID), &json!("logloss"))
    );
    // The next page stays with the metric of the first one.
    let token = board["next"].as_str().unwrap().to_owned();
    let cursor = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&cursor).unwrap(), json!({"id": ID, "place": {"metric": "logloss"}}));
    next.query_string_parameters.insert("next".to_owned(), token);
    assert_eq!(handle(next, &deps).await.status_code, 200);
    let newest = json!({
        "TableName": "submissions", "IndexName": "challenge-created", "ScanIndexForward": false, "Limit": 100,
        "KeyConditionExpression": "challengeId = :challengeId",
        "ExpressionAttributeValues": {":challengeId": {"S": "r1"}},
    });
    let first = json!({
        "TableName": "submissions", "IndexName": "ranking-standing", "ScanIndexForward": false, "Limit": 1,
        "KeyConditionExpression": "ranking = :ranking",
        "ExpressionAttributeValues": {":ranking": {"S": "r1/logloss"}},
    });
    let mut second = first.clone();
    second["ExclusiveStartKey"] = key;
    let query = |input| ("Query".to_owned(), input);
    let look_up = ("GetItem".to_owned(), get_item());
    assert_eq!(calls(&http)[1..], [query(newest), query(first), look_up, query(second)]);
}

#[tokio::test]
async fn the_cursor_of_another_challenge_or_metric_is_malformed() {
    let mut elsewhere = with_metric("logloss");
    elsewhere["challengeId"] = json!({"S": "r2"});
    for item in [Some(elsewhere), Some(with_metric("auc")), Some(found().1["Item"].clone()), None] {
        let http = replay(&[(200, item.map_or(json!({}), |item| json!({"Item": item})))]);
        let mut next = request("GET", "/challenges/r1/leaderboard", None, "");
        let cursor = json!({"id": ID, "place": {"metric": "logloss"}}).to_string();
        next.query_string_parameters.insert("next".to_owned(), BASE64_URL_SAFE_NO_PAD.encode(cursor));
        let (status, body) = answer(&handle(next, &deps(&http, &[("PUBLIC_READS", "true")])).await);
        assert_eq!((status, &body["field"], names(&http)), (400, &json!("next"), vec!["GetItem".to_owned()]), "{body}");
    }
}

#[tokio::test]
async fn a_key_decides_what_its_holder_sees_and_does_also_where_reads_are_public() {
    let mut record = found();
    record.1["Item"]["concordance"]["M"]["score"] = json!({"N": "0.0512345"});
    let get = |key| request("GET", &format!("/submissions/{ID}"), key, "");
    for public in ["true", "false"] {
        let http = replay(&[secret(), record.clone(), record.clone()]);
        let deps = deps(&http, &[("PUBLIC_READS", public)]);
        let (status, body) = answer(&handle(get(Some(KEY)), &deps).await);
        assert_eq!(
            (status, &body["concordance"]),
            (200, &json!({"concordant": true, "score": 0.051_234_5, "regions": []}))
        );
        let (status, body) = answer(&handle(get(Some(READER)), &deps).await);
        assert_eq!((status, &body["concordance"]), (200, &json!({"concordant": true, "score": 0.0512})));
        assert_eq!(handle(get(Some("wrong")), &deps).await.status_code, 401);
        let (status, body) = answer(&handle(post(&json!({"submission_id": ID, "api_key": READER})), &deps).await);
        assert_eq!((status, &body["error"]), (403, &json!("not_allowed")));
        assert_eq!(names(&http), ["GetSecretValue", "GetItem", "GetItem"]);
    }
}

#[tokio::test]
async fn a_leaderboard_by_creation_is_one_query() {
    let key = json!({"submissionId": {"S": ID}, "challengeId": {"S": "r1"}, "created": {"S": "2026-01-01T00:00:00Z"}});
    let page = (200, json!({"Items": [found().1["Item"]], "LastEvaluatedKey": key}));
    let http = replay(&[page.clone(), page]);
    let deps = deps(&http, &[("PUBLIC_READS", "true")]);
    let mut next = request("GET", "/challenges/r1/leaderboard", None, "");
    next.query_string_parameters.insert("by".to_owned(), "created".to_owned());
    let (status, board) = answer(&handle(next.clone(), &deps).await);
    assert_eq!((status, &board["metric"], &board["submissions"][0]["ranked"]), (200, &Value::Null, &json!(false)));
    next.query_string_parameters.insert("next".to_owned(), board["next"].as_str().unwrap().to_owned());
    assert_eq!(handle(next, &deps).await.status_code, 200);
    assert_eq!(calls(&http)[1].1["ExclusiveStartKey"], key);
}

#[tokio::test]
async fn a_challenge_without_submissions_is_unknown() {
    for by in ["metric", "created"] {
        let http = replay(&[(200, json!({"Items": []}))]);
        let mut request = request("GET", "/challenges/r1/leaderboard", None, "");
        request.query_string_parameters.insert("by".to_owned(), by.to_owned());
        let (status, body) = answer(&handle(request, &deps(&http, &[("PUBLIC_READS", "true")])).await);
        assert_eq!((status, &body["error"]), (404, &json!("unknown_challenge")), "{by}");
    }
}

#[tokio::test]
async fn an_invalid_record_is_left_out_of_the_leaderboard() {
    let mut invalid = found().1["Item"].clone();
    invalid["created"] = json!({"S": "yesterday"});
    let http = replay(&[(200, json!({"Items": [invalid, found().1["Item"]]}))]);
    let mut request = request("GET", "/challenges/r1/leaderboard", None, "");
    request.query_string_parameters.insert("by".to_owned(), "created".to_owned());
    let (status, board) = answer(&handle(request, &deps(&http, &[("PUBLIC_READS", "true")])).await);
    assert_eq!((status, board["submissions"].as_array().unwrap().len()), (200, 1));
}

#[tokio::test]
async fn an_invalid_path_is_named() {
    let http = replay(&[]);
    let deps = deps(&http, &[("PUBLIC_READS", "true")]);
    for (method, path, status, field) in [
        ("GET", "/submissions/.", 400, json!("submission_id")),
        ("GET", "/challenges/a%20b/leaderboard", 400, json!("challenge_id")),
        ("GET", "/rounds/r1/leaderboard", 404, Value::Null),
        ("GET", "/", 405, Value::Null),
        ("POST", "/submissions/x", 405, Value::Null),
    ] {
        let (found, body) = answer(&handle(request(method, path, None, ""), &deps).await);
        assert_eq!((found, &body["field"]), (status, &field), "{method} {path}: {body}");
    }
    assert!(calls(&http).is_empty());
}
