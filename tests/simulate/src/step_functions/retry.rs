//! Which error is retried when, and which is caught.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ExecutionId;
use crate::definition::{Catcher, JitterStrategy, Retrier, matches};
use crate::random::Random;

/// How long until the next attempt; none if the error is not retried, or not any more. The first retrier that names the error
/// decides. `counts` says how often each has retried so far.
pub(super) fn delay(retriers: &[Retrier], counts: &mut [u32], error: &str, random: &mut Random) -> Option<Duration> {
    let at = retriers.iter().position(|retrier| matches(&retrier.errors, error))?;
    let (retrier, count) = (&retriers[at], &mut counts[at]);
    if *count >= retrier.max_attempts {
        return None;
    }
    let exponent = i32::try_from(*count).unwrap_or(i32::MAX);
    *count += 1;
    let longest = retrier.max_delay_seconds.unwrap_or(f64::INFINITY);
    let seconds = (retrier.interval_seconds * retrier.backoff_rate.powi(exponent)).min(longest);
    let share = match retrier.jitter {
        JitterStrategy::Full => random.unit(),
        JitterStrategy::None => 1.0,
    };
    Some(Duration::from_secs_f64(seconds * share))
}

pub(super) fn catcher<'a>(catchers: &'a [Catcher], error: &str) -> Option<&'a Catcher> {
    catchers.iter().find(|catcher| matches(&catcher.errors, error))
}

/// The retries of all executions, by error.
#[derive(Debug, Default)]
pub struct Retries {
    pub counts: BTreeMap<String, u64>,
    /// How long each execution waited to retry.
    pub waits: BTreeMap<(String, ExecutionId), Duration>,
}

impl Retries {
    pub(super) fn count(&mut self, error: &str, execution: ExecutionId, delay: Duration) {
        *self.counts.entry(error.to_owned()).or_default() += 1;
        *self.waits.entry((error.to_owned(), execution)).or_default() += delay;
    }
}
