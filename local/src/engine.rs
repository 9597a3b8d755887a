//! Where images are built and containers run: podman in an enclosure or, for a trusted submission, docker or podman as they are.

mod enclosure;
mod registry;
mod trusted;

use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags};
use tokio::process::Command;

use enclosure::{Enclosure, Enclosures};
use registry::Registry;
use trusted::{Trusted, Workbench};

use crate::clients::Access;

/// The base image of the samples.
const BASE_IMAGE: &str = "public.ecr.aws/docker/library/busybox:1.37";

/// A container engine that answers.
#[derive(Debug, Clone)]
pub enum Engine {
    /// Podman, in an enclosure for each job.
    Enclosed(Enclosures),
    /// Docker or podman as they are.
    Trusted(Trusted),
}

/// Whether submissions are trusted as programs are that one installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// They need an enclosure.
    Never,
    /// They need none where the machine offers none.
    WhereNeeded,
    /// They need none.
    Always,
}

/// What one build or training job may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Bytes of the file system that holds images, volumes and `/opt/ml`.
    pub disk_bytes: u64,
}

/// What a job is for.
#[derive(Debug, Clone)]
pub(crate) enum Purpose<'a> {
    /// Building an image and pushing it to this repository of the emulator's registry.
    Build { repository: &'a str },
    /// Running an image of this repository, with a folder to show as its data.
    Training { repository: &'a str, data: Option<&'a Path> },
    /// Pulling or building an image that all jobs may use.
    Images,
}

/// A place for one build or training job. Nothing of it outlives it.
#[derive(Debug)]
pub(crate) enum Job {
    Enclosed(Enclosure),
    Trusted(Workbench),
}

impl Engine {
    /// Finds what this machine offers.
    pub async fn find(root: &Path, trust: Trust) -> Result<Self> {
        let enclosures = Enclosures::new(root);
        let missing = enclosures.missing().await?;
        match trust {
            Trust::Never | Trust::WhereNeeded if missing.is_empty() => {
                enclosures.clean().await?;
                Ok(Self::Enclosed(enclosures))
            }
            Trust::Never => bail!(
                "this machine cannot keep a submission away from your files, processes and network. Missing: {}. Run `make setup` and this command as root. If you trust the submission as you trust a program that you install, add --trust: it is then built and run with docker or podman as they are",
                missing.join(", ")
            ),
            Trust::Always | Trust::WhereNeeded => {
                let trusted = Trusted::find(root).await?;
                trusted.remove_left_containers().await?;
                Ok(Self::Trusted(trusted))
            }
        }
    }

    /// The engine's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Enclosed(_) => "podman",
            Self::Trusted(trusted) => trusted.name(),
        }
    }

    /// The repositories of the jobs of this program whose enclosures exist.
    #[must_use]
    pub fn jobs(&self) -> Vec<String> {
        match self {
            Self::Enclosed(enclosures) => enclosures.jobs(),
            Self::Trusted(_) => Vec::new(),
        }
    }

    /// A place for a job, in its own folder in `work`. The emulator has the registry.
    pub(crate) async fn job(
        &self,
        work: &Path,
        emulator: &Access,
        limits: &Limits,
        purpose: &Purpose<'_>,
    ) -> Result<Job> {
        let registry = match *purpose {
            Purpose::Build { repository } | Purpose::Training { repository, .. } => {
                Some(Registry::start(emulator, repository).await?)
            }
            Purpose::Images => None,
        };
        self.place(work, limits, purpose, registry).await
    }

    async fn place(
        &self,
        work: &Path,
        limits: &Limits,
        purpose: &Purpose<'_>,
        registry: Option<Registry>,
    ) -> Result<Job> {
        Ok(match self {
            Self::Enclosed(enclosures) => Job::Enclosed(enclosures.make(work, limits, purpose, registry).await?),
            Self::Trusted(trusted) => Job::Trusted(trusted.workbench(work, registry)?),
        })
    }

    /// Removes a container by its name, running or not. Whether it existed.
    pub(crate) async fn remove_container(&self, container: &str) -> bool {
        match self {
            // It ends with its enclosure, which ends with its job.
            Self::Enclosed(_) => true,
            Self::Trusted(trusted) => trusted.remove_container(container).await,
        }
    }

    /// Waits until nothing of this program's jobs is left.
    pub async fn finish(&self) -> Result<()> {
        match self {
            Self::Enclosed(enclosures) => enclosures.finish().await,
            Self::Trusted(trusted) => trusted.remove_own_containers().await,
        }
    }

    /// Pulls the base image of the samples or, without a network, builds it from Debian's busybox.
    pub async fn prepare_base_image(&self, work: &Path) -> Result<()> {
        let limits = Limits { memory_bytes: 1 << 30, disk_bytes: 1 << 30 };
        let job = self.place(work, &limits, &Purpose::Images, None).await?;
        if job.output(&["image", "inspect", BASE_IMAGE]).await.is_ok() {
            return Ok(());
        }
        let pull = job.output(&["pull", BASE_IMAGE]);
        if tokio::time::timeout(Duration::from_mins(1), pull).await.is_ok_and(|pulled| pulled.is_ok()) {
            return Ok(());
        }
        std::fs::copy("/bin/busybox", job.files().join("busybox"))
            .context("the base image can be neither pulled nor built: install the Debian package busybox-static")?;
        std::fs::write(
            job.files().join("Dockerfile"),
            "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nCMD [\"sh\"]\n",
        )?;
        job.give().await?;
        job.output(&["build", "--tag", BASE_IMAGE, &job.place("").to_string_lossy()]).await?;
        Ok(())
    }
}

