//! Failures of SageMaker and of training jobs. Statuses and reasons:
//! <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html>.

use domain::{FailureCode, StepError};

use super::not_run::{NotRun, unusable};
use super::{Classification, service_error, unexpected};
use crate::job::TrainingJob;
use crate::retry::Retry;

const SERVICE_FAULT: &str = "The model could not be trained because the training service failed. The operators have been alerted. You do not need to change the submission or submit it again.";

pub(super) fn classify(error: &StepError) -> Classification {
    match error.error.as_str() {
        "SageMaker.ResourceLimitExceededException" => Classification::new(
            FailureCode::QuotaExceeded,
            "The model could not be trained because all training machines were in use. The operators have been alerted. You do not need to change the submission or submit it again.",
        )
        .detail(error.cause.clone())
        .retry(Retry::Wait { first: 300 }),
        // Throttling, a failure of the service and a refused argument have the same name.
        "SageMaker.AmazonSageMakerException" if !service_error::is_temporary(&error.cause) => service_fault(error),
        "SageMaker.ResourceNotFoundException" => service_fault(error),
        // ResourceInUseException too: the answer about a job of this name was lost, and the next attempt has another name.
        name if name.starts_with("SageMaker.") => service_fault(error).retry(Retry::Fault { first: 60 }),
        // An answer without a field that the state machine reads arrives as a QueryEvaluationError.
        "States.Timeout" | "States.HeartbeatTimeout" | "States.QueryEvaluationError" => {
            service_fault(error).retry(Retry::Fault { first: 60 })
        }
        _ => unexpected(error),
    }
}

fn service_fault(error: &StepError) -> Classification {
    Classification::new(FailureCode::TrainingServiceFault, SERVICE_FAULT).reporting(error)
}

/// Classifies a training job that failed.
pub(super) fn failed(job: &TrainingJob) -> Classification {
    let secondary = job.secondary_status.as_deref().unwrap_or_default();
    let classification = match (job.training_job_status.as_str(), secondary) {
        (_, "MaxRuntimeExceeded") => timed_out(job),
        (_, "MaxWaitTimeExceeded" | "Interrupted") => no_capacity(),
        ("Stopped", _) => Classification::new(
            FailureCode::Aborted,
            "An operator stopped the training. You do not need to change the submission or submit it again. The operators will decide whether to continue.",
        ),
        _ => by_reason(&job.failure_reason, job.has_started),
    };
    classification.detail(detail(&job.failure_reason))
}

/// The reason without the service's word for a program's failure, which means nothing to participants.
fn detail(reason: &str) -> &str {
    reason.strip_prefix("AlgorithmError:").unwrap_or(reason).trim_start_matches([' ', ','])
}

/// Only `AlgorithmError` is followed by words of the program: its failure file, then its exit status. All other words are the
/// service's. It also blames the client for roles, keys, data and images, which are not the participant's.
fn by_reason(reason: &str, may_have_run: bool) -> Classification {
    if let Some(program) = reason.strip_prefix("AlgorithmError:") {
        return of_program(program.trim());
    }
    let begins = |start: &str| reason.starts_with(start);
    if begins("CapacityError:") {
        no_capacity()
    } else if begins("InternalServerError:") {
        // A program that has run may have damaged its machine.
        let retry = if may_have_run { Retry::Once { after: 300 } } else { Retry::Fault { first: 60 } };
        Classification::new(FailureCode::TrainingServiceFault, SERVICE_FAULT).retry(retry)
    } else if begins("ClientError: Please use an instance type with more memory") {
        out_of_memory()
    } else if begins("ClientError: Artifact upload failed:Insufficient disk space") {
        Classification::new(
            FailureCode::TrainingFailed,
            "Training filled the disk of the machine, so the model could not be stored. Write less to /opt/ml, then submit again.",
        )
    } else if begins("ClientError: Artifact upload failed:API error (400): OCI runtime create failed") {
        unusable(None)
    } else {
        Classification::new(FailureCode::TrainingServiceFault, SERVICE_FAULT)
    }
}

/// Classifies the failure of the program `train`.
fn of_program(text: &str) -> Classification {
    let (reason, status) = reason_and_status(text);
    match status {
        "137" => out_of_memory(),
        _ if text.starts_with("CannotStartContainerError") => unusable(None),
        _ => match NotRun::of_exit_status(status) {
            Some(why) => unusable(Some(why)),
            None if reason.is_empty() => ended_with_error("The last lines of the log show why."),
            None => ended_with_error("The detail is what it wrote to /opt/ml/output/failure."),
        },
    }
}

/// What the program wrote, and its exit status, which the service adds at the end.
fn reason_and_status(text: &str) -> (&str, &str) {
    let Some(at) = text.to_ascii_lowercase().rfind("exit code:") else { return (text, "") };
    (text[..at].trim().trim_end_matches(',').trim(), text[at + "exit code:".len()..].trim())
}

fn ended_with_error(why: &str) -> Classification {
    Classification::new(
        FailureCode::TrainingFailed,
        format!(
            "The training program ended with an error. {why} Fix the error, test the program on your own machine, then submit again."
        ),
    )
}

