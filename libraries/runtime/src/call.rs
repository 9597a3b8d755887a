//! AWS calls that failed.

use std::error::Error;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::failure::causes;

/// An AWS call that failed after the SDK's own retries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{service} {operation} failed with {code}{}", with_message(.message))]
pub struct CallFailed {
    pub service: &'static str,
    pub operation: &'static str,
    /// The service's name for the error; without a valid answer `Timeout`, `NoConnection`, `InvalidAnswer` or
    /// `InvalidRequest`.
    pub code: String,
    /// The service's or the client's message. May be empty.
    pub message: String,
}

impl CallFailed {
    pub fn new<E, R>(service: &'static str, operation: &'static str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        let (code, message) = match error {
            SdkError::ServiceError(failed) => {
                let error = failed.err();
                (error.code().unwrap_or("Unknown"), error.message().unwrap_or_default().to_owned())
            }
            SdkError::TimeoutError(_) => ("Timeout", causes(error)),
            SdkError::DispatchFailure(_) => ("NoConnection", causes(error)),
            SdkError::ResponseError(_) => ("InvalidAnswer", causes(error)),
            _ => ("InvalidRequest", causes(error)),
        };
        Self { service, operation, code: code.to_owned(), message }
    }
}

fn with_message(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("never shown")]
    struct Refused(ErrorMetadata);

    impl ProvideErrorMetadata for Refused {
        fn meta(&self) -> &ErrorMetadata {
            &self.0
        }
    }

    #[test]
    fn a_failed_call_shows_service_operation_code_and_message() {
        let metadata = ErrorMetadata::builder().code("NoSuchBucket").message("The bucket does not exist").build();
        let refused = SdkError::service_error(Refused(metadata), ());
        let failed = CallFailed::new("S3", "PutObject", &refused);
        assert_eq!(failed.to_string(), "S3 PutObject failed with NoSuchBucket: The bucket does not exist");
        let unnamed = SdkError::service_error(Refused(ErrorMetadata::builder().build()), ());
        assert_eq!(CallFailed::new("S3", "PutObject", &unnamed).to_string(), "S3 PutObject failed with Unknown");
    }

    #[test]
    fn a_call_without_an_answer_shows_why() {
        let error = SdkError::<Refused, ()>::timeout_error("20 seconds passed");
        assert_eq!(
            CallFailed::new("ECR", "CreateRepository", &error).to_string(),
            "ECR CreateRepository failed with Timeout: 20 seconds passed"
        );
    }
}