impl Job {
    /// The folder of the job's files, as this program sees it.
    pub(crate) fn files(&self) -> &Path {
        match self {
            Self::Enclosed(enclosure) => enclosure.files(),
            Self::Trusted(workbench) => workbench.files(),
        }
    }

    /// A folder of the job's files, for reading what a container leaves. It must be opened before a container runs.
    pub(crate) fn descriptor(&self, folder: &str) -> Result<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        Ok(rustix::fs::open(self.files().join(folder), flags, Mode::empty())?)
    }

    /// A folder for the commands of a buildspec to start in.
    pub(crate) fn start_folder(&self) -> &Path {
        match self {
            // What they ask of the engine is done in the folder of the job's files.
            Self::Enclosed(enclosure) => enclosure.folder(),
            Self::Trusted(workbench) => workbench.files(),
        }
    }

    /// A path in the folder of the job's files, as the engine sees it.
    pub(crate) fn place(&self, path: &str) -> PathBuf {
        match self {
            Self::Enclosed(_) => Path::new(enclosure::FILES).join(path),
            Self::Trusted(workbench) => workbench.files().join(path),
        }
    }

    /// The folder with the training data, as the engine sees it.
    pub(crate) fn data<'a>(&self, data: &'a Path) -> &'a Path {
        match self {
            Self::Enclosed(_) => Path::new(enclosure::DATA),
            Self::Trusted(_) => data,
        }
    }

    /// Lets the engine and its containers change the files that this program wrote.
    pub(crate) async fn give(&self) -> Result<()> {
        match self {
            Self::Enclosed(enclosure) => enclosure.give().await,
            Self::Trusted(_) => Ok(()),
        }
    }

    /// A command of the engine.
    pub(crate) fn command(&self) -> Command {
        match self {
            Self::Enclosed(enclosure) => enclosure.command(),
            Self::Trusted(workbench) => workbench.engine().command(),
        }
    }

    /// Runs a short command of the engine and returns its standard output.
    pub(crate) async fn output(&self, arguments: &[&str]) -> Result<String> {
        output(self.command().args(arguments), arguments).await
    }

    /// Pulls an image of the job's repository.
    pub(crate) async fn pull(&self, image: &str) -> Result<()> {
        match self {
            Self::Enclosed(enclosure) => enclosure.pull(image).await,
            Self::Trusted(workbench) => workbench.engine().output(&["pull", "--quiet", image]).await.map(drop),
        }
    }

    /// The address of an image that is in the emulator's registry, as the engine sees it.
    pub(crate) fn registry_address(&self, image: &str) -> String {
        match self {
            Self::Enclosed(enclosure) => enclosure.registry_address(image),
            Self::Trusted(workbench) => workbench.registry_address(image),
        }
    }

    /// What the commands of a buildspec need in their environment, with a PATH on which `docker` is this engine.
    pub(crate) fn environment(&self, tools: &Path) -> Vec<(&'static str, String)> {
        match self {
            Self::Enclosed(enclosure) => enclosure.environment(tools),
            Self::Trusted(workbench) => workbench.environment(tools),
        }
    }

    /// The arguments of `run` that confine a container: no network, no capabilities, a read-only root file system, and
    /// limits on memory, processes and files.
    pub(crate) fn confinement(&self, memory_bytes: u64) -> Vec<String> {
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
        match self {
            // crun does not work with dropped privileges inside containers and small virtual machines.
            Self::Enclosed(_) => arguments.push("--runtime=runc".to_owned()),
            Self::Trusted(workbench) => arguments.extend(workbench.engine().arguments_of_run()),
        }
        arguments
    }

    /// The arguments of `run` that give a container our own standard output, so that what it writes to both streams stays
    /// in order. Docker has no such option: it copies each stream by itself, and their order is only roughly kept.
    pub(crate) fn one_output(&self) -> &'static [&'static str] {
        match self {
            Self::Trusted(workbench) if workbench.engine().name() == "docker" => &[],
            Self::Enclosed(_) | Self::Trusted(_) => &["--log-driver=passthrough"],
        }
    }
}

/// Checks that a folder with training data can be read in an enclosure, where root is a user without rights on this machine.
pub fn check_data(folder: &Path) -> Result<()> {
    let mut folders = vec![folder.to_owned()];
    while let Some(path) = folders.pop() {
        let metadata = std::fs::symlink_metadata(&path)?;
        let needed = if metadata.is_dir() { 0o5 } else { 0o4 };
        if !metadata.is_symlink() && metadata.permissions().mode() & needed != needed {
            bail!(
                "{} is not readable by every user, as it has to be in an enclosure: run `chmod -R o+rX {}`",
                path.display(),
                folder.display()
            );
        }
        if metadata.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                folders.push(entry?.path());
            }
        }
    }
    Ok(())
}

/// Runs a command and returns its standard output. `arguments` are for the error.
async fn output(command: &mut Command, arguments: &[&str]) -> Result<String> {
    let output = command.output().await.context("starting the container engine")?;
    if !output.status.success() {
        bail!("{}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_that_an_enclosure_cannot_read_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let set = |name: &str, mode| {
            std::fs::set_permissions(folder.path().join(name), PermissionsExt::from_mode(mode)).unwrap();
        };
        std::fs::create_dir(folder.path().join("part")).unwrap();
        std::fs::write(folder.path().join("part/rows.csv"), "1").unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("part/link")).unwrap();
        set("", 0o755);
        check_data(folder.path()).unwrap();
        set("part/rows.csv", 0o640);
        let error = check_data(folder.path()).unwrap_err().to_string();
        assert!(error.contains("rows.csv is not readable") && error.contains("chmod -R o+rX"), "{error}");
        set("part/rows.csv", 0o644);
        set("part", 0o754);
        assert!(check_data(folder.path()).unwrap_err().to_string().contains("part is not readable"));
    }
}
