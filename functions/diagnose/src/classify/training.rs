//! Failures of SageMaker and of training jobs. Statuses and reasons:
//! <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html>.

use serde::Deserialize;
use shared::FailureCode;

use super::{Classification, LogStream, StepError, unexpected};

const LOG_GROUP: &str = "/aws/sagemaker/TrainingJobs";
const SERVICE_FAULT: &str = "The model could not be trained because the training service failed. The operators have been alerted; there is nothing to change in the submission.";

/// A training job, as far as a diagnosis needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TrainingJob {
    /// Its name.
    #[serde(default)]
    pub training_job_name: String,
    /// Its status, such as `Failed`.
    pub training_job_status: String,
    /// What it was doing, or why it was stopped.
    pub secondary_status: Option<String>,
    /// Why it failed.
    #[serde(default)]
    pub failure_reason: String,
}

impl TrainingJob {
    pub(super) fn log(&self) -> Option<LogStream> {
        let name = &self.training_job_name;
        let prefix = format!("{name}/algo-1-");
        (!name.is_empty()).then(|| LogStream::StartingWith { group: LOG_GROUP.to_owned(), prefix })
    }
}

pub(super) fn classify(error: &StepError) -> Classification {
    // CreateTrainingJob's refusals and the service's troubles come under one name; the cause has the HTTP status.
    let passes = ["Throttling", "Rate exceeded", "Status Code: 5"].iter().any(|sign| error.cause.contains(sign));
    match error.error.as_str() {
        "SageMaker.ResourceLimitExceededException" => Classification::new(
            FailureCode::QuotaExceeded,
            "All training machines are in use. The training starts by itself when one is free.",
        )
        .detail(error.cause.clone())
        .retry_after(300),
        name if name.starts_with("SageMaker.") && (passes || name != "SageMaker.AmazonSageMakerException") => {
            service_fault(error).retry_after(60)
        }
        // Whatever else SageMaker answers to CreateTrainingJob is a refused argument: the same again is refused again.
        name if name.starts_with("SageMaker.") => service_fault(error),
        // An answer that lacks what is read from it arrives as a QueryEvaluationError.
        "States.Timeout" | "States.HeartbeatTimeout" | "States.QueryEvaluationError" => {
            service_fault(error).retry_after(60)
        }
        _ => unexpected(error),
    }
}

fn service_fault(error: &StepError) -> Classification {
    Classification::new(FailureCode::TrainingServiceFault, SERVICE_FAULT)
        .detail(format!("{}: {}", error.error, error.cause))
}

/// What a training job that failed means.
pub(super) fn failed(job: &TrainingJob) -> Classification {
    let reason = job.failure_reason.as_str();
    let secondary = job.secondary_status.as_deref().unwrap_or_default();
    let says = |part: &str| reason.contains(part);
    let classification = if says("CapacityError") || matches!(secondary, "Interrupted" | "MaxWaitTimeExceeded") {
        Classification::new(
            FailureCode::CapacityUnavailable,
            "No training machine was available. There is nothing to change in the submission.",
        )
        .retry_after(300)
    } else if says("InternalServerError") {
        Classification::new(FailureCode::TrainingServiceFault, SERVICE_FAULT).retry_after(60)
    } else if secondary == "MaxRuntimeExceeded" {
        Classification::new(
            FailureCode::TrainingTimedOut,
            "Training ran longer than is allowed and was stopped. Train for fewer rounds or on fewer rows, or save the model and end in time, and submit again.",
        )
    } else if says("instance type with more memory")
        || says("Out of Memory")
        || says("OutOfMemory")
        || says("exit code: 137")
    {
        Classification::new(
            FailureCode::TrainingOutOfMemory,
            "Training needed more memory than the machine has and was killed. Load the data in parts or use smaller types and batches, and submit again.",
        )
    } else if job.training_job_status == "Stopped" {
        Classification::new(
            FailureCode::TrainingServiceFault,
            "Training was stopped by an operator. There is nothing to change in the submission.",
        )
    } else if says("CannotStartContainerError")
        || says("exec format error")
        || says("exit code: 127")
        || says("exit code: 126")
    {
        Classification::new(
            FailureCode::ImageUnusable,
            "The image could not be started as `train`. Put an executable named `train` on the PATH (or make it the entry point) for linux/amd64, try it with `docker run IMAGE train`, and submit again.",
        )
    } else {
        Classification::new(
            FailureCode::TrainingFailed,
            "The training program ended with an error. Its last lines show why; mend it, rehearse it on your own machine and submit again.",
        )
    };
    classification.detail(reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::outcome::Step;

    use super::*;
    use crate::classify::{Described, classify as classify_step};

    #[test]
    fn the_reason_and_the_secondary_status_tell_whose_fault_it_is() {
        for (status, secondary, reason, code, retried) in [
            ("Failed", "Failed", "AlgorithmError: , exit code: 1", FailureCode::TrainingFailed, false),
            ("Failed", "Failed", "AlgorithmError: , exit code: 137", FailureCode::TrainingOutOfMemory, false),
            ("Failed", "Failed", "AlgorithmError: , exit code: 127", FailureCode::ImageUnusable, false),
            (
                "Failed",
                "Failed",
                "ClientError: Please use an instance type with more memory",
                FailureCode::TrainingOutOfMemory,
                false,
            ),
            (
                "Failed",
                "Failed",
                "CapacityError: Unable to provision requested ML compute capacity",
                FailureCode::CapacityUnavailable,
                true,
            ),
            (
                "Failed",
                "Failed",
                "InternalServerError: We encountered an internal error",
                FailureCode::TrainingServiceFault,
                true,
            ),
            ("Stopped", "MaxRuntimeExceeded", "", FailureCode::TrainingTimedOut, false),
            ("Stopped", "MaxWaitTimeExceeded", "", FailureCode::CapacityUnavailable, true),
            ("Stopped", "Interrupted", "", FailureCode::CapacityUnavailable, true),
            ("Stopped", "Stopped", "", FailureCode::TrainingServiceFault, false),
        ] {
            let cause = json!({"TrainingJobName": "x-0-1", "TrainingJobStatus": status, "SecondaryStatus": secondary, "FailureReason": reason});
            let error = StepError { error: "States.TaskFailed".to_owned(), cause: cause.to_string() };
            let described = error.described(Step::TrainModel);
            let classification = classify_step(Step::TrainModel, &error, described.as_ref());
            assert_eq!(classification.code, code, "{reason} {secondary}");
            assert_eq!(classification.retry_after_seconds.is_some(), retried, "{reason} {secondary}");
            let prefix = "x-0-1/algo-1-".to_owned();
            assert_eq!(
                described.and_then(|job: Described| job.log()),
                Some(LogStream::StartingWith { group: LOG_GROUP.to_owned(), prefix })
            );
        }
    }

    #[test]
    fn throttling_is_retried_and_a_refused_argument_is_not() {
        let refused = |cause: &str| {
            classify(&StepError { error: "SageMaker.AmazonSageMakerException".to_owned(), cause: cause.to_owned() })
        };
        assert_eq!(refused("ThrottlingException: Rate exceeded").retry_after_seconds, Some(60));
        assert_eq!(refused("(Status Code: 503; Error Code: ServiceUnavailable)").retry_after_seconds, Some(60));
        assert_eq!(refused("ValidationException: 1 validation error").retry_after_seconds, None);
    }
}
