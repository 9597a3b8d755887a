//! HTTP as function URLs speak it, see
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads>.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A request.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The path, as it was sent.
    pub raw_path: String,
    /// The query's parameters; several of one name are joined by commas.
    #[serde(default)]
    pub query_string_parameters: BTreeMap<String, String>,
    /// The headers, their names in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body, if there is one.
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

    /// The body's bytes; nothing when they are not what was announced.
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
    /// The status, such as 202.
    pub status_code: u16,
    /// The headers.
    pub headers: BTreeMap<&'static str, &'static str>,
    /// The body.
    pub body: String,
}

impl Response {
    /// An answer with a body of JSON.
    #[must_use]
    pub fn json(status_code: u16, body: &Value) -> Self {
        let headers = [("content-type", "application/json"), ("cache-control", "no-store")].into();
        Self { status_code, headers, body: body.to_string() }
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// Why a request is not answered as it wanted. Everything in it may be read by whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The body or a parameter is missing or malformed: 400.
    #[error("{message}")]
    Malformed {
        /// Which field; none when it is the body as a whole.
        field: Option<&'static str>,
        /// What is expected.
        message: String,
    },
    /// The key is missing or wrong: 401.
    #[error("The API key is not valid. Send one of the keys that the organisers gave out.")]
    WrongKey,
    /// There is no such submission: 404.
    #[error("There is no submission {id}. Register it in the table of submissions before it is scored.")]
    UnknownSubmission {
        /// Its id.
        id: String,
    },
    /// There is nothing at this path: 404.
    #[error("There is nothing here. Use POST /, GET /submissions/{{id}} or GET /rounds/{{round}}/leaderboard.")]
    UnknownPath,
    /// The path knows another method: 405.
    #[error("This path answers {allowed} only.")]
    WrongMethod {
        /// The method it knows.
        allowed: &'static str,
    },
    /// The body is too large: 413.
    #[error("The body is larger than {limit} bytes. Send user_id, submission_id and api_key only.")]
    TooLarge {
        /// Bytes that are allowed.
        limit: usize,
    },
    /// AWS did not answer, or refused; the log says more: 503.
    #[error("The service cannot answer now. Send the same request again in a few seconds: nothing is done twice.")]
    Unavailable,
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        let (status, error) = match &refusal {
            Refusal::Malformed { .. } => (400, "malformed"),
            Refusal::WrongKey => (401, "wrong_key"),
            Refusal::UnknownSubmission { .. } => (404, "unknown_submission"),
            Refusal::UnknownPath => (404, "unknown_path"),
            Refusal::WrongMethod { .. } => (405, "wrong_method"),
            Refusal::TooLarge { .. } => (413, "too_large"),
            Refusal::Unavailable => (503, "unavailable"),
        };
        let mut body = json!({"error": error, "message": refusal.to_string()});
        if let Refusal::Malformed { field: Some(field), .. } = &refusal {
            body["field"] = json!(field);
        }
        let response = Self::json(status, &body);
        match refusal {
            Refusal::WrongMethod { allowed } => response.with("allow", allowed),
            Refusal::Unavailable => response.with("retry-after", "2"),
            _ => response,
        }
    }
}
