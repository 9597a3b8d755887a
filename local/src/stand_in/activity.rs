//! Workers for the tasks of an activity: <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-activities.html>.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::ExecutionStatus;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::watch::execution_arn;

/// Concurrent tasks of one activity.
const CONCURRENCY: usize = 2;
/// How often the execution behind a task is checked.
const INTERVAL: Duration = Duration::from_secs(1);

/// How a synchronous task fails.
#[derive(Debug)]
pub struct TaskFailure {
    /// The error name of the AWS integration.
    pub error: &'static str,
    /// The job's description as JSON, or the service's sentence.
    pub cause: String,
}

/// Does the tasks of an activity instead of a synchronous integration.
pub trait Worker: Clone + Send + Sync + 'static {
    /// Does one task.
    fn work(&self, input: Value) -> impl Future<Output = Result<Value, TaskFailure>> + Send;

    /// Stops what a task has started, as Step Functions does when the execution ends first.
    fn stop(&self, input: &Value) -> impl Future<Output = ()> + Send;

    /// The task's name: `{execution}-{redrives}-{attempt}`.
    fn name<'a>(&self, input: &'a Value) -> &'a str;
}

/// Lets `worker` do every task of an activity, for ever. The tasks belong to executions of `state_machine`.
pub async fn work(sfn: &Client, activity: &str, state_machine: &str, worker: impl Worker) -> Result<()> {
    let permits = Arc::new(Semaphore::new(CONCURRENCY));
    // Dropping this future drops the set and cancels the tasks.
    let mut tasks = JoinSet::new();
    loop {
        let permit = Arc::clone(&permits).acquire_owned().await?;
        let task = sfn.get_activity_task().activity_arn(activity).send().await.context("polling for a task")?;
        let (Some(token), Some(input)) = (task.task_token, task.input) else { continue };
        let (sfn, state_machine, worker) = (sfn.clone(), state_machine.to_owned(), worker.clone());
        tasks.spawn(async move {
            let _permit = permit;
            let result = match serde_json::from_str::<Value>(&input) {
                Ok(input) => {
                    let execution = worker.name(&input).rsplitn(3, '-').nth(2).unwrap_or_default();
                    let execution = execution_arn(&state_machine, execution);
                    tokio::select! {
                        result = worker.work(input.clone()) => result,
                        () = end_of(&sfn, &execution) => return worker.stop(&input).await,
                    }
                }
                Err(error) => Err(TaskFailure { error: "States.Runtime", cause: error.to_string() }),
            };
            if let Err(error) = answer(&sfn, token, result).await {
                eprintln!("a task's result could not be sent: {error:#}");
            }
        });
        while tasks.try_join_next().is_some() {}
    }
}

async fn answer(sfn: &Client, token: String, result: Result<Value, TaskFailure>) -> Result<()> {
    match result {
        Ok(output) => {
            sfn.send_task_success().task_token(token).output(output.to_string()).send().await?;
        }
        Err(failure) => {
            sfn.send_task_failure().task_token(token).error(failure.error).cause(failure.cause).send().await?;
        }
    }
    Ok(())
}

/// Waits until an execution has ended, which means that it was stopped during its task.
async fn end_of(sfn: &Client, execution: &str) {
    loop {
        sleep(INTERVAL).await;
        // The emulator does not notify the worker.
        let described = sfn.describe_execution().execution_arn(execution).send().await;
        if described.is_ok_and(|execution| *execution.status() != ExecutionStatus::Running) {
            return;
        }
    }
}
