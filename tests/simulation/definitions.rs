//! What the simulation does not model, it refuses.

use serde_json::{Value, json};
use simulate::definition::Definition;

use crate::jsonata;

fn error(states: &Value) -> String {
    error_of(&json!({"QueryLanguage": "JSONata", "StartAt": "A", "States": states}))
}

fn error_of(definition: &Value) -> String {
    Definition::read(&definition.to_string(), &mut jsonata()).unwrap_err().to_string()
}

#[test]
fn what_is_not_modelled_is_refused() {
    let task = |more: Value| {
        let mut task = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true});
        task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "A": task })
    };
    for (states, expected) in [
        (json!({"A": {"Type": "Map", "End": true}}), "unknown variant `Map`"),
        (json!({"A": {"Type": "Pass", "Result": 1, "End": true}}), "unknown field `Result`"),
        (json!({"A": {"Type": "Wait", "Timestamp": "2026-01-01T00:00:00Z", "End": true}}), "unknown field `Timestamp`"),
        (task(json!({"HeartbeatSeconds": 5})), "unknown field `HeartbeatSeconds`"),
        (task(json!({"Retry": [{"ErrorEquals": ["a"], "Jitter": "FULL"}]})), "unknown field `Jitter`"),
        (task(json!({"Retry": [{"ErrorEquals": ["a"], "JitterStrategy": "HALF"}]})), "unknown variant `HALF`"),
        (
            task(json!({"Catch": [{"ErrorEquals": ["a"], "ResultPath": "$", "Next": "A"}]})),
            "unknown field `ResultPath`",
        ),
        (
            task(json!({"Resource": "arn:aws:states:::sqs:sendMessage"})),
            "sqs:sendMessage of the state A is not modelled",
        ),
        (task(json!({"Arguments": "{% $random() %}"})), "$random is not modelled"),
        (task(json!({"Arguments": {"deep": ["{% $eval('1') %}"]}})), "$eval is not modelled"),
        (task(json!({"Arguments": "{% $.a %}"})), "there is no context value"),
        (task(json!({"Arguments": "{% 1 + %}"})), "Unexpected end of expression"),
        (task(json!({"Catch": [{"ErrorEquals": ["a"], "Next": "B"}]})), "leads to B, which does not exist"),
        (task(json!({"Next": "A"})), "neither Next nor End, or both"),
        (json!({"A": {"Type": "Pass"}}), "neither Next nor End, or both"),
        (
            task(json!({"Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["a"]}]})),
            "States.ALL stands with other errors or before the last handler",
        ),
        (
            task(json!({"Catch": [{"ErrorEquals": ["States.ALL", "a"], "Next": "A"}]})),
            "States.ALL stands with other errors or before the last handler",
        ),
    ] {
        let error = error(&states);
        assert!(error.contains(expected), "{states}: {error}");
    }
    let other = json!({"QueryLanguage": "JSONPath", "StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}});
    assert!(error_of(&other).contains("only JSONata is modelled"));
    let unknown = json!({"QueryLanguage": "JSONata", "Version": "1.0", "StartAt": "A", "States": {}});
    assert!(error_of(&unknown).contains("unknown field `Version`"));
}
