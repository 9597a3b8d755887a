//! Working on the tasks of an activity: <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-activities.html>.

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

/// Tasks of one activity that are worked on at once.
const CONCURRENCY: usize = 2;
/// How often the execution that waits for a task is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// How a synchronous task fails: an error's name, and the job's description as its cause.
#[derive(Debug)]
pub struct TaskFailure {
    /// The error's name, as the AWS integration gives it.
    pub error: &'static str,
    /// The cause.
    pub cause: String,
}

/// What does the tasks of an activity, in the place of a synchronous integration.
pub trait Worker: Clone + Send + Sync + 'static {
    /// Does one task.
    fn work(&self, input: Value) -> impl Future<Output = Result<Value, TaskFailure>> + Send;

    /// Ends what a task has started, as Step Functions does when the execution ends without it.
    fn stop(&self, input: &Value) -> impl Future<Output = ()> + Send;

    /// The task's name: its execution's name, the redrive and the attempt, separated by hyphens.
    fn name<'a>(&self, input: &'a Value) -> &'a str;
}

/// Hands every task of an activity to `worker`, for ever. The executions are those of `state_machine`.
pub async fn work(sfn: &Client, activity: &str, state_machine: &str, worker: impl Worker) -> Result<()> {
    let places = Arc::new(Semaphore::new(CONCURRENCY));
    // Dropping the set with this future ends the tasks.
    let mut tasks = JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned().await?;
        let task = sfn.get_activity_task().activity_arn(activity).send().await.context("asking for a task")?;
        let (Some(token), Some(input)) = (task.task_token, task.input) else { continue };
        let (sfn, state_machine, worker) = (sfn.clone(), state_machine.to_owned(), worker.clone());
        tasks.spawn(async move {
            let _place = place;
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

/// Waits until an execution has ended while one of its tasks is still being worked on: by force.
async fn end_of(sfn: &Client, execution: &str) {
    loop {
        sleep(INTERVAL).await;
        // The emulator has no heartbeat that would tell the worker.
        let described = sfn.describe_execution().execution_arn(execution).send().await;
        if described.is_ok_and(|execution| *execution.status() != ExecutionStatus::Running) {
            return;
        }
    }
}
