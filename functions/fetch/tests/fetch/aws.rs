//! AWS clients that replay answers and record what was asked.

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_s3::config::http::{HttpRequest, HttpResponse};
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use serde_json::Value;

/// Answers in the order in which they are given.
pub(crate) fn replay(
    answers: impl IntoIterator<Item = (u16, Vec<(&'static str, &'static str)>, String)>,
) -> StaticReplayClient {
    let events = answers.into_iter().map(|(status, headers, body)| {
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        for (name, value) in headers {
            response.headers_mut().insert(name, value);
        }
        ReplayEvent::new(HttpRequest::new(SdkBody::empty()), response)
    });
    StaticReplayClient::new(events.collect())
}

pub(crate) fn json(body: &Value) -> (u16, Vec<(&'static str, &'static str)>, String) {
    (200, vec![], body.to_string())
}

pub(crate) fn error(kind: &str) -> (u16, Vec<(&'static str, &'static str)>, String) {
    (400, vec![], serde_json::json!({"__type": kind, "message": "no"}).to_string())
}

pub(crate) fn config(http: StaticReplayClient) -> SdkConfig {
    let credentials = Credentials::new("AKIATEST", "secret", None, None, "tests");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::disabled())
        .http_client(http)
        .build()
}

/// Every JSON call so far: its operation and its parameters.
pub(crate) fn calls(client: &StaticReplayClient) -> Vec<(String, Value)> {
    client
        .actual_requests()
        .map(|request| {
            let target = request.headers().get("x-amz-target").unwrap();
            let operation = target.rsplit_once('.').unwrap().1.to_owned();
            (operation, serde_json::from_slice(request.body().bytes().unwrap()).unwrap())
        })
        .collect()
}
