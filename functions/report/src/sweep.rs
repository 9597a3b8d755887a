//! What a schedule looks after: executions that ended without a reported outcome, mappings that do not read, repositories that
//! nothing needs, and quarantined records.
//!
//! A failed call of the sweep itself stops none of the rest. It is counted, and the next sweep makes it again.

mod calls;
mod executions;
mod mapping;
mod page;
mod position;
mod rate;
mod repositories;
mod running;

use std::time::Duration;

use domain::Coded;
use runtime::failure;
use runtime::metrics::{Metrics, Unit};
use time::OffsetDateTime;

use self::calls::Calls;
use self::executions::{DESCRIBE, Due, LIST, Rounds};
use self::position::Position;
use self::rate::Process;
use self::repositories::Pass;
use self::running::{Progress, Search};
use crate::Deps;
use crate::error::ReportError;
use crate::request::SweepAnswer;

/// Limit for the pages of objects that are counted, with 1,000 objects each.
const OBJECT_PAGES: usize = 20;
/// When a sweep stops looking at executions. What comes after that has the rest of the time.
const EXECUTIONS_UNTIL: Duration = Duration::from_secs(85);
/// When a sweep stops. The function has 170 seconds, and the call that is under way may take a while.
const ALL_UNTIL: Duration = Duration::from_secs(115);

/// After so many failed calls, a sweep leaves the rest to the next one: a service that refuses these refuses more.
const FAILED_CALLS: u32 = 10;

#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// Absent if the search continues in the next sweep.
    oldest_running: Option<Duration>,
    executions: executions::Found,
    repositories: repositories::Found,
    /// Absent if they could not be counted.
    quarantined: Option<u32>,
    /// Absent if they could not be read.
    mappings_not_working: Option<u32>,
    /// Failed calls beside those of executions and repositories.
    other_failed_calls: u32,
}

impl Found {
    /// The value, or nothing if the call failed.
    fn noted<T, E: Coded>(&mut self, result: Result<T, E>) -> Option<T> {
        result.inspect_err(|error| failure::log(error)).inspect_err(|_| self.other_failed_calls += 1).ok()
    }

    fn failed_calls(&self) -> u32 {
        self.executions.failed_calls + self.repositories.failed_calls + self.other_failed_calls
    }
}

pub(crate) async fn sweep(deps: &Deps) -> SweepAnswer {
    let calls = Calls { deps, clock: Process::start(), now: OffsetDateTime::now_utc() };
    let mut found = Found::default();
    let settings = &deps.sweep;
    let mappings = mapping::not_working(&deps.lambda, &settings.intake_function, settings.needs_mapping).await;
    found.mappings_not_working = found.noted(mappings.map_err(ReportError::Mappings));
    let quarantined = count_quarantined(deps).await;
    found.quarantined = found.noted(quarantined);
    let position = Position::load(deps).await.map_err(ReportError::from);
    if let Some(position) = found.noted(position) {
        advance(position.unwrap_or_else(|| begin(&calls)), &calls, &mut found).await;
    }
    metrics(&found, &deps.stack_name).emit();
    tracing::info!(?found, "finished the sweep");
    SweepAnswer {
        checked: found.executions.looked_at,
        unreported: found.executions.unreported,
        reported: found.executions.reported,
        mappings_not_working: found.mappings_not_working,
        deleted_repositories: found.repositories.deleted,
        failed_calls: found.failed_calls(),
    }
}

fn due(calls: &Calls<'_>) -> Due {
    Due { from: calls.deps.sweep.deadline, up_to: calls.deps.sweep.look_back }
}

fn begin(calls: &Calls<'_>) -> Position {
    Position {
        executions: Rounds::first(calls.now, due(calls)),
        running: Search::START,
        repositories: Pass::begin(calls.now),
    }
}

async fn advance(mut position: Position, calls: &Calls<'_>, found: &mut Found) {
    let (mut describe, mut list) = (DESCRIBE, LIST);
    match position.running.advance(calls, &mut list, EXECUTIONS_UNTIL).await {
        // A start in the future is a difference between clocks, so the age is 0.
        Progress::Ended(oldest) => {
            let age = oldest.map_or(Duration::ZERO, |oldest| (calls.now - oldest).try_into().unwrap_or_default());
            found.oldest_running = Some(age);
        }
        Progress::Continues => {}
        Progress::Failed => found.other_failed_calls += 1,
    }
    let rates = (&mut describe, &mut list);
    found.executions = position.executions.advance(calls, rates, (calls.now, due(calls)), EXECUTIONS_UNTIL).await;
    // What comes next may take long, and this is worth keeping.
    let saved = position.save(calls.deps).await.map_err(ReportError::from);
    found.noted(saved);
    let retention = (calls.now, calls.deps.sweep.image_retention);
    found.repositories = position.repositories.advance(calls, &mut describe, retention, ALL_UNTIL).await;
    let saved = position.save(calls.deps).await.map_err(ReportError::from);
    found.noted(saved);
}

async fn count_quarantined(deps: &Deps) -> Result<u32, ReportError> {
    let mut quarantined = 0;
    for prefix in ["quarantine/", "aws/lambda/"] {
        quarantined += deps.store.count(&deps.sweep.staging_bucket, prefix, OBJECT_PAGES).await?;
    }
    Ok(quarantined)
}

fn metrics(found: &Found, stack: &str) -> Metrics {
    let mut measured = Metrics::of_stack(stack)
        .value("Unreported", Unit::Count, found.executions.unreported.into())
        .value("RepositoriesDeleted", Unit::Count, found.repositories.deleted.into())
        .value("SweepErrors", Unit::Count, found.failed_calls().into());
    if let Some(age) = found.oldest_running {
        measured = measured.value("OldestRunningSeconds", Unit::Seconds, age.as_secs_f64());
    }
    if let Some(depth) = found.quarantined {
        measured = measured.value("QuarantineDepth", Unit::Count, depth.into());
    }
    if let Some(mappings) = found.mappings_not_working {
        measured = measured.value("MappingsNotWorking", Unit::Count, mappings.into());
    }
    measured
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_sweep_is_measured() {
        let found = Found {
            oldest_running: Some(Duration::from_secs(90)),
            executions: executions::Found { looked_at: 9, unreported: 2, reported: 1, failed_calls: 3 },
            repositories: repositories::Found { deleted: 4, failed_calls: 5 },
            quarantined: Some(6),
            mappings_not_working: Some(1),
            other_failed_calls: 7,
        };
        let line = metrics(&found, "mm").to_json(OffsetDateTime::UNIX_EPOCH);
        for (name, value) in [
            ("OldestRunningSeconds", 90.0),
            ("Unreported", 2.0),
            ("RepositoriesDeleted", 4.0),
            ("QuarantineDepth", 6.0),
            ("MappingsNotWorking", 1.0),
            ("SweepErrors", 15.0),
        ] {
            assert_eq!(line[name], json!(value), "{name}");
        }
    }

    #[test]
    fn what_a_sweep_does_not_know_is_not_measured() {
        let line = metrics(&Found::default(), "mm").to_json(OffsetDateTime::UNIX_EPOCH);
        for name in ["OldestRunningSeconds", "QuarantineDepth", "MappingsNotWorking"] {
            assert_eq!(line[name], Value::Null, "{name}");
        }
        assert_eq!(line["SweepErrors"], json!(0.0));
    }
}
