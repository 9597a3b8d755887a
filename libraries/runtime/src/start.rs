//! How functions start and answer.

use std::process::ExitCode;

use domain::{Coded, FailureCode, SubmissionId};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::Instrument;

use crate::failure::{self, Raised};
use crate::logging;

/// Starts the log and runs the function. Logs why it cannot start or has to stop.
pub async fn run(function: impl Future<Output = Result<(), lambda_runtime::Error>>) -> ExitCode {
    logging::start();
    match function.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("the function stopped: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Passes events to the handler until Lambda ends the process.
///
/// # Errors
///
/// When the Runtime API cannot be reached.
pub async fn serve<Event, Answer, E>(
    handler: impl AsyncFn(Event) -> Result<Answer, E>,
) -> Result<(), lambda_runtime::Error>
where
    Event: DeserializeOwned,
    Answer: Serialize,
    E: Coded,
{
    let answer = async |event: LambdaEvent<Value>| {
        let event = parse(event.payload)?;
        handler(event).await.map_err(|error| failure::diagnostic(&error))
    };
    lambda_runtime::run(service_fn(answer)).await
}

fn parse<Event: DeserializeOwned>(event: Value) -> Result<Event, Diagnostic> {
    serde_json::from_value(event).map_err(|error| {
        let error = Raised { code: FailureCode::Internal, message: format!("The event is not valid: {error}.") };
        failure::log(&error);
        failure::diagnostic(&error)
    })
}

/// Runs the work for one event: every log line names the submission, and an error is logged with its causes.
pub fn answer<Answer, E: Coded>(
    submission: Option<&SubmissionId>,
    work: impl Future<Output = Result<Answer, E>>,
) -> impl Future<Output = Result<Answer, E>> {
    let span = submission
        .map_or_else(|| tracing::info_span!("event"), |id| tracing::info_span!("submission", submissionId = %id));
    // On the heap, because the nested futures of AWS calls exceed the compiler's limit on the depth of types.
    Box::pin(async { work.await.inspect_err(failure::log) }.instrument(span))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_invalid_event_is_internal_and_named() {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Event {
            submission_id: SubmissionId,
        }
        for event in [json!({}), json!({"submissionId": "../../etc"}), json!("x"), Value::Null] {
            let Err(diagnostic) = parse::<Event>(event) else { panic!("an invalid event was parsed") };
            assert_eq!(diagnostic.error_type, "Internal");
            assert!(diagnostic.error_message.starts_with("The event is not valid: "), "{}", diagnostic.error_message);
        }
        let event = parse::<Event>(json!({"submissionId": "-kJ-nOos4KQaL3", "further": 1})).unwrap();
        assert_eq!(event.submission_id.as_str(), "-kJ-nOos4KQaL3");
    }
}
