//! Failures of the nested execution that scores a submission.

use domain::{FailureCode, StepError};

use super::{Classification, own};

/// The nested execution fails with a failure code as its error's name. Any other end is scoring's fault as well.
pub(super) fn classify(error: &StepError) -> Classification {
    // The cause of `startExecution.sync:2` is the execution with its own `Error` and `Cause`.
    if let Ok(execution) = serde_json::from_str::<StepError>(&error.cause)
        && let Some(code) = FailureCode::from_name(&execution.error)
    {
        return own(code, &execution.cause);
    }
    Classification::new(
        FailureCode::ScoringFault,
        "The model was trained, but its predictions could not be scored because of a problem with the platform. The operators have been alerted. You do not need to change the submission or submit it again.",
    )
    .reporting(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_execution_reports_its_own_code_and_message() {
        let error = |cause: &str| StepError { error: "States.TaskFailed".to_owned(), cause: cause.to_owned() };
        let execution = serde_json::json!({
            "ExecutionArn": "arn", "Status": "FAILED", "Error": "PredictionsInvalid",
            "Cause": r#"{"errorType":"PredictionsInvalid","errorMessage":"Row 3 has no id."}"#,
        });
        let classification = classify(&error(&execution.to_string()));
        assert_eq!(
            (classification.code, &*classification.message),
            (FailureCode::PredictionsInvalid, "Row 3 has no id.")
        );
        let aborted = classify(&error(r#"{"Status":"ABORTED"}"#));
        assert_eq!(aborted.code, FailureCode::ScoringFault);
        assert!(aborted.detail.is_some_and(|detail| detail.contains("ABORTED")));
    }
}
