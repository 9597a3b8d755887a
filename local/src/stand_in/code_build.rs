//! Stands in for `codebuild:startBuild.sync`: runs the staged buildspec on the staged archive, on this machine.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout_at;

use crate::clients::{Clients, Tasks, repository_of};
use crate::emulator::REGION;
use crate::engine::{Engine, Job, Limits, Purpose};
use crate::process::{KillOnDrop, bound_to_this};
use crate::stand_in::activity::{TaskFailure, Worker};
use crate::stand_in::buildspec::{Buildspec, Phase};
use crate::stand_in::job_log::JobLog;
use crate::stand_in::jobs::Jobs;

/// The arguments of StartBuild that matter here:
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

impl StartBuild {
    fn variable(&self, name: &str) -> Option<&str> {
        let variable = self.environment_variables_override.iter().find(|variable| variable.name == name);
        variable.map(|variable| variable.value.as_str())
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Variable {
    name: String,
    value: String,
}

/// Builds images.
#[derive(Debug, Clone)]
pub struct CodeBuild {
    pub clients: Clients,
    pub engine: Engine,
    /// The folder of the Python tools.
    pub tools: PathBuf,
    /// The folder for builds' own folders.
    pub work: PathBuf,
    pub limits: Limits,
    /// The arguments of the builds so far.
    pub built: Tasks,
    pub jobs: Jobs,
}

/// A build on its way.
struct Build<'a> {
    arguments: &'a StartBuild,
    uuid: &'a str,
    job: &'a Job,
    /// For the commands' own state.
    folder: &'a Path,
    log: &'a JobLog,
    deadline: tokio::time::Instant,
}

/// Why a phase failed.
struct PhaseFailure {
    status: &'static str,
    code: &'static str,
    message: String,
}

/// How a build ended.
struct BuildResult {
    status: &'static str,
    /// The descriptions of the phases that ran.
    phases: Vec<Value>,
}

impl Worker for CodeBuild {
    /// Builds what the arguments of StartBuild ask for, and answers like the synchronous integration.
    async fn work(&self, arguments: Value) -> Result<Value, TaskFailure> {
        let uuid = uuid::Uuid::new_v4().to_string();
        let token = self.name(&arguments).to_owned();
        self.built.lock().insert(token, arguments.clone());
        let id = format!("{}:{uuid}", arguments["ProjectName"].as_str().unwrap_or_default());
        let running = self.jobs.start_build(&uuid, &arguments);
        let ended = tokio::select! {
            ended = self.build(&uuid, &arguments) => ended,
            () = running.stopped() => Ok(("STOPPED", json!({"Id": id, "BuildStatus": "STOPPED", "Phases": [
                {"PhaseType": "BUILD", "PhaseStatus": "STOPPED"}]}))),
        };
        let (status, build) = match ended {
            Ok(answer) => answer,
            // A failure outside the buildspec is the service's fault.
            Err(error) => {
                eprintln!("the build could not run on this machine: {error:#}");
                (
                    "FAULT",
                    json!({"Id": id, "BuildStatus": "FAULT", "Phases": [
                {"PhaseType": "PROVISIONING", "PhaseStatus": "FAULT", "Contexts": [{"Message": format!("{error:#}")}]}]}),
                )
            }
        };
        running.end(&build);
        let answer = json!({ "Build": build });
        if status == "SUCCEEDED" {
            Ok(answer)
        } else {
            Err(TaskFailure { error: "States.TaskFailed", cause: answer.to_string() })
        }
    }

    /// The processes of the build ended when the work was dropped.
    async fn stop(&self, _: &Value) {}

    fn name<'a>(&self, arguments: &'a Value) -> &'a str {
        arguments["IdempotencyToken"].as_str().unwrap_or_default()
    }
}

