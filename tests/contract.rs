//! What the definitions, the template and the functions have to agree on, read from their sources.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use domain::{FailureCode, Fault};
use serde_json::{Map, Value, json};

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

/// The names between `${` and `}`.
fn substitutions(text: &str) -> BTreeSet<String> {
    text.split("${").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())).collect()
}

#[test]
fn every_substitution_of_a_definition_is_given_and_used() {
    let template = read("template.yaml");
    for (path, resource) in DEFINITIONS {
        let block = &template[template.find(&format!("\n{resource}")).unwrap()..];
        assert_eq!(substitutions(&read(path)), names_below(block, "DefinitionSubstitutions:"), "{path}");
    }
}

#[test]
fn every_task_has_a_timeout_and_all_but_the_last_are_caught() {
    for (name, state) in states() {
        if state["Type"] != "Task" {
            continue;
        }
        assert!(state["TimeoutSeconds"].is_number() || state["TimeoutSeconds"].is_string(), "{name} has no timeout");
        // These two fail the execution: no state is left to go to.
        let last = ["ReportOutcome", "RaiseFault"].iter().any(|last| name.ends_with(&format!(" {last}")));
        assert_eq!(state["Catch"].is_null(), last, "{name}");
        if !last {
            let catch = state["Catch"].as_array().unwrap().last().unwrap();
            assert_eq!(catch["ErrorEquals"], serde_json::json!(["States.ALL"]), "{name}");
        }
    }
}

/// The states that a state can go to.
fn following(state: &Value) -> Vec<&str> {
    let handlers = ["Catch", "Choices"].into_iter().filter_map(|key| state[key].as_array()).flatten();
    let next = handlers.map(|handler| &handler["Next"]).chain([&state["Next"], &state["Default"]]);
    next.filter_map(Value::as_str).collect()
}

/// The sweep does not look at executions that succeeded.
#[test]
fn no_execution_succeeds_without_a_report() {
    let definition: Value = serde_json::from_str(&read("statemachine/processing.asl.json")).unwrap();
    let states = &definition["States"];
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let mut ahead = vec![definition["StartAt"].as_str().unwrap()];
    while let Some(name) = ahead.pop() {
        if name != "ReportOutcome" && reached.insert(name) {
            assert!(states[name]["End"].is_null() && states[name]["Type"] != "Succeed", "{name} ends without a report");
            ahead.extend(following(&states[name]));
        }
    }
    assert!(reached.contains("TrainModel") && reached.contains("Diagnose"), "{reached:?}");
}

/// The one retry policy of each service. Transient errors are named as the integration names them; see
/// <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>.
fn policy_of(resource: &str) -> Value {
    let retry = |errors: &[&str], interval: u32, longest: u32, attempts: u32| {
        json!({
            "ErrorEquals": errors, "IntervalSeconds": interval, "BackoffRate": 2, "MaxDelaySeconds": longest,
            "MaxAttempts": attempts, "JitterStrategy": "FULL",
        })
    };
    let service = |errors: &[&str]| json!([retry(errors, 2, 60, 5)]);
    match resource {
        "arn:${Partition}:states:::lambda:invoke" => json!([
            retry(&["Lambda.TooManyRequestsException"], 1, 60, 100),
            retry(&["States.TaskFailed", "States.Timeout"], 2, 60, 5),
        ]),
        // Throttled calls may have either name: the first is not among the errors of this call.
        "arn:${Partition}:states:::aws-sdk:ssm:getParameter" => json!([
            retry(&["Ssm.ThrottlingException", "Ssm.SsmException"], 1, 60, 30),
            retry(
                &[
                    "Ssm.SdkClientException",
                    "Ssm.InternalServerError",
                    "Ssm.InternalServerErrorException",
                    "States.Timeout",
                ],
                2,
                60,
                5
            ),
        ]),
        "arn:${Partition}:states:::aws-sdk:ecr:describeImages" => service(&["States.TaskFailed", "States.Timeout"]),
        "${BuildResource}" => service(&["CodeBuild.AWSCodeBuildException", "CodeBuild.SdkClientException"]),
        "${TrainResource}" => service(&["SageMaker.SdkClientException"]),
        "arn:${Partition}:states:::states:startExecution.sync:2" => service(&[
            "StepFunctions.SfnException",
            "StepFunctions.SdkClientException",
            "StepFunctions.ThrottlingException",
        ]),
        other => panic!("{other} has no retry policy"),
    }
}

