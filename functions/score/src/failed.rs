//! Why a part of a submission could not be judged. Pure.

use serde::{Deserialize, Serialize};
use shared::records::Part;
use shared::{FailureCode, Fault};

use crate::request::ErrorOutput;

/// Characters of a message that are kept.
const MAX_MESSAGE_CHARS: usize = 2000;

/// A part that could not be judged, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The part.
    pub part: Part,
    /// The failure's stable name.
    pub code: FailureCode,
    /// Who has to do something about it.
    pub fault: Fault,
    /// What happened and what to do.
    pub message: String,
}

/// What this function answers with when it fails.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionError {
    error_message: String,
}

impl Failed {
    /// What a state's error means: one of this function says so itself; any other is the platform's fault.
    #[must_use]
    pub fn of(part: Part, error: &ErrorOutput) -> Self {
        let said = serde_json::from_str::<FunctionError>(&error.cause).ok();
        let (code, message) = match (FailureCode::from_name(&error.error), said) {
            (Some(code), Some(said)) => (code, said.error_message),
            _ if error.error.contains("ParameterNotFound") => {
                (FailureCode::ScoringFault, "The round has no SSM parameter that says how it is scored.".to_owned())
            }
            _ => {
                let message = format!("A step of scoring failed with {}; its log says more.", error.error);
                (FailureCode::ScoringFault, message)
            }
        };
        Self { part, code, fault: code.fault(), message: message.chars().take(MAX_MESSAGE_CHARS).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(error: &str, cause: &str) -> (FailureCode, Fault, String) {
        let error = ErrorOutput { error: error.to_owned(), cause: cause.to_owned() };
        let failed = Failed::of(Part::Concordance, &error);
        (failed.code, failed.fault, failed.message)
    }

    #[test]
    fn an_error_of_this_function_says_itself_what_it_is() {
        let cause = r#"{"errorType":"PredictionsInvalid","errorMessage":"line 3: 0 fields"}"#;
        let expected = (FailureCode::PredictionsInvalid, Fault::Participant, "line 3: 0 fields".to_owned());
        assert_eq!(failed("PredictionsInvalid", cause), expected);
    }

    #[test]
    fn any_other_error_is_the_platforms() {
        for (error, cause, says) in [
            ("Ssm.ParameterNotFoundException", "no such parameter", "has no SSM parameter"),
            ("States.Timeout", "", "failed with States.Timeout"),
            ("PredictionsInvalid", "no JSON", "failed with PredictionsInvalid"),
        ] {
            let (code, fault, message) = failed(error, cause);
            assert_eq!((code, fault), (FailureCode::ScoringFault, Fault::Platform));
            assert!(message.contains(says), "{message}");
        }
    }
}
