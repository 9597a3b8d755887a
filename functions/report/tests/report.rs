//! The function against a replayed S3: the exact request, and what becomes of a refusal.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_types::body::SdkBody;
use report::{Deps, Finished, Settings, handle};
use serde_json::{Value, json};
use shared::FailureCode;
use shared::outcome::Status;
use shared::settings::Variables;

fn deps(replay: &StaticReplayClient) -> Deps {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::for_tests())
        .region(Region::new("us-east-1"))
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .http_client(replay.clone())
        .build();
    let settings =
        Settings::read(&Variables::from_iter([("OUTPUT_S3_BUCKET", "models"), ("STACK_NAME", "mm")])).unwrap();
    Deps { settings, s3: aws_sdk_s3::Client::from_conf(config) }
}

fn answer(status: u16) -> StaticReplayClient {
    let request = http::Request::builder().uri("http://unused").body(SdkBody::empty()).unwrap();
    let response = http::Response::builder().status(status).body(SdkBody::empty()).unwrap();
    StaticReplayClient::new(vec![ReplayEvent::new(request, response)])
}

fn finished() -> Finished {
    serde_json::from_value(json!({
        "submissionId": "_9VOLnz2XYZv8J", "execution": "arn:aws:states:us-east-1:1:execution:mm:x", "attempts": 1,
        "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:02:00Z", "archive": null, "diagnosis": null,
        "image": {"uri": "r/x:latest", "digest": "sha256:0", "bytes": 1},
        "training": {"jobName": "x-0-1", "modelUri": "s3://models/_9VOLnz2XYZv8J/x-0-1/output/model.tar.gz"},
    }))
    .unwrap()
}

#[tokio::test]
async fn stores_the_same_outcome_under_the_same_key_each_time() {
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let replay = answer(200);
        let outcome = handle(finished(), &deps(&replay)).await.unwrap();
        assert_eq!(outcome.status, Status::Completed);
        let request = replay.actual_requests().next().unwrap();
        assert_eq!(request.method(), "PUT");
        assert_eq!(
            request.uri().split('?').next().unwrap(),
            "https://models.s3.us-east-1.amazonaws.com/_9VOLnz2XYZv8J/outcome.json"
        );
        assert_eq!(request.headers().get("content-type"), Some("application/json"));
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        assert_eq!(body, serde_json::to_value(&outcome).unwrap());
        bodies.push(body);
    }
    assert_eq!(bodies[0], bodies[1]);
}

#[tokio::test]
async fn a_refusal_by_s3_is_an_internal_failure_to_be_retried() {
    let failure = handle(finished(), &deps(&answer(403))).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::Internal);
    assert_eq!(failure.message, "the outcome could not be stored as _9VOLnz2XYZv8J/outcome.json");
}
