//! Stands in for `codebuild:startBuild.sync`: runs the staged buildspec on this machine, and sends the event that a build ended.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::runtime::Handle;
use tokio::time::timeout_at;

use crate::clients::{Clients, Tasks, repository_of};
use crate::engine::{Engine, Job, Limits, Purpose};
use crate::process::{KillOnDrop, bound_to_this};
use crate::stand_in::activity::{TaskFailure, Worker};
use crate::stand_in::aws::{self, Aws};
use crate::stand_in::buildspec::{Buildspec, Phase};
use crate::stand_in::job_log::JobLog;
use crate::stand_in::jobs::{Jobs, build_arn};

/// The arguments of StartBuild that matter here:
/// <https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html>.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StartBuild {
    project_name: String,
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
    pub aws: Aws,
    /// The folder for builds' own folders.
    pub work: PathBuf,
    pub limits: Limits,
    /// Factor on the waits of the buildspec between two tries.
    pub wait_scale: f64,
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
        // It is dropped after the running build, however this ends.
        let _announcement = Announcement::of(&self.clients.lambda, &uuid, &arguments);
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
        let buildspec = self.buildspec(&arguments.buildspec_override).await?;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60 * arguments.timeout_in_minutes_override);
        let build = Build { arguments: &arguments, uuid, job: &job, folder: folder.path(), log: &log, deadline };
        let BuildResult { status, phases } = self.run(&build, &buildspec).await?;
        let exported = exported(folder.path(), buildspec.exported_variables()).await?;
        let build = json!({
            "Id": format!("{}:{uuid}", arguments.project_name),
            "Arn": build_arn(&format!("{}:{uuid}", arguments.project_name)),
            "ProjectName": arguments.project_name,
            "BuildStatus": status,
            "BuildComplete": true,
            "Phases": phases,
            "ExportedEnvironmentVariables": exported,
            "Logs": {"GroupName": log.group, "StreamName": log.stream},
        });
        Ok((status, build))
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
            let id = format!("{}:{}", build.arguments.project_name, build.uuid);
            shell.env("CODEBUILD_BUILD_ARN", build_arn(&id)).env("CODEBUILD_BUILD_ID", id);
            shell.env("CODEBUILD_SRC_DIR", build.job.files());
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
        let unpack = match build.job {
            Job::Enclosed(_) => UNPACK_ENCLOSED,
            Job::Trusted(_) => "",
        };
        let sleep = format!("sleep() {{ command sleep \"$(awk \"BEGIN {{ print $1 * {} }}\")\"; }}", self.wait_scale);
        let functions = format!("{}\n{unpack}\n{sleep}", aws::FUNCTION);
        let driver = "exec 2>&1
            eval \"$3\"
            if [ -f \"$1\" ]; then . \"$1\"; fi
            trap 'status=$?; (export -p; export -pf) | grep -v \" CODEBUILD_BUILD_SUCCEEDING=\" >\"$1\"; exit $status' EXIT
            . \"$2\"";
        let mut shell = bound_to_this("bash");
        shell.args(["-c", driver, "bash"]).arg(environment).arg(script).arg(functions);
        shell
            .process_group(0)
            .current_dir(build.job.start_folder())
            .env_clear()
            .envs(["HOME", "XDG_RUNTIME_DIR"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .env("LANG", "C.UTF-8")
            .envs(self.clients.access.environment())
            .envs(build.job.environment(&self.tools))
            .envs(self.aws.environment())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Ok(shell)
    }
}

/// A stranger's archive is unpacked in the enclosure of its build, whose docker is the first on the path.
const UNPACK_ENCLOSED: &str = r#"unzip() {
    local docker
    docker=$(command -v docker)
    "${docker%/*}/../enclosure" enter "$ENCLOSURE_FOLDER" sh -c '
        cat >/disk/tmp/archive && unzip -q /disk/tmp/archive -d /disk/job
        status=$?
        rm -f /disk/tmp/archive
        exit $status' <"$2"
}"#;

/// Tells the function `claim` that a build has ended, when this is dropped. EventBridge does so by a rule. The emulator takes
/// events of AWS from no one else.
struct Announcement {
    lambda: aws_sdk_lambda::Client,
    function: String,
    event: Value,
}

impl Announcement {
    fn of(lambda: &aws_sdk_lambda::Client, uuid: &str, arguments: &Value) -> Self {
        let project = arguments["ProjectName"].as_str().unwrap_or_default();
        let variables = arguments["EnvironmentVariablesOverride"].as_array();
        let function = variables.into_iter().flatten().find(|variable| variable["Name"] == "CLAIM_FUNCTION");
        Self {
            lambda: lambda.clone(),
            function: function.and_then(|variable| variable["Value"].as_str()).unwrap_or_default().to_owned(),
            event: json!({
                "source": "aws.codebuild", "detail-type": "CodeBuild Build State Change",
                "detail": {"project-name": project, "build-id": build_arn(&format!("{project}:{uuid}"))},
            }),
        }
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        let Ok(runtime) = Handle::try_current() else { return };
        let invoked = self.lambda.invoke().function_name(&self.function).invocation_type(InvocationType::Event);
        let invoked = invoked.payload(Blob::new(self.event.to_string()));
        // The whole system may be stopping. On AWS, these events are a best effort as well.
        runtime.spawn(async move { drop(invoked.send().await) });
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
