use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use domain::execution::ExecutionStatus::{Aborted, Failed, PendingRedrive, Running, Succeeded, TimedOut};
use proptest::prelude::*;
use time::Duration as Span;

use super::*;
use crate::sweep::executions::DESCRIBE;
use crate::sweep::rate::tests::Virtual;

const RETENTION: Duration = Duration::from_hours(28 * 24);
const LIMIT: Duration = Duration::from_secs(115);

fn noon() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

fn days_ago(days: i64) -> OffsetDateTime {
    noon() - Span::days(days)
}

fn facts(pushed: Option<i64>, execution: Option<(ExecutionStatus, Option<i64>)>) -> Facts {
    let execution = execution.map(|(status, stopped)| (status, stopped.map(days_ago)));
    Facts { created_at: days_ago(100), pushed_at: pushed.map(days_ago), execution }
}

#[test]
fn old_images_that_nothing_needs_are_deleted() {
    let ended = |status, days| Some((status, Some(days)));
    for (facts, unneeded) in [
        (facts(None, None), true),
        (facts(Some(29), None), true),
        (facts(Some(28), None), false),
        (facts(Some(29), ended(Succeeded, 1)), true),
        (facts(Some(29), ended(Failed, 15)), true),
        (facts(Some(29), ended(Failed, 14)), false),
        (facts(Some(29), ended(TimedOut, 13)), false),
        (facts(Some(29), ended(Aborted, 13)), false),
        (facts(Some(29), Some((Failed, None))), false),
        (facts(Some(99), Some((Running, None))), false),
        (facts(Some(99), Some((PendingRedrive, None))), false),
    ] {
        assert_eq!(facts.is_unneeded(noon(), RETENTION), unneeded, "{facts:?}");
    }
    let new = Facts { created_at: days_ago(1), ..facts(None, None) };
    assert!(!new.is_unneeded(noon(), RETENTION));
}

proptest! {
    #[test]
    fn nothing_that_runs_or_can_be_redriven_is_deleted(
        created in 0_i64..200, pushed in prop::option::of(0_i64..200), stopped in 0_i64..200, status in 0_usize..6,
    ) {
        let status = [Running, Succeeded, Failed, TimedOut, Aborted, PendingRedrive][status];
        let execution = Some((status, Some(days_ago(stopped))));
        let facts = Facts { created_at: days_ago(created), pushed_at: pushed.map(days_ago), execution };
        if facts.is_unneeded(noon(), RETENTION) {
            prop_assert!(created > 28 && pushed.is_none_or(|pushed| pushed > 28));
            prop_assert!(status == Succeeded || (!matches!(status, Running | PendingRedrive) && stopped > 14));
        }
    }
}

/// The repositories of an account, in the order of their names.
#[derive(Default)]
struct Registry {
    clock: Virtual,
    sweep_began: Cell<Duration>,
    present: RefCell<BTreeSet<String>>,
    /// Those of them that are not needed.
    unneeded: BTreeSet<String>,
    examined: RefCell<Vec<(OffsetDateTime, String)>>,
    lists: Cell<usize>,
    fails: Cell<bool>,
    expires_at: Option<usize>,
}

impl Clock for Registry {
    fn elapsed(&self) -> Duration {
        self.clock.elapsed().saturating_sub(self.sweep_began.get())
    }

    async fn sleep(&self, time: Duration) {
        self.clock.pass(time);
    }
}

impl Repositories for Registry {
    async fn list_repositories(&self, token: Option<&str>) -> Result<Page<Repository>, ListError> {
        self.lists.set(self.lists.get() + 1);
        if self.expires_at == Some(self.lists.get()) {
            return Err(ListError::TokenExpired);
        }
        let present = self.present.borrow();
        let mut names = present.iter().filter(|name| token.is_none_or(|token| name.as_str() > token));
        let page: Vec<&String> = names.by_ref().take(1000).collect();
        let next = names.next().and(page.last()).map(|name| (*name).clone());
        let repository = |name: &&String| Repository {
            name: (*name).clone(),
            arn: format!("arn:{name}"),
            created_at: if name.ends_with("new") { days_ago(1) } else { days_ago(100) },
        };
        Ok(Page { items: page.iter().map(repository).collect(), next })
    }

    async fn delete_if_unneeded(&self, repository: &Repository) -> Examined {
        self.examined.borrow_mut().push((noon() + self.clock.elapsed(), repository.name.clone()));
        self.clock.pass(Duration::from_millis(120));
        if self.fails.get() {
            return Examined::Failed;
        }
        if self.unneeded.contains(&repository.name) && self.present.borrow_mut().remove(&repository.name) {
            return Examined::Deleted;
        }
        Examined::Kept
    }
}

