//! The AWS command line that builds have. It is the real one, kept warm: `aws.py` says how.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::process::Child;

use crate::process::bound_to_this;

/// A function of the shell that takes the place of `aws`.
pub(crate) const FUNCTION: &str = r#"aws() { "$AWS_CLI_PYTHON" -ISE "$AWS_CLI_SCRIPT" call "$AWS_CLI_SOCKET" "$@"; }"#;

/// Where the command line is.
#[derive(Debug, Clone)]
pub struct Aws {
    python: PathBuf,
    script: PathBuf,
    socket: PathBuf,
}

impl Aws {
    pub(crate) fn new(root: &Path, tools: &Path, work: &Path) -> Self {
        Self {
            python: tools.join("tools/bin/python"),
            script: root.join("local/src/stand_in/aws.py"),
            socket: work.join("aws"),
        }
    }

    /// Starts the process behind the calls, which wait until it is ready.
    pub(crate) fn start(&self) -> Result<Child> {
        let mut server = bound_to_this(&self.python);
        server.arg(&self.script).arg("serve").arg(&self.socket).env_clear().env("LANG", "C.UTF-8");
        server.spawn().context("starting the AWS command line")
    }

    /// The variables that `FUNCTION` reads.
    pub(crate) fn environment(&self) -> [(&'static str, &Path); 3] {
        [("AWS_CLI_PYTHON", &self.python), ("AWS_CLI_SCRIPT", &self.script), ("AWS_CLI_SOCKET", &self.socket)]
    }
}
