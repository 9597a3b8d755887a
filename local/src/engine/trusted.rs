//! Docker or podman as they are, for a submission that the user trusts.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use tempfile::TempDir;
use tokio::process::Command;

use super::output;
use super::registry::Registry;
use crate::process::{bound_to_this, is_running};

/// The label of containers that this program starts. Its value is the program's process id.
const LABEL: &str = "marathon-match.local";

/// The engine.
#[derive(Debug, Clone)]
pub struct Trusted {
    podman: bool,
    shim: PathBuf,
}

/// The folder of a job.
#[derive(Debug)]
pub(crate) struct Workbench {
    engine: Trusted,
    folder: TempDir,
    registry: Option<Registry>,
}

impl Trusted {
    /// Docker where its daemon answers, else podman.
    pub(super) async fn find(root: &Path) -> Result<Self> {
        for podman in [false, true] {
            let name = if podman { "podman" } else { "docker" };
            let info = Command::new(name).arg("info").output().await;
            if info.is_ok_and(|info| info.status.success()) {
                return Ok(Self { podman, shim: root.join("local/engine/trusted") });
            }
        }
        bail!("neither docker nor podman answers: run `make setup`, or start the docker daemon")
    }

    pub(super) fn name(&self) -> &'static str {
        if self.podman { "podman" } else { "docker" }
    }

    pub(super) fn workbench(&self, work: &Path, registry: Option<Registry>) -> Result<Workbench> {
        let folder = tempfile::Builder::new().prefix("job-").tempdir_in(work)?;
        Ok(Workbench { engine: self.clone(), folder, registry })
    }

    /// A command of the engine.
    pub(super) fn command(&self) -> Command {
        bound_to_this(if self.podman { self.shim.join("docker") } else { PathBuf::from("docker") })
    }

    pub(super) fn arguments_of_run(&self) -> Vec<String> {
        let mut arguments = vec![format!("--label={LABEL}={}", std::process::id())];
        if self.podman {
            arguments.push("--runtime=runc".to_owned());
        }
        arguments
    }

    pub(super) async fn output(&self, arguments: &[&str]) -> Result<String> {
        output(self.command().args(arguments), arguments).await
    }

    /// The containers of this program: the process id of the run, and the container's id.
    async fn containers(&self) -> Result<Vec<(String, String)>> {
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

    pub(super) async fn remove_container(&self, container: &str) -> bool {
        let exists = self.output(&["container", "inspect", container]).await.is_ok();
        // `rm` alone sends SIGTERM first and waits. Killing fails if the container has ended.
        let _ = self.output(&["kill", container]).await;
        let _ = self.output(&["rm", "--force", "--volumes", container]).await;
        exists
    }

    /// Removes the containers of this run.
    pub(super) async fn remove_own_containers(&self) -> Result<()> {
        self.remove_containers_of(|owner| owner == std::process::id().to_string()).await
    }

    /// Removes the containers of killed runs.
    pub(super) async fn remove_left_containers(&self) -> Result<()> {
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
}

impl Workbench {
    pub(super) fn files(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn engine(&self) -> &Trusted {
        &self.engine
    }

    pub(super) fn registry_address(&self, image: &str) -> String {
        self.registry.as_ref().map_or_else(|| image.to_owned(), |registry| registry.address(image, "127.0.0.1"))
    }

    pub(super) fn environment(&self, tools: &Path) -> Vec<(&'static str, String)> {
        let inherited = std::env::var("PATH").unwrap_or_default();
        let tools = tools.join("tools/bin");
        let path = if self.engine.podman {
            format!("{}:{}:{inherited}", self.engine.shim.display(), tools.display())
        } else {
            format!("{}:{inherited}", tools.display())
        };
        let registry = self.folder.path().join("registry.json");
        let registry = registry.to_string_lossy().into_owned();
        // A trusted submission is built without a fence.
        vec![("PATH", path), ("REGISTRY_AUTH_FILE", registry), ("BUILD_FENCE", "none".to_owned())]
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
        let shim = Path::new(env!("CARGO_MANIFEST_DIR")).join("engine/trusted/docker");
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
