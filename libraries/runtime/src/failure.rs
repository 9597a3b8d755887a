//! How a function fails: with a code for the state machine, a message for people, and the causes in the log.

use std::error::Error;

use domain::{Coded, FailureCode, Fault};
use lambda_runtime::Diagnostic;

/// The error as Lambda reports it: `errorType` is the failure code, `errorMessage` the text.
#[must_use]
pub fn diagnostic(error: &impl Coded) -> Diagnostic {
    Diagnostic { error_type: error.code().as_str().to_owned(), error_message: error.to_string() }
}

/// Logs an error with its chain of causes: at level info if the participant is at fault, otherwise at level error.
pub fn log(error: &impl Coded) {
    let causes = causes(error);
    let code = error.code();
    match code.fault() {
        Fault::Participant => tracing::info!(%code, causes, "{error}"),
        Fault::Platform => tracing::error!(%code, causes, "{error}"),
    }
}

/// The chain of causes as text, outermost first.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut texts = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    texts.join(": ")
}

/// A failure that was decided earlier and is only raised now.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Raised {
    pub code: FailureCode,
    pub message: String,
}

impl Coded for Raised {
    fn code(&self) -> FailureCode {
        self.code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("The file could not be read. Try again.")]
    struct Unreadable(#[source] std::io::Error);

    impl Coded for Unreadable {
        fn code(&self) -> FailureCode {
            FailureCode::Internal
        }
    }

    #[test]
    fn lambda_reports_the_code_and_the_message_without_the_causes() {
        let error = Unreadable(std::io::Error::other("secret"));
        let diagnostic = diagnostic(&error);
        assert_eq!(diagnostic.error_type, "Internal");
        assert_eq!(diagnostic.error_message, "The file could not be read. Try again.");
        assert_eq!(causes(&error), "secret");
    }
}
