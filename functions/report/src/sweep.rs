//! Looking for executions that ended and were not reported, and for what waits in the staging bucket.

use std::time::{Duration, Instant, SystemTime};

use aws_sdk_sfn::Client;
use aws_sdk_sfn::error::DisplayErrorContext;
use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus};
use serde_json::{Value, json};
use shared::execution::Ended;
use shared::metrics::{Metrics, Unit};
use shared::outcome::Outcome;
use shared::{Failure, FailureCode};

use crate::settings::SweepSettings;
use crate::{Deps, execution_ended};

/// Pages of executions that are read, newest first, 1,000 executions each.
const EXECUTION_PAGES: usize = 20;
/// Pages of objects that are counted, 1,000 objects each.
const OBJECT_PAGES: usize = 20;
/// How long executions are looked through: the next sweep goes on with what is left.
const PATIENCE: Duration = Duration::from_mins(2);
/// The longest that an execution runs, as the state machine has it.
const LONGEST_EXECUTION: Duration = Duration::from_hours(14 * 24);

/// What a sweep found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    oldest_running: Duration,
    checked: u32,
    unreported: u32,
    reported: u32,
    quarantined: u32,
}

/// Reports each execution that ended longer ago than the deadline, and since the sweep looks back, without a reported
/// outcome. One that cannot be reported keeps no other from it: it is found again by the next sweep.
pub(crate) async fn sweep(deps: &Deps) -> Result<Value, Failure> {
    let settings = &deps.sweep;
    let began = Instant::now();
    let now = SystemTime::now();
    let mut found = Found::default();
    let mut next = None;
    'pages: for _ in 0..EXECUTION_PAGES {
        let call = deps.sfn.list_executions().state_machine_arn(&settings.state_machine).set_next_token(next);
        let page = call.send().await.map_err(|error| unreadable("the executions", &error))?;
        for execution in &page.executions {
            let started = SystemTime::try_from(execution.start_date).unwrap_or(now);
            if now.duration_since(started).unwrap_or_default() > settings.look_back + LONGEST_EXECUTION {
                break 'pages;
            }
            if *execution.status() == ExecutionStatus::Running {
                found.oldest_running = found.oldest_running.max(now.duration_since(started).unwrap_or_default());
            } else if is_due(execution, now, settings) {
                if began.elapsed() > PATIENCE {
                    tracing::warn!("the sweep ran out of time; the next one goes on");
                    break 'pages;
                }
                found.checked += 1;
                check(execution, &mut found, deps).await;
            }
        }
        next = page.next_token;
        if next.is_none() {
            break;
        }
    }
    for prefix in ["quarantine/", "aws/lambda/"] {
        found.quarantined += deps.store.count(&settings.staging_bucket, prefix, OBJECT_PAGES).await?;
    }
    metrics(&found, &deps.stack_name).emit();
    tracing::info!(?found, "swept");
    Ok(json!({"checked": found.checked, "unreported": found.unreported, "reported": found.reported}))
}

/// Whether it ended longer ago than the deadline, and not so long ago that earlier sweeps have looked at it often.
fn is_due(execution: &ExecutionListItem, now: SystemTime, settings: &SweepSettings) -> bool {
    let stopped = execution.stop_date.and_then(|at| SystemTime::try_from(at).ok());
    stopped
        .and_then(|stopped| now.duration_since(stopped).ok())
        .is_some_and(|age| (settings.deadline..settings.look_back).contains(&age))
}

async fn check(execution: &ExecutionListItem, found: &mut Found, deps: &Deps) {
    match report_if_due(&deps.sfn, execution.execution_arn(), deps).await {
        Ok(false) => {}
        Ok(true) => {
            found.unreported += 1;
            found.reported += 1;
        }
        Err(failure) => {
            failure.log();
            found.unreported += 1;
        }
    }
}

/// Reports the execution unless that was done; whether it had to be.
async fn report_if_due(sfn: &Client, arn: &str, deps: &Deps) -> Result<bool, Failure> {
    let described = sfn.describe_execution().execution_arn(arn).send().await;
    let described = described.map_err(|error| unreadable("an execution", &error))?;
    let ended = Ended {
        execution_arn: arn.to_owned(),
        status: described.status().as_str().to_owned(),
        input: described.input().unwrap_or_default().to_owned(),
        start_date: described.start_date().to_millis().unwrap_or_default(),
        stop_date: described.stop_date().and_then(|at| at.to_millis().ok()),
        error: described.error().map(str::to_owned),
    };
    // What an execution that succeeded says of itself; others say nothing.
    let own: Option<Outcome> = described.output().and_then(|output| serde_json::from_str(output).ok());
    let Some(submission) = ended.submission_id() else { return Ok(false) };
    let stored = deps.store.get(&submission).await?;
    if stored.is_some_and(|stored| stored.execution == arn && deps.is_sent(&stored)) {
        return Ok(false);
    }
    tracing::warn!(submissionId = %submission, execution = arn, "the execution ended without a reported outcome");
    execution_ended(&ended, own, deps).await?;
    Ok(true)
}

fn unreadable<E: std::error::Error>(what: &str, error: &E) -> Failure {
    let cause = DisplayErrorContext(error).to_string();
    Failure::new(FailureCode::Internal, format!("{what} could not be read")).caused_by(cause)
}

fn metrics(found: &Found, stack: &str) -> Metrics {
    Metrics::of_stack(stack)
        .value("OldestRunningSeconds", Unit::Seconds, found.oldest_running.as_secs_f64())
        .value("Unreported", Unit::Count, found.unreported.into())
        .value("QuarantineDepth", Unit::Count, found.quarantined.into())
}

#[cfg(test)]
mod tests {
    use aws_sdk_sfn::primitives::DateTime;

    use super::*;

    #[test]
    fn what_ended_between_look_back_and_deadline_is_due() {
        let settings = SweepSettings {
            state_machine: "arn".to_owned(),
            staging_bucket: "staging".to_owned(),
            deadline: Duration::from_hours(1),
            look_back: Duration::from_hours(2),
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000);
        let ended = |at: Option<i64>| {
            let execution = ExecutionListItem::builder()
                .execution_arn("arn")
                .state_machine_arn("arn")
                .name("e")
                .status(ExecutionStatus::Aborted)
                .start_date(DateTime::from_secs(1))
                .set_stop_date(at.map(DateTime::from_secs));
            is_due(&execution.build().unwrap(), now, &settings)
        };
        assert_eq!([2799, 2801, 6399, 6401].map(|at| ended(Some(at))), [false, true, true, false]);
        assert!(!ended(None));
    }

    #[test]
    fn what_was_found_is_measured() {
        let found =
            Found { oldest_running: Duration::from_secs(90), unreported: 2, quarantined: 3, ..Found::default() };
        let line = metrics(&found, "mm").to_json(time::OffsetDateTime::UNIX_EPOCH);
        assert_eq!(
            (&line["OldestRunningSeconds"], &line["Unreported"], &line["QuarantineDepth"]),
            (&json!(90.0), &json!(2.0), &json!(3.0))
        );
    }
}
