//! Whose fault a failure is: sentences of the services as people reported them, and texts that participants can write.

use std::sync::LazyLock;

use domain::outcome::Step;
use domain::{Fault, StepError};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Classification, classify};
use crate::job::Job;
use crate::retry::Retry;

/// A failure, and what it must become.
#[derive(Deserialize)]
struct Case {
    step: Step,
    error: String,
    /// A sentence, or the job that failed.
    cause: Value,
    code: String,
    retried: bool,
    /// The address of the page or report, or `constructed`.
    source: String,
}

fn classified(step: Step, error: &str, cause: &str) -> Classification {
    let error = StepError { error: error.to_owned(), cause: cause.to_owned() };
    classify(step, &error, Job::in_cause(step, &error).as_ref())
}

#[test]
fn reported_failures_get_their_codes() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/fixtures/failures.json")).unwrap();
    let reported = cases.iter().filter(|case| case.source.starts_with("https://")).count();
    assert!(reported >= 15 && cases.len() >= 35, "{reported} of {} cases have an address", cases.len());
    for Case { step, error, cause, code, retried, source } in cases {
        assert!(source.starts_with("https://") || source == "constructed", "{source}");
        let cause = cause.as_str().map_or_else(|| cause.to_string(), str::to_owned);
        let classification = classified(step, &error, &cause);
        assert_eq!(classification.code.as_str(), code, "{error}: {cause}");
        assert_eq!(classification.retry != Retry::Never, retried, "{error}: {cause}");
    }
}

/// Every text that the classification compares with, taken from its source.
static KNOWN: LazyLock<Vec<String>> = LazyLock::new(|| {
    let sources = [
        include_str!("build.rs"),
        include_str!("training.rs"),
        include_str!("scoring.rs"),
        include_str!("service_error.rs"),
        include_str!("../classify.rs"),
        include_str!("../dockerfile.rs"),
    ];
    let literals = sources.iter().flat_map(|source| {
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        code.split('"').skip(1).step_by(2).map(str::to_owned)
    });
    literals
        .chain(domain::FailureCode::ALL.iter().map(|code| code.as_str().to_owned()))
        .filter(|text| text.len() > 2)
        .collect()
});

/// Text that someone who knows the source would try.
fn hostile_text() -> impl Strategy<Value = String> {
    let word = prop_oneof![4 => prop::sample::select(KNOWN.clone()), 1 => ".{0,12}", 1 => "[\n:;,(){}\"]{1,3}"];
    prop::collection::vec(word, 0..6).prop_map(|words| words.concat())
}

fn is_harmless(classification: &Classification) -> Result<(), TestCaseError> {
    prop_assert_eq!(classification.code.fault(), Fault::Participant, "{:?}", classification);
    prop_assert_eq!(classification.retry, Retry::Never);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_failure_file_exit_code_or_log_of_training_blames_the_platform(
        file in hostile_text(),
        exit in any::<u8>(),
        log in prop::collection::vec(hostile_text(), 0..4),
    ) {
        let reason = format!("AlgorithmError: {file}, exit code: {exit}");
        let job = json!({"TrainingJobName": "x-0-1", "TrainingJobStatus": "Failed", "SecondaryStatus": "Failed",
            "FailureReason": reason});
        let classification = classified(Step::TrainModel, "States.TaskFailed", &job.to_string());
        is_harmless(&classification.refined_by(log.iter().map(String::as_str)))?;
    }

    #[test]
    fn no_log_of_a_build_blames_the_platform(
        log in prop::collection::vec(hostile_text(), 0..6),
        exit in any::<u8>(),
    ) {
        let message = format!("Error while executing command: docker build. Reason: exit status {exit}");
        let build = json!({"Build": {"Id": "mm:1", "BuildStatus": "FAILED", "Phases": [
            {"PhaseType": "PRE_BUILD", "PhaseStatus": "SUCCEEDED"},
            {"PhaseType": "BUILD", "PhaseStatus": "FAILED",
             "Contexts": [{"StatusCode": "COMMAND_EXECUTION_ERROR", "Message": message}]},
            {"PhaseType": "POST_BUILD", "PhaseStatus": "FAILED"}]}});
        let classification = classified(Step::BuildImage, "States.TaskFailed", &build.to_string());
        is_harmless(&classification.refined_by(log.iter().map(String::as_str)))?;
    }
}
