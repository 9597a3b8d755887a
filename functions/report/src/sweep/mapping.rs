//! Whether the event source mappings that read Kafka for `intake` work. A mapping that does not read has no lag to measure, so
//! no other alarm notices it.

use aws_sdk_lambda::Client;
use aws_sdk_lambda::types::EventSourceMappingConfiguration;
use runtime::CallFailed;

/// How many of the function's mappings do not work. If it has none, although it has to, that counts as one.
pub(crate) async fn not_working(lambda: &Client, function: &str, needed: bool) -> Result<u32, CallFailed> {
    let mut count = 0;
    let mut found = false;
    let mut pages = lambda.list_event_source_mappings().function_name(function).into_paginator().items().send();
    while let Some(mapping) = pages.next().await {
        let mapping = mapping.map_err(|error| CallFailed::new("Lambda", "ListEventSourceMappings", &error))?;
        found = true;
        if !works(mapping.state(), mapping.last_processing_result()) {
            count += 1;
            log(&mapping);
        }
    }
    if needed && !found {
        count += 1;
        tracing::error!(function, "the function has no event source mapping, so nothing reads Kafka; deploy again");
    }
    Ok(count)
}

/// The states are those of
/// <https://docs.aws.amazon.com/lambda/latest/api/API_EventSourceMappingConfiguration.html>: besides these, `Creating`,
/// `Disabling`, `Disabled` and `Deleting`. A result begins with `PROBLEM` if Lambda cannot reach or read the topic or the function
/// fails, see <https://docs.aws.amazon.com/lambda/latest/dg/with-kafka-troubleshoot.html>; others are `OK` and
/// `No records processed`.
fn works(state: Option<&str>, last_result: Option<&str>) -> bool {
    matches!(state, Some("Enabled" | "Enabling" | "Updating"))
        && !last_result.is_some_and(|result| result.starts_with("PROBLEM"))
}

fn log(mapping: &EventSourceMappingConfiguration) {
    tracing::error!(
        mapping = mapping.uuid(),
        state = mapping.state(),
        reason = mapping.state_transition_reason(),
        result = mapping.last_processing_result(),
        "the event source mapping does not work"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_works_if_it_is_enabled_and_has_no_problem() {
        for state in ["Enabled", "Enabling", "Updating"] {
            for result in [None, Some("OK"), Some("No records processed")] {
                assert!(works(Some(state), result), "{state} {result:?}");
            }
            assert!(!works(Some(state), Some("PROBLEM: Function call failed")), "{state}");
        }
        for state in ["Creating", "Disabling", "Disabled", "Deleting", "Unheard"] {
            assert!(!works(Some(state), Some("OK")), "{state}");
        }
        assert!(!works(None, None));
    }
}
