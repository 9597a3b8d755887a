//! Working on the tasks of an activity: <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-activities.html>.

use std::sync::Arc;

use anyhow::{Context, Result};
use aws_sdk_sfn::Client;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Tasks of one activity that are worked on at once.
const CONCURRENCY: usize = 2;

/// How a synchronous task fails: an error's name, and the job's description as its cause.
#[derive(Debug)]
pub struct TaskFailure {
    /// The error's name, as the AWS integration gives it.
    pub error: &'static str,
    /// The cause.
    pub cause: String,
}

/// Hands every task of an activity to `handler`, for ever.
pub async fn work<H, F>(sfn: &Client, activity: &str, handler: H) -> Result<()>
where
    H: Fn(Value) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Value, TaskFailure>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONCURRENCY));
    // Dropping the set with this future ends the tasks.
    let mut tasks = JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned().await?;
        let task = sfn.get_activity_task().activity_arn(activity).send().await.context("asking for a task")?;
        let (Some(token), Some(input)) = (task.task_token, task.input) else { continue };
        let (sfn, handler) = (sfn.clone(), handler.clone());
        tasks.spawn(async move {
            let _place = place;
            let result = match serde_json::from_str(&input) {
                Ok(input) => handler(input).await,
                Err(error) => Err(TaskFailure { error: "States.Runtime", cause: error.to_string() }),
            };
            let answered = match result {
                Ok(output) => sfn
                    .send_task_success()
                    .task_token(token)
                    .output(output.to_string())
                    .send()
                    .await
                    .map(drop)
                    .map_err(anyhow::Error::from),
                Err(failure) => sfn
                    .send_task_failure()
                    .task_token(token)
                    .error(failure.error)
                    .cause(failure.cause)
                    .send()
                    .await
                    .map(drop)
                    .map_err(anyhow::Error::from),
            };
            if let Err(error) = answered {
                eprintln!("a task's result could not be sent: {error:#}");
            }
        });
        while tasks.try_join_next().is_some() {}
    }
}
