//! A batch of records, the calls made for it, and the answer to Lambda.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use intake::clients::Clients;
use intake::{Deps, Event, IntakeError, Response, Settings, handle};
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use serde_json::{Value, json};
use testing::aws::{ReplayEvent, StaticReplayClient, assert_calls_match, call, put, refusal, replaying};

const STATE_MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:processing";
const TOPIC: &str = "submission.notification.aggregate";
const UUID: &str = "d01c8c8b-2a7f-463f-992b-7bc5423e1dd0";
const NANOID: &str = "-kJ-nOos4KQaL3";
/// The name of the nanoid's execution: `x` and the hexadecimal digits of its bytes.
const NANOID_NAME: &str = "x2d6b4a2d6e4f6f73344b51614c33";

fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn event(event: &Value) -> LambdaEvent<Event> {
    // From text, as Lambda's runtime does.
    LambdaEvent::new(serde_json::from_str(&event.to_string()).unwrap(), Context::default())
}

/// A function with a fixed list of answers, one call at a time and no retries.
fn deps(calls: Vec<ReplayEvent>, partial_batch_responses: bool) -> (Deps, StaticReplayClient) {
    let http = StaticReplayClient::new(calls);
    let variables = [
        ("STATE_MACHINE_ARN", STATE_MACHINE),
        ("QUARANTINE_BUCKET", "quarantine-bucket"),
        ("STACK_NAME", "mm"),
        ("START_CONCURRENCY", "1"),
        ("PARTIAL_BATCH_RESPONSES", if partial_batch_responses { "true" } else { "false" }),
    ];
    let settings = Settings::read(&variables.into_iter().collect()).unwrap();
    (Deps { settings, clients: Clients::with_config(replaying(&http)) }, http)
}

/// The request that starts a submission's execution, and its answer.
fn start_call(name: &str, input: &str, status: u16, answer: &Value) -> ReplayEvent {
    let parameters = json!({"stateMachineArn": STATE_MACHINE, "name": name, "input": input});
    call("AWSStepFunctions.StartExecution", &parameters, status, answer)
}

