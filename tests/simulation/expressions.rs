//! JSONata: what is answered without the reference implementation is what the reference would answer.

use std::rc::Rc;

use serde_json::{Value, json};
use simulate::definition::Template;
use simulate::json::Json;
use simulate::jsonata::{Scope, Variables};
use simulate::time::Moment;

use crate::{in_repository, jsonata};

/// The expressions of both definitions, with the substitutions as they are.
fn expressions() -> Vec<String> {
    fn gather(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) => {
                let expression = text.strip_prefix("{%").and_then(|text| text.strip_suffix("%}"));
                found.extend(expression.map(|text| text.trim().to_owned()));
            }
            Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
            Value::Object(fields) => fields.values().for_each(|value| gather(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for path in ["statemachine/processing.asl.json", "statemachine/scoring.asl.json"] {
        let definition = std::fs::read_to_string(in_repository(path)).unwrap();
        gather(&serde_json::from_str(&definition).unwrap(), &mut found);
    }
    found
}

/// A value of every kind for every variable.
fn worlds() -> Vec<(Variables, Json)> {
    let nested = json!({"safeId": "s", "step": "TrainModel", "error": {"Error": "E", "Cause": "C"}, "archive": {"key": "k"},
        "instanceType": "ml.m5.large", "fault": "platform", "failures": [{"code": "x", "message": "m"}],
        "next": {"spot": false}, "retryAfterSeconds": 5, "status": "failed", "digest": "sha256:0"});
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(1.5),
        json!(""),
        json!("text"),
        json!([]),
        json!([1]),
        json!([[1, 2]]),
        json!([{"safeId": "a"}, {"safeId": "b"}]),
        json!({}),
        nested,
    ];
    let names = [
        "submissionId",
        "submission",
        "failed",
        "attempt",
        "seconds",
        "settings",
        "spot",
        "scores",
        "diagnosis",
        "capacityRetries",
        "failingSince",
        "image",
        "training",
        "outcome",
        "failure",
        "results",
        "isScored",
        "reporting",
        "challengeId",
        "inputUri",
        "outputEncryption",
        "familiesWithLocalStorage",
        "reportedAtRedrive",
        "scoredAtRedrive",
    ];
    let world = |value: &Value| {
        let value = Json::of(value);
        let variables: Variables = names.iter().map(|name| (Rc::from(*name), value.clone())).collect();
        let context = json!({"Execution": {"Id": "arn", "StartTime": "2026-06-01T18:00:00.000Z", "RedriveCount": 0},
            "State": {"EnteredTime": "2026-06-01T18:00:01.000Z"}});
        let states = [
            ("input", value.clone()),
            ("result", value.clone()),
            ("errorOutput", value),
            ("context", Json::of(&context)),
        ];
        (variables, Json::object(states))
    };
    let mut worlds: Vec<_> = values.iter().map(world).collect();
    worlds.push((Variables::new(), Json::object::<&str, 0>([])));
    worlds
}

#[test]
fn every_expression_of_the_definitions_gives_what_the_reference_gives() {
    let (mut jsonata, expressions) = (jsonata(), expressions());
    assert!(expressions.len() > 150, "only {} expressions were found", expressions.len());
    let worlds = worlds();
    let now = Moment::START;
    for expression in &expressions {
        let id = jsonata.compile(expression).unwrap();
        for (variables, states) in &worlds {
            let scope = Scope { variables, states };
            let template = Template::Expression(id);
            // The second time, the answer may be a kept one.
            let given = [(); 2].map(|()| jsonata.evaluate(&template, &scope, now).unwrap());
            let expected = jsonata.evaluate_whole(id, &scope, now).unwrap();
            assert_eq!(given, [expected.clone(), expected], "{expression} with {variables:?}");
        }
    }
}

#[test]
fn a_template_keeps_its_shape_and_asks_once() {
    let mut jsonata = jsonata();
    let mut expression = |text: &str| Template::Expression(jsonata.compile(text).unwrap());
    let template = Template::Object(vec![
        ("a".into(), expression("$x + 1")),
        ("b".into(), Template::Array(vec![expression("$x"), Template::Literal("same".into()), expression("$x & '!'")])),
        ("c".into(), expression("[1, 2][0]")),
        ("now".into(), expression("$millis()")),
    ]);
    let variables: Variables = [("x".into(), Json::from(1.0))].into();
    let states = Json::Null;
    let scope = Scope { variables: &variables, states: &states };
    let expected = json!({"a": 2, "b": [1, "same", "1!"], "c": 1, "now": Moment::START.unix_milliseconds()});
    for evaluated in [4, 5] {
        let value = jsonata.evaluate(&template, &scope, Moment::START).unwrap().unwrap();
        assert_eq!(value, Json::of(&expected));
        assert_eq!(jsonata.evaluated, evaluated, "only the clock is asked again");
    }
}
