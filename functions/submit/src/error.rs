use std::error::Error;

use domain::ChallengeId;
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
    /// 403.
    #[error("The API key is a reader's. Starting to score needs the key of an organiser.")]
    NotAllowed,
    /// 404.
    #[error(
        "The submission {id} was not found. Write its record to the table of submissions, then send the request again."
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
    /// 404.
    #[error("The challenge {id} has no submissions.")]
    UnknownChallenge { id: ChallengeId },
    /// 413. `limit` is in bytes.
    #[error("The body is larger than {limit} bytes. Send only submission_id, api_key and, optionally, user_id.")]
    TooLarge { limit: usize },
    /// 422. `field` is an attribute of the submission's record, or `predictions`.
    #[error("{message}")]
    Unscorable { field: &'static str, message: String },
    /// 500: it stays until an operator changes something. Only the log says what.
    #[error(
        "The service is not set up correctly, so it cannot answer. Ask the organisers: an operator has to fix it. Sending the request again does not help until then."
    )]
    Misconfigured(#[source] Outage),
    /// 503: it passes by itself. Only the log says more.
    #[error(
        "The service is not available at the moment. Send the same request again in a few seconds. Repeating it is safe: a submission is scored only once."
    )]
    Unavailable(#[source] Outage),
}

/// What keeps the function from answering.
#[derive(Debug, thiserror::Error)]
pub enum Outage {
    #[error("The record of the submission could not be read.")]
    Record(#[source] CallFailed),
    #[error("The leaderboard could not be read.")]
    Leaderboard(#[source] CallFailed),
    #[error("The execution could not be started.")]
    Execution(#[source] CallFailed),
    #[error("The execution could not be read.")]
    ExecutionStatus(#[source] CallFailed),
    #[error("The API keys could not be read.")]
    Keys(#[source] CallFailed),
    #[error(
        "The secret with the API keys is not valid, so no request is answered. It must be a JSON object with a key as the value of each name that begins with organiser or reader, such as {{\"organiser\": \"KEY\"}}."
    )]
    KeysInvalid,
}

/// Codes of errors that stay until an operator changes a permission, a setting or a resource:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html> and the "Errors" of each call.
const LASTING: [&str; 13] = [
    "AccessDenied",
    "AccessDeniedException",
    "DecryptionFailure",
    "ExecutionDoesNotExist",
    "InvalidArn",
    "InvalidExecutionInput",
    "InvalidName",
    "InvalidParameterException",
    "InvalidRequestException",
    "ResourceNotFoundException",
    "StateMachineDoesNotExist",
    "UnrecognizedClientException",
    "ValidationException",
];

impl Outage {
    fn passes_by_itself(&self) -> bool {
        match self {
            Self::Record(call)
            | Self::Leaderboard(call)
            | Self::Execution(call)
            | Self::ExecutionStatus(call)
            | Self::Keys(call) => !LASTING.contains(&call.code.as_str()),
            Self::KeysInvalid => false,
        }
    }
}

impl From<Outage> for HttpError {
    fn from(outage: Outage) -> Self {
        if outage.passes_by_itself() { Self::Unavailable(outage) } else { Self::Misconfigured(outage) }
    }
}

impl From<RecordError> for HttpError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Call { source, .. } => Outage::Record(source).into(),
            RecordError::Invalid { attribute, .. } => Self::Unscorable {
                field: attribute,
                message: format!("{error} Correct the record, then send the request again."),
            },
        }
    }
}

impl HttpError {
    pub(crate) fn malformed(field: &'static str, message: impl Into<String>) -> Self {
        Self::Malformed { field: Some(field), message: message.into() }
    }

    fn status(&self) -> (u16, &'static str) {
        match self {
            Self::Malformed { .. } => (400, "malformed"),
            Self::WrongKey => (401, "wrong_key"),
            Self::NotAllowed => (403, "not_allowed"),
            Self::UnknownSubmission { .. } => (404, "unknown_submission"),
            Self::UnknownChallenge { .. } => (404, "unknown_challenge"),
            Self::UnknownPath => (404, "unknown_path"),
            Self::WrongMethod { .. } => (405, "wrong_method"),
            Self::TooLarge { .. } => (413, "too_large"),
            Self::Unscorable { .. } => (422, "unscorable"),
            Self::Misconfigured(_) => (500, "misconfigured"),
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
            HttpError::Unscorable { field, .. } => Some(*field),
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
            HttpError::NotAllowed,
            HttpError::UnknownSubmission { id: "_9VOLnz2XYZv8J".to_owned() },
            HttpError::UnknownPath,
            HttpError::WrongMethod { allowed: "GET" },
            HttpError::UnknownChallenge { id: "r1".parse().unwrap() },
            HttpError::TooLarge { limit: 16384 },
            RecordError::Invalid {
                id: "_9VOLnz2XYZv8J".to_owned(),
                attribute: "userId",
                reason: "is missing".to_owned(),
            }
            .into(),
            Outage::KeysInvalid.into(),
            Outage::Execution(call("StartExecution", "ThrottlingException")).into(),
        ];
        let answers: Vec<String> = errors
            .into_iter()
            .map(Response::from)
            .map(|response| format!("{} {}", response.status_code, response.body))
            .collect();
        insta::assert_snapshot!(answers.join("\n"));
    }

    fn call(operation: &'static str, code: &str) -> CallFailed {
        CallFailed { service: "AWS", operation, code: code.to_owned(), message: "no".to_owned() }
    }

    #[test]
    fn only_what_passes_by_itself_is_answered_with_503() {
        for (code, status) in [
            ("Timeout", 503),
            ("NoConnection", 503),
            ("ThrottlingException", 503),
            ("ProvisionedThroughputExceededException", 503),
            ("InternalServiceError", 503),
            ("AccessDeniedException", 500),
            ("ResourceNotFoundException", 500),
            ("StateMachineDoesNotExist", 500),
        ] {
            assert_eq!(HttpError::from(Outage::Keys(call("GetSecretValue", code))).status().0, status, "{code}");
        }
    }

    #[test]
    fn the_log_names_what_failed_and_why() {
        let outages = [
            Outage::Record(call("GetItem", "AccessDeniedException")),
            Outage::Leaderboard(call("Query", "Timeout")),
            Outage::Execution(call("StartExecution", "ThrottlingException")),
            Outage::ExecutionStatus(call("DescribeExecution", "ThrottlingException")),
            Outage::Keys(call("GetSecretValue", "AccessDeniedException")),
            Outage::KeysInvalid,
        ];
        let causes: Vec<String> = outages.into_iter().map(|outage| HttpError::from(outage).causes()).collect();
        insta::assert_snapshot!(causes.join("\n"));
    }
}
