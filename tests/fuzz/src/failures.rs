//! Failures of steps: what they mean, and what of them people read.

use diagnose::{
    Build, Classification, FailedStep, Job, Phase, PhaseContext, Policy, Retry, TrainingJob, classify, decide,
};
use domain::outcome::{Links, Step};
use domain::{Fault, StepError};
use serde_json::json;

use crate::message;

const STEPS: [Step; 6] = [
    Step::FetchSubmission,
    Step::BuildImage,
    Step::ResolveImage,
    Step::TrainModel,
    Step::ReadChallenge,
    Step::ScoreSubmission,
];
const POLICY: Policy = Policy { fault_seconds: 3600, wait_seconds: 7200, spot_fallback_attempts: 3 };
/// Characters of a message from one of our functions, of a detail and of a line, each with the mark where text was cut off.
const MAX_MESSAGE: usize = 2001;
const MAX_DETAIL: usize = 1025;
const MAX_LINE: usize = 501 + " (1000000 times)".len();
const MAX_LINES: usize = 200;

/// The first byte chooses what the rest is: the error of any step, or what a participant can write.
pub fn check(input: &[u8]) {
    let [selector, rest @ ..] = input else { return };
    let text = String::from_utf8_lossy(rest);
    let mut lines = text.split('\n').map(str::to_owned);
    match selector % 8 {
        6 => {
            let file = lines.next().unwrap_or_default();
            check_training(&file, *selector, &lines.collect::<Vec<_>>());
        }
        7 => check_build(*selector, &lines.collect::<Vec<_>>()),
        step => {
            let error =
                StepError { error: lines.next().unwrap_or_default(), cause: lines.collect::<Vec<_>>().join("\n") };
            check_error(STEPS[usize::from(step)], error);
        }
    }
}

/// Whatever a service reports: there is a code and a message, and the participant's faults are not retried.
fn check_error(step: Step, error: StepError) {
    let job = Job::in_cause(step, &error);
    let classification = classified(step, &error, job.as_ref());
    assert_eq!(classification, classify(step, &error, job.as_ref()));
    check_answer(step, error, job.as_ref(), &[], &classification);
}

/// A training job whose program failed: its failure file and its log are the participant's.
fn check_training(file: &str, exit: u8, log: &[String]) {
    let reason = format!("AlgorithmError: {file}, exit code: {exit}");
    let job = TrainingJob {
        training_job_name: "x-0-1".to_owned(),
        training_job_status: "Failed".to_owned(),
        secondary_status: Some("Failed".to_owned()),
        failure_reason: reason.clone(),
        stopping_condition: None,
    };
    let cause = json!({"TrainingJobName": "x-0-1", "TrainingJobStatus": "Failed", "SecondaryStatus": "Failed",
        "FailureReason": reason});
    check_participants(Step::TrainModel, cause.to_string(), &Job::Training(job), log);
}

/// A build whose Dockerfile failed: its log is the participant's.
fn check_build(exit: u8, log: &[String]) {
    let message = format!("Error while executing command: docker build. Reason: exit status {exit}");
    let phase = |phase_type: &str, status: &str, contexts| Phase {
        phase_type: phase_type.to_owned(),
        phase_status: Some(status.to_owned()),
        contexts,
    };
    let failed = vec![PhaseContext { message: Some(message) }];
    let phases = vec![phase("PRE_BUILD", "SUCCEEDED", vec![]), phase("BUILD", "FAILED", failed)];
    let build = Build { id: "mm:1".to_owned(), build_status: "FAILED".to_owned(), phases, ..Build::default() };
    check_participants(Step::BuildImage, "Build failed".to_owned(), &Job::Build(build), log);
}

/// No text of a participant makes the platform responsible, is retried, or changes what is read about another code.
fn check_participants(step: Step, cause: String, job: &Job, log: &[String]) {
    let error = StepError { error: "States.TaskFailed".to_owned(), cause };
    let classification = classified(step, &error, Some(job));
    assert_eq!(classification.code.fault(), Fault::Participant, "{classification:?}");
    check_answer(step, error, Some(job), log, &classification);
}

#[cfg(not(feature = "planted"))]
fn classified(step: Step, error: &StepError, job: Option<&Job>) -> Classification {
    classify(step, error, job)
}

/// Retries a training whose failure file starts with an upper-case letter and a digit.
#[cfg(feature = "planted")]
fn classified(step: Step, error: &StepError, job: Option<&Job>) -> Classification {
    let mut classification = classify(step, error, job);
    if let Some(Job::Training(job)) = job
        && job
            .failure_reason
            .strip_prefix("AlgorithmError: ")
            .is_some_and(|file| crate::planted::starts(file.as_bytes()))
    {
        classification.retry = Retry::Once { after: 60 };
    }
    classification
}

fn check_answer(step: Step, error: StepError, job: Option<&Job>, log: &[String], classification: &Classification) {
    let is_participants = classification.code.fault() == Fault::Participant;
    assert!(!is_participants || classification.retry == Retry::Never, "{classification:?}");
    let time = "2026-01-31T12:00:00Z".to_owned();
    let failed = FailedStep {
        submission_id: "-kJ-nOos4KQaL3".parse().expect("an id"),
        step,
        error,
        attempt: 1,
        redrives: 0,
        capacity_retries: 0,
        spot: true,
        failing_since: None,
        waiting_since: None,
        suspected_since: None,
        started_at: time.clone(),
        redriven_at: None,
        failed_at: time,
    };
    let decision = decide(&failed, job, log, POLICY);
    assert_eq!(decision.code().fault(), classification.code.fault(), "the log changes whose fault it is");
    assert!(!is_participants || decision.next.is_none() && decision.retry_after_seconds.is_none());
    let diagnosis = decision.answer(&failed, log, Links::default()).diagnosis;
    assert_eq!(diagnosis.fault, diagnosis.code.fault());
    assert!(!diagnosis.message.is_empty() || FailedStep::has_own_code(&failed));
    message::check(&diagnosis.message, MAX_MESSAGE);
    if let Some(detail) = &diagnosis.detail {
        message::check(detail, MAX_DETAIL);
    }
    assert!(diagnosis.log_tail.len() <= MAX_LINES);
    for line in &diagnosis.log_tail {
        message::check(line, MAX_LINE);
    }
}

trait HasOwnCode {
    /// Whether the error is one of our functions' own, which wrote the message.
    fn has_own_code(&self) -> bool;
}

impl HasOwnCode for FailedStep {
    fn has_own_code(&self) -> bool {
        domain::FailureCode::from_name(&self.error.error).is_some()
    }
}