#[test]
fn every_task_has_the_retry_policy_of_its_service() {
    for (name, state) in states() {
        if state["Type"] != "Task" {
            continue;
        }
        let policy = policy_of(state["Resource"].as_str().unwrap());
        let retries = state["Retry"].as_array().unwrap();
        let own = retries.len() - policy.as_array().unwrap().len();
        assert_eq!(json!(retries[own..]), policy, "{name}");
        // Before the policy, a state may only say how its function's own failure codes are retried.
        for retry in &retries[..own] {
            for error in retry["ErrorEquals"].as_array().unwrap() {
                assert!(
                    FailureCode::from_name(error.as_str().unwrap()).is_some(),
                    "{name} retries {error} in its own way"
                );
            }
            let is_retried = retry["MaxAttempts"] != 0;
            assert!(!is_retried || retry["JitterStrategy"] == "FULL", "{name} retries without jitter");
            assert!(!is_retried || retry["MaxDelaySeconds"].is_number(), "{name} has no longest wait");
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

/// How often a state's first matching retrier repeats a failure code of its function.
fn attempts(state: &Value, code: FailureCode) -> u64 {
    let matches = |retry: &&Value| {
        let errors = retry["ErrorEquals"].as_array().unwrap();
        errors.iter().any(|error| error == code.as_str() || error == "States.TaskFailed")
    };
    state["Retry"].as_array().unwrap().iter().find(matches).map_or(0, |retry| retry["MaxAttempts"].as_u64().unwrap())
}

/// The participant's faults that a function raises as errors, by the name that definitions have for it.
fn participants_faults(function: &str) -> &'static [FailureCode] {
    use FailureCode::{
        ArchiveInvalid, ArchiveTooLarge, ArchiveUnsafe, BuildFailed, DockerfileMissing, PredictionsInvalid,
        PredictionsMissing,
    };
    match function {
        "FetchFunction" => &[ArchiveInvalid, ArchiveUnsafe, ArchiveTooLarge, DockerfileMissing, BuildFailed],
        "ScoreFunction" => &[PredictionsInvalid, PredictionsMissing],
        _ => &[],
    }
}

#[test]
fn the_participants_faults_are_not_retried() {
    for (name, state) in states() {
        let called =
            state["Arguments"]["FunctionName"].as_str().and_then(|name| name.strip_prefix("${")?.strip_suffix("Arn}"));
        for code in called.map_or(&[][..], participants_faults) {
            assert_eq!(attempts(&state, *code), 0, "{name} retries {code}");
        }
    }
}

/// The alarms of the template: namespace, metric, and the function of the dimension, if there is one.
fn alarms() -> Vec<(String, String, Option<String>)> {
    let template = read("template.yaml");
    let blocks = template.split("    Type: AWS::CloudWatch::Alarm\n").skip(1);
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.trim().strip_prefix(name));
        line.unwrap_or_else(|| panic!("an alarm has no {name}")).trim().to_owned()
    };
    let of_alarm = |block: &str| {
        let function = block.split("Name: FunctionName, Value: !Ref ").nth(1).and_then(|rest| rest.split(' ').next());
        (field(block, "Namespace:"), field(block, "MetricName:"), function.map(str::to_owned))
    };
    // The last block goes on with the dashboard: the fields of the alarm come first.
    blocks.map(|block| of_alarm(block.split("AlarmActions:").next().unwrap())).collect()
}

#[test]
fn no_alarm_counts_the_participants_faults() {
    let alarms = alarms();
    assert!(alarms.len() > 10, "only {alarms:?} were found");
    let on_errors: Vec<&str> = alarms
        .iter()
        .filter(|(namespace, metric, _)| namespace == "AWS/Lambda" && metric == "Errors")
        .map(|(_, _, function)| function.as_deref().expect("an alarm on errors names its function"))
        .collect();
    assert!(on_errors.contains(&"IntakeFunction"), "{on_errors:?}");
    for function in on_errors {
        assert!(participants_faults(function).is_empty(), "an alarm watches the errors of {function}");
    }
}

#[test]
fn an_alarm_watches_the_server_errors_of_the_scoring_api() {
    let expected = ("AWS/Lambda".to_owned(), "Url5xxCount".to_owned(), Some("SubmitFunction".to_owned()));
    assert!(alarms().contains(&expected), "{:?}", alarms());
}

#[test]
fn every_environment_reports_outcomes_to_participants() {
    let samconfig = read("samconfig.toml");
    let environments: Vec<&str> = samconfig.split(".deploy.parameters]").skip(1).collect();
    assert_eq!(environments.len(), 2);
    for environment in environments {
        for parameter in ["ReportTypeId", "ReportReviewerId"] {
            assert!(environment.contains(&format!("\"{parameter}=")), "samconfig.toml leaves out {parameter}");
        }
    }
}

#[test]
fn a_raised_fault_is_not_retried() {
    for (name, state) in states().iter().filter(|(name, _)| name.ends_with(" RaiseFault")) {
        for code in FailureCode::ALL.iter().copied().filter(|code| code.fault() == Fault::Platform) {
            assert_eq!(attempts(state, code), 0, "{name} retries {code}");
        }
    }
}

