//! Requests and answers of function URLs, see
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads>.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The path as it was sent.
    pub raw_path: String,
    /// The parameters of the query. Several values of one name are joined by commas.
    #[serde(default)]
    pub query_string_parameters: BTreeMap<String, String>,
    /// The headers by their names in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
    request_context: Context,
}

#[derive(Debug, Clone, Deserialize)]
struct Context {
    http: Method,
}

#[derive(Debug, Clone, Deserialize)]
struct Method {
    method: String,
}

impl Request {
    /// The method, such as `POST`.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.request_context.http.method
    }

    /// The bytes of the body, empty if there is none; `None` if they are not valid base64 although they should be.
    #[must_use]
    pub fn body(&self) -> Option<Vec<u8>> {
        let body = self.body.as_deref().unwrap_or_default();
        if self.is_base64_encoded { BASE64_STANDARD.decode(body).ok() } else { Some(body.as_bytes().to_vec()) }
    }
}

/// An answer. Its body is JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    pub status_code: u16,
    pub headers: BTreeMap<&'static str, &'static str>,
    pub body: String,
}

impl Response {
    #[must_use]
    pub fn json(status_code: u16, body: &impl Serialize) -> Self {
        let headers = [("content-type", "application/json"), ("cache-control", "no-store")].into();
        Self { status_code, headers, body: json!(body).to_string() }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.insert(name, value);
        self
    }
}
