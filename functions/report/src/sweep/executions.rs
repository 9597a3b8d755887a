//! Rounds over the executions that have ended.
//!
//! A round looks at every execution that ended in a window of time, and the next window begins where this one ends. What a
//! sweep does not reach, the next sweep continues, and no round begins before the last one has ended: however many
//! executions end, each is looked at.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::FAILED_CALLS;
use super::page::{ListError, Page};
use super::rate::{Clock, Rate};

/// Time between two `DescribeExecution` calls. The quota is refilled with 15 a second in three regions and with 10 in the others;
/// see <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html#service-limits-api-action-throttling-general>.
/// It holds hundreds for the callers in between.
pub(crate) const DESCRIBE: Rate = Rate::new(Duration::from_millis(100), 1);
/// Time between two `ListExecutions` calls. The quota is refilled with 5 a second in three regions and with 2 in the others, and
/// holds 100; see there.
pub(crate) const LIST: Rate = Rate::new(Duration::from_millis(500), 10);
/// The longest time from the start of an execution to its end: it runs for the time limit of the state machine, is redriven at
/// the last moment, and runs for that long again. Executions are listed by their start, newest first, so listing stops here.
const LONGEST: Duration = Duration::from_hours(24 * (14 + 14 + 14));
/// As many unresolved executions are kept. With more, a round looks at them again before it lists further.
const UNRESOLVED: usize = 5000;

/// How an execution ends that may not have reported its outcome.
///
/// An execution that succeeded has reported it: `ReportOutcome` comes before every end of the definition, and its function
/// fails if it cannot send the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Ending {
    Failed,
    TimedOut,
    Aborted,
}

impl Ending {
    const FIRST: Self = Self::Failed;

    fn next(self) -> Option<Self> {
        match self {
            Self::Failed => Some(Self::TimedOut),
            Self::TimedOut => Some(Self::Aborted),
            Self::Aborted => None,
        }
    }
}

/// An execution in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) arn: String,
    pub(crate) started_at: OffsetDateTime,
    pub(crate) stopped_at: OffsetDateTime,
}

/// An execution that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ended {
    pub(crate) arn: String,
    #[serde(with = "time::serde::rfc3339")]
    stopped_at: OffsetDateTime,
}

/// What a look at an execution found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Its outcome is reported, or not this sweep's to report.
    Reported,
    /// Its outcome was not reported, and is now.
    ReportedNow,
    /// Its outcome is not reported, and could not be.
    Unreported,
    /// A call of the sweep failed.
    Unknown,
}

/// The calls of a round.
pub(crate) trait Executions: Clock {
    /// Lists executions, newest first.
    async fn list_ended(&self, ending: Ending, token: Option<&str>) -> Result<Page<Listed>, ListError>;
    /// Looks at an execution, and reports its outcome if that is missing.
    async fn look(&self, execution: &Ended) -> Look;
}

/// How far the rounds have come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rounds {
    /// Every execution that ended earlier was looked at, or is unresolved.
    #[serde(with = "time::serde::rfc3339")]
    done_until: OffsetDateTime,
    round: Option<Round>,
    /// What this round has listed and not looked at yet.
    queue: VecDeque<Ended>,
    /// What could not be read or reported. The next round begins with it.
    unresolved: Vec<Ended>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Round {
    /// The end of its window.
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
    /// The next page. `None` after the last.
    next: Option<Next>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Next {
    ending: Ending,
    token: Option<String>,
}

impl Next {
    const FIRST: Self = Self { ending: Ending::FIRST, token: None };
}

/// When executions are looked at, as time since their end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub(crate) from: Duration,
    /// Executions that ended before the first round are looked at up to this age, and unresolved ones again.
    pub(crate) up_to: Duration,
}

/// What one sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) looked_at: u32,
    pub(crate) unreported: u32,
    pub(crate) reported: u32,
    pub(crate) failed_calls: u32,
}

/// What a round does next.
enum Step {
    Look(Ended),
    List(Next),
    End,
}

impl Rounds {
    /// Before the first round.
    pub(crate) fn first(now: OffsetDateTime, due: Due) -> Self {
        Self { done_until: now - due.up_to, round: None, queue: VecDeque::new(), unresolved: Vec::new() }
    }

