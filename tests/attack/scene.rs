//! What one attack can touch: canaries of its own, a word that marks its requests, and numbers drawn from the seed.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use parking_lot::Mutex;
use rand_core::Rng as _;
use rand_pcg::Pcg32;
use tempfile::TempDir;

/// A scene. The attack and its control have one each.
pub(crate) struct Scene {
    /// A word that no other scene has. Requests to canary servers carry it.
    pub(crate) token: String,
    /// The text of the canary file.
    pub(crate) secret: String,
    /// An argument of `sleep` that no other process has.
    pub(crate) seconds: u32,
    /// The port of the emulator on the loopback interface.
    pub(crate) emulator: u16,
    /// The port of the canary server on the loopback interface.
    pub(crate) port: u16,
    /// The id of another participant's submission, and what only its image holds.
    pub(crate) other: Other,
    /// The same number for the attack and its control.
    pub(crate) number: u32,
    folder: TempDir,
    process: Mutex<Child>,
    pub(crate) pid: u32,
}

/// Another participant's submission.
#[derive(Debug, Clone)]
pub(crate) struct Other {
    pub(crate) repository: String,
    pub(crate) secret: String,
}

impl Scene {
    pub(crate) fn make(random: &mut Pcg32, number: u32, [emulator, port]: [u16; 2], other: Other) -> Result<Self> {
        let mut hex = || format!("{:08x}{:08x}", random.next_u32(), random.next_u32());
        let (token, secret) = (format!("t{}", hex()), format!("canary-{}", hex()));
        let seconds = 100_000 + random.next_u32() % 800_000;
        let folder = tempfile::Builder::new().prefix("canary-").tempdir()?;
        std::fs::write(folder.path().join("file"), &secret)?;
        std::fs::create_dir(folder.path().join("folder"))?;
        std::fs::write(folder.path().join("folder/inner"), &secret)?;
        // Its command line has the secret.
        let process = Command::new("sleep")
            .arg0(&secret)
            .arg("86400")
            .stdin(Stdio::null())
            .spawn()
            .context("starting the canary process")?;
        let pid = process.id();
        Ok(Self { token, secret, seconds, emulator, port, other, number, folder, process: process.into(), pid })
    }

    /// The folder that holds the canaries.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The canary file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder().join("file")
    }

    /// The canary folder.
    pub(crate) fn canary_folder(&self) -> PathBuf {
        self.folder().join("folder")
    }

    /// Whether the canary process runs.
    pub(crate) fn process_runs(&self) -> Result<bool> {
        Ok(self.process.lock().try_wait()?.is_none())
    }

    /// The processes that the attack has left behind.
    pub(crate) fn left(&self) -> Result<Vec<i32>> {
        let line = format!("sleep\0{}\0", self.seconds);
        let mut left = Vec::new();
        for process in std::fs::read_dir("/proc")? {
            let process = process?;
            // A process may have ended meanwhile.
            let found = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            if found.ends_with(line.as_bytes())
                && let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok())
            {
                left.push(pid);
            }
        }
        Ok(left)
    }

    /// File, folder and process are as they were.
    pub(crate) fn untouched(&self) -> Result<()> {
        let text = std::fs::read_to_string(self.file()).context("the canary file is gone")?;
        ensure!(text == self.secret, "the canary file was changed");
        let names = |folder: &Path| -> Result<usize> { Ok(std::fs::read_dir(folder)?.count()) };
        ensure!(names(self.folder())? == 2 && names(&self.canary_folder())? == 1, "the canary folder was changed");
        let inner = std::fs::read_to_string(self.canary_folder().join("inner")).context("a canary file is gone")?;
        ensure!(inner == self.secret, "a file of the canary folder was changed");
        ensure!(self.process_runs()?, "the canary process was ended");
        Ok(())
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let mut process = self.process.lock();
        let _ = process.kill();
        let _ = process.wait();
    }
}
