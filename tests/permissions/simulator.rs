//! The simulator of IAM, a program of its own: `simulate.mjs`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;

use crate::deployed::Deployed;

#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) grants: Vec<Grant>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    pub(crate) reason: String,
    /// The grants that allow it alone.
    pub(crate) grants: BTreeSet<usize>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Grant {
    pub(crate) stack: String,
    pub(crate) role: String,
    pub(crate) policy: String,
    pub(crate) action: String,
    pub(crate) resource: String,
}

/// Runs the simulator, which `scripts/setup.sh test` installs.
pub(crate) async fn simulate(requests: &[impl Serialize], stacks: &[Deployed]) -> Result<Answer> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("../.local/iam-simulate");
    ensure!(folder.join("node_modules").is_dir(), "the simulator is not installed; run scripts/setup.sh test");
    // Node.js looks for modules beside the script.
    std::fs::copy(root.join("permissions/simulate.mjs"), folder.join("simulate.mjs"))?;
    let described: Map<String, Value> = stacks
        .iter()
        .map(|stack| (stack.set.clone(), json!({"roles": stack.policies, "buckets": stack.bucket_policies})))
        .collect();
    let mut node = tokio::process::Command::new("node")
        .arg(folder.join("simulate.mjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("starting node; run scripts/setup.sh test")?;
    let mut input = node.stdin.take().context("node has no input")?;
    input.write_all(json!({"stacks": described, "requests": requests}).to_string().as_bytes()).await?;
    drop(input);
    let output = node.wait_with_output().await?;
    if !output.status.success() {
        bail!("the simulator failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
