//! Failures of SageMaker and of training jobs. Statuses and reasons:
//! <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html>.

use domain::{FailureCode, StepError};

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
        _ => by_reason(&job.failure_reason),
    };
    classification.detail(job.failure_reason.as_str())
}

/// Only `AlgorithmError` is followed by words of the program: its failure file, then its exit status. All other words are the
/// service's. It also blames the client for roles, keys, data and images, which are not the participant's.
fn by_reason(reason: &str) -> Classification {
    if let Some(program) = reason.strip_prefix("AlgorithmError:") {
        return of_program(program.trim());
    }
    let begins = |start: &str| reason.starts_with(start);
    if begins("CapacityError:") {
        no_capacity()
    } else if begins("InternalServerError:") {
        Classification::new(FailureCode::TrainingServiceFault, SERVICE_FAULT).retry(Retry::Fault { first: 60 })
    } else if begins("ClientError: Please use an instance type with more memory") {
        out_of_memory()
    } else if begins("ClientError: Artifact upload failed:Insufficient disk space") {
        Classification::new(
            FailureCode::TrainingFailed,
            "Training filled the disk of the machine, so the model could not be stored. Write less to /opt/ml, then submit again.",
        )
    } else if begins("ClientError: Artifact upload failed:API error (400): OCI runtime create failed") {
        unusable()
    } else {
        Classification::new(FailureCode::TrainingServiceFault, SERVICE_FAULT)
    }
}

/// Classifies the failure of the program `train`.
fn of_program(text: &str) -> Classification {
    // The service adds the exit status, so it is the last one in the text.
    let lower = text.to_ascii_lowercase();
    let status = lower.rsplit_once("exit code:").map(|(_, status)| status.trim());
    match status {
        Some("137") => out_of_memory(),
        Some("126" | "127") => unusable(),
        _ if text.starts_with("CannotStartContainerError") => unusable(),
        _ => Classification::new(
            FailureCode::TrainingFailed,
            "The training program ended with an error. The last lines of the log show why. Fix the error, test the program on your own machine, then submit again.",
        ),
    }
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

pub(super) fn unusable() -> Classification {
    Classification::new(
        FailureCode::ImageUnusable,
        "The image could not run `train`: it was not found on the PATH, is not executable, or its interpreter was not found. Put `train` on the PATH or make it the entry point, and add `RUN chmod 755 PATH_OF_TRAIN` to the Dockerfile. If it is a script, install the interpreter that its first line names, and save it with Unix line endings: with Windows line endings, the interpreter is not found. Build the image for linux/amd64, check it with `docker run IMAGE train`, then submit again.",
    )
}

/// Whether the container runtime wrote the only line of the log, because it could not execute the program: see
/// <https://github.com/opencontainers/runc/blob/main/libcontainer/standard_init_linux.go>. Before version 1.1 of runc, the
/// line began with the name of this file.
pub(super) fn never_started<'a>(lines: impl Iterator<Item = &'a str>) -> bool {
    let mut lines = lines.filter(|line| !line.trim().is_empty());
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let line = line.trim_end().trim_end_matches('"');
    let reasons = ["no such file or directory", "exec format error", "permission denied"];
    ["exec ", "standard_init_linux.go:"].iter().any(|start| line.starts_with(start))
        && reasons.iter().any(|reason| line.ends_with(reason))
}

#[cfg(test)]
mod tests {
    use domain::outcome::Step;
    use serde_json::json;

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
    fn the_only_line_of_the_container_runtime_says_that_the_program_never_started() {
        for line in [
            "exec /bin/train: no such file or directory",
            "exec train: exec format error\r",
            "standard_init_linux.go:228: exec user process caused: no such file or directory",
            "standard_init_linux.go:211: exec user process caused \"exec format error\"",
        ] {
            assert!(never_started([line, ""].into_iter()), "{line}");
            assert!(!never_started(["hello", line].into_iter()), "the program wrote a line before it");
        }
        assert!(!never_started(std::iter::empty()) && !never_started(["exec /bin/train"].into_iter()));
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
