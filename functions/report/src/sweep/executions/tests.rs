use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use time::Duration as Span;
use time::OffsetDateTime as Time;

use super::*;
use crate::sweep::rate::tests::Virtual;

const DUE: Due = Due { from: Duration::from_hours(1), up_to: Duration::from_hours(48) };
/// Time between two sweeps, and the limit of one.
const INTERVAL: Span = Span::minutes(15);
const LIMIT: Duration = Duration::from_secs(85);
/// How long a call takes.
const CALL: Duration = Duration::from_millis(40);

fn noon() -> Time {
    Time::from_unix_timestamp(1_800_000_000).unwrap()
}

struct Execution {
    ending: Ending,
    started_at: Time,
    stopped_at: Time,
}

/// A state machine, on a clock that only calls and sleeping move.
#[derive(Default)]
struct Machine {
    clock: Virtual,
    /// Executions by name, in the order of their start.
    executions: Vec<Execution>,
    /// How looks end that do not find a reported outcome.
    looks: HashMap<usize, Look>,
    /// From this look on, calls fail.
    fails_from: Option<usize>,
    /// The number of the list call that finds its token expired.
    expires_at: Option<usize>,
    /// When each list call and each look was made.
    lists: RefCell<Vec<Time>>,
    looked_at: RefCell<Vec<(Time, usize)>>,
    began: Cell<Option<Time>>,
    sweep_began: Cell<Duration>,
}

impl Machine {
    fn now(&self) -> Time {
        noon() + self.clock.elapsed()
    }

    /// How often each execution was looked at.
    fn looks(&self) -> BTreeMap<usize, usize> {
        let mut looks = BTreeMap::new();
        for (_, name) in self.looked_at.borrow().iter() {
            *looks.entry(*name).or_default() += 1;
        }
        looks
    }

    /// Sweeps once, with a position that was written and read since the last sweep.
    async fn sweep(&self, rounds: &mut Rounds) -> Found {
        *rounds = serde_json::from_slice(&serde_json::to_vec(rounds).unwrap()).unwrap();
        self.sweep_began.set(self.clock.elapsed());
        let (mut describe, mut list) = (DESCRIBE, LIST);
        let found = rounds.advance(self, (&mut describe, &mut list), (self.now(), DUE), LIMIT).await;
        assert!(Clock::elapsed(self) <= LIMIT + CALL, "the sweep took {:?}", Clock::elapsed(self));
        found
    }

    /// Sweeps until this time.
    async fn sweep_until(&self, rounds: &mut Rounds, end: Time) -> Found {
        let mut all = Found::default();
        while self.now() < end {
            let next = self.now() + INTERVAL;
            let found = self.sweep(rounds).await;
            all.unreported += found.unreported;
            all.reported += found.reported;
            all.failed_calls += found.failed_calls;
            self.clock.pass((next - self.now()).try_into().unwrap());
        }
        all
    }
}

impl Clock for Machine {
    fn elapsed(&self) -> Duration {
        self.clock.elapsed().saturating_sub(self.sweep_began.get())
    }

    async fn sleep(&self, time: Duration) {
        self.clock.pass(time);
    }
}

impl Executions for Machine {
    async fn list_ended(&self, ending: Ending, token: Option<&str>) -> Result<Page<Listed>, ListError> {
        self.lists.borrow_mut().push(self.now());
        self.clock.pass(CALL);
        if self.expires_at == Some(self.lists.borrow().len()) {
            assert!(token.is_some(), "a list without a token does not expire");
            return Err(ListError::TokenExpired);
        }
        let now = self.now();
        // Newest first, from the execution before the token.
        let before: usize = token.map_or(self.executions.len(), |token| token.parse().unwrap());
        let all = self.executions[..before].iter().enumerate().rev();
        let mut listed = all.filter(|(_, execution)| execution.ending == ending && execution.stopped_at <= now);
        let page: Vec<(usize, &Execution)> = listed.by_ref().take(1000).collect();
        let next = listed.next().and(page.last()).map(|(name, _)| name.to_string());
        let item = |(name, execution): (usize, &Execution)| Listed {
            arn: name.to_string(),
            started_at: execution.started_at,
            stopped_at: execution.stopped_at,
        };
        Ok(Page { items: page.into_iter().map(item).collect(), next })
    }

    async fn look(&self, execution: &Ended) -> Look {
        let name: usize = execution.arn.parse().unwrap();
        let mut looked_at = self.looked_at.borrow_mut();
        looked_at.push((self.now(), name));
        self.began.set(self.began.get().or(Some(self.now())));
        self.clock.pass(CALL);
        if self.fails_from.is_some_and(|from| looked_at.len() > from) {
            return Look::Unknown;
        }
        self.looks.get(&name).copied().unwrap_or(Look::Reported)
    }
}