impl CodeBuild {
    async fn build(&self, uuid: &str, arguments: &Value) -> Result<(&'static str, Value)> {
        let arguments = StartBuild::deserialize(arguments).context("the arguments of StartBuild")?;
        let group = format!("/aws/codebuild/{}", arguments.project_name);
        let log = JobLog::create(&self.clients.logs, &group, uuid).await?;
        let folder = tempfile::Builder::new().prefix("build-").tempdir_in(&self.work)?;
        let image = arguments.variable("IMAGE_REPOSITORY_URI").context("the build has no repository")?;
        let purpose = Purpose::Build { repository: repository_of(image)? };
        let job = self.engine.job(&self.work, &self.clients.access, &self.limits, &purpose).await?;
        self.download_source(&arguments, &folder.path().join("source.zip"), job.files()).await?;
        job.give().await?;
        let buildspec = self.buildspec(&arguments.buildspec_override).await?;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60 * arguments.timeout_in_minutes_override);
        let build = Build { arguments: &arguments, uuid, job: &job, folder: folder.path(), log: &log, deadline };
        let BuildResult { status, phases } = self.run(&build, &buildspec).await?;
        let exported = exported(folder.path(), buildspec.exported_variables()).await?;
        let build = json!({
            "Id": format!("{}:{uuid}", arguments.project_name),
            "Arn": format!("arn:aws:codebuild:{REGION}:000000000000:build/{}:{uuid}", arguments.project_name),
            "ProjectName": arguments.project_name,
            "BuildStatus": status,
            "BuildComplete": true,
            "Phases": phases,
            "ExportedEnvironmentVariables": exported,
            "Logs": {"GroupName": log.group, "StreamName": log.stream},
        });
        Ok((status, build))
    }

    async fn download_source(&self, arguments: &StartBuild, archive: &Path, source: &Path) -> Result<()> {
        let (bucket, key) =
            arguments.source_location_override.split_once('/').context("the source is not BUCKET/KEY")?;
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
        tokio::io::copy(&mut object.body.into_async_read(), &mut tokio::fs::File::create(archive).await?).await?;
        let (archive, source) = (archive.to_owned(), source.to_owned());
        tokio::task::spawn_blocking(move || -> Result<()> { unpack(std::fs::File::open(archive)?, &source) }).await?
    }

    async fn buildspec(&self, arn: &str) -> Result<Buildspec> {
        let (bucket, key) = arn
            .strip_prefix("arn:aws:s3:::")
            .and_then(|object| object.split_once('/'))
            .context("the buildspec is not the ARN of an S3 object")?;
        let object =
            self.clients.s3.get_object().bucket(bucket).key(key).send().await.context("downloading the buildspec")?;
        Buildspec::parse(std::str::from_utf8(&object.body.collect().await?.into_bytes())?)
    }

    async fn run(&self, build: &Build<'_>, buildspec: &Buildspec) -> Result<BuildResult> {
        let mut phases = Vec::new();
        let mut first_failure: Option<(Phase, &'static str)> = None;
        for phase in Phase::ALL {
            let timed_out = first_failure.is_some_and(|(_, status)| status == "TIMED_OUT");
            if timed_out || !phase.runs_after(first_failure.map(|(failed, _)| failed)) {
                continue;
            }
            let started = Instant::now();
            let failure = self.run_phase(build, buildspec.commands(phase), first_failure.is_none()).await?;
            let mut description = json!({"PhaseType": phase.as_str(), "PhaseStatus": "SUCCEEDED", "DurationInSeconds": started.elapsed().as_secs()});
            if let Some(PhaseFailure { status, code, message }) = failure {
                description["PhaseStatus"] = json!(status);
                description["Contexts"] = json!([{"StatusCode": code, "Message": message}]);
                first_failure.get_or_insert((phase, status));
            }
            phases.push(description);
        }
        Ok(BuildResult { status: first_failure.map_or("SUCCEEDED", |(_, status)| status), phases })
    }

    /// Runs the commands of a phase until one fails or the build's time is up.
    async fn run_phase(
        &self,
        build: &Build<'_>,
        commands: &[String],
        succeeding: bool,
    ) -> Result<Option<PhaseFailure>> {
        for command in commands {
            let mut shell = self.shell(build, command)?;
            shell.env("CODEBUILD_BUILD_ID", build.uuid).env("CODEBUILD_SRC_DIR", build.job.files());
            shell.env("CODEBUILD_BUILD_SUCCEEDING", if succeeding { "1" } else { "0" });
            for variable in &build.arguments.environment_variables_override {
                let value = self.clients.with_local_registry(&variable.value);
                shell.env(&variable.name, build.job.registry_address(&value));
            }
            let mut child = shell.spawn().context("starting bash")?;
            let guard = KillOnDrop::new(&child);
            let output = child.stdout.take().context("the shell has no output")?;
            let Ok(copied) = timeout_at(build.deadline, build.log.copy(output)).await else {
                drop(guard);
                let message = "Build has timed out.".to_owned();
                return Ok(Some(PhaseFailure { status: "TIMED_OUT", code: "BUILD_TIMED_OUT", message }));
            };
            copied?;
            let status = child.wait().await?;
            if !status.success() {
                let first = command.lines().next().unwrap_or_default();
                let message = format!("Error while executing command: {first}. Reason: {status}");
                return Ok(Some(PhaseFailure { status: "FAILED", code: "COMMAND_EXECUTION_ERROR", message }));
            }
        }
        Ok(None)
    }

    /// One command of the buildspec. The next command sees its exports, as on CodeBuild.
    fn shell(&self, build: &Build<'_>, command: &str) -> Result<Command> {
        let [script, environment] = ["command.sh", "environment"].map(|name| build.folder.join(name));
        std::fs::write(&script, command)?;
        let driver = "exec 2>&1
            if [ -f \"$1\" ]; then . \"$1\"; fi
            trap 'status=$?; export -p | grep -v \" CODEBUILD_BUILD_SUCCEEDING=\" >\"$1\"; exit $status' EXIT
            . \"$2\"";
        let mut shell = bound_to_this("bash");
        shell.args(["-c", driver, "bash"]).arg(environment).arg(script);
        shell
            .process_group(0)
            .current_dir(build.job.start_folder())
            .env_clear()
            .envs(["HOME", "XDG_RUNTIME_DIR"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .env("LANG", "C.UTF-8")
            .envs(self.clients.access.environment())
            .envs(build.job.environment(&self.tools))
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Ok(shell)
    }
}

/// The values of a build's exported variables, as CodeBuild hands them out. The commands have left their exports in a file.
async fn exported(folder: &Path, names: &[String]) -> Result<Vec<Value>> {
    let mut exported = Vec::new();
    for name in names {
        let script = "if [ -f \"$1\" ]; then . \"$1\"; fi; printf %s \"${!2-}\"";
        let value =
            bound_to_this("bash").args(["-c", script, "bash"]).arg(folder.join("environment")).arg(name).output();
        let value = String::from_utf8(value.await?.stdout)?;
        exported.push(json!({"Name": name, "Value": value}));
    }
    Ok(exported)
}

/// Unpacks an archive that `fetch` has verified. `ZipArchive::extract` needs a folder with a canonical path, which the folder of
/// an enclosure does not have.
fn unpack(archive: std::fs::File, target: &Path) -> Result<()> {
    let mut archive = zip::ZipArchive::new(archive)?;
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at)?;
        let path = target.join(entry.enclosed_name().context("an entry has an unsafe name")?);
        if entry.is_dir() {
            std::fs::create_dir_all(&path)?;
            continue;
        }
        std::fs::create_dir_all(path.parent().unwrap_or(target))?;
        std::io::copy(&mut entry, &mut std::fs::File::create_new(&path)?)?;
        if let Some(mode) = entry.unix_mode() {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode & 0o777))?;
        }
    }
    Ok(())
}
