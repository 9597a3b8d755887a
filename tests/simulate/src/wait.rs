//! One execution that waits for a training machine until it may not wait any longer.

use std::path::Path;

use anyhow::{Context, Result};

use crate::evening::Evening;
use crate::plan::{Plan, Quotas};
use crate::result::Outcomes;
use crate::submissions::Submissions;

/// Simulates a submission for which there is never a training machine.
pub fn longest(definitions: &Path, jsonata: &Path) -> Result<Outcomes> {
    let plan = |seed| Plan {
        submissions: 1,
        seed,
        faults: 0.0,
        quotas: Quotas { training_instances: 0, ..Quotas::default() },
        ..Plan::default()
    };
    let would_complete = |plan: &Plan| Submissions::of_plan(plan).get(0).fault.is_none();
    let plan = (0..100).map(plan).find(would_complete).context("no submission of 100 has to be trained")?;
    Evening::new(&plan, definitions, jsonata)?.run(|_| {})
}
