//! How a function fails: with a code for the state machine, a message for people, and the causes in the log.

use std::error::Error;

use domain::{Coded, FailureCode, Fault};
use lambda_runtime::Diagnostic;

/// Characters of an error, and of its causes, that are kept.
const MAX_CHARACTERS: usize = 4000;

/// The error as Lambda reports it: `errorType` is the failure code, `errorMessage` the text.
#[must_use]
pub fn diagnostic(error: &impl Coded) -> Diagnostic {
    Diagnostic { error_type: error.code().as_str().to_owned(), error_message: redacted(error) }
}

/// Logs an error with its chain of causes: at level info if the participant is at fault, otherwise at level error.
pub fn log(error: &impl Coded) {
    let causes = redact::for_operators(&causes(error), MAX_CHARACTERS);
    let (code, error) = (error.code(), redacted(error));
    match code.fault() {
        Fault::Participant => tracing::info!(%code, causes, "{error}"),
        Fault::Platform => tracing::error!(%code, causes, "{error}"),
    }
}

/// An error can quote a name in an archive or the answer of a server, and these can have secrets.
fn redacted(error: &impl Error) -> String {
    redact::for_operators(&error.to_string(), MAX_CHARACTERS)
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
    fn lambda_reports_no_secret_that_an_error_quotes() {
        #[derive(Debug, thiserror::Error)]
        #[error("The name \"token=hunter2\" in arn:aws:s3:::x-123456789012 is not valid.")]
        struct Invalid;

        impl Coded for Invalid {
            fn code(&self) -> FailureCode {
                FailureCode::ArchiveUnsafe
            }
        }
        let expected = "The name \"token=[redacted]\" in arn:aws:s3:::x-123456789012 is not valid.";
        assert_eq!(diagnostic(&Invalid).error_message, expected);
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
