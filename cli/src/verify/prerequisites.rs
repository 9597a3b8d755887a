//! What has to be in place before a submission is processed. Pure: each check decides about an answer of AWS.

use aws_sdk_lambda::types::{EventSourceMappingConfiguration, LastUpdateStatus, State};
use domain::Role;
use serde_json::{Map, Value};

use crate::verify::checklist::Verdict;

/// The parts of a stack that are functions.
pub(crate) const FUNCTIONS: [&str; 7] = ["intake", "fetch", "claim", "diagnose", "report", "score", "submit"];

/// Lambda's limit below which a deadline evening is slow. New accounts can have 10.
const FEW_CONCURRENT: i32 = 100;

/// A function's name and state.
#[derive(Clone, Debug)]
pub(crate) struct FunctionState {
    pub(crate) name: String,
    pub(crate) state: Option<State>,
    pub(crate) last_update: Option<LastUpdateStatus>,
}

pub(crate) fn functions(found: &[FunctionState]) -> Verdict {
    let broken: Vec<&str> = found
        .iter()
        .filter(|function| {
            // A function that was idle for weeks is started by its next call.
            let is_ready = matches!(function.state, Some(State::Active | State::Inactive));
            !is_ready || function.last_update == Some(LastUpdateStatus::Failed)
        })
        .map(|function| function.name.as_str())
        .collect();
    if broken.is_empty() {
        Verdict::passed(format!("{} functions are active", found.len()))
    } else {
        Verdict::failed(
            format!("not active: {}", broken.join(", ")),
            "Read the reason in the Lambda console, then deploy again.",
        )
    }
}

/// The values: <https://docs.aws.amazon.com/lambda/latest/api/API_EventSourceMappingConfiguration.html>.
pub(crate) fn event_source(found: &[EventSourceMappingConfiguration]) -> Verdict {
    const FIX: &str = "See docs/deploying.md, step 5.";
    if found.is_empty() {
        return Verdict::warned(
            "no event source mapping: nothing is read from Kafka",
            "Set KafkaClusterArn or KafkaUrl and deploy again.",
        );
    }
    for mapping in found {
        let state = mapping.state.as_deref().unwrap_or("unknown");
        if state != "Enabled" {
            let reason = mapping.state_transition_reason.as_deref().unwrap_or("without a reason");
            return Verdict::failed(format!("the event source mapping is {state}: {reason}"), FIX);
        }
        if let Some(problem) = mapping.last_processing_result.as_deref().and_then(|last| last.strip_prefix("PROBLEM: "))
        {
            return Verdict::failed(format!("the event source mapping cannot read: {problem}"), FIX);
        }
    }
    Verdict::passed("the event source mapping is enabled and reads")
}

pub(crate) fn concurrency(limit: Option<i32>) -> Verdict {
    match limit {
        Some(limit) if limit >= FEW_CONCURRENT => Verdict::passed(format!("{limit} functions may run at once")),
        Some(limit) => Verdict::warned(
            format!("only {limit} functions may run at once in this account"),
            "Ask for a higher quota of Lambda's \"Concurrent executions\" before a deadline.",
        ),
        None => Verdict::failed("Lambda does not say how many functions may run at once", "Run this command again."),
    }
}

/// The applied value of the quota with this name; `None` if the service lists none.
pub(crate) fn quota(name: &str, applied: Option<f64>) -> Verdict {
    match applied {
        Some(value) if value >= 1.0 => Verdict::passed(format!("{name}: {value}")),
        Some(_) => {
            Verdict::failed(format!("the quota \"{name}\" is 0"), "Ask for a higher one in the Service Quotas console.")
        }
        None => Verdict::warned(
            format!("Service Quotas lists no quota \"{name}\""),
            "Look the quota up in the Service Quotas console.",
        ),
    }
}

/// A secret that has to be a JSON object with these keys, each with a text that is not empty.
pub(crate) fn secret(text: Option<&str>, keys: &[&str]) -> Verdict {
    let fix = format!("Write the secret as docs/deploying.md shows it, with {}.", keys.join(" and "));
    let Some(object) = text.and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok()) else {
        return Verdict::failed("the secret is not a JSON object", fix);
    };
    let is_there = |key: &str| object.get(key).and_then(Value::as_str).is_some_and(|value| !value.is_empty());
    match keys.iter().find(|key| !is_there(key)) {
        Some(missing) => Verdict::failed(format!("the secret has no {missing}"), fix),
        None => Verdict::passed(format!("the secret has {}", keys.join(" and "))),
    }
}