/// Executions that end evenly distributed over this time from noon on, after running for up to 13 days.
fn ending_evenly(count: u32, over: Span) -> Vec<Execution> {
    let endings = [Ending::Failed, Ending::TimedOut, Ending::Aborted];
    let mut executions: Vec<Execution> = (0..count)
        .map(|at| {
            let stopped_at = noon() + over * (f64::from(at) / f64::from(count));
            // A multiplier that shares no factor with the modulus: the order of starts is another than that of ends.
            let ran = Span::seconds(1 + i64::from(at) * 7919 % (13 * 24 * 3600));
            Execution { ending: endings[at as usize % 3], started_at: stopped_at - ran, stopped_at }
        })
        .collect();
    executions.sort_by_key(|execution| execution.started_at);
    executions
}

/// The most times of this list within a second.
fn most_in_a_second(times: &[Time]) -> usize {
    let within =
        |(at, first): (usize, &Time)| times[at..].iter().take_while(|time| **time < *first + Span::SECOND).count();
    times.iter().enumerate().map(within).max().unwrap_or_default()
}

#[tokio::test]
async fn each_of_100_000_executions_of_two_days_is_looked_at_once() {
    let machine = Machine { executions: ending_evenly(100_000, Span::days(2)), ..Machine::default() };
    let mut rounds = Rounds::first(noon(), DUE);
    let found = machine.sweep_until(&mut rounds, noon() + Span::hours(60)).await;
    assert_eq!(found, Found::default());
    let looks = machine.looks();
    assert_eq!((looks.len(), looks.values().max()), (100_000, Some(&1)));

    // The oldest are not put off: between the end of an execution and the look at it lie the deadline and at most two sweeps.
    let wait = |(at, name): &(Time, usize)| *at - machine.executions[*name].stopped_at;
    let looked_at = machine.looked_at.borrow();
    let waits: Vec<Span> = looked_at.iter().map(wait).collect();
    assert!(*waits.iter().min().unwrap() >= Span::HOUR);
    assert!(*waits.iter().max().unwrap() < Span::HOUR + INTERVAL * 2, "{}", waits.iter().max().unwrap());

    let times: Vec<Time> = looked_at.iter().map(|(at, _)| *at).collect();
    assert_eq!(most_in_a_second(&times), 10);
    assert!(most_in_a_second(&machine.lists.borrow()) <= 11);
}

#[tokio::test]
async fn a_backlog_of_100_000_executions_is_worked_off_to_the_oldest() {
    let mut executions = ending_evenly(100_000, Span::days(1));
    for execution in &mut executions {
        execution.started_at -= Span::days(1) + Span::HOUR;
        execution.stopped_at -= Span::days(1) + Span::HOUR;
    }
    let machine = Machine { executions, ..Machine::default() };
    let mut rounds = Rounds::first(noon(), DUE);
    machine.sweep_until(&mut rounds, noon() + Span::days(2)).await;
    let looks = machine.looks();
    assert_eq!((looks.len(), looks.values().max()), (100_000, Some(&1)));
    // It took more than a hundred sweeps, and each continued where the one before had stopped.
    let took = machine.looked_at.borrow().last().unwrap().0 - machine.began.get().unwrap();
    assert!((Span::DAY..Span::hours(36)).contains(&took), "{took}");
}

#[tokio::test]
async fn only_what_ended_in_the_window_is_looked_at() {
    let at = |minutes: i64| Execution {
        ending: Ending::Failed,
        started_at: noon() - Span::days(3) + Span::seconds(minutes),
        stopped_at: noon() + Span::minutes(minutes),
    };
    let executions = [-48 * 60 - 1, -48 * 60, -61, -60, -1].map(at).into_iter().collect();
    let machine = Machine { executions, ..Machine::default() };
    let mut rounds = Rounds::first(noon(), DUE);
    let found = machine.sweep(&mut rounds).await;
    assert_eq!(found.looked_at, 2);
    assert_eq!(machine.looks().keys().copied().collect::<Vec<_>>(), [1, 2]);
    machine.sweep_until(&mut rounds, noon() + Span::hours(2)).await;
    assert_eq!(machine.looks(), BTreeMap::from([(1, 1), (2, 1), (3, 1), (4, 1)]));
}

#[tokio::test]
async fn listing_stops_where_no_execution_can_have_ended_in_the_window() {
    let executions = (0..5000)
        .map(|at| {
            let started_at = noon() - LONGEST - Span::days(3) - Span::minutes(5000 - at);
            Execution { ending: Ending::Failed, started_at, stopped_at: started_at + Span::HOUR }
        })
        .collect();
    let machine = Machine { executions, ..Machine::default() };
    let mut rounds = Rounds::first(noon(), DUE);
    assert_eq!(machine.sweep(&mut rounds).await, Found::default());
    // The first page of each ending.
    assert_eq!(machine.lists.borrow().len(), 3);
}

#[tokio::test]
async fn failed_calls_are_not_unreported_executions() {
    let executions = ending_evenly(2000, Span::HOUR);
    let machine = Machine { executions, fails_from: Some(300), ..Machine::default() };
    let mut rounds = Rounds::first(noon(), DUE);
    machine.clock.pass(Duration::from_hours(3));
    let found = machine.sweep(&mut rounds).await;
    // The sweep leaves the rest to the next one.
    assert_eq!(found, Found { looked_at: 310, unreported: 0, reported: 0, failed_calls: 10 });
    // And then nothing was missed, and only what failed was looked at again.
    let machine = Machine { fails_from: None, ..machine };
    machine.sweep_until(&mut rounds, noon() + Span::hours(6)).await;
    let looks = machine.looks();
    assert_eq!((looks.len(), looks.values().sum::<usize>()), (2000, 2010));
}

