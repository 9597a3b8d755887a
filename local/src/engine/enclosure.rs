//! Enclosures: the namespaces, the file system and the limits in which an engine works for one job. `engine/enclosure` makes
//! them and says what they keep away.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::registry::Registry;
use super::{Limits, Purpose, output};
use crate::process::bound_to_this;

/// The folder of a job's files and the folder of its training data, inside.
pub(super) const FILES: &str = "/disk/job";
pub(super) const DATA: &str = "/data";
/// This machine's loopback interface, inside: <https://github.com/rootless-containers/slirp4netns>.
const THIS_MACHINE: &str = "10.0.2.2";
/// Processes of a job.
const PROCESSES: u32 = 2000;
/// Memory of the engine itself, beside that of a container.
const ENGINE_BYTES: u64 = 512 << 20;

/// Makes enclosures.
#[derive(Debug, Clone)]
pub struct Enclosures {
    program: PathBuf,
    /// Images that all jobs may use.
    images: PathBuf,
    keepers: Arc<Mutex<Vec<Keeper>>>,
}

/// A process that keeps an enclosure.
#[derive(Debug)]
struct Keeper {
    process: Child,
    /// The repository of the job.
    repository: String,
}

/// An enclosure. It ends when this is dropped, or when this program ends for any reason.
#[derive(Debug)]
pub(crate) struct Enclosure {
    program: PathBuf,
    folder: TempDir,
    files: PathBuf,
    settings: Vec<(&'static str, String)>,
    registry: Option<Registry>,
    /// Its end ends the enclosure.
    _lifeline: ChildStdin,
}

impl Enclosures {
    pub(super) fn new(root: &Path) -> Self {
        let images = root.join(".local/images");
        Self { program: root.join("local/engine/enclosure"), images, keepers: Arc::default() }
    }

    /// What this machine lacks, empty if nothing.
    pub(super) async fn missing(&self) -> Result<Vec<String>> {
        let missing = output(bound_to_this(&self.program).arg("check"), &["enclosure check"]).await?;
        Ok(missing.lines().map(str::to_owned).collect())
    }

    /// Removes what killed programs have left.
    pub(super) async fn clean(&self) -> Result<()> {
        output(bound_to_this(&self.program).arg("clean"), &["enclosure clean"]).await.map(drop)
    }

    pub(super) async fn make(
        &self,
        work: &Path,
        limits: &Limits,
        purpose: &Purpose<'_>,
        registry: Option<Registry>,
    ) -> Result<Enclosure> {
        let folder = tempfile::Builder::new().prefix("job-").tempdir_in(work)?;
        let (network, pulls, repository, data) = match *purpose {
            Purpose::Build { repository } => ("internet", "", Some(repository), None),
            Purpose::Training { repository, data } => ("closed", "", Some(repository), data),
            Purpose::Images => ("internet", "yes", None, None),
        };
        let settings = vec![
            ("ENCLOSURE_MEMORY", (limits.memory_bytes + ENGINE_BYTES).to_string()),
            ("ENCLOSURE_DISK", limits.disk_bytes.to_string()),
            ("ENCLOSURE_PROCESSES", PROCESSES.to_string()),
            ("ENCLOSURE_NETWORK", network.to_owned()),
            ("ENCLOSURE_IMAGES", self.images.to_string_lossy().into_owned()),
            ("ENCLOSURE_PULLS", pulls.to_owned()),
            ("ENCLOSURE_DATA", data.map(|data| data.to_string_lossy().into_owned()).unwrap_or_default()),
        ];
        // It ends with its standard input, and not by a signal, so that it can remove what it made. A group of its own keeps
        // Ctrl-C from it.
        let mut keeper = Command::new(&self.program)
            .arg("hold")
            .arg(folder.path())
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("starting an enclosure")?;
        let lifeline = keeper.stdin.take().context("the enclosure has no standard input")?;
        let stdout = keeper.stdout.take().context("the enclosure has no standard output")?;
        let stderr = keeper.stderr.take().context("the enclosure has no standard error")?;
        let mut enclosure = Enclosure {
            program: self.program.clone(),
            folder,
            files: PathBuf::new(),
            settings,
            registry,
            _lifeline: lifeline,
        };
        self.keepers.lock().push(Keeper { process: keeper, repository: repository.unwrap_or_default().to_owned() });
        let mut ready = String::new();
        BufReader::new(stdout).read_line(&mut ready).await?;
        if ready.trim_end() != "ready" {
            let mut reason = String::new();
            stderr.take(4096).read_to_string(&mut reason).await?;
            bail!("an enclosure for the submission could not be made: {}", reason.trim());
        }
        let first = std::fs::read_to_string(enclosure.folder.path().join("pid"))?;
        enclosure.files = Path::new("/proc").join(first.trim()).join("root").join(FILES.trim_start_matches('/'));
        Ok(enclosure)
    }

    /// The repositories of the jobs whose enclosures exist.
    pub(super) fn jobs(&self) -> Vec<String> {
        let mut keepers = self.keepers.lock();
        keepers.retain_mut(|keeper| matches!(keeper.process.try_wait(), Ok(None)));
        keepers.iter().map(|keeper| keeper.repository.clone()).collect()
    }

    /// Waits until the enclosures of ended jobs are gone.
    pub(super) async fn finish(&self) -> Result<()> {
        loop {
            let Some(mut keeper) = self.keepers.lock().pop() else { return Ok(()) };
            keeper.process.wait().await.context("waiting for the end of an enclosure")?;
        }
    }
}

impl Enclosure {
    pub(super) fn files(&self) -> &Path {
        &self.files
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The enclosure's program with one of its commands.
    fn program(&self, command: &str) -> Command {
        let mut program = bound_to_this(&self.program);
        program.arg(command).arg(self.folder.path());
        program
    }

    pub(super) async fn give(&self) -> Result<()> {
        output(&mut self.program("give"), &["enclosure give"]).await.map(drop)
    }

    pub(super) fn command(&self) -> Command {
        let mut command = bound_to_this(self.program.with_file_name("enclosed").join("docker"));
        command.envs(self.own_environment());
        command
    }

    pub(super) async fn pull(&self, image: &str) -> Result<()> {
        let registry = self.registry.as_ref().context("the job has no registry")?;
        let mut command = self.program("admit");
        command.arg(registry.port.to_string()).args(["podman", "pull", "--quiet", "--tls-verify=false", image]);
        output(&mut command, &["pull", image]).await.map(drop)
    }

    pub(super) fn registry_address(&self, image: &str) -> String {
        self.registry.as_ref().map_or_else(|| image.to_owned(), |registry| registry.address(image, THIS_MACHINE))
    }

    pub(super) fn environment(&self, tools: &Path) -> Vec<(&'static str, String)> {
        let shim = self.program.with_file_name("enclosed");
        let inherited = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{}:{inherited}", shim.display(), tools.join("tools/bin").display());
        let mut environment = self.own_environment();
        environment.push(("PATH", path));
        environment.push(("BUILD_FENCE", "none".to_owned()));
        environment
    }

    fn own_environment(&self) -> Vec<(&'static str, String)> {
        let port = self.registry.as_ref().map(|registry| registry.port.to_string()).unwrap_or_default();
        let mut environment = self.settings.clone();
        environment.push(("ENCLOSURE_FOLDER", self.folder.path().to_string_lossy().into_owned()));
        environment.push(("ENCLOSURE_REGISTRY", port));
        environment
    }
}
