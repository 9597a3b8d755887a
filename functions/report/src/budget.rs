//! The bytes of logs that a participant of a challenge reads on a day. What was granted is kept in S3.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::outcome::Outcome;
use serde::{Deserialize, Serialize};

use crate::Deps;
use crate::shown::Shown;
use crate::store::Error;

/// Tries until an object is written that no one else has changed meanwhile.
const ATTEMPTS: u32 = 8;

/// The bytes that were granted, by outcome.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Ledger(BTreeMap<String, u32>);

impl Ledger {
    /// What an outcome got that is reported again.
    fn granted(&self, outcome: &str) -> Option<u32> {
        self.0.get(outcome).copied()
    }

    /// Grants up to `wanted` bytes of those that are left.
    fn grant(&mut self, outcome: String, wanted: u32, per_day: u32) -> u32 {
        let spent = self.0.values().fold(0_u32, |sum, granted| sum.saturating_add(*granted));
        let granted = wanted.min(per_day.saturating_sub(spent));
        self.0.insert(outcome, granted);
        granted
    }
}

/// What the participant reads of an outcome, within the budget of the day.
pub(crate) async fn shown(outcome: &Outcome, deps: &Deps) -> Result<Shown, Error> {
    let allowed = Shown::allowed(outcome);
    let wanted = u32::try_from(allowed.bytes()).unwrap_or(u32::MAX);
    if wanted == 0 {
        return Ok(allowed);
    }
    let per_day = outcome.reporting.log_bytes_per_day;
    let granted = grant(outcome, wanted, per_day, deps).await?;
    let granted = usize::try_from(granted).expect("invariant: no machine has addresses of 16 bits");
    Ok(allowed.within(granted, per_day))
}

async fn grant(outcome: &Outcome, wanted: u32, per_day: u32, deps: &Deps) -> Result<u32, Error> {
    let (bucket, key) = (&deps.sweep.staging_bucket, key(outcome));
    let name = format!("{} {}", outcome.submission_id, outcome.finished_at);
    for attempt in 0..ATTEMPTS {
        let stored = deps.store.read_version(bucket, &key).await?;
        let (mut ledger, version) = match stored {
            None => (Ledger::default(), None),
            // Without a valid ledger, it is unknown what was granted.
            Some((body, version)) => match serde_json::from_slice(&body) {
                Ok(ledger) => (ledger, Some(version)),
                Err(error) => {
                    tracing::warn!(%error, key, "the log budget is not valid, so no log is shown; delete the object");
                    return Ok(0);
                }
            },
        };
        if let Some(granted) = ledger.granted(&name) {
            return Ok(granted);
        }
        let granted = ledger.grant(name.clone(), wanted, per_day);
        let body = serde_json::to_vec(&ledger).expect("invariant: a ledger can be written as JSON");
        if deps.store.replace(bucket, &key, version, body).await? {
            return Ok(granted);
        }
        // Another outcome of the participant is being reported.
        tokio::time::sleep(Duration::from_millis(20 << attempt)).await;
    }
    Err(Error::Contended { bucket: bucket.clone(), key })
}

/// A participant whom the API does not name has a budget for each submission, as challenges that it does not name have one
/// together.
fn key(outcome: &Outcome) -> String {
    let day = outcome.finished_at.get(..10).unwrap_or(&outcome.finished_at);
    let challenge = outcome.challenge_id.as_ref().map_or("none", |challenge| challenge.as_str());
    let participant = outcome.participant.as_deref().unwrap_or_else(|| outcome.submission_id.as_str());
    format!("log-budgets/{day}/{challenge}/{participant}.json")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_left_is_granted() {
        let mut ledger = Ledger::default();
        for (outcome, granted) in [("a", 60), ("b", 40), ("c", 0)] {
            assert_eq!(ledger.granted(outcome), None);
            assert_eq!(ledger.grant(outcome.to_owned(), 60, 100), granted);
            assert_eq!(ledger.granted(outcome), Some(granted));
        }
        assert_eq!(ledger.grant("d".to_owned(), 60, 50), 0);
    }

    proptest! {
        #[test]
        fn no_day_has_more_bytes_than_its_budget(wanted in prop::collection::vec(any::<u32>(), 0..20), per_day: u32) {
            let mut ledger = Ledger::default();
            let granted = wanted.iter().enumerate().map(|(at, wanted)| ledger.grant(at.to_string(), *wanted, per_day));
            prop_assert!(granted.map(u64::from).sum::<u64>() <= per_day.into());
        }
    }
}
