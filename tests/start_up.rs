//! Starting the compiled functions without a setting, or with one that cannot be read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

/// Settings with which a function gets as far as polling for its first event.
fn settings(function: &str) -> Vec<(&'static str, &'static str)> {
    match function {
        "IntakeFunction" => vec![
            ("STATE_MACHINE_ARN", "arn:aws:states:us-east-1:123456789012:stateMachine:mm"),
            ("QUARANTINE_BUCKET", "staging"),
            ("STACK_NAME", "mm"),
        ],
        "FetchFunction" => vec![
            ("STACK_NAME", "mm"),
            ("ACCOUNT_ID", "123456789012"),
            ("STAGING_BUCKET", "staging"),
            ("SUBMISSION_API_URL", "https://api.example.org/v5"),
            ("AUTH0_URL", "https://auth.example.org/oauth/token"),
            ("AUTH0_AUDIENCE", "audience"),
            ("AUTH0_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:123456789012:secret:auth0"),
        ],
        "ClaimFunction" => vec![("BUILD_PROJECT", "mm-build")],
        "DiagnoseFunction" => vec![("STACK_NAME", "mm"), ("BUILD_PROJECT", "mm-build")],
        "ReportFunction" => vec![
            ("INTAKE_FUNCTION", "mm-intake"),
            ("INTAKE_NEEDS_MAPPING", "true"),
            ("OUTPUT_S3_BUCKET", "models"),
            ("STACK_NAME", "mm"),
            ("STATE_MACHINE_ARN", "arn:aws:states:us-east-1:123456789012:stateMachine:mm"),
            ("STAGING_BUCKET", "staging"),
            ("SUBMISSION_API_URL", "https://api.example.org/v5"),
            ("AUTH0_URL", "https://auth.example.org/oauth/token"),
            ("AUTH0_AUDIENCE", "audience"),
            ("AUTH0_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:123456789012:secret:auth0"),
        ],
        "ScoreFunction" => vec![
            ("STACK_NAME", "mm"),
            ("SUBMISSIONS_TABLE", "submissions"),
            ("SUMMARIES_TABLE", "summaries"),
            ("SCORING_BUCKET", "scoring"),
            ("OUTPUT_S3_BUCKET", "models"),
        ],
        "SubmitFunction" => vec![
            ("SUBMISSIONS_TABLE", "submissions"),
            ("SCORING_STATE_MACHINE_ARN", "arn:aws:states:us-east-1:123456789012:stateMachine:mm-scoring"),
            ("API_KEYS_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:123456789012:secret:mm/api-keys"),
        ],
        _ => Vec::new(),
    }
}

/// Starts a function with these settings and gives what it wrote before it failed.
fn failure_of(function: &str, settings: &[(&str, &str)]) -> String {
    let bootstrap = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.aws-sam/build").join(function).join("bootstrap");
    let output = Command::new(bootstrap).env_clear().envs(settings.iter().copied()).output().unwrap();
    assert!(!output.status.success(), "{function} started");
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

#[test]
fn each_function_names_the_setting_that_is_missing() {
    for function in [
        "IntakeFunction",
        "FetchFunction",
        "ClaimFunction",
        "DiagnoseFunction",
        "ReportFunction",
        "ScoreFunction",
        "SubmitFunction",
    ] {
        let settings = settings(function);
        for (name, _) in &settings {
            let others: Vec<_> = settings.iter().copied().filter(|(other, _)| other != name).collect();
            let written = failure_of(function, &others);
            assert!(written.contains(&format!("the environment variable {name} is not set")), "{function}: {written}");
        }
    }
}

#[test]
fn each_function_names_the_setting_that_is_malformed() {
    for (function, name, value) in [
        ("IntakeFunction", "REQUIRED_SCORE", "clean"),
        ("IntakeFunction", "START_CONCURRENCY", "0"),
        ("FetchFunction", "MAX_ARCHIVE_BYTES", "500 MB"),
        ("FetchFunction", "MAX_ENTRIES", "-1"),
        ("FetchFunction", "IMAGE_RETENTION_DAYS", "0"),
        ("FetchFunction", "SUBMISSION_API_URL", "not an url"),
        ("DiagnoseFunction", "RETRY_HORIZON_SECONDS", "6h"),
        ("ReportFunction", "REPORT_DEADLINE_MINUTES", "1h"),
        ("ReportFunction", "INTAKE_NEEDS_MAPPING", "yes"),
        ("ReportFunction", "IMAGE_RETENTION_DAYS", "-1"),
        ("ReportFunction", "SUBMISSION_API_VERSION", "v7"),
        ("ScoreFunction", "MAX_PREDICTIONS_BYTES", "256 MB"),
        ("ScoreFunction", "CHALLENGE_MAX_RUNTIME_IN_SECONDS", "0"),
        ("SubmitFunction", "KEY_CACHE_SECONDS", "0"),
        ("SubmitFunction", "PUBLIC_READS", "yes"),
    ] {
        let mut settings = settings(function);
        settings.retain(|(other, _)| *other != name);
        settings.push((name, value));
        let written = failure_of(function, &settings);
        assert!(written.contains(&format!("the environment variable {name} is malformed")), "{function}: {written}");
    }
}
