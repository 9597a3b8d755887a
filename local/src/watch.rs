//! Following an execution through its history.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionError;
use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent};
use tokio::time::{Instant, sleep};

/// How often the history is read.
const INTERVAL: Duration = Duration::from_millis(200);

/// One visit of a state.
#[derive(Debug, Clone)]
pub struct Visit {
    pub state: String,
    /// Whether the state is a task, a wait or the like. Choices and assignments take no time.
    pub is_work: bool,
    /// Time from the execution's start to entering the state.
    pub entered: Duration,
    /// Time in the state. Absent until it is left.
    pub took: Option<Duration>,
    /// Whether its last attempt failed.
    pub failed: bool,
}

/// An execution that has ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExecutionStatus,
    /// Present if it succeeded.
    pub output: Option<String>,
    /// The error's name, if it failed.
    pub error: Option<String>,
    pub visits: Vec<Visit>,
}

/// The ARN of an execution.
#[must_use]
pub fn execution_arn(state_machine: &str, name: &str) -> String {
    format!("{}:{name}", state_machine.replace(":stateMachine:", ":execution:"))
}

/// Waits until an execution exists and has ended. `show` gets each visit when it begins and when it ends.
pub async fn follow(
    sfn: &Client,
    execution: &str,
    appears_within: Duration,
    mut show: impl FnMut(&Visit),
) -> Result<Ended> {
    let deadline = Instant::now() + appears_within;
    let mut shown = Vec::new();
    loop {
        let description = match sfn.describe_execution().execution_arn(execution).send().await {
            Ok(description) => description,
            Err(error) if error.as_service_error().is_some_and(DescribeExecutionError::is_execution_does_not_exist) => {
                if Instant::now() > deadline {
                    bail!("the message started no execution within {} s", appears_within.as_secs());
                }
                sleep(INTERVAL).await;
                continue;
            }
            Err(error) => return Err(error).context("reading the execution"),
        };
        let visits = visits(sfn, execution).await?;
        for (at, visit) in visits.iter().enumerate() {
            let state = visit.took.is_some();
            match shown.get_mut(at) {
                None => {
                    show(visit);
                    shown.push(state);
                }
                Some(shown) if *shown != state => {
                    show(visit);
                    *shown = state;
                }
                Some(_) => {}
            }
        }
        if *description.status() != ExecutionStatus::Running {
            return Ok(Ended {
                status: description.status,
                output: description.output,
                error: description.error,
                visits,
            });
        }
        sleep(INTERVAL).await;
    }
}

async fn visits(sfn: &Client, execution: &str) -> Result<Vec<Visit>> {
    let mut visits: Vec<Visit> = Vec::new();
    let mut start = None;
    let mut pages = sfn.get_execution_history().execution_arn(execution).into_paginator().send();
    while let Some(page) = pages.next().await {
        for event in page.context("reading the execution's history")?.events() {
            let at = Duration::from_millis(event.timestamp().to_millis()?.try_into()?);
            let start = *start.get_or_insert(at);
            add(&mut visits, event, at.saturating_sub(start));
        }
    }
    Ok(visits)
}

fn add(visits: &mut Vec<Visit>, event: &HistoryEvent, at: Duration) {
    if let Some(entered) = event.state_entered_event_details() {
        let is_work = !event.r#type().as_str().starts_with("Choice") && !event.r#type().as_str().starts_with("Pass");
        visits.push(Visit { state: entered.name().to_owned(), is_work, entered: at, took: None, failed: false });
    } else if let Some(last) = visits.last_mut()
        && let Some(failed) = attempt_failed(event.r#type().as_str())
    {
        last.failed = failed || is_stopped_job(event);
    } else if (event.state_exited_event_details().is_some() || event.r#type().as_str().starts_with("Execution"))
        && let Some(last) = visits.last_mut()
    {
        last.took.get_or_insert(at.saturating_sub(last.entered));
    }
}

/// Whether a task succeeded with a training job that did not reach its end. Later states decide what that means.
fn is_stopped_job(event: &HistoryEvent) -> bool {
    let activity = event.activity_succeeded_event_details().and_then(|details| details.output());
    let output = activity.or_else(|| event.task_succeeded_event_details().and_then(|details| details.output()));
    let job = output.and_then(|output| serde_json::from_str::<serde_json::Value>(output).ok());
    job.is_some_and(|job| job["TrainingJobStatus"] == "Stopped")
}

/// Whether an event says that an attempt at a state failed or succeeded. The types of events:
/// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html>.
fn attempt_failed(event: &str) -> Option<bool> {
    let part = |of: &str| event.strip_prefix(of);
    match ["Task", "Activity", "LambdaFunction"].into_iter().find_map(part)? {
        "Failed" | "TimedOut" | "StartFailed" | "SubmitFailed" | "ScheduleFailed" => Some(true),
        "Succeeded" => Some(false),
        _ => None,
    }
}