    /// Continues the round that has begun, and goes through another one, until `limit`.
    pub(crate) async fn advance(
        &mut self,
        executions: &impl Executions,
        (describe, list): (&mut Rate, &mut Rate),
        (now, due): (OffsetDateTime, Due),
        limit: Duration,
    ) -> Found {
        let mut found = Found::default();
        let mut began = false;
        while found.failed_calls < FAILED_CALLS {
            let Some(round) = &self.round else {
                if began {
                    return found;
                }
                self.begin(now, due);
                began = true;
                continue;
            };
            match self.step(round) {
                Step::Look(execution) => {
                    if !describe.turn(executions, limit).await {
                        break;
                    }
                    let look = executions.look(&execution).await;
                    found.add(look);
                    self.looked(look, now - due.up_to);
                }
                Step::List(next) => {
                    if !list.turn(executions, limit).await {
                        break;
                    }
                    match executions.list_ended(next.ending, next.token.as_deref()).await {
                        Ok(page) => self.listed(page),
                        Err(ListError::TokenExpired) => self.list_again(),
                        Err(ListError::Failed) => {
                            found.failed_calls += 1;
                            return found;
                        }
                    }
                }
                Step::End => self.end(),
            }
        }
        tracing::info!(
            queue = self.queue.len(),
            unresolved = self.unresolved.len(),
            "the next sweep continues the round"
        );
        found
    }

    fn begin(&mut self, now: OffsetDateTime, due: Due) {
        self.queue.extend(self.unresolved.drain(..));
        // Clocks differ, and the deadline can grow: a window never begins before the last one ended.
        let until = self.done_until.max(now - due.from);
        self.round = Some(Round { until, next: Some(Next::FIRST) });
    }

    fn step(&self, round: &Round) -> Step {
        match (self.queue.front(), &round.next) {
            (Some(execution), _) => Step::Look(execution.clone()),
            (None, Some(next)) => Step::List(next.clone()),
            (None, None) => Step::End,
        }
    }

    /// The first execution in the queue was looked at. One that ended before `oldest` is not looked at again.
    fn looked(&mut self, look: Look, oldest: OffsetDateTime) {
        let execution = self.queue.pop_front().expect("invariant: it is still in the queue");
        match look {
            Look::Reported | Look::ReportedNow => {}
            Look::Unreported | Look::Unknown if execution.stopped_at < oldest => {
                tracing::error!(
                    execution = execution.arn,
                    "the sweep gives up: the execution's outcome is not reported"
                );
            }
            Look::Unreported | Look::Unknown => self.unresolved.push(execution),
        }
        if self.unresolved.len() >= UNRESOLVED {
            self.queue.extend(self.unresolved.drain(..));
        }
    }

    fn listed(&mut self, page: Page<Listed>) {
        let round = self.round.as_mut().expect("invariant: only a round lists");
        let at = round.next.take().expect("invariant: it listed a page");
        let window = self.done_until..round.until;
        let oldest = window.start - LONGEST;
        let reaches_back = page.items.last().is_none_or(|last| last.started_at >= oldest);
        round.next = match page.next {
            Some(token) if reaches_back => Some(Next { ending: at.ending, token: Some(token) }),
            _ => at.ending.next().map(|ending| Next { ending, token: None }),
        };
        let due = page.items.into_iter().filter(|execution| window.contains(&execution.stopped_at));
        self.queue.extend(due.map(|Listed { arn, stopped_at, .. }| Ended { arn, stopped_at }));
    }

    /// Lists the window from the start. What it looked at already is reported, so it is only read again.
    fn list_again(&mut self) {
        let round = self.round.as_mut().expect("invariant: only a round lists");
        tracing::info!("the list of executions has expired, and the round lists them again");
        round.next = Some(Next::FIRST);
    }

    fn end(&mut self) {
        let round = self.round.take().expect("invariant: only a round ends");
        self.done_until = round.until;
    }
}

impl Found {
    fn add(&mut self, look: Look) {
        self.looked_at += 1;
        match look {
            Look::Reported => {}
            Look::ReportedNow => {
                self.unreported += 1;
                self.reported += 1;
            }
            Look::Unreported => self.unreported += 1,
            Look::Unknown => self.failed_calls += 1,
        }
    }
}

#[cfg(test)]
mod tests;
