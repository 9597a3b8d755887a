//! Stands in for `sagemaker:createTrainingJob.sync`: runs the pinned image under SageMaker's container contract, on this
//! machine. The contract: <https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html>.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use aws_sdk_s3::primitives::ByteStream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::clients::{Clients, Tasks, repository_of};
use crate::engine::{Engine, Job, Limits, Purpose};
use crate::stand_in::activity::{TaskFailure, Worker};
use crate::stand_in::job_log::JobLog;
use crate::stand_in::jobs::{Jobs, training_job_arn};
use crate::stand_in::output_archive::{self, PackError};

/// The log group of every training job.
const LOG_GROUP: &str = "/aws/sagemaker/TrainingJobs";
/// Characters of the failure file that become the failure's reason.
const REASON_CHARACTERS: usize = 1024;
/// Seconds between SIGTERM and SIGKILL.
const STOP_SECONDS: u64 = 120;

/// The arguments of CreateTrainingJob that matter here:
/// <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html>.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateTrainingJob {
    training_job_name: String,
    algorithm_specification: AlgorithmSpecification,
    input_data_config: Vec<Channel>,
    output_data_config: OutputDataConfig,
    resource_config: Value,
    stopping_condition: StoppingCondition,
    #[serde(default)]
    hyper_parameters: BTreeMap<String, String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AlgorithmSpecification {
    training_image: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Channel {
    channel_name: String,
    data_source: DataSource,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DataSource {
    s3_data_source: S3DataSource,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct S3DataSource {
    s3_uri: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OutputDataConfig {
    s3_output_path: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StoppingCondition {
    max_runtime_in_seconds: u64,
}

/// Trains images.
#[derive(Debug, Clone)]
pub struct SageMaker {
    pub clients: Clients,
    pub engine: Engine,
    /// The folder for jobs' own folders.
    pub work: PathBuf,
    /// The memory is that of the container.
    pub limits: Limits,
    /// A folder that the container gets as its training data, instead of what S3 has.
    pub data: Option<PathBuf>,
    /// The arguments of the jobs so far. A name is unique for ever.
    pub trained: Tasks,
    pub jobs: Jobs,
}

/// How a container ended.
struct Ended {
    status: &'static str,
    secondary: &'static str,
    /// Empty for a failure whose reason is what the container wrote.
    reason: String,
    code: i32,
}

impl Worker for SageMaker {
    /// Runs the training job and answers like the synchronous integration.
    async fn work(&self, arguments: Value) -> Result<Value, TaskFailure> {
        let name = arguments["TrainingJobName"].as_str().unwrap_or_default().to_owned();
        let earlier = self.trained.lock().insert(name.clone(), arguments.clone());
        if earlier.is_some() {
            let cause = format!("Training job names must be unique within an AWS account and region: {name}");
            return Err(TaskFailure { error: "SageMaker.ResourceInUseException", cause });
        }
        let running = self.jobs.start_training(&name);
        let ended = tokio::select! {
            ended = self.train(&arguments) => ended,
            () = running.stopped() => {
                self.stop(&arguments).await;
                Ok(json!({"TrainingJobName": name, "TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"}))
            }
        };
        let job = match ended {
            Ok(job) => job,
            // A failure outside the container is the service's fault.
            Err(error) => {
                eprintln!("the training job could not run on this machine: {error:#}");
                json!({"TrainingJobName": name, "TrainingJobStatus": "Failed", "SecondaryStatus": "Failed",
                    "FailureReason": format!("InternalServerError: {error:#}")})
            }
        };
        running.end(&job);
        // No AWS page says whether the task fails for a stopped job. The state machine has to cope with either.
        if job["TrainingJobStatus"] == "Failed" {
            Err(TaskFailure { error: "States.TaskFailed", cause: job.to_string() })
        } else {
            Ok(job)
        }
    }

    async fn stop(&self, arguments: &Value) {
        // The container may not have started yet.
        for _ in 0..10 {
            if self.engine.remove_container(&container(self.name(arguments))).await {
                break;
            }
            sleep(Duration::from_millis(300)).await;
        }
    }

    fn name<'a>(&self, arguments: &'a Value) -> &'a str {
        arguments["TrainingJobName"].as_str().unwrap_or_default()
    }
}

/// The name of a job's container.
fn container(job: &str) -> String {
    format!("marathon-match-{job}")
}

impl SageMaker {
    async fn train(&self, arguments: &Value) -> Result<Value> {
        let arguments = CreateTrainingJob::deserialize(arguments).context("the arguments of CreateTrainingJob")?;
        let name = arguments.training_job_name.as_str();
        let started = SystemTime::now();
        let seconds = started.duration_since(UNIX_EPOCH)?.as_secs();
        let log = JobLog::create(&self.clients.logs, LOG_GROUP, &format!("{name}/algo-1-{seconds}")).await?;
        let image = self.clients.with_local_registry(&arguments.algorithm_specification.training_image);
        let purpose = Purpose::Training { repository: repository_of(&image)?, data: self.data.as_deref() };
        let job = self.engine.job(&self.work, &self.clients.access, &self.limits, &purpose).await?;
        let folder = job.files().join("ml");
        self.prepare(&arguments, &folder).await?;
        job.give().await?;

        // Opened before the container can change anything.
        let left = job.descriptor("ml")?;
        let clock = Instant::now();
        let mut ended = self.run(&arguments, &image, &job, &log).await?;
        if ended.status == "Failed" && ended.reason.is_empty() {
            let failure = output_archive::start_of(left.as_fd(), "output/failure", 4 * REASON_CHARACTERS as u64)?;
            let failure: String = String::from_utf8_lossy(&failure).trim().chars().take(REASON_CHARACTERS).collect();
            ended.reason = format!("AlgorithmError: {failure}, exit code: {}", ended.code);
        }
        // As on SageMaker, a stopped or failed job keeps what it has written.
        let output = format!("{}/{name}/output", arguments.output_data_config.s3_output_path);
        if let Some(refused) = self.upload_output(&left, &output).await?
            && ended.status == "Completed"
        {
            ended = Ended { status: "Failed", secondary: "Failed", reason: refused, code: 0 };
        }
        let mut job = json!({
            "TrainingJobName": name,
            "TrainingJobArn": training_job_arn(name),
            "TrainingJobStatus": ended.status,
            "SecondaryStatus": ended.secondary,
            "ModelArtifacts": {"S3ModelArtifacts": format!("{output}/model.tar.gz")},
            "StoppingCondition": {"MaxRuntimeInSeconds": arguments.stopping_condition.max_runtime_in_seconds},
            "TrainingStartTime": seconds,
            "TrainingTimeInSeconds": clock.elapsed().as_secs().max(1),
            "BillableTimeInSeconds": clock.elapsed().as_secs().max(1),
        });
        if !ended.reason.is_empty() {
            job["FailureReason"] = json!(ended.reason);
        }
        Ok(job)
    }

    /// Creates the folders and files of `/opt/ml`.
    async fn prepare(&self, arguments: &CreateTrainingJob, folder: &Path) -> Result<()> {
        for name in ["input/config", "input/data", "model", "output/data"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        // An image can run as any user.
        for name in ["model", "output", "output/data"] {
            std::fs::set_permissions(folder.join(name), PermissionsExt::from_mode(0o777))?;
        }
        let config = folder.join("input/config");
        let write = |name: &str, value: &Value| std::fs::write(config.join(name), value.to_string());
        let mut channels = serde_json::Map::new();
        for channel in &arguments.input_data_config {
            let value = json!({"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"});
            channels.insert(channel.channel_name.clone(), value);
            let target = folder.join("input/data").join(&channel.channel_name);
            std::fs::create_dir_all(&target)?;
            if self.data.is_none() {
                self.download(&channel.data_source.s3_data_source.s3_uri, &target).await?;
            }
        }
        write("hyperparameters.json", &json!(arguments.hyper_parameters))?;
        write("inputdataconfig.json", &Value::Object(channels))?;
        let instance = arguments.resource_config["InstanceType"].clone();
        write(
            "resourceconfig.json",
            &json!({"current_host": "algo-1", "hosts": ["algo-1"], "current_instance_type": instance,
            "network_interface_name": "eth0"}),
        )?;
        Ok(())
    }

    async fn download(&self, uri: &str, target: &Path) -> Result<()> {
        let (bucket, prefix) = split_uri(uri)?;
        let mut pages = self.clients.s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
        while let Some(page) = pages.next().await {
            for object in page.context("listing the training data")?.contents() {
                let Some(name) = object.key().and_then(|key| key.strip_prefix(prefix)).filter(|name| !name.is_empty())
                else {
                    continue;
                };
                let file = target.join(name);
                std::fs::create_dir_all(file.parent().context("a file has a folder")?)?;
                let key = format!("{prefix}{name}");
                let body = self.clients.s3.get_object().bucket(bucket).key(key).send().await?.body;
                tokio::io::copy(&mut body.into_async_read(), &mut tokio::fs::File::create(file).await?).await?;
            }
        }
        Ok(())
    }

    async fn run(&self, arguments: &CreateTrainingJob, image: &str, job: &Job, log: &JobLog) -> Result<Ended> {
        let image = job.registry_address(image);
        let name = container(&arguments.training_job_name);
        job.pull(&image).await.context("pulling the image")?;
        let mut command = job.command();
        // conmon writes a file to its working directory when memory runs out.
        command.current_dir(&self.work).args(["run", "--name", &name]);
        command.args(["--volume", &format!("{}:/opt/ml", job.place("ml").display())]);
        command.args(job.confinement(self.limits.memory_bytes)).args(job.one_output());
        if let Some(data) = &self.data {
            for channel in &arguments.input_data_config {
                let mount = format!("{}:/opt/ml/input/data/{}:ro", job.data(data).display(), channel.channel_name);
                command.args(["--volume", &mount]);
            }
        }
        for (name, value) in &arguments.environment {
            command.arg(format!("--env={name}={value}"));
        }
        command.arg(format!("--env=TRAINING_JOB_NAME={}", arguments.training_job_name));
        let (output, input) = std::io::pipe()?;
        command.args([&image, "train"]).stdin(Stdio::null());
        command.stdout(Stdio::from(input.try_clone()?)).stderr(Stdio::from(input));
        let mut child = command.spawn().context("starting the container")?;
        // The command holds the pipe's write end: once dropped, the log ends with the container.
        drop(command);
        let limit = Duration::from_secs(arguments.stopping_condition.max_runtime_in_seconds);
        let reader = tokio::net::unix::pipe::Receiver::from_owned_fd(output.into())?;
        let mut copying = std::pin::pin!(log.copy(reader));
        let in_time = timeout(limit, &mut copying).await;
        if in_time.is_err() {
            let seconds = STOP_SECONDS.to_string();
            let stop = ["stop", "--time", &seconds, &name];
            let stopping = async { job.output(&stop).await.context("stopping the container") };
            tokio::try_join!(stopping, copying)?;
        }
        let exit = child.wait().await?;
        let killed_for_memory = job
            .output(&["inspect", "--format", "{{.State.OOMKilled}}", &name])
            .await
            .is_ok_and(|answer| answer == "true");
        // The image stays: other jobs of the submission use it.
        let _ = job.output(&["rm", "--force", "--volumes", &name]).await;
        match in_time {
            Err(_) => {
                return Ok(Ended {
                    status: "Stopped",
                    secondary: "MaxRuntimeExceeded",
                    reason: String::new(),
                    code: 0,
                });
            }
            Ok(copied) => copied?,
        }
        let code = exit.code().unwrap_or(137);
        Ok(match code {
            0 => Ended { status: "Completed", secondary: "Completed", reason: String::new(), code },
            137 if killed_for_memory => Ended {
                status: "Failed",
                secondary: "Failed",
                reason: "ClientError: Please use an instance type with more memory, or reduce the size of training data processed on an instance.".to_owned(),
                code,
            },
            _ => Ended { status: "Failed", secondary: "Failed", reason: String::new(), code },
        })
    }

    /// Uploads the model and the output data. Returns the reason for which a job fails whose output cannot be packed.
    async fn upload_output(&self, left: &OwnedFd, output: &str) -> Result<Option<String>> {
        let mut folders = vec![("model", "model.tar.gz")];
        if output_archive::has_entries(left.as_fd(), "output/data")? {
            folders.push(("output/data", "output.tar.gz"));
        }
        for (folder, archive) in folders {
            let (root, file) = (left.try_clone()?, tempfile::NamedTempFile::new_in(&self.work)?);
            let (target, limit) = (file.reopen()?, self.limits.disk_bytes);
            let packing = move || output_archive::pack(root.as_fd(), folder, limit, target);
            match tokio::task::spawn_blocking(packing).await? {
                Ok(()) => self.upload(file.path(), &format!("{output}/{archive}")).await?,
                Err(PackError::Io(error)) => return Err(error).context("packing the output"),
                Err(refused @ PackError::Refused { .. }) => return Ok(Some(format!("AlgorithmError: {refused}"))),
            }
        }
        Ok(None)
    }

    async fn upload(&self, archive: &Path, uri: &str) -> Result<()> {
        let (bucket, key) = split_uri(uri)?;
        let body = ByteStream::from_path(archive).await?;
        self.clients.s3.put_object().bucket(bucket).key(key).body(body).send().await.context("uploading")?;
        Ok(())
    }
}

fn split_uri(uri: &str) -> Result<(&str, &str)> {
    match uri.strip_prefix("s3://").and_then(|path| path.split_once('/')) {
        Some(parts) => Ok(parts),
        None => bail!("{uri} is not an s3:// URI"),
    }
}
