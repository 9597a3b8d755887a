//! Starting one execution for a submission, and never a second.

use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use aws_sdk_sfn::primitives::DateTime;
use domain::SubmissionId;
use runtime::CallFailed;
use runtime::settings::StateMachineArn;
use serde_json::json;

/// An execution counts as another invocation's if it started more seconds than this before ours. Clocks differ by less.
const CLOCK_DIFFERENCE: f64 = 5.0;

/// What StartExecution did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started {
    New {
        /// The execution's ARN.
        execution: String,
    },
    /// The submission already has its execution.
    Duplicate,
}

/// Starts the submission's execution. Its name is the submission's AWS-safe id, and its input holds nothing but the id: a
/// redelivered message has to give the same bytes.
///
/// If the execution has ended within the last 90 days, Step Functions answers `ExecutionAlreadyExists`. If it is still
/// running, Step Functions answers with it as if it were new, and only its start date shows that it is not: an execution
/// that started more than five seconds before `began`, the start of this invocation, counts as a duplicate. A repeat within
/// five seconds counts as new, which changes nothing but the counts. See
/// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html>.
pub async fn start(
    client: &aws_sdk_sfn::Client,
    state_machine: &StateMachineArn,
    submission: &SubmissionId,
    began: DateTime,
) -> Result<Started, CallFailed> {
    let answer = client
        .start_execution()
        .state_machine_arn(state_machine.as_str())
        .name(submission.aws_safe().as_str())
        .input(input(submission))
        .send()
        .await;
    match answer {
        Ok(execution) if execution.start_date().as_secs_f64() + CLOCK_DIFFERENCE < began.as_secs_f64() => {
            Ok(Started::Duplicate)
        }
        Ok(execution) => Ok(Started::New { execution: execution.execution_arn }),
        Err(error) if error.as_service_error().is_some_and(StartExecutionError::is_execution_already_exists) => {
            Ok(Started::Duplicate)
        }
        Err(error) => Err(CallFailed::new("Step Functions", "StartExecution", &error)),
    }
}

/// The input of a submission's execution.
#[must_use]
pub fn input(submission: &SubmissionId) -> String {
    json!({ "submissionId": submission }).to_string()
}
