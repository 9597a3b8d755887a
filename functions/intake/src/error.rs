use lambda_runtime::Diagnostic;
use runtime::CallFailed;

/// Why Lambda has to deliver the batch again. As a Lambda error its `errorType` is the variant's name.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// A retry does not fix it: the function is behind the wrong event source.
    #[error(
        "The event has no `records`. Expected an event of an Amazon MSK or self-managed Kafka event source mapping, \
         {{\"records\": {{\"topic-partition\": [record, …]}}}}."
    )]
    EventInvalid,
    /// Whatever the reason, even a wrong setting must not lose records.
    #[error(
        "{failed} of {records} records could not start an execution and will be delivered again. The first error: {source}."
    )]
    StartExecutionFailed { failed: usize, records: usize, source: CallFailed },
    #[error(
        "{failed} of {records} records could not be quarantined and will be delivered again. The first error: {source}."
    )]
    QuarantineFailed { failed: usize, records: usize, source: CallFailed },
}

impl From<IntakeError> for Diagnostic {
    fn from(error: IntakeError) -> Self {
        let error_type = match &error {
            IntakeError::EventInvalid => "EventInvalid",
            IntakeError::StartExecutionFailed { .. } => "StartExecutionFailed",
            IntakeError::QuarantineFailed { .. } => "QuarantineFailed",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}
