//! How long the oldest running execution has been running.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::page::{ListError, Page, Place};
use super::rate::{Clock, Rate};

/// As many pages of 1,000 executions are read in one sweep. The next sweep continues the list.
const PAGES: usize = 60;

/// The running executions of the state machine.
pub(crate) trait Running: Clock {
    /// When they started.
    async fn list_running(&self, token: Option<&str>) -> Result<Page<OffsetDateTime>, ListError>;
}

/// A search through the list of running executions, which has the oldest on its last page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Search {
    next: Place,
    #[serde(with = "time::serde::rfc3339::option")]
    oldest: Option<OffsetDateTime>,
}

/// How far a search has come in one sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// When the oldest started. `None` if none is running.
    Ended(Option<OffsetDateTime>),
    Continues,
    /// A call failed.
    Failed,
}

impl Search {
    pub(crate) const START: Self = Self { next: Place::Start, oldest: None };

    /// Continues the search. After its end, the next one starts.
    pub(crate) async fn advance(&mut self, running: &impl Running, list: &mut Rate, limit: Duration) -> Progress {
        for _ in 0..PAGES {
            if !list.turn(running, limit).await {
                return Progress::Continues;
            }
            let page = match running.list_running(self.next.token()).await {
                Ok(page) => page,
                Err(ListError::TokenExpired) => {
                    *self = Self::START;
                    continue;
                }
                Err(ListError::Failed) => return Progress::Failed,
            };
            self.oldest = page.items.into_iter().chain(self.oldest).min();
            self.next = Place::before(page.next);
            if self.next == Place::End {
                return Progress::Ended(std::mem::replace(self, Self::START).oldest);
            }
        }
        Progress::Continues
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::sweep::rate::tests::Virtual;

    /// Executions that started a minute apart, a thousand on a page.
    struct Executions {
        clock: Virtual,
        pages: usize,
        /// The call that finds its token expired.
        expires_at: Option<u32>,
        calls: Cell<u32>,
    }

    impl Clock for Executions {
        fn elapsed(&self) -> Duration {
            self.clock.elapsed()
        }

        async fn sleep(&self, time: Duration) {
            self.clock.sleep(time).await;
        }
    }

    fn started(minutes_ago: usize) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + time::Duration::days(1000)
            - time::Duration::minutes(minutes_ago.try_into().unwrap())
    }

    impl Running for Executions {
        async fn list_running(&self, token: Option<&str>) -> Result<Page<OffsetDateTime>, ListError> {
            self.calls.set(self.calls.get() + 1);
            if self.expires_at == Some(self.calls.get()) {
                return Err(ListError::TokenExpired);
            }
            let page: usize = token.map_or(0, |token| token.parse().unwrap());
            let items = (page * 1000..(page + 1) * 1000).map(started).collect();
            Ok(Page { items, next: (page + 1 < self.pages).then(|| (page + 1).to_string()) })
        }
    }

    const LIMIT: Duration = Duration::from_mins(1);

    async fn progress(search: &mut Search, executions: &Executions) -> Progress {
        search.advance(executions, &mut Rate::new(Duration::from_millis(1), 1), LIMIT).await
    }

    #[tokio::test]
    async fn the_oldest_is_found_however_many_run() {
        let executions = Executions { clock: Virtual::default(), pages: 130, expires_at: None, calls: Cell::default() };
        let mut search = Search::START;
        assert_eq!(progress(&mut search, &executions).await, Progress::Continues);
        assert_eq!(progress(&mut search, &executions).await, Progress::Continues);
        let oldest = started(130 * 1000 - 1);
        assert_eq!(progress(&mut search, &executions).await, Progress::Ended(Some(oldest)));
        assert_eq!((executions.calls.get(), search), (130, Search::START));
    }

    #[tokio::test]
    async fn an_expired_list_is_listed_again() {
        let executions =
            Executions { clock: Virtual::default(), pages: 3, expires_at: Some(3), calls: Cell::default() };
        let mut search = Search::START;
        assert_eq!(progress(&mut search, &executions).await, Progress::Ended(Some(started(2999))));
        assert_eq!(executions.calls.get(), 6);
    }
}
