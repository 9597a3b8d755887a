//! The program refuses to start with settings that are missing or malformed, and names them.

use std::process::Command;

const SETTINGS: [(&str, &str); 9] = [
    ("STATE_MACHINE_ARN", "arn:aws:states:us-east-1:123456789012:stateMachine:processing"),
    ("QUARANTINE_BUCKET", "quarantine-bucket"),
    ("STACK_NAME", "mm"),
    ("ORIGINAL_TOPIC", "submission.notification.create"),
    ("REVIEW_TYPE_ID", "55bbb17d-aac2-45a6-89c3-a8d102863d05"),
    ("REQUIRED_SCORE", "100"),
    ("RESOURCE", "review"),
    ("START_CONCURRENCY", "10"),
    ("PARTIAL_BATCH_RESPONSES", "false"),
];

/// Runs the program with one setting changed and asserts that it stops with this sentence.
#[track_caller]
fn assert_stops(name: &str, value: &str, sentence: &str) {
    let settings = SETTINGS.into_iter().filter(|(setting, _)| *setting != name).chain([(name, value)]);
    let output = Command::new(env!("CARGO_BIN_EXE_intake")).env_clear().envs(settings).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!output.status.success(), "{name}={value:?} started");
    assert!(said.contains(&format!("the environment variable {name} {sentence}")), "{name}={value:?} said: {said}");
}

#[test]
fn without_a_required_setting() {
    for name in ["STATE_MACHINE_ARN", "QUARANTINE_BUCKET", "STACK_NAME"] {
        assert_stops(name, "", "is not set");
    }
}

#[test]
fn with_a_malformed_setting() {
    for (name, values) in [
        (
            "STATE_MACHINE_ARN",
            ["processing", "arn:aws:states:us-east-1:123456789012:execution:processing:a"].as_slice(),
        ),
        ("QUARANTINE_BUCKET", &["ab", "s3://bucket", "Bucket", "bucket/quarantine"]),
        ("REQUIRED_SCORE", &["passed", "NaN", "inf", "1e999"]),
        ("START_CONCURRENCY", &["0", "-1", "101", "ten", "1.5"]),
        ("PARTIAL_BATCH_RESPONSES", &["yes", "1", "True"]),
    ] {
        for value in values {
            assert_stops(name, value, "is malformed: ");
        }
    }
}