#[test]
fn the_dashboard_shows_every_function_and_every_state_machine() {
    let template = read("template.yaml");
    let dashboard = &template[template.find("\n  Dashboard:").unwrap()..template.find("\nOutputs:").unwrap()];
    let resources = |kind: &str| {
        let marker = format!(":\n    Type: AWS::Serverless::{kind}\n");
        let before: Vec<&str> = template.split(marker.as_str()).collect();
        before[..before.len() - 1].iter().map(|text| text.rsplit("\n  ").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (functions, machines) = (resources("Function"), resources("StateMachine"));
    assert_eq!((functions.len(), machines.len()), (7, 2), "{functions:?} {machines:?}");
    for title in ["Function errors", "Function duration (p90)"] {
        let widget = dashboard.split("\"title\": \"").find(|widget| widget.starts_with(title)).unwrap();
        for function in &functions {
            assert!(widget.contains(&format!("${{{function}}}")), "{title} lacks {function}");
        }
    }
    for machine in &machines {
        assert!(dashboard.contains(&format!("!Ref {machine}")), "the dashboard lacks {machine}");
    }
}

/// The names of environment variables in a function's `settings.rs`, without its tests.
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
fn the_template_sets_exactly_the_variables_that_a_function_reads() {
    let template = read("template.yaml");
    for (function, resource, sources) in [
        ("intake", "IntakeFunction:", vec!["functions/intake/src/settings.rs"]),
        (
            "fetch",
            "FetchFunction:",
            vec!["functions/fetch/src/settings.rs", "libraries/submission-api/src/settings.rs"],
        ),
        ("claim", "ClaimFunction:", vec!["functions/claim/src/settings.rs"]),
        ("score", "ScoreFunction:", vec!["functions/score/src/settings.rs"]),
        ("submit", "SubmitFunction:", vec!["functions/submit/src/settings.rs"]),
        ("diagnose", "DiagnoseFunction:", vec!["functions/diagnose/src/settings.rs"]),
        (
            "report",
            "ReportFunction:",
            vec!["functions/report/src/settings.rs", "libraries/submission-api/src/settings.rs"],
        ),
    ] {
        let block = &template[template.find(&format!("\n  {resource}")).unwrap()..];
        assert_eq!(variables_read(&sources), names_below(block, "Variables:"), "{function}");
    }
}

/// What a build needs so that `claim` believes it, and what ends it, are spelled in four languages.
#[test]
fn a_build_is_started_with_what_claim_and_the_buildspec_read() {
    let definition: Value = serde_json::from_str(&read("statemachine/processing.asl.json")).unwrap();
    let variables = &definition["States"]["BuildImage"]["Arguments"]["EnvironmentVariablesOverride"];
    let set: BTreeSet<&str> =
        variables.as_array().unwrap().iter().map(|variable| variable["Name"].as_str().unwrap()).collect();
    let (claim, buildspec) = (read("functions/claim/src/builds.rs"), read("buildspec.yml"));
    let claimed: BTreeSet<&str> =
        claim.split("value(\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
    assert_eq!(claimed, BTreeSet::from(["ARCHIVE_BUCKET", "ARCHIVE_KEY", "ARCHIVE_VERSION", "IMAGE_REPOSITORY_URI"]));
    for name in claimed.iter().chain(&["CLAIM_FUNCTION"]) {
        assert!(set.contains(name) && buildspec.contains(&format!("${name}")), "{name}");
    }
}

/// See <https://docs.aws.amazon.com/codebuild/latest/APIReference/API_Build.html> for the statuses.
#[test]
fn every_end_of_a_build_is_an_event_for_claim() {
    let template = read("template.yaml");
    let rule = &template[template.find("\n  BuildEndedRule:").unwrap()..];
    let pattern = &rule[rule.find("EventPattern:").unwrap()..rule.find("Targets:").unwrap()];
    let event: Value = serde_json::from_str(&read("functions/claim/tests/fixtures/build-ended.json")).unwrap();
    assert!(pattern.contains(&format!("source: [{}]", event["source"].as_str().unwrap())), "{pattern}");
    assert!(pattern.contains(&format!("detail-type: [{}]", event["detail-type"].as_str().unwrap())), "{pattern}");
    assert!(pattern.contains("build-status: [SUCCEEDED, FAILED, STOPPED, FAULT, TIMED_OUT]"), "{pattern}");
    for line in names_below(rule, "detail:") {
        assert!(event["detail"][&line].is_string(), "the event has no {line}");
    }
}

#[test]
fn the_default_build_and_training_are_the_synchronous_integrations() {
    let template = read("template.yaml");
    for integration in ["states:::codebuild:startBuild.sync", "states:::sagemaker:createTrainingJob.sync"] {
        assert!(template.contains(&format!("!Sub \"arn:${{AWS::Partition}}:{integration}\"")), "{integration}");
    }
}
