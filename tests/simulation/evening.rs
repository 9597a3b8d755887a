//! Small evenings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::FailureCode;
use serde_json::{Value, json};
use simulate::evening::Evening;
use simulate::ledger::Violation;
use simulate::plan::{Plan, Quotas};
use simulate::result::Outcomes;
use simulate::wait;

use crate::{in_repository, package};

/// Some hundred submissions, with quotas that make them wait.
fn plan() -> Plan {
    Plan {
        submissions: 300,
        span: Duration::from_mins(10),
        seed: 7,
        faults: 3.0,
        quotas: Quotas { builds: 5, training_instances: 10, ..Quotas::default() },
    }
}

fn definitions() -> PathBuf {
    in_repository("statemachine")
}

fn run(plan: &Plan, definitions: &Path) -> Outcomes {
    Evening::new(plan, definitions, &package()).unwrap().run(|_| {}).unwrap()
}

#[test]
fn each_submission_gets_one_outcome_and_the_right_one() {
    let outcomes = run(&plan(), &definitions());
    assert_eq!(outcomes.violations, []);
    assert_eq!((outcomes.submissions, outcomes.reported), (300, 300));
    assert!(outcomes.by_code["Completed"] > 200, "{:?}", outcomes.by_code);
    for code in [FailureCode::BuildFailed, FailureCode::TrainingFailed, FailureCode::DockerfileMissing] {
        assert!(outcomes.by_code.contains_key(code.as_str()), "{code} was not sown");
    }
    let messages = outcomes.messages;
    assert_eq!(messages.published, messages.started + messages.duplicate + messages.not_for_us + messages.quarantined);
    assert_eq!(messages.started, 300);
    assert!(messages.duplicate > 0 && messages.not_for_us > 0, "{messages:?}");
    // Something was scarce, or the evening proves little.
    assert!(outcomes.calls["CodeBuild"].over_quota > 0 && outcomes.calls["SageMaker"].over_quota > 0);
    assert_eq!((outcomes.peaks.builds, outcomes.peaks.training_instances), (5, 10));
    for reason in ["in the queue of CodeBuild", "new attempt of TrainModel after QuotaExceeded"] {
        assert!(outcomes.waits.iter().any(|wait| wait.reason == reason), "{:?}", outcomes.waits);
    }
}

#[test]
fn a_seed_gives_the_same_evening_and_another_seed_another_one() {
    let small = Plan { submissions: 40, ..plan() };
    let json = |plan: &Plan| serde_json::to_value(run(plan, &definitions())).unwrap();
    let first = json(&small);
    assert_eq!(first, json(&small));
    assert_ne!(first["lastOutcomeSeconds"], json(&Plan { seed: 8, ..small })["lastOutcomeSeconds"]);
}

#[test]
fn submissions_that_arrive_all_at_once_wait_for_what_is_throttled() {
    let quotas = Quotas { parameter_reads: 2, start_execution: (20.0, 5.0), builds: 300, ..Quotas::default() };
    let outcomes = run(&Plan { submissions: 150, span: Duration::ZERO, quotas, ..plan() }, &definitions());
    assert_eq!(outcomes.violations, []);
    for service in ["Systems Manager", "Step Functions"] {
        assert!(outcomes.calls[service].throttled > 20, "{:?}", outcomes.calls);
    }
    assert!(outcomes.messages.batches_repeated > 0);
}

/// A copy of the definitions with a change to each retrier.
fn changed(change: impl Fn(&mut Value)) -> tempfile::TempDir {
    fn visit(value: &mut Value, change: &impl Fn(&mut Value)) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| visit(item, change)),
            Value::Object(fields) => {
                if let Some(Value::Array(retriers)) = fields.get_mut("Retry") {
                    retriers.iter_mut().for_each(change);
                }
                fields.values_mut().for_each(|value| visit(value, change));
            }
            _ => {}
        }
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["processing.asl.json", "scoring.asl.json"] {
        let definition = std::fs::read_to_string(definitions().join(name)).unwrap();
        let mut definition = serde_json::from_str(&definition).unwrap();
        visit(&mut definition, &change);
        std::fs::write(folder.path().join(name), definition.to_string()).unwrap();
    }
    folder
}

#[test]
fn a_changed_retry_in_the_file_changes_the_result() {
    // All at once, with room for few functions.
    let scarce = Plan {
        submissions: 100,
        span: Duration::ZERO,
        quotas: Quotas { lambda_concurrency: 4, ..plan().quotas },
        faults: 0.0,
        ..plan()
    };
    let as_written = run(&scarce, &definitions());
    assert_eq!(as_written.violations, []);
    assert!(as_written.retries["Lambda.TooManyRequestsException"] > 100, "{:?}", as_written.retries);
    let once = changed(|retrier| {
        if retrier["ErrorEquals"] == json!(["Lambda.TooManyRequestsException"]) {
            assert_eq!(retrier["MaxAttempts"], 100);
            retrier["MaxAttempts"] = json!(1);
        }
    });
    let outcomes = run(&scarce, once.path());
    let failed = outcomes.violations.iter().filter(|it| matches!(it, Violation::Failed { .. })).count();
    assert!(failed > 10, "{} of {} failed", failed, outcomes.submissions);
}

#[test]
fn the_longest_wait_for_a_machine_fits_into_the_history_of_an_execution() {
    let outcomes = wait::longest(&definitions(), &package()).unwrap();
    let days = outcomes.to_outcome.max / 86_400.0;
    assert!((12.9..14.0).contains(&days), "it waited {days} days");
    assert_eq!(outcomes.by_code.keys().collect::<Vec<_>>(), ["QuotaExceeded"]);
    assert!((5_000..outcomes.history.limit).contains(&outcomes.history.events), "{:?}", outcomes.history);
}