#[tokio::test]
async fn an_unreported_execution_is_looked_at_again_until_it_is_too_old() {
    let executions = ending_evenly(3, Span::minutes(3));
    let looks = HashMap::from([(0, Look::Unreported), (1, Look::ReportedNow)]);
    let machine = Machine { executions, looks, ..Machine::default() };
    let mut rounds = Rounds::first(noon(), DUE);
    let found = machine.sweep_until(&mut rounds, noon() + Span::days(4)).await;
    let looks = machine.looks();
    // From an hour to 48 hours after its end, every quarter of an hour, and once more to give it up.
    assert_eq!(looks, BTreeMap::from([(0, 189), (1, 1), (2, 1)]));
    assert_eq!(found, Found { looked_at: 0, unreported: 190, reported: 1, failed_calls: 0 });
    assert!(rounds.unresolved.is_empty());
}

#[tokio::test]
async fn many_unreported_executions_are_all_kept_and_the_position_stays_small() {
    let machine = Machine {
        executions: ending_evenly(20_000, Span::HOUR),
        looks: (0..20_000).map(|name| (name, Look::Unreported)).collect(),
        ..Machine::default()
    };
    let mut rounds = Rounds::first(noon(), DUE);
    let mut largest = 0;
    for _ in 0..80 {
        machine.sweep(&mut rounds).await;
        machine.clock.pass(Duration::from_mins(13));
        largest = largest.max(serde_json::to_vec(&rounds).unwrap().len());
    }
    assert!(largest < 1 << 20, "{largest} bytes");
    // The Submission API is back.
    let machine = Machine { looks: HashMap::new(), ..machine };
    machine.sweep_until(&mut rounds, machine.now() + Span::hours(12)).await;
    assert_eq!(machine.looks().len(), 20_000);
    assert!(rounds.unresolved.is_empty() && rounds.queue.is_empty());
}

#[tokio::test]
async fn an_expired_list_begins_anew_and_misses_nothing() {
    let machine =
        Machine { executions: ending_evenly(9000, Span::minutes(30)), expires_at: Some(3), ..Machine::default() };
    machine.clock.pass(Duration::from_hours(3));
    let mut rounds = Rounds::first(noon(), DUE);
    machine.sweep_until(&mut rounds, noon() + Span::hours(8)).await;
    let looks = machine.looks();
    // The two pages that were listed twice were looked at twice.
    assert_eq!((looks.len(), looks.values().sum::<usize>()), (9000, 11_000));
}

#[test]
fn a_position_keeps_its_form() {
    let rounds = Rounds {
        done_until: noon(),
        round: Some(Round {
            until: noon() + Span::HOUR,
            next: Some(Next { ending: Ending::TimedOut, token: Some("t".to_owned()) }),
        }),
        queue: VecDeque::from([Ended { arn: "arn:a".to_owned(), stopped_at: noon() + Span::SECOND }]),
        unresolved: vec![Ended { arn: "arn:b".to_owned(), stopped_at: noon() }],
    };
    insta::assert_json_snapshot!(rounds);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whenever_sweeps_stop_each_execution_is_looked_at_after_its_deadline(
        ends in prop::collection::vec((0_i64..7200, 0_u8..3, any::<bool>()), 1..400),
        limits in prop::collection::vec(0_u64..20, 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut executions: Vec<Execution> = ends
            .iter()
            .map(|(second, ending, _)| {
                let stopped_at = noon() + Span::seconds(*second);
                let ending = [Ending::Failed, Ending::TimedOut, Ending::Aborted][usize::from(*ending)];
                Execution { ending, started_at: stopped_at - Span::seconds(second * 37 % 5000), stopped_at }
            })
            .collect();
        executions.sort_by_key(|execution| execution.started_at);
        let names = executions.len();
        let looks = ends.iter().enumerate().filter(|(_, (.., late))| *late).map(|(name, _)| (name, Look::ReportedNow));
        let machine = Machine { executions, looks: looks.collect(), ..Machine::default() };
        let mut rounds = Rounds::first(noon(), DUE);
        runtime.block_on(async {
            for limit in limits {
                machine.sweep_began.set(machine.clock.elapsed());
                let rates = (&mut DESCRIBE.clone(), &mut LIST.clone());
                rounds.advance(&machine, rates, (machine.now(), DUE), Duration::from_secs(limit)).await;
                machine.clock.pass(Duration::from_mins(5));
            }
            machine.sweep_until(&mut rounds, noon() + Span::hours(12)).await;
        });
        prop_assert_eq!(machine.looks().into_iter().collect::<Vec<_>>(), (0..names).map(|name| (name, 1)).collect::<Vec<_>>());
        for (at, name) in machine.looked_at.borrow().iter() {
            prop_assert!(*at - machine.executions[*name].stopped_at >= Span::HOUR);
        }
    }
}
