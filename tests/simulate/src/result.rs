//! What an evening ended with.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::account::{Account, Reason};
use crate::ledger::Violation;
use crate::services::Calls;
use crate::step_functions::{LONGEST_HISTORY, StepFunctions};
use crate::topic::Counts;

/// The result of a simulation. Times are in seconds of virtual time.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcomes {
    pub submissions: usize,
    pub reported: usize,
    /// Reported outcomes by failure code, with `Completed` for none.
    pub by_code: BTreeMap<String, usize>,
    pub messages: Counts,
    /// When the last submission arrived.
    pub last_arrival_seconds: f64,
    /// When the last outcome was reported.
    pub last_outcome_seconds: f64,
    /// From a submission's message to its outcome.
    pub to_outcome: Distribution,
    pub waits: Vec<Wait>,
    pub calls: BTreeMap<&'static str, Calls>,
    /// Retries by the definitions, by error.
    pub retries: BTreeMap<String, u64>,
    pub executions: BTreeMap<&'static str, usize>,
    pub history: History,
    pub peaks: Peaks,
    pub delayed_transitions: u64,
    pub violations: Vec<Violation>,
    /// Steps of the simulation, and expressions that the reference implementation evaluated.
    pub events: u64,
    pub expressions: u64,
}

/// The most that was in use at once.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peaks {
    pub lambda_concurrency: u32,
    pub builds: u32,
    pub training_instances: u32,
}

/// The execution with the longest history.
#[derive(Clone, Debug, Serialize)]
pub struct History {
    pub events: usize,
    pub limit: usize,
    pub execution: String,
}

/// How long submissions or executions waited for one reason, of those that did.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Wait {
    pub reason: String,
    #[serde(flatten)]
    pub seconds: Distribution,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Distribution {
    pub count: usize,
    pub median: f64,
    pub p95: f64,
    pub max: f64,
}

impl Distribution {
    fn of(durations: impl Iterator<Item = Duration>) -> Self {
        let mut sorted: Vec<Duration> = durations.collect();
        sorted.sort_unstable();
        // The smallest that at least this share does not exceed.
        let percentile = |share: usize| {
            let rank = (sorted.len() * share).div_ceil(100).max(1);
            sorted.get(rank - 1).map_or(0.0, Duration::as_secs_f64)
        };
        Self { count: sorted.len(), median: percentile(50), p95: percentile(95), max: percentile(100) }
    }
}

impl Outcomes {
    pub(crate) fn new(
        account: &Account,
        step_functions: &StepFunctions,
        executions: BTreeMap<&'static str, usize>,
        (events_of_longest, longest): (usize, String),
        events: u64,
    ) -> Self {
        let Account { submissions, ledger, .. } = account;
        let outcomes = ledger.outcomes();
        let mut by_code = BTreeMap::<String, usize>::new();
        for reported in outcomes.values() {
            *by_code.entry(reported.name()).or_default() += 1;
        }
        let arrivals = submissions.all().iter().map(|submission| submission.published.elapsed());
        let last_outcome = outcomes.values().map(|reported| reported.at.elapsed()).max();
        let to_outcome = outcomes.iter().map(|(index, it)| it.at - submissions.get(*index).published);
        let starts = Calls { throttled: step_functions.throttled_starts, ..Calls::default() };
        Self {
            submissions: submissions.all().len(),
            reported: outcomes.len(),
            by_code,
            messages: account.topic.counts,
            last_arrival_seconds: arrivals.max().unwrap_or_default().as_secs_f64(),
            last_outcome_seconds: last_outcome.unwrap_or_default().as_secs_f64(),
            to_outcome: Distribution::of(to_outcome),
            waits: waits(account, step_functions),
            calls: BTreeMap::from([
                ("Lambda", account.lambda.calls),
                ("CodeBuild", account.builds.calls),
                ("SageMaker", account.training.calls),
                ("ECR", account.image_reads),
                ("Systems Manager", account.parameter_reads),
                ("Step Functions", Calls { made: step_functions.starts, ..starts }),
            ]),
            retries: step_functions.retries.counts.clone(),
            executions,
            history: History { events: events_of_longest, limit: LONGEST_HISTORY, execution: longest },
            peaks: Peaks {
                lambda_concurrency: account.lambda.places.peak,
                builds: account.builds.running.peak,
                training_instances: account.training.instances.peak,
            },
            delayed_transitions: step_functions.delayed_transitions,
            violations: ledger.violations(submissions),
            events,
            expressions: step_functions.evaluated(),
        }
    }
}

fn waits(account: &Account, step_functions: &StepFunctions) -> Vec<Wait> {
    let mut by_reason = BTreeMap::<String, Vec<Duration>>::new();
    for ((reason, _), duration) in &account.waits {
        by_reason.entry(reason.to_string()).or_default().push(*duration);
    }
    let queued = account.builds.queued.values().copied();
    by_reason.entry(Reason::BuildQueue.to_string()).or_default().extend(queued);
    for ((error, _), duration) in &step_functions.retries.waits {
        by_reason.entry(format!("retry after {error}")).or_default().push(*duration);
    }
    by_reason.retain(|_, durations| !durations.is_empty());
    let wait = |(reason, durations): (String, Vec<Duration>)| Wait {
        reason,
        seconds: Distribution::of(durations.into_iter()),
    };
    by_reason.into_iter().map(wait).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_has_its_median_and_its_tail() {
        let distribution = Distribution::of((1..=200).map(Duration::from_secs));
        assert_eq!(distribution, Distribution { count: 200, median: 100.0, p95: 190.0, max: 200.0 });
        assert_eq!(Distribution::of(std::iter::empty()), Distribution::default());
    }
}