fn name(at: u32) -> String {
    format!("{at:024x}")
}

impl Registry {
    fn of(count: u32, is_unneeded: impl Fn(u32) -> bool) -> Self {
        let unneeded = (0..count).filter(|at| is_unneeded(*at)).map(name).collect();
        Self { present: RefCell::new((0..count).map(name).collect()), unneeded, ..Self::default() }
    }

    /// Sweeps once, with a position that was written and read since the last sweep.
    async fn sweep(&self, pass: &mut Pass) -> Found {
        *pass = serde_json::from_slice(&serde_json::to_vec(pass).unwrap()).unwrap();
        self.sweep_began.set(self.clock.elapsed());
        let now = noon() + self.clock.elapsed();
        let found = pass.advance(self, &mut DESCRIBE.clone(), (now, RETENTION), LIMIT).await;
        assert!(Clock::elapsed(self) <= LIMIT + Duration::from_millis(120));
        self.clock.pass(Duration::from_mins(15).saturating_sub(Clock::elapsed(self)));
        found
    }
}

#[tokio::test]
async fn a_pass_goes_through_100_000_repositories() {
    let registry = Registry::of(100_000, |at| at % 2 == 0);
    let mut pass = Pass::begin(noon());
    let mut deleted = 0;
    while !pass.is_over() {
        let found = registry.sweep(&mut pass).await;
        assert!(found.deleted <= DELETIONS && found.failed_calls == 0);
        deleted += found.deleted;
    }
    assert_eq!((deleted, registry.present.borrow().len()), (50_000, 50_000));
    assert_eq!(registry.examined.borrow().len(), 100_000);
    let examined = registry.examined.borrow();
    assert!(examined.windows(6).all(|six| six[5].0 - six[0].0 >= Span::SECOND), "more than five a second");
}

#[tokio::test]
async fn deletions_of_a_sweep_are_bounded() {
    let registry = Registry::of(1000, |_| true);
    let mut pass = Pass::begin(noon());
    // A sweep with much time.
    let found = pass.advance(&registry, &mut DESCRIBE.clone(), (noon(), RETENTION), Duration::from_hours(1)).await;
    assert_eq!((found.deleted, registry.present.borrow().len()), (500, 500));
}

#[tokio::test]
async fn a_pass_begins_a_day_after_the_last_one() {
    let registry = Registry::of(10, |_| false);
    let mut pass = Pass::begin(noon());
    for _ in 0..96 {
        registry.sweep(&mut pass).await;
    }
    assert_eq!(registry.lists.get(), 1);
    registry.sweep(&mut pass).await;
    assert_eq!(registry.lists.get(), 2);
}

#[tokio::test]
async fn only_old_repositories_named_after_submissions_are_examined() {
    let registry = Registry::default();
    let names = ["backend/api", "d01c8c8b-2a7f-463f-992b-7bc5423e1dd0", "x2d6b4a2d6e4f6f73344b51614c33", "xnew"];
    registry.present.borrow_mut().extend(names.map(str::to_owned));
    let mut pass = Pass::begin(noon());
    registry.sweep(&mut pass).await;
    let examined: Vec<String> = registry.examined.borrow().iter().map(|(_, name)| name.clone()).collect();
    assert_eq!(examined, names[1..3]);
    // Both are too young for a longer retention.
    let mut pass = Pass::begin(noon());
    let retention = Duration::from_hours(24 * 101);
    pass.advance(&registry, &mut DESCRIBE.clone(), (noon(), retention), LIMIT).await;
    assert_eq!(registry.examined.borrow().len(), 2);
}

#[tokio::test]
async fn after_ten_failed_calls_the_next_sweep_goes_on() {
    let registry = Registry::of(50, |_| true);
    registry.fails.set(true);
    let mut pass = Pass::begin(noon());
    assert_eq!(registry.sweep(&mut pass).await, Found { deleted: 0, failed_calls: 10 });
    registry.fails.set(false);
    assert_eq!(registry.sweep(&mut pass).await, Found { deleted: 40, failed_calls: 0 });
    // The next pass examines the ten again.
    registry.clock.pass(Duration::from_hours(24));
    assert_eq!(registry.sweep(&mut pass).await, Found { deleted: 10, failed_calls: 0 });
}

#[tokio::test]
async fn an_expired_list_begins_anew() {
    let registry = Registry { expires_at: Some(2), ..Registry::of(1500, |at| at >= 1000) };
    let mut pass = Pass::begin(noon());
    while !pass.is_over() {
        registry.sweep(&mut pass).await;
    }
    assert_eq!(registry.present.borrow().len(), 1000);
}
