//! Errors of the Submission API, and what to do about them.

use std::io;

use reqwest::StatusCode;

use domain::{Coded, FailureCode};
use runtime::CallFailed;
use runtime::settings::SecretArn;

use crate::InvalidCredentials;

/// Length limit, in characters, of what errors quote of an answer.
pub(crate) const MAX_SHOWN_CHARACTERS: usize = 200;

/// Why the Submission API could not be used. Texts name the call, never a token, a secret or a signed URL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{call} got no answer. The step is retried. If it keeps failing, check SubmissionApiUrl, Auth0Url and the \
         network between them and the function."
    )]
    Transport { call: String, source: reqwest::Error },
    #[error(
        "{call} failed with status {status}{}. The step is retried. If it keeps failing, check whether the Submission API and its token service are running.", quoted(.message)
    )]
    Unavailable { call: String, status: u16, message: String },
    /// The answer does not follow the API's documentation.
    #[error(
        "{call} got an invalid answer ({reason}). The step is retried. If it keeps failing, check that \
         SubmissionApiUrl and Auth0Url name the right services."
    )]
    Malformed { call: String, reason: String },
    #[error("{call} was interrupted after {received} bytes{}. The step is retried. If it keeps failing, check the network between the Submission API and the function.", of_announced(*.announced))]
    Truncated { call: String, received: u64, announced: Option<u64>, source: Option<reqwest::Error> },
    #[error(
        "{call} was refused because the submission is still being scanned for viruses. The step is retried. If it keeps \
         failing, check the submission's antivirus review."
    )]
    StillScanning { call: String },
    #[error(
        "{call} was refused because the Submission API does not allow this download. Check its antivirus review and the permissions of the processor's client, then redrive the execution."
    )]
    NotAllowed { call: String },
    /// Either the API refused a new token, or the token service refused the credentials.
    #[error(
        "{call} was denied with status {status}{}. Check the credentials in the secret that Auth0SecretArn names, the value of Auth0Audience and the scopes of the processor's client, then redrive the execution.", quoted(.message)
    )]
    Denied { call: String, status: u16, message: String },
    #[error(
        "{call}: the Submission API does not have this submission. It was deleted, or its Kafka message comes from another environment. Check that the topic and the API belong to the same environment, then redrive the execution."
    )]
    NotFound { call: String },
    /// A retry does not change this status.
    #[error(
        "{call} failed with the unexpected status {status}{}. Check that SubmissionApiUrl and Auth0Url name the right services, then redrive the execution.", quoted(.message)
    )]
    Unexpected { call: String, status: u16, message: String },
    #[error(
        "The submission is larger than {limit} bytes, the limit for an archive. Remove data and models that training \
         does not need, then submit again."
    )]
    TooLarge { limit: u64 },
    #[error(
        "The download could not be written to disk. Set MaxArchiveBytes below the size of the function's ephemeral storage, then redrive the execution."
    )]
    Sink { source: io::Error },
    #[error(
        "The HTTPS client could not be created because the function has no usable root certificates. Deploy the function again, then redrive the execution."
    )]
    Client { source: reqwest::Error },
    #[error(
        "The secret {arn} could not be read. Check Auth0SecretArn and the function's permission to read the secret, then redrive the execution."
    )]
    Secret { arn: SecretArn, source: CallFailed },
    #[error("The secret {arn} is not valid: {source}. Correct its value, then redrive the execution.")]
    Credentials { arn: SecretArn, source: InvalidCredentials },
}

impl Error {
    /// The reason can quote the answer.
    pub(crate) fn malformed(call: impl Into<String>, reason: &impl std::fmt::Display) -> Self {
        Self::Malformed { call: call.into(), reason: shown(&reason.to_string()) }
    }

    pub(crate) fn transport(call: &str, source: reqwest::Error) -> Self {
        Self::Transport { call: call.to_owned(), source: source.without_url() }
    }

    pub(crate) fn truncated(call: String, received: u64, announced: Option<u64>, source: reqwest::Error) -> Self {
        Self::Truncated { call, received, announced, source: Some(source.without_url()) }
    }

    /// The error for a status of the API.
    pub(crate) fn of_status(call: String, status: StatusCode, message: String) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound { call },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Denied { call, status: status.as_u16(), message },
            _ if is_transient(status) => Self::Unavailable { call, status: status.as_u16(), message },
            _ => Self::Unexpected { call, status: status.as_u16(), message },
        }
    }

    /// The error for a status of the token service.
    pub(crate) fn of_token_service(call: &str, status: StatusCode, message: String) -> Self {
        let (call, denied) = (call.to_owned(), status.is_client_error() && !is_transient(status));
        let status_code = status.as_u16();
        if denied {
            Self::Denied { call, status: status_code, message }
        } else if is_transient(status) {
            Self::Unavailable { call, status: status_code, message }
        } else {
            Self::Unexpected { call, status: status_code, message }
        }
    }
}

impl Coded for Error {
    fn code(&self) -> FailureCode {
        match self {
            Self::Transport { .. }
            | Self::Unavailable { .. }
            | Self::Malformed { .. }
            | Self::Truncated { .. }
            | Self::StillScanning { .. } => FailureCode::SubmissionApiUnavailable,
            Self::NotAllowed { .. } | Self::Denied { .. } => FailureCode::SubmissionApiDenied,
            Self::NotFound { .. } => FailureCode::SubmissionNotFound,
            Self::TooLarge { .. } => FailureCode::ArchiveTooLarge,
            Self::Unexpected { .. }
            | Self::Sink { .. }
            | Self::Client { .. }
            | Self::Secret { .. }
            | Self::Credentials { .. } => FailureCode::Internal,
        }
    }
}

fn is_transient(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS)
}

/// The beginning of a text that can come from an answer, without control characters.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(MAX_SHOWN_CHARACTERS).map(|char| if char.is_control() { ' ' } else { char }).collect()
}

fn quoted(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" ({})", message.escape_debug()) }
}

fn of_announced(announced: Option<u64>) -> String {
    announced.map_or_else(String::new, |announced| format!(" of {announced}"))
}
