//! AWS clients for tests.

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
pub use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::{Request, Response};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::checksum_config::RequestChecksumCalculation;
use serde_json::{Value, json};

/// Headers that differ from run to run or from machine to machine.
const VARYING_HEADERS: [&str; 7] = [
    "authorization",
    "user-agent",
    "x-amz-user-agent",
    "x-amz-date",
    "amz-sdk-request",
    "amz-sdk-invocation-id",
    "content-length",
];

fn base() -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .retry_config(RetryConfig::disabled())
        .build()
}

/// The configuration of clients that replay answers.
pub fn replaying(http: &StaticReplayClient) -> SdkConfig {
    base().into_builder().http_client(http.clone()).build()
}

/// Replays answers service by service: each service is named by a part of its host, such as `s3.` or `ecr.`.
#[derive(Clone, Debug)]
pub struct ByService(pub Vec<(&'static str, StaticReplayClient)>);

impl ByService {
    /// The configuration of clients that replay these answers.
    pub fn config(self) -> SdkConfig {
        base().into_builder().http_client(self).build()
    }
}

impl HttpClient for ByService {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for ByService {
    fn call(&self, request: Request) -> HttpConnectorFuture {
        let service = self.0.iter().find(|(host, _)| request.uri().contains(host));
        service.unwrap_or_else(|| panic!("no answers for {}", request.uri())).1.call(request)
    }
}

/// The configuration of clients that send to a server.
pub fn sending_to(url: &str) -> SdkConfig {
    base().into_builder().endpoint_url(url).build()
}

/// An expected call of a service that speaks AWS's JSON protocol, and the answer to it.
///
/// `target` is the value of `x-amz-target`, such as `AWSStepFunctions.StartExecution`.
pub fn call(target: &str, parameters: &Value, status: u16, answer: &Value) -> ReplayEvent {
    let service = target.split('.').next().expect("a split text has a first part");
    let (url, version) = match service {
        "AWSStepFunctions" => ("https://states.us-east-1.amazonaws.com/", "1.0"),
        "CodeBuild_20161006" => ("https://codebuild.us-east-1.amazonaws.com/", "1.1"),
        "SageMaker" => ("https://api.sagemaker.us-east-1.amazonaws.com/", "1.1"),
        "Logs_20140328" => ("https://logs.us-east-1.amazonaws.com/", "1.1"),
        "secretsmanager" => ("https://secretsmanager.us-east-1.amazonaws.com/", "1.1"),
        "DynamoDB_20120810" => ("https://dynamodb.us-east-1.amazonaws.com/", "1.0"),
        "AmazonEC2ContainerRegistry_V20150921" => ("https://api.ecr.us-east-1.amazonaws.com/", "1.1"),
        other => panic!("the tests do not know the service {other}"),
    };
    let request = http::Request::post(url)
        .header("x-amz-target", target)
        .header("content-type", format!("application/x-amz-json-{version}"))
        .body(SdkBody::from(parameters.to_string()))
        .unwrap();
    let answer = http::Response::builder().status(status).body(SdkBody::from(answer.to_string())).unwrap();
    ReplayEvent::new(request, answer)
}

/// An expected PutObject call of S3, and the status of its answer.
pub fn put(bucket: &str, key: &str, content_type: &str, body: String, status: u16) -> ReplayEvent {
    let request = http::Request::put(format!("https://{bucket}.s3.us-east-1.amazonaws.com/{key}?x-id=PutObject"))
        .header("content-type", content_type)
        .body(SdkBody::from(body))
        .unwrap();
    let answer = http::Response::builder().status(status).body(SdkBody::empty()).unwrap();
    ReplayEvent::new(request, answer)
}

/// An answer to a call that is checked with [`calls`].
pub fn answer(status: u16, headers: &[(&'static str, &'static str)], body: impl Into<String>) -> ReplayEvent {
    let mut response = Response::new(status.try_into().unwrap(), SdkBody::from(body.into()));
    for (name, value) in headers {
        response.headers_mut().insert(*name, *value);
    }
    ReplayEvent::new(Request::new(SdkBody::empty()), response)
}

/// The body of an error answer.
pub fn refusal(name: &str) -> Value {
    json!({"__type": name, "message": "as tested"})
}

/// Asserts that exactly the expected calls were made, in order.
pub fn assert_calls_match(http: &StaticReplayClient) {
    http.assert_requests_match(&VARYING_HEADERS);
}

/// The calls of services that speak AWS's JSON protocol: operation and parameters.
pub fn calls(http: &StaticReplayClient) -> Vec<(String, Value)> {
    http.actual_requests()
        .map(|request| {
            let target = request.headers().get("x-amz-target").expect("a call of the JSON protocol");
            let operation = target.rsplit_once('.').expect("a service and an operation").1.to_owned();
            (operation, serde_json::from_slice(request.body().bytes().unwrap()).unwrap())
        })
        .collect()
}
