//! The container engine: docker where its daemon answers, else podman.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::process::{bound_to_this, is_running};

/// The label of containers that this program starts. Its value is the program's process id.
const LABEL: &str = "marathon-match.local";
/// The base image of the samples.
const BASE_IMAGE: &str = "public.ecr.aws/docker/library/busybox:1.37";

/// A container engine that answers.
#[derive(Debug, Clone)]
pub struct Engine {
    podman: bool,
    shim: PathBuf,
}

impl Engine {
    /// Finds docker or podman.
    pub async fn find(root: &Path) -> Result<Self> {
        for podman in [false, true] {
            let name = if podman { "podman" } else { "docker" };
            let info = Command::new(name).arg("info").output().await;
            if info.is_ok_and(|info| info.status.success()) {
                return Ok(Self { podman, shim: root.join("local/podman") });
            }
        }
        bail!("neither docker nor podman answers: run `make setup`, or start the docker daemon")
    }

    /// The engine's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        if self.podman { "podman" } else { "docker" }
    }

    /// A PATH on which `docker` is this engine.
    #[must_use]
    pub fn search_path(&self, tools: &Path) -> String {
        let inherited = std::env::var("PATH").unwrap_or_default();
        let tools = tools.join("tools/bin");
        if self.podman {
            format!("{}:{}:{inherited}", self.shim.display(), tools.display())
        } else {
            format!("{}:{inherited}", tools.display())
        }
    }

    /// A command of the engine.
    #[must_use]
    pub fn command(&self) -> Command {
        bound_to_this(if self.podman { self.shim.join("docker") } else { PathBuf::from("docker") })
    }

    /// The arguments of `run` that confine a container: no network, no capabilities, a read-only root file system, and
    /// limits on memory, processes and files.
    #[must_use]
    pub fn confinement(&self, memory_bytes: u64) -> Vec<String> {
        let mut arguments: Vec<String> = [
            "--network=none",
            "--cap-drop=all",
            "--security-opt=no-new-privileges",
            "--read-only",
            "--tmpfs=/tmp",
            "--tmpfs=/run",
            "--pids-limit=1000",
            "--ulimit=nofile=1024:1024",
            "--ulimit=nproc=1000:1000",
        ]
        .map(str::to_owned)
        .into();
        arguments.push(format!("--memory={memory_bytes}"));
        arguments.push(format!("--memory-swap={memory_bytes}"));
        arguments.push(format!("--label={LABEL}={}", std::process::id()));
        if self.podman {
            // crun does not work with dropped privileges inside containers and small virtual machines.
            arguments.push("--runtime=runc".to_owned());
        }
        arguments
    }

    /// The arguments of `run` that give a container our own standard output, so that what it writes to both streams stays
    /// in order. Docker has no such option: it copies each stream by itself, and their order is only roughly kept.
    #[must_use]
    pub fn one_output(&self) -> &'static [&'static str] {
        if self.podman { &["--log-driver=passthrough"] } else { &[] }
    }

    /// Runs a short command of the engine and returns its standard output.
    pub async fn output(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command().args(arguments).output().await.context("starting the container engine")?;
        if !output.status.success() {
            bail!("{} {}: {}", self.name(), arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// The containers of this program: the process id of the run, and the container's id.
    pub async fn containers(&self) -> Result<Vec<(String, String)>> {
        let ids = self.output(&["ps", "--all", "--quiet", "--filter", &format!("label={LABEL}")]).await?;
        let format = format!("{{{{index .Config.Labels \"{LABEL}\"}}}}");
        let mut containers = Vec::new();
        for id in ids.lines() {
            // A container that was removed meanwhile does not matter.
            if let Ok(owner) = self.output(&["inspect", "--format", &format, id]).await {
                containers.push((owner, id.to_owned()));
            }
        }
        Ok(containers)
    }

    /// Removes a container by its id or name, running or not. Whether it existed.
    pub async fn remove_container(&self, container: &str) -> bool {
        let exists = self.output(&["container", "inspect", container]).await.is_ok();
        // `rm` alone sends SIGTERM first and waits. Killing fails if the container has ended.
        let _ = self.output(&["kill", container]).await;
        let _ = self.output(&["rm", "--force", container]).await;
        exists
    }

    /// Removes the containers of this run.
    pub async fn remove_own_containers(&self) -> Result<()> {
        self.remove_containers_of(|owner| owner == std::process::id().to_string()).await
    }

    /// Removes the containers of killed runs.
    pub async fn remove_left_containers(&self) -> Result<()> {
        self.remove_containers_of(|owner| !is_running(owner)).await
    }

    async fn remove_containers_of(&self, selected: impl Fn(&str) -> bool) -> Result<()> {
        for (owner, id) in self.containers().await? {
            if selected(&owner) {
                self.remove_container(&id).await;
            }
        }
        Ok(())
    }

    /// Pulls the base image of the samples or, without a network, builds it from Debian's busybox.
    pub async fn prepare_base_image(&self, work: &Path) -> Result<()> {
        if self.output(&["image", "inspect", BASE_IMAGE]).await.is_ok() {
            return Ok(());
        }
        let pull = self.output(&["pull", BASE_IMAGE]);
        if tokio::time::timeout(Duration::from_mins(1), pull).await.is_ok_and(|pulled| pulled.is_ok()) {
            return Ok(());
        }
        let context = work.join("base-image");
        std::fs::create_dir_all(&context)?;
        std::fs::copy("/bin/busybox", context.join("busybox"))
            .context("the base image can be neither pulled nor built: install the Debian package busybox-static")?;
        std::fs::write(
            context.join("Dockerfile"),
            "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nCMD [\"sh\"]\n",
        )?;
        self.output(&["build", "--tag", BASE_IMAGE, &context.to_string_lossy()]).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn podman_takes_names_without_a_registry_from_docker_hub() {
        let folder = tempfile::tempdir().unwrap();
        let podman = folder.path().join("podman");
        std::fs::write(&podman, "#!/bin/sh\ncat \"$CONTAINERS_REGISTRIES_CONF\"\n").unwrap();
        std::fs::set_permissions(&podman, std::fs::Permissions::from_mode(0o755)).unwrap();
        let shim = Path::new(env!("CARGO_MANIFEST_DIR")).join("podman/docker");
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let shown = |own: Option<&Path>| {
            let mut command = std::process::Command::new(&shim);
            command.args(["build", "."]).env("PATH", &path).env_remove("CONTAINERS_REGISTRIES_CONF");
            command.envs(own.map(|own| ("CONTAINERS_REGISTRIES_CONF", own)));
            String::from_utf8(command.output().unwrap().stdout).unwrap()
        };
        assert!(shown(None).contains("unqualified-search-registries = [\"docker.io\"]"), "{}", shown(None));
        // A file that the user has chosen, such as one with mirrors, stays.
        let own = folder.path().join("own.conf");
        std::fs::write(&own, "of the user").unwrap();
        assert_eq!(shown(Some(&own)), "of the user");
    }
}