/// The program wrote to the log, so it ran and the exit status 126 or 127 is its own.
pub(super) fn ran() -> Classification {
    ended_with_error(
        "Its exit status usually means that it started another program that was not found or is not executable. The last lines of the log show which.",
    )
}

fn no_capacity() -> Classification {
    Classification::new(
        FailureCode::CapacityUnavailable,
        "No training machine was available. The operators have been alerted. You do not need to change the submission or submit it again.",
    )
    .retry(Retry::Wait { first: 300 })
}

fn timed_out(job: &TrainingJob) -> Classification {
    let seconds = job.stopping_condition.as_ref().and_then(|condition| condition.max_runtime_in_seconds);
    let limit = seconds.map(|seconds| format!(" of {seconds} s")).unwrap_or_default();
    Classification::new(
        FailureCode::TrainingTimedOut,
        format!(
            "Training exceeded its time limit{limit} and was stopped. Train for fewer iterations or on fewer rows, or make `train` save the model and exit before the limit, then submit again."
        ),
    )
}

fn out_of_memory() -> Classification {
    Classification::new(
        FailureCode::TrainingOutOfMemory,
        "Training needed more memory than the machine has and was stopped. Load the data in parts, or use smaller data types and batches, then submit again.",
    )
}

#[cfg(test)]
mod tests {
    use domain::outcome::Step;
    use serde_json::{Value, json};

    use super::*;
    use crate::classify::classify as classify_step;
    use crate::job::Job;

    #[test]
    fn the_reason_and_the_secondary_status_decide_whose_fault_it_is() {
        use FailureCode::{
            Aborted, CapacityUnavailable, ImageUnusable, TrainingFailed, TrainingOutOfMemory, TrainingServiceFault,
            TrainingTimedOut,
        };
        for (status, secondary, reason, code, is_retried) in [
            ("Failed", "Failed", "AlgorithmError: , exit code: 1", TrainingFailed, false),
            ("Failed", "Failed", "AlgorithmError: , exit code: 137", TrainingOutOfMemory, false),
            ("Failed", "Failed", "AlgorithmError: , exit code: 127", ImageUnusable, false),
            (
                "Failed",
                "Failed",
                "ClientError: Please use an instance type with more memory",
                TrainingOutOfMemory,
                false,
            ),
            (
                "Failed",
                "Failed",
                "CapacityError: Unable to provision requested ML compute capacity",
                CapacityUnavailable,
                true,
            ),
            ("Failed", "Failed", "InternalServerError: We encountered an internal error", TrainingServiceFault, true),
            ("Stopped", "MaxRuntimeExceeded", "", TrainingTimedOut, false),
            ("Stopped", "MaxWaitTimeExceeded", "", CapacityUnavailable, true),
            ("Stopped", "Interrupted", "", CapacityUnavailable, true),
            ("Stopped", "Stopped", "", Aborted, false),
        ] {
            let cause = json!({"TrainingJobName": "x-0-1", "TrainingJobStatus": status,
                "SecondaryStatus": secondary, "FailureReason": reason});
            let error = StepError { error: "States.TaskFailed".to_owned(), cause: cause.to_string() };
            let job = Job::in_cause(Step::TrainModel, &error);
            let classification = classify_step(Step::TrainModel, &error, job.as_ref());
            assert_eq!(classification.code, code, "{reason} {secondary}");
            assert_eq!(classification.retry != Retry::Never, is_retried, "{reason} {secondary}");
        }
    }

    #[test]
    fn a_job_whose_program_may_have_run_is_retried_once() {
        let retry = |more: Value| {
            let mut cause = json!({"TrainingJobName": "x-0-1", "TrainingJobStatus": "Failed", "SecondaryStatus": "Failed",
                "FailureReason": "InternalServerError: We encountered an internal error"});
            cause["TrainingStartTime"] = more;
            let error = StepError { error: "States.TaskFailed".to_owned(), cause: cause.to_string() };
            classify_step(Step::TrainModel, &error, Job::in_cause(Step::TrainModel, &error).as_ref()).retry
        };
        assert_eq!(retry(Value::Null), Retry::Fault { first: 60 });
        assert_eq!(retry(json!(1_767_225_600_000_i64)), Retry::Once { after: 300 });
    }

    #[test]
    fn a_timeout_names_its_limit() {
        let cause = json!({"TrainingJobName": "x-0-1", "TrainingJobStatus": "Stopped",
            "SecondaryStatus": "MaxRuntimeExceeded", "StoppingCondition": {"MaxRuntimeInSeconds": 60}});
        let error = StepError { error: "States.TaskFailed".to_owned(), cause: cause.to_string() };
        let timed_out = classify_step(Step::TrainModel, &error, Job::in_cause(Step::TrainModel, &error).as_ref());
        assert!(
            timed_out.message.starts_with("Training exceeded its time limit of 60 s and was stopped."),
            "{}",
            timed_out.message
        );
    }

    #[test]
    fn throttling_is_retried_and_a_refused_argument_is_not() {
        let refused = |cause: &str| {
            classify(&StepError { error: "SageMaker.AmazonSageMakerException".to_owned(), cause: cause.to_owned() })
        };
        assert_eq!(refused("ThrottlingException: Rate exceeded").retry, Retry::Fault { first: 60 });
        assert_eq!(refused("ValidationException: 1 validation error").retry, Retry::Never);
    }
}
