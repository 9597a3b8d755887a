//! `MiniStack`, the AWS emulator: <https://pypi.org/project/ministack/>.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Child;

use crate::clients::Access;
use crate::process::{bound_to_this, free_port};

/// Starts the emulator behind a gate that asks for the run's secret.
const GATE: &str = include_str!("gate.py");

/// The region of every resource.
pub const REGION: &str = "us-east-1";

/// A running emulator.
#[derive(Debug)]
pub struct Emulator {
    child: Child,
    /// How to use the AWS services and the ECR registry, on the loopback interface.
    pub access: Access,
    /// Its log file.
    pub log: PathBuf,
}

impl Emulator {
    /// Starts the emulator with its data in memory and waits until it answers.
    ///
    /// `token` is the run's secret. `wait_scale` multiplies the waits of state machines (retries and `Wait` states). `environment` is added to the
    /// environment of the emulator and of the functions that it runs.
    pub async fn start(
        tools: &Path,
        work: &Path,
        token: String,
        wait_scale: f64,
        environment: &[(&'static str, String)],
    ) -> Result<Self> {
        let port = free_port()?;
        let access = Access::new(format!("http://127.0.0.1:{port}"), token);
        let log = work.join("emulator.log");
        let output = File::create(&log)?;
        let mut child = bound_to_this(tools.join("emulator/bin/python"))
            .args(["-c", GATE])
            .current_dir(work)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .envs(access.environment())
            .env("MINISTACK_REGION", REGION)
            .env("LAMBDA_EXECUTOR", "local")
            // A running function holds one of the emulator's 64 threads and needs more for its own calls.
            .env("LAMBDA_ACCOUNT_CONCURRENCY", "32")
            .env("SFN_WAIT_SCALE", wait_scale.to_string())
            .env("TMPDIR", work)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("the emulator is not installed; run `make setup`")?;
        for _ in 0..300 {
            if let Some(status) = child.try_wait()? {
                bail!("the emulator stopped with {status}; see {}", log.display());
            }
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(Self { child, access, log });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("the emulator did not answer within 30 seconds; see {}", log.display())
    }

    /// Stops the emulator and the functions that it runs.
    pub async fn stop(&mut self) {
        let _ = self.child.kill().await;
    }
}
