//! Stands in for `codebuild:startBuild.sync`: runs the staged buildspec against the staged archive, on this machine.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout_at;

use crate::activity::{TaskFailure, Worker};
use crate::buildspec::{Buildspec, Phase};
use crate::emulator::REGION;
use crate::engine::Engine;
use crate::joblog::JobLog;
use crate::process::{KillOnDrop, bound_to_this};
use crate::stack::{Clients, Tasks};

/// The arguments of StartBuild that count here:
/// <https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html>.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StartBuild {
    project_name: String,
    source_location_override: String,
    source_version: String,
    buildspec_override: String,
    timeout_in_minutes_override: u64,
    environment_variables_override: Vec<Variable>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Variable {
    name: String,
    value: String,
}

/// What builds need.
#[derive(Debug, Clone)]
pub struct CodeBuild {
    /// Clients of the emulator.
    pub clients: Clients,
    /// What builds images.
    pub engine: Engine,
    /// The Python tools' folder.
    pub tools: PathBuf,
    /// Where builds have their folders.
    pub work: PathBuf,
    /// The builds so far.
    pub built: Tasks,
}

struct Finished {
    phases: Vec<Value>,
    failed: Option<Phase>,
    timed_out: bool,
}

impl Worker for CodeBuild {
    /// Builds as the arguments of StartBuild say, and answers as the synchronous integration does.
    async fn work(&self, arguments: Value) -> Result<Value, TaskFailure> {
        let uuid = uuid::Uuid::new_v4().to_string();
        let token = self.name(&arguments).to_owned();
        self.built.lock().unwrap_or_else(PoisonError::into_inner).insert(token, arguments.clone());
        let (status, build) = match self.build(&uuid, arguments).await {
            Ok(answer) => answer,
            // What goes wrong outside of the buildspec is the service's fault.
            Err(error) => (
                "FAULT",
                json!({"Id": uuid, "BuildStatus": "FAULT", "Phases": [
                {"PhaseType": "PROVISIONING", "PhaseStatus": "FAULT", "Contexts": [{"Message": format!("{error:#}")}]}]}),
            ),
        };
        let answer = json!({ "Build": build });
        if status == "SUCCEEDED" {
            Ok(answer)
        } else {
            Err(TaskFailure { error: "States.TaskFailed", cause: answer.to_string() })
        }
    }

    /// Nothing is left to do: the build's processes ended with the work.
    async fn stop(&self, _: &Value) {}

    fn name<'a>(&self, arguments: &'a Value) -> &'a str {
        arguments["IdempotencyToken"].as_str().unwrap_or_default()
    }
}

impl CodeBuild {
    async fn build(&self, uuid: &str, arguments: Value) -> Result<(&'static str, Value)> {
        let arguments: StartBuild = serde_json::from_value(arguments).context("the arguments of StartBuild")?;
        let group = format!("/aws/codebuild/{}", arguments.project_name);
        let log = JobLog::create(&self.clients.logs, &group, uuid).await?;
        let folder = tempfile::Builder::new().prefix("build-").tempdir_in(&self.work)?;
        let source = folder.path().join("src");
        self.download_source(&arguments, &source).await?;
        let buildspec = self.buildspec(&arguments.buildspec_override).await?;
        let finished = self.run(&arguments, uuid, folder.path(), &buildspec, &log).await?;
        let status = match finished.failed {
            None => "SUCCEEDED",
            Some(_) if finished.timed_out => "TIMED_OUT",
            Some(_) => "FAILED",
        };
        let build = json!({
            "Id": format!("{}:{uuid}", arguments.project_name),
            "Arn": format!("arn:aws:codebuild:{REGION}:000000000000:build/{}:{uuid}", arguments.project_name),
            "ProjectName": arguments.project_name,
            "BuildStatus": status,
            "BuildComplete": true,
            "Phases": finished.phases,
            "Logs": {"GroupName": log.group, "StreamName": log.stream},
        });
        Ok((status, build))
    }

    async fn download_source(&self, arguments: &StartBuild, source: &Path) -> Result<()> {
        let (bucket, key) =
            arguments.source_location_override.split_once('/').context("the source is no bucket/key")?;
        let object = self
            .clients
            .s3
            .get_object()
            .bucket(bucket)
            .key(key)
            .version_id(&arguments.source_version)
            .send()
            .await
            .context("downloading the source")?;
        let archive = source.with_extension("zip");
        tokio::io::copy(&mut object.body.into_async_read(), &mut tokio::fs::File::create(&archive).await?).await?;
        let source = source.to_owned();
        tokio::task::spawn_blocking(move || -> Result<()> {
            zip::ZipArchive::new(std::fs::File::open(archive)?)?.extract(source)?;
            Ok(())
        })
        .await?
    }

