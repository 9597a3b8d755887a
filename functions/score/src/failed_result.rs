//! Why a result is missing.

use domain::{FailureCode, Fault, StepError};
use records::ResultKind;
use serde::{Deserialize, Serialize};

/// A longer message is cut.
const MAX_MESSAGE_CHARS: usize = 2000;

/// A result that could not be scored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedResult {
    pub result: ResultKind,
    pub code: FailureCode,
    pub fault: Fault,
    /// What happened and what to do next.
    pub message: String,
}

/// The `Cause` of a Lambda function that answered with an error.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionError {
    error_message: String,
}

impl FailedResult {
    /// Takes code and message from an error of this function. Any other error is the platform's fault. `settings` is the name
    /// of the SSM parameter with the challenge's settings.
    #[must_use]
    pub fn from_step_error(result: ResultKind, error: &StepError, settings: &str) -> Self {
        let function_error = serde_json::from_str::<FunctionError>(&error.cause).ok();
        let (code, message) = match (FailureCode::from_name(&error.error), function_error) {
            (Some(code), Some(function_error)) => (code, function_error.error_message),
            _ if error.error.starts_with("Ssm.ParameterNotFound") => {
                let message = format!(
                    "The settings of the challenge, the SSM parameter {settings}, were not found. Create the parameter, then redrive the execution."
                );
                (FailureCode::ScoringFault, message)
            }
            _ => {
                let name = &error.error;
                let message = format!(
                    "A step of scoring failed with {name}. Read the log of the function score, then redrive the execution."
                );
                (FailureCode::ScoringFault, message)
            }
        };
        Self { result, code, fault: code.fault(), message: message.chars().take(MAX_MESSAGE_CHARS).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(error: &str, cause: &str) -> (FailureCode, Fault, String) {
        let error = StepError { error: error.to_owned(), cause: cause.to_owned() };
        let failed = FailedResult::from_step_error(ResultKind::Concordance, &error, "/mm/challenges/r1");
        (failed.code, failed.fault, failed.message)
    }

    #[test]
    fn an_error_of_this_function_keeps_its_code_and_message() {
        let cause = r#"{"errorType":"PredictionsInvalid","errorMessage":"Line 3 has no fields."}"#;
        let expected = (FailureCode::PredictionsInvalid, Fault::Participant, "Line 3 has no fields.".to_owned());
        assert_eq!(failed("PredictionsInvalid", cause), expected);
    }

    #[test]
    fn any_other_error_is_the_platforms_fault() {
        for (error, cause, says) in [
            ("Ssm.ParameterNotFoundException", "not found", "the SSM parameter /mm/challenges/r1, were not found"),
            ("States.Timeout", "", "failed with States.Timeout"),
            ("PredictionsInvalid", "not JSON", "failed with PredictionsInvalid"),
        ] {
            let (code, fault, message) = failed(error, cause);
            assert_eq!((code, fault), (FailureCode::ScoringFault, Fault::Platform));
            assert!(message.contains(says), "{message}");
        }
    }
}