/// The secret of the scoring API's keys, whose names begin with a role.
pub(crate) fn api_keys(text: Option<&str>) -> Verdict {
    const TO_DO: &str = "Write it as docs/operating.md shows it.";
    let object: Map<String, Value> = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let keys = object.iter().filter(|(_, value)| value.as_str().is_some_and(|key| !key.is_empty()));
    let (valid, without_role): (Vec<_>, Vec<_>) = keys.partition(|(name, _)| Role::of_key(name).is_some());
    match (valid.len(), without_role.len()) {
        (0, 0) => Verdict::failed("the secret has no key", TO_DO),
        (1, 0) => Verdict::passed("the scoring API accepts one key"),
        (keys, 0) => Verdict::passed(format!("the scoring API accepts {keys} keys")),
        _ => Verdict::failed("the name of a key in the secret does not begin with organiser or reader", TO_DO),
    }
}

pub(crate) fn training_data(objects: usize, uri: &str) -> Verdict {
    if objects == 0 {
        Verdict::failed(format!("{uri} is empty"), "Upload the training data, or correct InputFolderPrefix.")
    } else {
        Verdict::passed(format!("{uri} has training data"))
    }
}

pub(crate) fn retention(what: &str, is_limited: bool, to_do: &str) -> Verdict {
    if is_limited {
        Verdict::passed(format!("{what} are not kept for ever"))
    } else {
        Verdict::warned(format!("{what} are kept for ever"), to_do)
    }
}

/// The state of the stack's KMS key, such as `Enabled`.
pub(crate) fn key(state: Option<&str>) -> Verdict {
    match state {
        Some("Enabled") => Verdict::passed("the key is enabled"),
        state => Verdict::failed(
            format!("the key is {}", state.unwrap_or("in no known state")),
            "Enable it in the KMS console, or deploy with another KmsKeyArn.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::verify::checklist::Check;

    fn mapping(state: &str, last: &str) -> EventSourceMappingConfiguration {
        EventSourceMappingConfiguration::builder().state(state).last_processing_result(last).build()
    }

    fn function(state: State, last_update: LastUpdateStatus) -> FunctionState {
        FunctionState { name: "mm-fetch".to_owned(), state: Some(state), last_update: Some(last_update) }
    }

    #[test]
    fn right_and_wrong_answers_get_their_verdicts() {
        let keys = &["AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET"];
        let checks = [
            ("functions", functions(&[function(State::Active, LastUpdateStatus::Successful)])),
            ("functions", functions(&[function(State::Pending, LastUpdateStatus::Successful)])),
            ("functions", functions(&[function(State::Active, LastUpdateStatus::Failed)])),
            ("event-source", event_source(&[mapping("Enabled", "OK")])),
            ("event-source", event_source(&[mapping("Enabled", "No records processed")])),
            ("event-source", event_source(&[])),
            ("event-source", event_source(&[mapping("Disabled", "OK")])),
            (
                "event-source",
                event_source(&[mapping("Enabled", "OK"), mapping("Enabled", "PROBLEM: Connection error")]),
            ),
            ("concurrency", concurrency(Some(1000))),
            ("concurrency", concurrency(Some(10))),
            ("concurrency", concurrency(None)),
            ("training-quota", quota("ml.m5.large for training job usage", Some(2.0))),
            ("training-quota", quota("ml.m5.large for training job usage", Some(0.0))),
            ("training-quota", quota("ml.m5.large for training job usage", None)),
            ("api-credentials", secret(Some(r#"{"AUTH0_CLIENT_ID": "a", "AUTH0_CLIENT_SECRET": "b"}"#), keys)),
            ("api-credentials", secret(Some(r#"{"AUTH0_CLIENT_ID": "a", "AUTH0_CLIENT_SECRET": ""}"#), keys)),
            ("api-credentials", secret(Some("a:b"), keys)),
            ("api-credentials", secret(None, keys)),
            ("api-keys", api_keys(Some(r#"{"organiser": "k", "reader-site": "l"}"#))),
            ("api-keys", api_keys(Some(r#"{"organiser": "k"}"#))),
            ("api-keys", api_keys(Some(r#"{"current": "k"}"#))),
            ("api-keys", api_keys(Some("{}"))),
            ("training-data", training_data(3, "s3://in/training/")),
            ("training-data", training_data(0, "s3://in/training/")),
            ("output-retention", retention("outcomes and models", true, "Do.")),
            ("output-retention", retention("outcomes and models", false, "Set a lifecycle.")),
            ("kms-key", key(Some("Enabled"))),
            ("kms-key", key(Some("PendingDeletion"))),
        ];
        let mut text = String::new();
        for (name, verdict) in checks {
            let check = Check { name, verdict }.to_string();
            writeln!(text, "{}", anstream::adapter::strip_str(&check)).unwrap();
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_secret_is_never_shown() {
        for text in [r#"{"AUTH0_CLIENT_ID": "hunter2"}"#, "hunter2", r#"{"x": "hunter2"}"#] {
            assert!(!format!("{:?} {:?}", secret(Some(text), &["key"]), api_keys(Some(text))).contains("hunter2"));
        }
    }
}
