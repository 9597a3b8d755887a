//! Child processes that end with this process.

use std::ffi::OsStr;
use std::process::Stdio;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// A command whose process is killed when this process ends for any reason: `setpriv` sets `PR_SET_PDEATHSIG`.
#[must_use]
pub fn bound_to_this(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Kills a child and its descendants when dropped. Does nothing if they have ended.
#[derive(Debug)]
pub struct KillOnDrop(Option<u32>);

impl KillOnDrop {
    /// The child must be the leader of its process group.
    #[must_use]
    pub fn new(child: &Child) -> Self {
        Self(child.id())
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(pid) = self.0.and_then(|pid| i32::try_from(pid).ok()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// A free TCP port of the loopback interface.
pub fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Whether a process with this id exists.
#[must_use]
pub fn is_running(pid: &str) -> bool {
    std::path::Path::new("/proc").join(pid).exists()
}
