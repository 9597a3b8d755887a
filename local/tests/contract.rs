//! What the definitions, the template and the functions have to agree on, read from their sources.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};
use shared::FailureCode;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every definition, with the heading of its resource in the template.
const DEFINITIONS: [(&str, &str); 2] = [
    ("statemachine/processing.asl.json", "  ProcessingStateMachine:"),
    ("statemachine/scoring.asl.json", "  ScoringStateMachine:"),
];

/// The states of every definition, also those in branches.
fn states() -> Map<String, Value> {
    let mut all = Map::new();
    for (path, _) in DEFINITIONS {
        let definition: Value = serde_json::from_str(&read(path)).unwrap();
        gather(&definition, path, &mut all);
    }
    all
}

fn gather(definition: &Value, path: &str, all: &mut Map<String, Value>) {
    for (name, state) in definition["States"].as_object().unwrap() {
        for branch in state["Branches"].as_array().into_iter().flatten() {
            gather(branch, path, all);
        }
        all.insert(format!("{path} {name}"), state.clone());
    }
}

/// The names before the colon of the lines below `heading`, as long as they are indented more.
fn names_below(text: &str, heading: &str) -> BTreeSet<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.lines().skip_while(|line| line.trim() != heading);
    let outer = indent(lines.next().unwrap_or_else(|| panic!("there is no {heading}")));
    let mut inner = lines.take_while(|line| indent(line) > outer).peekable();
    let depth = indent(inner.peek().unwrap());
    inner
        .filter(|line| indent(line) == depth)
        .filter_map(|line| Some(line.trim().split_once(':')?.0.to_owned()))
        .filter(|name| !name.starts_with('#'))
        .collect()
}

/// What stands between `${` and `}`.
fn substitutions(text: &str) -> BTreeSet<String> {
    text.split("${").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())).collect()
}

#[test]
fn every_substitution_of_the_definition_is_given_and_used() {
    let template = read("template.yaml");
    for (path, resource) in DEFINITIONS {
        let block = &template[template.find(&format!("\n{resource}")).unwrap()..];
        assert_eq!(substitutions(&read(path)), names_below(block, "DefinitionSubstitutions:"), "{path}");
    }
}

#[test]
fn every_task_has_a_timeout_and_retries_and_all_but_the_last_are_caught() {
    for (name, state) in states() {
        if state["Type"] != "Task" {
            continue;
        }
        assert!(state["TimeoutSeconds"].is_number() || state["TimeoutSeconds"].is_string(), "{name} has no timeout");
        assert!(!state["Retry"].as_array().unwrap().is_empty(), "{name} is not retried");
        // These two have to fail the execution: there is nowhere left to go.
        let last = ["ReportOutcome", "RaiseFault"].iter().any(|last| name.ends_with(&format!(" {last}")));
        assert_eq!(state["Catch"].is_null(), last, "{name}");
        if !last {
            let catch = state["Catch"].as_array().unwrap().last().unwrap();
            assert_eq!(catch["ErrorEquals"], serde_json::json!(["States.ALL"]), "{name}");
        }
    }
}

#[test]
fn every_retry_has_jitter_and_a_longest_wait() {
    for (name, state) in states() {
        for retry in state["Retry"].as_array().into_iter().flatten() {
            let is_none = retry["MaxAttempts"] == 0;
            assert!(is_none || retry["JitterStrategy"] == "FULL", "{name}");
            assert!(is_none || retry["MaxDelaySeconds"].is_number(), "{name}");
        }
    }
}

#[test]
fn every_error_that_is_matched_exists() {
    let services = ["States.", "Lambda.", "Runtime.", "Sandbox.", "CodeBuild.", "SageMaker.", "Ssm.", "StepFunctions."];
    for (name, state) in states() {
        let handlers = ["Retry", "Catch"].into_iter().filter_map(|key| state[key].as_array()).flatten();
        for error in handlers.flat_map(|handler| handler["ErrorEquals"].as_array().unwrap()) {
            let error = error.as_str().unwrap();
            let known =
                services.iter().any(|service| error.starts_with(service)) || FailureCode::from_name(error).is_some();
            assert!(known, "{name} matches {error}");
        }
    }
}

#[test]
fn the_participants_faults_are_not_retried_by_the_definition() {
    let of_fetch = [
        FailureCode::ArchiveInvalid,
        FailureCode::ArchiveUnsafe,
        FailureCode::ArchiveTooLarge,
        FailureCode::DockerfileMissing,
    ];
    for (name, state) in states() {
        let retries = state["Retry"].as_array().cloned().unwrap_or_default();
        let matches =
            |retry: &Value, wanted: &str| retry["ErrorEquals"].as_array().unwrap().iter().any(|e| e == wanted);
        for retry in retries.iter().filter(|retry| retry["MaxAttempts"] != 0) {
            for error in retry["ErrorEquals"].as_array().unwrap() {
                let code = FailureCode::from_name(error.as_str().unwrap());
                assert!(code.is_none_or(|code| code.fault() == shared::Fault::Platform), "{name} retries {error}");
            }
        }
        // Where everything that failed is retried, what the function says of the submission is taken out before.
        if state["Arguments"]["FunctionName"] == "${FetchFunctionArn}" {
            for code in of_fetch {
                let first =
                    retries.iter().find(|retry| matches(retry, code.as_str()) || matches(retry, "States.TaskFailed"));
                assert_eq!(first.unwrap()["MaxAttempts"], 0, "{name} retries {code}");
            }
        }
    }
}

/// The names of environment variables in a function's `settings.rs`, its tests apart.
fn variables_read(paths: &[&str]) -> BTreeSet<String> {
    let is_name = |text: &&str| {
        text.len() > 2 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let read_by = |path: &&str| {
        let source = read(path);
        let code: Vec<&str> = source
            .split("#[cfg(test)]")
            .next()
            .unwrap()
            .lines()
            .filter(|line| !line.trim().starts_with("//"))
            .collect();
        code.join("").split('"').skip(1).step_by(2).filter(is_name).map(str::to_owned).collect::<Vec<_>>()
    };
    paths.iter().flat_map(read_by).collect()
}

#[test]
fn every_variable_that_a_function_reads_is_set_by_the_template_and_the_other_way_round() {
    let template = read("template.yaml");
    for (function, resource, sources) in [
        ("intake", "IntakeFunction:", vec!["functions/intake/src/settings.rs"]),
        (
            "fetch",
            "FetchFunction:",
            vec!["functions/fetch/src/settings.rs", "functions/shared/src/submission_api/settings.rs"],
        ),
        ("score", "ScoreFunction:", vec!["functions/score/src/settings.rs"]),
        ("submit", "SubmitFunction:", vec!["functions/submit/src/settings.rs"]),
        ("diagnose", "DiagnoseFunction:", vec!["functions/diagnose/src/settings.rs"]),
        (
            "report",
            "ReportFunction:",
            vec!["functions/report/src/settings.rs", "functions/shared/src/submission_api/settings.rs"],
        ),
    ] {
        let block = &template[template.find(&format!("\n  {resource}")).unwrap()..];
        assert_eq!(variables_read(&sources), names_below(block, "Variables:"), "{function}");
    }
}

#[test]
fn the_default_build_and_training_are_the_synchronous_integrations() {
    let template = read("template.yaml");
    for integration in ["states:::codebuild:startBuild.sync", "states:::sagemaker:createTrainingJob.sync"] {
        assert!(template.contains(&format!("!Sub \"arn:${{AWS::Partition}}:{integration}\"")), "{integration}");
    }
}
