//! Podman as controls use it: on the host without an enclosure, and in an enclosure of which one part is taken away.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use local::process::bound_to_this;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::arena::{BASE, write_files};
use crate::case::{File, Roomy};

/// Longer than any control takes.
const PATIENCE: Duration = Duration::from_mins(3);

/// Podman with a storage of its own on the host.
pub(crate) struct Bare {
    folder: PathBuf,
}

impl Bare {
    /// Makes the storage and the base image.
    pub(crate) async fn make(work: &Path) -> Result<Self> {
        let bare = Self { folder: work.join("bare") };
        std::fs::create_dir(&bare.folder)?;
        std::fs::write(bare.folder.join("policy.json"), r#"{"default": [{"type": "insecureAcceptAnything"}]}"#)?;
        let files = [
            (
                "Dockerfile".to_owned(),
                b"FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nCMD [\"sh\"]\n"
                    .to_vec(),
                false,
            ),
            ("busybox".to_owned(), std::fs::read("/bin/busybox").context("busybox-static is not installed")?, true),
        ];
        let (built, output) = bare.build(&files, BASE, &[]).await?;
        ensure!(built, "the base image of the controls: {output}");
        Ok(bare)
    }

    /// Builds as a machine without an enclosure would. Whether it worked, and its output.
    pub(crate) async fn build(&self, files: &[File], tag: &str, more: &[String]) -> Result<(bool, String)> {
        let folder = write_files(files)?;
        let mut build = self.podman();
        build.args(["build", "--isolation", "chroot", "--network", "host", "--format", "docker", "--pull=missing"]);
        build.args(["--signature-policy"]).arg(self.folder.join("policy.json"));
        build.args(["--tag", tag, "--no-cache", "--tls-verify=false"]).args(more).arg(folder.path());
        run(&mut build, folder.path()).await
    }

    /// A command of podman. Whether it worked, and its output.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Result<(bool, String)> {
        let folder = tempfile::tempdir()?;
        run(self.podman().args(arguments), folder.path()).await
    }

    fn podman(&self) -> Command {
        let mut podman = bound_to_this("podman");
        podman.arg("--root").arg(self.folder.join("root")).arg("--runroot").arg(self.folder.join("run"));
        podman.args(["--storage-driver", "overlay", "--events-backend", "none", "--cgroup-manager", "cgroupfs"]);
        podman
    }
}

/// Runs a command, whose output goes to a file: a process that it leaves behind would keep a pipe open.
async fn run(command: &mut Command, folder: &Path) -> Result<(bool, String)> {
    let log = folder.join("output.log");
    let output = std::fs::File::create(&log)?;
    command.stdout(output.try_clone()?).stderr(output).stdin(Stdio::null());
    let mut child = command.spawn()?;
    let ended = timeout(PATIENCE, child.wait()).await;
    if ended.is_err() {
        child.kill().await?;
    }
    let text = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
    Ok((matches!(ended, Ok(Ok(status)) if status.success()), text))
}

/// An enclosure for a control. It ends when it is dropped.
pub(crate) struct Weakened {
    program: PathBuf,
    folder: tempfile::TempDir,
    settings: Vec<(&'static str, String)>,
    keeper: Child,
    pid: String,
}

impl Weakened {
    /// Makes an enclosure with these limits.
    pub(crate) async fn make(root: &Path, work: &Path, limits: Roomy) -> Result<Self> {
        let program = root.join("local/engine/enclosure");
        let folder = tempfile::Builder::new().prefix("control-").tempdir_in(work)?;
        let settings = vec![
            ("ENCLOSURE_MEMORY", limits.memory.to_string()),
            ("ENCLOSURE_DISK", limits.disk.to_string()),
            ("ENCLOSURE_PROCESSES", limits.processes.to_string()),
            ("ENCLOSURE_NETWORK", "internet".to_owned()),
            ("ENCLOSURE_IMAGES", root.join(".local/images").to_string_lossy().into_owned()),
        ];
        let mut keeper = Command::new(&program)
            .arg("hold")
            .arg(folder.path())
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let mut ready = String::new();
        BufReader::new(keeper.stdout.take().context("an output")?).read_line(&mut ready).await?;
        ensure!(ready.trim() == "ready", "the enclosure of a control could not be made");
        let pid = std::fs::read_to_string(folder.path().join("pid"))?.trim().to_owned();
        Ok(Self { program, folder, settings, keeper, pid })
    }

    /// Takes the packet filter away.
    pub(crate) async fn without_packet_filter(self) -> Result<Self> {
        let mut filter = Command::new("nsenter");
        filter.arg(format!("--net=/proc/{}/ns/net", self.pid)).args(["nft", "flush", "ruleset"]);
        ensure!(filter.status().await?.success(), "the packet filter could not be taken away");
        Ok(self)
    }

    /// Builds in the enclosure. Whether it worked, and its output.
    pub(crate) async fn build(&self, files: &[File]) -> Result<(bool, String)> {
        let inside = PathBuf::from(format!("/proc/{}/root/disk/job", self.pid));
        for (name, content, is_executable) in files {
            std::fs::write(inside.join(name), content)?;
            let mode = if *is_executable { 0o755 } else { 0o644 };
            std::fs::set_permissions(inside.join(name), std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        }
        let give = Command::new(&self.program).arg("give").arg(self.folder.path()).status().await?;
        ensure!(give.success(), "the files could not be given to the enclosure");
        let build = ["build", "--isolation", "oci", "--runtime", "runc", "--network", "host", "--format", "docker"];
        self.podman(&[&build[..], &["--tag", "attack", "."]].concat()).await
    }

    /// A command of podman in the enclosure. Whether it worked, and its output.
    pub(crate) async fn podman(&self, arguments: &[&str]) -> Result<(bool, String)> {
        let mut command = bound_to_this(&self.program);
        command.arg("enter").arg(self.folder.path()).arg("podman").args(arguments);
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        let log = tempfile::tempdir()?;
        run(&mut command, log.path()).await
    }

    /// Ends the enclosure and waits until it is gone.
    pub(crate) async fn end(mut self) -> Result<()> {
        drop(self.keeper.stdin.take());
        match timeout(Duration::from_secs(30), self.keeper.wait()).await {
            Ok(status) => status.map(drop).context("the enclosure of a control"),
            Err(_) => bail!("the enclosure of a control did not end"),
        }
    }
}
