//! Faults of builds and training jobs, in front of the stand-ins for CodeBuild and SageMaker.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use local::stand_in::activity::{TaskFailure, Worker};
use serde_json::{Value, json};

use crate::call::Call;
use crate::fault::{Faults, Kind};
use crate::secrets::SECRETS;

/// The names of running builds and jobs.
pub(crate) type Running = Arc<Mutex<BTreeSet<String>>>;

/// A worker whose tasks can fail.
#[derive(Clone)]
pub(crate) struct Faulty<W> {
    pub(crate) worker: W,
    pub(crate) call: Call,
    pub(crate) faults: Arc<Faults>,
    pub(crate) running: Running,
}

impl<W: Worker> Faulty<W> {
    async fn really(&self, input: Value) -> Result<Value, TaskFailure> {
        let name = self.worker.name(&input).to_owned();
        let _running = RunningName::of(&self.running, name);
        self.worker.work(input).await
    }
}

impl<W: Worker> Worker for Faulty<W> {
    async fn work(&self, input: Value) -> Result<Value, TaskFailure> {
        let (exception, client) = match self.call {
            Call::StartBuild => ("CodeBuild.AWSCodeBuildException", "CodeBuild.SdkClientException"),
            _ => ("SageMaker.AmazonSageMakerException", "SageMaker.SdkClientException"),
        };
        let fails = |error, cause: &str| Err(TaskFailure { error, cause: cause.to_owned() });
        match self.faults.on(self.call, &[self.worker.name(&input)]) {
            None | Some(Kind::Seen | Kind::Denied | Kind::Emulated(_) | Kind::Crash) => self.really(input).await,
            Some(Kind::Throttled) => fails(
                exception,
                "Rate exceeded (Service: AWS; Status Code: 400; Error Code: ThrottlingException; Request ID: 1; Proxy: null)",
            ),
            Some(Kind::ServerError) => fails(
                exception,
                "Internal failure (Service: AWS; Status Code: 500; Error Code: InternalFailure; Request ID: 1; Proxy: null)",
            ),
            Some(Kind::Reset) => fails(client, "Connection reset"),
            Some(Kind::AnswerLost) => {
                let _ = self.really(input).await;
                fails(client, "Unable to execute HTTP request: Connection reset")
            }
            Some(Kind::Slow) => fails("States.Timeout", ""),
            Some(Kind::Malformed) => {
                let _ = self.really(input).await;
                Ok(json!({}))
            }
            Some(Kind::TaskFails { error, cause }) => {
                fails(error, &cause.replace("TASK", self.worker.name(&input)).replace("SECRETS", SECRETS))
            }
        }
    }

    async fn stop(&self, input: &Value) {
        self.worker.stop(input).await;
    }

    fn name<'a>(&self, input: &'a Value) -> &'a str {
        self.worker.name(input)
    }
}

/// Keeps a name among the running ones until it is dropped.
struct RunningName(Running, String);

impl RunningName {
    fn of(running: &Running, name: String) -> Self {
        running.lock().insert(name.clone());
        Self(Arc::clone(running), name)
    }
}

impl Drop for RunningName {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}
