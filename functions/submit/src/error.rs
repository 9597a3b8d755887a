use std::error::Error;

use records::RecordError;
use runtime::CallFailed;
use serde::Serialize;

use crate::http::Response;

/// Why a request is not answered with a result. Its text goes into the answer, so it holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// 400. `field` is the body's field or the parameter; `None` if the body as a whole is malformed.
    #[error("{message}")]
    Malformed { field: Option<&'static str>, message: String },
    /// 401.
    #[error("The API key is missing or not valid. Send one of the keys that the organisers gave you.")]
    WrongKey,
    /// 404.
    #[error(
        "The submission {id} was not found. Write its record to the submissions table, then send the request again."
    )]
    UnknownSubmission { id: String },
    /// 404.
    #[error(
        "This path does not exist. Use POST /, GET /submissions/{{submissionId}} or GET /challenges/{{challengeId}}/leaderboard."
    )]
    UnknownPath,
    /// 405.
    #[error("This path accepts only {allowed}.")]
    WrongMethod { allowed: &'static str },
    /// 413. `limit` is in bytes.
    #[error("The body is larger than {limit} bytes. Send only user_id, submission_id and api_key.")]
    TooLarge { limit: usize },
    /// 503. Only the log says more.
    #[error(
        "The service is not available at the moment. Send the same request again in a few seconds. Repeating it is safe: a submission is scored only once."
    )]
    Unavailable(#[source] Outage),
}

/// What keeps the function from answering.
#[derive(Debug, thiserror::Error)]
pub enum Outage {
    #[error(transparent)]
    Record(RecordError),
    #[error("The leaderboard could not be read.")]
    Leaderboard(#[source] CallFailed),
    #[error("The execution could not be started.")]
    Execution(#[source] CallFailed),
    #[error("The API keys could not be read.")]
    Keys(#[source] CallFailed),
    #[error(
        "The secret with the API keys is not valid. It must be a JSON object with at least one non-empty string as a value."
    )]
    KeysInvalid,
}

impl HttpError {
    pub(crate) fn malformed(field: &'static str, message: impl Into<String>) -> Self {
        Self::Malformed { field: Some(field), message: message.into() }
    }

    fn status(&self) -> (u16, &'static str) {
        match self {
            Self::Malformed { .. } => (400, "malformed"),
            Self::WrongKey => (401, "wrong_key"),
            Self::UnknownSubmission { .. } => (404, "unknown_submission"),
            Self::UnknownPath => (404, "unknown_path"),
            Self::WrongMethod { .. } => (405, "wrong_method"),
            Self::TooLarge { .. } => (413, "too_large"),
            Self::Unavailable(_) => (503, "unavailable"),
        }
    }

    /// The texts of the causes, outermost first, for the log.
    pub(crate) fn causes(&self) -> String {
        let mut texts = Vec::new();
        let mut next = self.source();
        while let Some(cause) = next {
            texts.push(cause.to_string());
            next = cause.source();
        }
        texts.join(" ")
    }
}

/// The body of an answer that is an error.
#[derive(Serialize)]
struct ErrorBody {
    error: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    message: String,
}

impl From<HttpError> for Response {
    fn from(error: HttpError) -> Self {
        let (status, name) = error.status();
        let field = match &error {
            HttpError::Malformed { field, .. } => *field,
            _ => None,
        };
        let response = Self::json(status, &ErrorBody { error: name, field, message: error.to_string() });
        match error {
            HttpError::WrongMethod { allowed } => response.with("allow", allowed),
            HttpError::Unavailable(_) => response.with("retry-after", "2"),
            _ => response,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_a_status_and_a_body() {
        let errors = [
            HttpError::malformed("by", "by must be \"metric\" or \"created\"."),
            HttpError::Malformed {
                field: None,
                message: "The body could not be decoded. Send a JSON object with submission_id and api_key.".to_owned(),
            },
            HttpError::WrongKey,
            HttpError::UnknownSubmission { id: "_9VOLnz2XYZv8J".to_owned() },
            HttpError::UnknownPath,
            HttpError::WrongMethod { allowed: "GET" },
            HttpError::TooLarge { limit: 16384 },
            HttpError::Unavailable(Outage::KeysInvalid),
        ];
        let answers: Vec<String> = errors
            .into_iter()
            .map(Response::from)
            .map(|response| format!("{} {}", response.status_code, response.body))
            .collect();
        insta::assert_snapshot!(answers.join("\n"));
    }

    #[test]
    fn the_log_names_what_failed_and_why() {
        let call = |operation| CallFailed {
            service: "DynamoDB",
            operation,
            code: "AccessDeniedException".to_owned(),
            message: "no".to_owned(),
        };
        let record = RecordError::Call { table: "submissions".to_owned(), source: call("GetItem") };
        let outages = [
            Outage::Record(record),
            Outage::Leaderboard(call("Query")),
            Outage::Execution(call("StartExecution")),
            Outage::Keys(call("GetSecretValue")),
            Outage::KeysInvalid,
        ];
        let causes: Vec<String> = outages.into_iter().map(|outage| HttpError::Unavailable(outage).causes()).collect();
        insta::assert_snapshot!(causes.join("\n"));
    }
}
