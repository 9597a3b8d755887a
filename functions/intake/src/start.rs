//! Starting one execution for a submission, and never a second.

use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use aws_sdk_sfn::primitives::DateTime;
use serde::Serialize;
use shared::SubmissionId;

use crate::clients::CallFailed;
use crate::settings::StateMachineArn;

/// Seconds that an execution must be older than the invocation to count as another's: more than clocks differ by.
const CLOCK_DIFFERENCE: f64 = 5.0;

/// What became of a submission that was to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started {
    /// An execution was started.
    New {
        /// Its ARN.
        execution: String,
    },
    /// The submission had its execution already.
    Duplicate,
}

/// The execution's input. A redelivered message must yield the same bytes, so there is nothing in it but the id.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Input<'a> {
    submission_id: &'a SubmissionId,
}

/// Starts the submission's execution, which bears the submission's AWS-safe id for a name.
///
/// Step Functions answers a repeated start with `ExecutionAlreadyExists` once the execution has ended (for 90 days), and
/// with the running execution, as if it were new, before that: then only its start date tells. One that was started
/// more than five seconds before `began`, the start of this invocation, counts as a duplicate; a repeat within those
/// five seconds is taken for a new one, which only shifts the counts. See
/// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html>.
pub async fn start(
    client: &aws_sdk_sfn::Client,
    state_machine: &StateMachineArn,
    submission: &SubmissionId,
    began: DateTime,
) -> Result<Started, CallFailed> {
    let input = serde_json::to_string(&Input { submission_id: submission }).unwrap_or_default();
    let answer = client
        .start_execution()
        .state_machine_arn(state_machine.as_str())
        .name(submission.aws_safe().as_str())
        .input(input)
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
        Err(error) => Err(CallFailed::new("Step Functions", &error)),
    }
}