fn uuid_call(status: u16, answer: &Value) -> ReplayEvent {
    start_call(UUID, &format!(r#"{{"submissionId":"{UUID}"}}"#), status, answer)
}

fn nanoid_call(status: u16, answer: &Value) -> ReplayEvent {
    start_call(NANOID_NAME, &format!(r#"{{"submissionId":"{NANOID}"}}"#), status, answer)
}

/// A start date in the year 2100: later than any invocation.
fn started() -> Value {
    json!({"executionArn": "arn:aws:states:us-east-1:123456789012:execution:processing:e", "startDate": 4_102_444_800.0})
}

fn put_call(name: &str, document: &Value, status: u16) -> ReplayEvent {
    let key = format!("quarantine/{TOPIC}/0/{name}.json");
    put("quarantine-bucket", &key, "application/json", document.to_string(), status)
}

fn failing(partition: &str, offset: u64) -> Value {
    json!({"itemIdentifier": {"partition": partition, "offset": offset}})
}

fn answer(response: &Response) -> Value {
    serde_json::to_value(response).unwrap()
}

fn diagnostic(error: IntakeError) -> Diagnostic {
    Diagnostic::from(error)
}

/// Records of values that are to be encoded, with offsets from 0.
fn batch(values: &[Value]) -> Value {
    use base64::Engine as _;
    let records: Vec<Value> = values
        .iter()
        .enumerate()
        .map(|(offset, value)| {
            let value = base64::engine::general_purpose::STANDARD.encode(value.to_string());
            json!({"topic": TOPIC, "partition": 0, "offset": offset, "timestamp": 7, "value": value})
        })
        .collect();
    json!({"eventSource": "aws:kafka", "records": {format!("{TOPIC}-0"): records}})
}

fn review(submission: &str) -> Value {
    json!({"payload": {
        "resource": "review", "score": 100, "submissionId": submission, "typeId": "55bbb17d-aac2-45a6-89c3-a8d102863d05",
        "originalTopic": "submission.notification.create",
    }})
}

#[tokio::test]
async fn each_submission_is_started_once_in_the_order_of_partitions() {
    let (deps, http) = deps(vec![uuid_call(200, &started()), nanoid_call(200, &started())], false);
    let response = handle(event(&fixture("msk")), &deps).await.unwrap();
    assert_eq!(answer(&response), json!({"batchItemFailures": []}));
    assert_calls_match(&http);
}

#[tokio::test]
async fn a_redelivered_batch_makes_byte_identical_requests_and_succeeds() {
    let exists = refusal("ExecutionAlreadyExists");
    let calls = vec![
        uuid_call(200, &started()),
        nanoid_call(200, &started()),
        uuid_call(400, &exists),
        nanoid_call(400, &exists),
    ];
    let (deps, http) = deps(calls, false);
    let first = handle(event(&fixture("msk")), &deps).await.unwrap();
    let second = handle(event(&fixture("msk")), &deps).await.unwrap();
    assert_eq!(first, second);
    assert_calls_match(&http);
    let bodies: Vec<_> = http.actual_requests().map(|request| request.body().bytes().unwrap().to_vec()).collect();
    assert_eq!(bodies[..2], bodies[2..]);
}

#[tokio::test]
async fn an_execution_that_runs_already_is_a_duplicate() {
    use aws_sdk_sfn::primitives::DateTime;
    use intake::start::{Started, start};

    let began = DateTime::from_secs(1_000_000);
    for (start_date, expected) in [
        (999_994.9, Started::Duplicate),
        (999_999.0, Started::New { execution: "arn:e".to_owned() }),
        (1_000_000.5, Started::New { execution: "arn:e".to_owned() }),
    ] {
        let (deps, http) =
            deps(vec![uuid_call(200, &json!({"executionArn": "arn:e", "startDate": start_date}))], false);
        let client = aws_sdk_sfn::Client::new(&replaying(&http));
        let answer = start(&client, &deps.settings.state_machine, &UUID.parse().unwrap(), began).await.unwrap();
        assert_eq!(answer, expected, "{start_date}");
        assert_calls_match(&http);
    }
}

#[tokio::test]
async fn events_of_self_managed_kafka_are_read_too() {
    let (deps, http) = deps(vec![uuid_call(200, &started())], false);
    assert_eq!(handle(event(&fixture("self-managed")), &deps).await.unwrap(), Response::default());
    assert_calls_match(&http);
}

#[tokio::test]
async fn records_that_are_not_for_us_make_no_call() {
    let (deps, http) = deps(Vec::new(), false);
    for records in [
        json!({}),
        json!({"t-0": []}),
        json!({"t-0": [{"offset": 1, "value": null}, {"offset": 2}, {"offset": 3, "value": ""}, {"offset": 4, "value": "e30="}]}),
    ] {
        let response = handle(event(&json!({"eventSource": "aws:kafka", "records": records})), &deps).await.unwrap();
        assert_eq!(response, Response::default());
    }
    assert_calls_match(&http);
    assert_eq!(http.actual_requests().count(), 0);
}

/// The documents that the unreadable records of the fixture `odd` are quarantined as, by name.
fn odd_documents() -> Vec<(&'static str, Value)> {
    let records = fixture("odd")["records"][format!("{TOPIC}-0")].take();
    let document = |offset: Option<u64>, timestamp: Option<i64>, reason: &str, value: &Value| {
        json!({
            "topic": TOPIC, "partition": 0, "offset": offset, "timestamp": timestamp, "reason": reason, "value": value,
        })
    };
    let placed = |at: usize, reason: &str| {
        let record = &records[at];
        document(record["offset"].as_u64(), record["timestamp"].as_i64(), reason, &record["value"])
    };
    // Without an offset, the first digits of the document's SHA-256 digest are its name.
    vec![
        ("5", placed(4, "NotBase64")),
        ("6", placed(5, "NotJson")),
        ("7", placed(6, "SubmissionIdMissing")),
        ("8", placed(7, "SubmissionIdInvalid")),
        ("9", placed(8, "UnreadableScore")),
        ("068964bcb5fa249fb29688b708da25e3", placed(10, "NotJson")),
        ("be1af1c2e0afcd6882795d24da1f32a3", document(None, None, "NotARecord", &json!("null"))),
    ]
}

#[tokio::test]
async fn odd_records_are_quarantined_and_the_batch_goes_on() {
    let run = || {
        let byte_order_mark =
            start_call("x5f39564f4c6e7a3258595a76384a", r#"{"submissionId":"_9VOLnz2XYZv8J"}"#, 200, &started());
        let puts = odd_documents().into_iter().map(|(name, document)| put_call(name, &document, 200));
        [uuid_call(200, &started()), byte_order_mark].into_iter().chain(puts).collect::<Vec<_>>()
    };
    let (deps, http) = deps(run().into_iter().chain(run()).collect(), false);
    for _ in 0..2 {
        assert_eq!(handle(event(&fixture("odd")), &deps).await.unwrap(), Response::default());
    }
    assert_calls_match(&http);
    let bodies: Vec<_> = http.actual_requests().map(|request| request.body().bytes().unwrap().to_vec()).collect();
    assert_eq!(bodies[..bodies.len() / 2], bodies[bodies.len() / 2..]);
}

#[tokio::test]
async fn a_large_value_is_read_like_any_other() {
    let mut large = review(UUID);
    large["payload"]["metadata"] = json!({"log": "x".repeat(1 << 20)});
    let (deps, http) = deps(vec![uuid_call(200, &started())], false);
    assert_eq!(handle(event(&batch(&[large])), &deps).await.unwrap(), Response::default());
    assert_calls_match(&http);
}

#[tokio::test]
async fn a_failed_start_fails_the_batch_after_everything_else_is_done() {
    for (status, name) in [
        (400, "ThrottlingException"),
        (400, "ExecutionLimitExceeded"),
        (400, "StateMachineDoesNotExist"),
        (400, "InvalidArn"),
        (400, "AccessDeniedException"),
        (500, "InternalFailure"),
        (503, "ServiceUnavailable"),
    ] {
        let (deps, http) = deps(vec![uuid_call(status, &refusal(name)), nanoid_call(200, &started())], false);
        let failure = diagnostic(handle(event(&fixture("msk")), &deps).await.unwrap_err());
        assert_eq!(failure.error_type, "StartExecutionFailed");
        assert!(
            failure.error_message.starts_with("2 of 6 records could not start an execution")
                && failure.error_message.contains(&format!("Step Functions StartExecution failed with {name}")),
            "{}",
            failure.error_message
        );
        assert_calls_match(&http);
    }
}

#[tokio::test]
async fn an_unreachable_service_fails_the_batch() {
    let (deps, _) = deps(Vec::new(), false);
    let failure = diagnostic(handle(event(&fixture("self-managed")), &deps).await.unwrap_err());
    assert_eq!(failure.error_type, "StartExecutionFailed");
    assert!(
        failure.error_message.contains("Step Functions StartExecution failed with NoConnection"),
        "{}",
        failure.error_message
    );
}

#[tokio::test]
async fn a_failed_quarantine_fails_the_batch() {
    let document = json!({"topic": TOPIC, "partition": 0, "offset": 0, "timestamp": 7, "reason": "SubmissionIdMissing",
        "value": batch(&[review_without_submission()])["records"][format!("{TOPIC}-0")][0]["value"]});
    let calls = || vec![uuid_call(200, &started()), put_call("0", &document, 503)];
    let event_of = || event(&batch(&[review_without_submission(), review(UUID)]));

    let (whole, http) = deps(calls(), false);
    let failure = diagnostic(handle(event_of(), &whole).await.unwrap_err());
    assert_eq!(failure.error_type, "QuarantineFailed");
    assert!(failure.error_message.starts_with("1 of 2 records could not be quarantined"), "{}", failure.error_message);
    assert_calls_match(&http);

    let (partial, http) = deps(calls(), true);
    let response = handle(event_of(), &partial).await.unwrap();
    assert_eq!(answer(&response), json!({"batchItemFailures": [failing(&format!("{TOPIC}-0"), 0)]}));
    assert_calls_match(&http);
}

fn review_without_submission() -> Value {
    let mut review = review(UUID);
    review["payload"].as_object_mut().unwrap().remove("submissionId");
    review
}

#[tokio::test]
async fn a_partial_response_names_the_lowest_failed_offset_of_each_partition() {
    let throttled = refusal("ThrottlingException");
    let (one, http) = deps(vec![uuid_call(400, &throttled), nanoid_call(200, &started())], true);
    let response = handle(event(&fixture("msk")), &one).await.unwrap();
    assert_eq!(answer(&response), json!({"batchItemFailures": [failing(&format!("{TOPIC}-0"), 15)]}));
    assert_calls_match(&http);

    let (both, http) = deps(vec![uuid_call(400, &throttled), nanoid_call(400, &throttled)], true);
    let response = handle(event(&fixture("msk")), &both).await.unwrap();
    assert_eq!(
        answer(&response),
        json!({"batchItemFailures": [failing(&format!("{TOPIC}-0"), 15), failing(&format!("{TOPIC}-1"), 70)]})
    );
    assert_calls_match(&http);
}

#[tokio::test]
async fn a_failed_record_without_an_offset_fails_the_whole_batch() {
    let mut batch = batch(&[review(UUID)]);
    batch["records"][format!("{TOPIC}-0")][0]["offset"] = Value::Null;
    let (deps, http) = deps(vec![uuid_call(400, &refusal("ThrottlingException"))], true);
    assert_eq!(diagnostic(handle(event(&batch), &deps).await.unwrap_err()).error_type, "StartExecutionFailed");
    assert_calls_match(&http);
}

#[tokio::test]
async fn an_event_of_another_kind_is_refused() {
    let (deps, http) = deps(Vec::new(), false);
    for other in [json!({}), json!({"records": null}), json!({"Records": [{"eventSource": "aws:s3"}]})] {
        let failure = diagnostic(handle(event(&other), &deps).await.unwrap_err());
        assert_eq!(failure.error_type, "EventInvalid");
        assert!(failure.error_message.contains("topic-partition"), "{}", failure.error_message);
    }
    assert_eq!(http.actual_requests().count(), 0);
}

/// Where the log goes in a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_record_for_us_has_one_log_line_without_its_value() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json().without_time().with_writer(move || writer.clone()).finish();
    let guard = tracing_subscriber::util::SubscriberInitExt::set_default(subscriber);

    let starts = [uuid_call(200, &started()), uuid_call(200, &started())];
    let puts = odd_documents().into_iter().map(|(name, document)| put_call(name, &document, 200));
    let (deps, _) = deps(starts.into_iter().chain(puts).collect(), false);
    handle(event(&fixture("odd")), &deps).await.unwrap();
    drop(guard);

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let mut seen: Vec<String> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["fields"].take())
        .filter(|fields| fields["outcome"].is_string())
        .map(|fields| {
            assert_eq!((&fields["topic"], &fields["partition"]), (&json!(TOPIC), &json!(0)));
            let what = fields.get("submissionId").unwrap_or(&fields["reason"]).as_str().unwrap();
            format!("{} {} {what}", fields["offset"], fields["outcome"].as_str().unwrap())
        })
        .collect();
    seen.sort_by_key(|line| line.split(' ').next().unwrap().parse().unwrap_or(u64::MAX));
    assert_eq!(
        seen,
        [
            "1 Started d01c8c8b-2a7f-463f-992b-7bc5423e1dd0",
            "5 Quarantined NotBase64",
            "6 Quarantined NotJson",
            "7 Quarantined SubmissionIdMissing",
            "8 Quarantined SubmissionIdInvalid",
            "9 Quarantined UnreadableScore",
            "13 Started _9VOLnz2XYZv8J",
            "null Quarantined NotJson",
            "null Quarantined NotARecord",
        ]
    );
    for hostile in ["etc/passwd", "no base64", "ew==", "clients"] {
        assert!(!log.contains(hostile), "the log holds {hostile}");
    }
}