    async fn buildspec(&self, arn: &str) -> Result<Buildspec> {
        let (bucket, key) = arn
            .strip_prefix("arn:aws:s3:::")
            .and_then(|object| object.split_once('/'))
            .context("the buildspec is no S3 ARN")?;
        let object =
            self.clients.s3.get_object().bucket(bucket).key(key).send().await.context("downloading the buildspec")?;
        Buildspec::parse(std::str::from_utf8(&object.body.collect().await?.into_bytes())?)
    }

    async fn run(
        &self,
        arguments: &StartBuild,
        uuid: &str,
        folder: &Path,
        buildspec: &Buildspec,
        log: &JobLog,
    ) -> Result<Finished> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60 * arguments.timeout_in_minutes_override);
        let mut finished = Finished { phases: Vec::new(), failed: None, timed_out: false };
        for phase in Phase::ALL {
            if finished.timed_out || !phase.runs_after(finished.failed) {
                continue;
            }
            let started = Instant::now();
            let mut problem = None;
            for command in buildspec.commands(phase) {
                let mut shell = self.shell(folder, command)?;
                shell.env("CODEBUILD_BUILD_ID", uuid).env("CODEBUILD_SRC_DIR", folder.join("src"));
                shell.env("CODEBUILD_BUILD_SUCCEEDING", if finished.failed.is_none() { "1" } else { "0" });
                for variable in &arguments.environment_variables_override {
                    shell.env(&variable.name, self.clients.with_local_registry(&variable.value));
                }
                let mut child = shell.spawn().context("starting bash")?;
                let guard = KillOnDrop::new(&child);
                let copied = async {
                    if let Some(output) = child.stdout.take() {
                        log.copy(output).await?;
                    }
                    Ok::<_, anyhow::Error>(())
                };
                if let Ok(copied) = timeout_at(deadline, copied).await {
                    copied?;
                    let status = child.wait().await?;
                    if status.success() {
                        continue;
                    }
                    let first = command.lines().next().unwrap_or_default();
                    problem = Some((
                        "FAILED",
                        "COMMAND_EXECUTION_ERROR",
                        format!("Error while executing command: {first}. Reason: {status}"),
                    ));
                } else {
                    drop(guard);
                    finished.timed_out = true;
                    problem = Some(("TIMED_OUT", "BUILD_TIMED_OUT", "Build has timed out.".to_owned()));
                }
                break;
            }
            let seconds = started.elapsed().as_secs();
            finished.phases.push(match &problem {
                None => json!({"PhaseType": phase.as_str(), "PhaseStatus": "SUCCEEDED", "DurationInSeconds": seconds}),
                Some((status, code, message)) => json!({"PhaseType": phase.as_str(), "PhaseStatus": status,
                    "DurationInSeconds": seconds, "Contexts": [{"StatusCode": code, "Message": message}]}),
            });
            if problem.is_some() {
                finished.failed.get_or_insert(phase);
            }
        }
        Ok(finished)
    }

    /// One command of the buildspec. Its exports and its folder are there for the next one, as on CodeBuild.
    fn shell(&self, folder: &Path, command: &str) -> Result<Command> {
        let script = folder.join("command.sh");
        std::fs::write(&script, command)?;
        let [environment, place] = ["environment", "place"].map(|name| folder.join(name));
        let driver = "exec 2>&1
            if [ -f \"$1\" ]; then . \"$1\"; cd \"$(cat \"$2\")\" || exit 1; fi
            trap 'status=$?; export -p | grep -v \" CODEBUILD_BUILD_SUCCEEDING=\" >\"$1\"; pwd >\"$2\"; exit $status' EXIT
            . \"$3\"";
        let mut shell = bound_to_this("bash");
        shell.args(["-c", driver, "bash"]).arg(environment).arg(place).arg(script);
        shell
            .process_group(0)
            .current_dir(folder.join("src"))
            .env_clear()
            .env("PATH", self.engine.search_path(&self.tools))
            .envs(["HOME", "XDG_RUNTIME_DIR"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .env("LANG", "C.UTF-8")
            .env("AWS_ENDPOINT_URL", &self.clients.endpoint)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_DEFAULT_REGION", REGION)
            .env("REGISTRY_AUTH_FILE", folder.join("registry.json"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if !folder.join("src").is_dir() {
            bail!("the source was not unpacked");
        }
        Ok(shell)
    }
}
