//! What the failure of a nested execution of scoring means.

use serde::Deserialize;
use shared::FailureCode;

use super::{Classification, StepError, own};

/// A failed execution as `startExecution.sync:2` gives it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Execution {
    #[serde(default)]
    error: String,
    #[serde(default)]
    cause: String,
}

/// The execution fails with a failure code as its error's name; anything else is scoring's fault as well.
pub(super) fn classify(error: &StepError) -> Classification {
    if let Ok(execution) = serde_json::from_str::<Execution>(&error.cause)
        && let Some(code) = FailureCode::from_name(&execution.error)
    {
        return own(code, &execution.cause);
    }
    Classification::new(
        FailureCode::ScoringFault,
        "The model was trained, but its predictions could not be judged. The operators have been alerted; there is nothing to change in the submission.",
    )
    .detail(format!("{}: {}", error.error, error.cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_execution_says_itself_what_happened() {
        let error = |cause: &str| StepError { error: "States.TaskFailed".to_owned(), cause: cause.to_owned() };
        let said = serde_json::json!({
            "ExecutionArn": "arn", "Status": "FAILED", "Error": "ScoringFault",
            "Cause": r#"{"errorType":"ScoringFault","errorMessage":"There is no truth.csv."}"#,
        });
        let classification = classify(&error(&said.to_string()));
        assert_eq!(
            (classification.code, &*classification.message),
            (FailureCode::ScoringFault, "There is no truth.csv.")
        );
        let aborted = classify(&error(r#"{"Status":"ABORTED"}"#));
        assert_eq!(aborted.code, FailureCode::ScoringFault);
        assert!(aborted.detail.is_some_and(|detail| detail.contains("ABORTED")));
    }
}
