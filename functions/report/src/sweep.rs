//! Finds and reports executions that ended without a reported outcome, and counts quarantined records.

use std::time::{Duration, Instant, SystemTime};

use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus};
use domain::execution::Execution;
use domain::outcome::Outcome;
use runtime::metrics::{Metrics, Unit};
use runtime::{CallFailed, failure};
use time::OffsetDateTime;

use crate::error::ReportError;
use crate::request::SweepAnswer;
use crate::settings::SweepSettings;
use crate::{Deps, execution_ended};

/// Limit for the pages of executions that are read, newest first, with 1,000 executions each.
const EXECUTION_PAGES: usize = 20;
/// Limit for the pages of objects that are counted, with 1,000 objects each.
const OBJECT_PAGES: usize = 20;
/// Limit for checking executions. The next sweep starts again from the newest.
const TIME_LIMIT: Duration = Duration::from_mins(2);
/// The time limit of the state machine.
const LONGEST_EXECUTION: Duration = Duration::from_hours(14 * 24);

#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    oldest_running: Duration,
    checked: u32,
    unreported: u32,
    reported: u32,
    quarantined: u32,
}

/// Reports each execution without a reported outcome that ended between the look-back limit and the deadline. If one
/// cannot be reported, the others are still reported, and the next sweep finds it again.
pub(crate) async fn sweep(deps: &Deps) -> Result<SweepAnswer, ReportError> {
    let settings = &deps.sweep;
    let began = Instant::now();
    let now = SystemTime::now();
    let mut found = Found::default();
    let mut next = None;
    'pages: for _ in 0..EXECUTION_PAGES {
        let call = deps.sfn.list_executions().state_machine_arn(&settings.state_machine).set_next_token(next);
        let page = call.send().await.map_err(|error| failed("ListExecutions", &error))?;
        for execution in &page.executions {
            // A start in the future is a difference between clocks, so the age is 0.
            let started = SystemTime::try_from(execution.start_date).unwrap_or(now);
            let age = now.duration_since(started).unwrap_or(Duration::ZERO);
            if age > settings.look_back + LONGEST_EXECUTION {
                break 'pages;
            }
            if *execution.status() == ExecutionStatus::Running {
                found.oldest_running = found.oldest_running.max(age);
            } else if is_due(execution, now, settings) {
                if began.elapsed() > TIME_LIMIT {
                    tracing::warn!(
                        "the sweep reached its time limit and checked only the newest executions; the next sweep starts again from the newest"
                    );
                    break 'pages;
                }
                found.checked += 1;
                check(execution.execution_arn(), &mut found, deps).await;
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
    tracing::info!(?found, "finished the sweep");
    Ok(SweepAnswer { checked: found.checked, unreported: found.unreported, reported: found.reported })
}

/// Whether the time since it ended is at least the deadline and less than the look-back limit. Earlier sweeps have checked
/// older executions.
fn is_due(execution: &ExecutionListItem, now: SystemTime, settings: &SweepSettings) -> bool {
    let stopped = execution.stop_date.and_then(|at| SystemTime::try_from(at).ok());
    stopped
        .and_then(|stopped| now.duration_since(stopped).ok())
        .is_some_and(|age| (settings.deadline..settings.look_back).contains(&age))
}

async fn check(arn: &str, found: &mut Found, deps: &Deps) {
    match report_if_unreported(arn, deps).await {
        Ok(false) => {}
        Ok(true) => {
            found.unreported += 1;
            found.reported += 1;
        }
        Err(error) => {
            failure::log(&error);
            found.unreported += 1;
        }
    }
}

/// Reports the execution if its outcome was not reported. Returns whether that was necessary.
async fn report_if_unreported(arn: &str, deps: &Deps) -> Result<bool, ReportError> {
    let described = deps.sfn.describe_execution().execution_arn(arn).send().await;
    let described = described.map_err(|error| failed("DescribeExecution", &error))?;
    let Some(execution) = execution(&described) else {
        tracing::warn!(execution = arn, status = %described.status(), "could not read the execution");
        return Ok(false);
    };
    let Some(submission) = execution.submission_id() else { return Ok(false) };
    let stored = deps.store.get(&submission).await?;
    if stored.is_some_and(|stored| stored.execution == arn && deps.is_sent(&stored)) {
        return Ok(false);
    }
    tracing::warn!(submissionId = %submission, execution = arn, "the execution ended without a reported outcome");
    // The output of an execution that succeeded is its outcome. Others have none.
    let own: Option<Outcome> = described.output().and_then(|output| serde_json::from_str(output).ok());
    execution_ended(&execution, own, deps).await?;
    Ok(true)
}

/// `None` if Step Functions gives a status or date that does not exist today.
fn execution(described: &DescribeExecutionOutput) -> Option<Execution> {
    let date = |at: &DateTime| OffsetDateTime::from_unix_timestamp_nanos(at.as_nanos()).ok();
    Some(Execution {
        execution_arn: described.execution_arn().to_owned(),
        status: described.status().as_str().parse().ok()?,
        input: described.input().unwrap_or_default().to_owned(),
        start_date: date(described.start_date())?,
        stop_date: described.stop_date().and_then(date),
        error: described.error().map(str::to_owned),
    })
}

fn failed<E>(operation: &'static str, error: &aws_sdk_sfn::error::SdkError<E>) -> ReportError
where
    E: aws_sdk_sfn::error::ProvideErrorMetadata + std::error::Error + 'static,
{
    ReportError::Executions(CallFailed::new("Step Functions", operation, error))
}

fn metrics(found: &Found, stack: &str) -> Metrics {
    Metrics::of_stack(stack)
        .value("OldestRunningSeconds", Unit::Seconds, found.oldest_running.as_secs_f64())
        .value("Unreported", Unit::Count, found.unreported.into())
        .value("QuarantineDepth", Unit::Count, found.quarantined.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_execution_that_ended_between_look_back_and_deadline_is_due() {
        let settings = SweepSettings {
            state_machine: "arn:aws:states:us-east-1:123456789012:stateMachine:mm".parse().unwrap(),
            staging_bucket: "staging".parse().unwrap(),
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
    fn a_sweep_is_measured() {
        let found =
            Found { oldest_running: Duration::from_secs(90), unreported: 2, quarantined: 3, ..Found::default() };
        let line = metrics(&found, "mm").to_json(OffsetDateTime::UNIX_EPOCH);
        assert_eq!(
            (&line["OldestRunningSeconds"], &line["Unreported"], &line["QuarantineDepth"]),
            (&json!(90.0), &json!(2.0), &json!(3.0))
        );
    }
}
