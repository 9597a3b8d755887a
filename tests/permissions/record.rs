//! Records the calls of the functions on their way to the services.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use parking_lot::Mutex;
use serde_json::Value;

use crate::process_of_peer;
use crate::proxy::Proxy;

/// How paths of Lambda's API begin.
const LAMBDA: &str = "/2015-03-31/";

/// The fields of a call that say what it touches, by name.
pub(crate) type Fields = BTreeMap<String, String>;

/// A call to AWS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    /// Who makes it: a function's name or, for the calls of a service, a role's logical id.
    pub(crate) caller: String,
    /// `service:Operation`.
    pub(crate) operation: String,
    pub(crate) fields: Fields,
}

/// Every different call so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder {
    calls: Arc<Mutex<BTreeSet<Call>>>,
    /// The function at the other end of a connection, by the connection's port.
    functions: Arc<Mutex<BTreeMap<u16, String>>>,
}

impl Recorder {
    /// A proxy that records what passes.
    pub(crate) async fn proxy(&self) -> Result<Proxy> {
        let recorder = self.clone();
        Proxy::start(move |call| {
            let recorder = recorder.clone();
            async move {
                let caller = recorder.function(call.connection)?;
                let (operation, mut fields) = read(&call.request, &call.body);
                let answer = call.forward(call.body.clone()).await?;
                if answer.status() == StatusCode::NOT_FOUND {
                    fields.insert("missing".to_owned(), String::new());
                }
                recorder.calls.lock().insert(Call { caller, operation, fields });
                Ok(answer)
            }
        })
        .await
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().iter().cloned().collect()
    }

    fn function(&self, connection: [SocketAddr; 2]) -> Result<String> {
        let port = connection[0].port();
        let process = process_of_peer::of(connection)?;
        if let Some(function) =
            self.functions.lock().get(&port).filter(|known| known.starts_with(&format!("{process} ")))
        {
            return Ok(function.split(' ').nth(1).unwrap_or_default().to_owned());
        }
        let environment = std::fs::read(format!("/proc/{process}/environ"))?;
        let function = environment
            .split(|byte| *byte == 0)
            .find_map(|variable| variable.strip_prefix(b"AWS_LAMBDA_FUNCTION_NAME="))
            .context("a process that is not a function made a call")?;
        let function = String::from_utf8_lossy(function).into_owned();
        self.functions.lock().insert(port, format!("{process} {function}"));
        Ok(function)
    }
}

/// The operation of a request, and the fields that say what it touches.
fn read(request: &Parts, body: &[u8]) -> (String, Fields) {
    let Some(target) = request.headers.get("x-amz-target").and_then(|target| target.to_str().ok()) else {
        return if request.uri.path().starts_with(LAMBDA) { of_lambda(request) } else { of_s3(request) };
    };
    let (service, operation) = target.split_once('.').unwrap_or(("unknown", target));
    let service = match service.split('_').next().unwrap_or_default() {
        "AmazonEC2ContainerRegistry" => "ecr",
        "AWSStepFunctions" => "states",
        "CodeBuild" => "codebuild",
        "DynamoDB" => "dynamodb",
        "Logs" => "logs",
        "SageMaker" => "sagemaker",
        other => other,
    };
    (format!("{service}:{operation}"), fields_of(&serde_json::from_slice(body).unwrap_or_default()))
}

/// The texts of a request, the first of each list of texts, and its tags.
pub(crate) fn fields_of(request: &Value) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in request.as_object().into_iter().flatten() {
        let name = name[..1].to_lowercase() + &name[1..];
        if let Some(text) = value.as_str().or_else(|| value[0].as_str()) {
            fields.insert(name.clone(), text.to_owned());
        }
        for tag in value.as_array().into_iter().flatten() {
            if let [Some(key), Some(value)] = [["key", "Key"], ["value", "Value"]]
                .map(|[lower, upper]| tag[lower].as_str().or_else(|| tag[upper].as_str()))
                && name == "tags"
            {
                fields.insert(format!("tag:{key}"), value.to_owned());
                fields.insert("tagKeys".to_owned(), key.to_owned());
            }
        }
    }
    fields
}

fn of_lambda(request: &Parts) -> (String, Fields) {
    let operation = match (&request.method, request.uri.path().strip_prefix(LAMBDA)) {
        (&Method::GET, Some("event-source-mappings")) => "ListEventSourceMappings",
        _ => "unknown",
    };
    (format!("lambda:{operation}"), Fields::new())
}

fn of_s3(request: &Parts) -> (String, Fields) {
    let query: BTreeMap<&str, &str> = request
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    let path = decoded(request.uri.path().trim_start_matches('/'));
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    let operation = match (&request.method, key.is_empty()) {
        (&Method::GET, true) if query.contains_key("list-type") => "ListObjectsV2",
        (&Method::GET, false) if query.contains_key("tagging") => "GetObjectTagging",
        (&Method::PUT, false) if query.contains_key("tagging") => "PutObjectTagging",
        (&Method::DELETE, false) if query.contains_key("tagging") => "DeleteObjectTagging",
        (&Method::GET, false) => "GetObject",
        (&Method::HEAD, false) => "HeadObject",
        (&Method::PUT, false) if query.contains_key("partNumber") => "UploadPart",
        (&Method::PUT, false) => "PutObject",
        (&Method::POST, false) if query.contains_key("uploads") => "CreateMultipartUpload",
        (&Method::POST, false) if query.contains_key("uploadId") => "CompleteMultipartUpload",
        (&Method::DELETE, false) if query.contains_key("uploadId") => "AbortMultipartUpload",
        (&Method::DELETE, false) => "DeleteObject",
        _ => "unknown",
    };
    let mut fields = Fields::from([("bucket".to_owned(), bucket.to_owned()), ("key".to_owned(), key.to_owned())]);
    fields.insert("prefix".to_owned(), query.get("prefix").map(|prefix| decoded(prefix)).unwrap_or_default());
    if let Some(version) = query.get("versionId") {
        fields.insert("versionId".to_owned(), decoded(version));
    }
    for name in ["if-match", "x-amz-tagging", "x-amz-acl"] {
        if let Some(value) = request.headers.get(name).and_then(|value| value.to_str().ok()) {
            fields.insert(name.to_owned(), value.to_owned());
        }
    }
    (format!("s3:{operation}"), fields)
}

/// A text without its percent encoding.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = (first == b'%').then(|| std::str::from_utf8(after.get(..2)?).ok()).flatten();
        if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
