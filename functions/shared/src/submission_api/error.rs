//! What can go wrong with the Submission API, and what to do about it.

use std::io;

use reqwest::StatusCode;

use crate::{Failure, FailureCode};

/// A call that came to nothing. The texts name the call, never a token, a secret or a signed address.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection failed, broke or took too long.
    #[error(
        "{call} got no answer from the Submission API. The step is tried again; if that does not help, check \
             SUBMISSION_API_URL, AUTH0_URL and the network between them and the function"
    )]
    Transport {
        /// The call.
        call: String,
        /// What happened.
        source: reqwest::Error,
    },
    /// The API or its token service is overloaded or broken.
    #[error("{call} was answered with status {status}{}. The step is tried again; if that does not help, the Submission \
             API or its token service is down", said(.message))]
    Unavailable {
        /// The call.
        call: String,
        /// The HTTP status.
        status: u16,
        /// The API's own words, up to 200 characters.
        message: String,
    },
    /// The answer is not what the API's documentation promises.
    #[error(
        "{call} was answered with something unreadable ({reason}). The step is tried again; if that does not help, \
             check that SUBMISSION_API_URL and AUTH0_URL name the right services"
    )]
    Malformed {
        /// The call.
        call: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The download broke off.
    #[error("{call} broke off after {received} bytes{}. The step is tried again", of_announced(*.announced))]
    Truncated {
        /// The call.
        call: String,
        /// Bytes that arrived.
        received: u64,
        /// Bytes that were announced.
        announced: Option<u64>,
        /// What happened, if it was an error.
        source: Option<reqwest::Error>,
    },
    /// The antivirus scan is not recorded yet.
    #[error(
        "{call}: the Submission API still counts the submission as being scanned. The step is tried again; if that \
             does not help, look at the submission's antivirus review"
    )]
    StillScanning {
        /// The call.
        call: String,
    },
    /// The API does not give the submission out.
    #[error(
        "{call}: the Submission API does not allow this submission to be downloaded. Look at its antivirus review \
             and at the rights of the processor's client"
    )]
    NotAllowed {
        /// The call.
        call: String,
    },
    /// A new token, or the request for one, was refused.
    #[error("{call} was refused with status {status}{}. Check the credentials in the secret AUTH0_SECRET_ARN, \
             AUTH0_AUDIENCE, and the scopes that the client is granted", said(.message))]
    Denied {
        /// The call.
        call: String,
        /// The HTTP status.
        status: u16,
        /// The API's own words, up to 200 characters.
        message: String,
    },
    /// There is no such submission.
    #[error(
        "{call}: the Submission API knows no such submission. It was deleted, or the message that announced it is \
             about another environment"
    )]
    NotFound {
        /// The call.
        call: String,
    },
    /// The answer has a status that a retry does not change.
    #[error("{call} was answered with status {status}{}. Check that SUBMISSION_API_URL and AUTH0_URL name the right \
             services", said(.message))]
    Unexpected {
        /// The call.
        call: String,
        /// The HTTP status.
        status: u16,
        /// The API's own words, up to 200 characters.
        message: String,
    },
    /// What was submitted is larger than allowed.
    #[error(
        "the submission has more than {limit} bytes, which is the most an archive may have. Leave data and models \
             that training does not need out of it and submit again"
    )]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// What was downloaded could not be written.
    #[error("the download could not be written. Give the function more ephemeral storage than MAX_ARCHIVE_BYTES")]
    Sink {
        /// What happened.
        source: io::Error,
    },
    /// No client could be made.
    #[error("no HTTPS client could be made: the function's machine lacks usable certificates")]
    Client {
        /// What happened.
        source: reqwest::Error,
    },
}

impl Error {
    pub(super) fn transport(call: &str, source: reqwest::Error) -> Self {
        Self::Transport { call: call.to_owned(), source: source.without_url() }
    }

    pub(super) fn truncated(call: String, received: u64, announced: Option<u64>, source: reqwest::Error) -> Self {
        Self::Truncated { call, received, announced, source: Some(source.without_url()) }
    }

    /// The error that a status of the API stands for.
    pub(super) fn of_status(call: String, status: StatusCode, message: String) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound { call },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Denied { call, status: status.as_u16(), message },
            _ if is_transient(status) => Self::Unavailable { call, status: status.as_u16(), message },
            _ => Self::Unexpected { call, status: status.as_u16(), message },
        }
    }

    /// The error that a status of the token service stands for.
    pub(super) fn of_token_service(call: &str, status: StatusCode, message: String) -> Self {
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

    /// The failure's stable name.
    #[must_use]
    pub fn code(&self) -> FailureCode {
        match self {
            Self::Transport { .. }
            | Self::Unavailable { .. }
            | Self::Malformed { .. }
            | Self::Truncated { .. }
            | Self::StillScanning { .. } => FailureCode::SubmissionApiUnavailable,
            Self::NotAllowed { .. } | Self::Denied { .. } => FailureCode::SubmissionApiDenied,
            Self::NotFound { .. } => FailureCode::SubmissionNotFound,
            Self::TooLarge { .. } => FailureCode::ArchiveTooLarge,
            Self::Unexpected { .. } | Self::Sink { .. } | Self::Client { .. } => FailureCode::Internal,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = Self::new(error.code(), capitalised(&error.to_string()) + ".");
        match error {
            Error::Transport { source, .. }
            | Error::Client { source }
            | Error::Truncated { source: Some(source), .. } => failure.caused_by(source),
            Error::Sink { source } => failure.caused_by(source),
            _ => failure,
        }
    }
}

fn is_transient(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS)
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" ({})", message.escape_debug()) }
}

fn of_announced(announced: Option<u64>) -> String {
    announced.map_or_else(String::new, |announced| format!(" of {announced}"))
}

fn capitalised(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
