//! How fast a sweep calls: slower than the quotas of the services that other callers share.

use std::time::{Duration, Instant};

/// The time since a sweep began.
pub(crate) trait Clock {
    fn elapsed(&self) -> Duration;
    async fn sleep(&self, time: Duration);
}

/// The clock of this process.
#[derive(Debug)]
pub(crate) struct Process(Instant);

impl Process {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Process {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// A limit for calls: up to `burst` at once, and no more than one each `interval` in the long run.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    interval: Duration,
    burst: u32,
    /// When every call so far would have been made, one each `interval`.
    paid: Duration,
}

impl Rate {
    pub(crate) const fn new(interval: Duration, burst: u32) -> Self {
        Self { interval, burst, paid: Duration::ZERO }
    }

    /// Waits until the next call may be made. `false`, without waiting, if that is only after `limit`.
    pub(crate) async fn turn(&mut self, clock: &impl Clock, limit: Duration) -> bool {
        let now = clock.elapsed();
        let ahead = self.interval * (self.burst - 1);
        let turn = now.max(self.paid.saturating_sub(ahead));
        if turn > limit {
            return false;
        }
        self.paid = self.paid.max(turn) + self.interval;
        clock.sleep(turn.saturating_sub(now)).await;
        true
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    /// A clock that only sleeping moves.
    #[derive(Debug, Default)]
    pub(crate) struct Virtual(Cell<Duration>);

    impl Virtual {
        pub(crate) fn pass(&self, time: Duration) {
            self.0.set(self.0.get() + time);
        }
    }

    impl Clock for Virtual {
        fn elapsed(&self) -> Duration {
            self.0.get()
        }

        async fn sleep(&self, time: Duration) {
            self.pass(time);
        }
    }

    const LIMIT: Duration = Duration::from_secs(5);

    proptest! {
        #[test]
        fn no_window_has_more_calls_than_its_share(
            burst in 1_u32..20,
            milliseconds in 10_u64..1000,
            pauses in prop::collection::vec(0_u64..500, 1..200),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (clock, interval) = (Virtual::default(), Duration::from_millis(milliseconds));
            let mut rate = Rate::new(interval, burst);
            let mut calls: Vec<Duration> = Vec::new();
            for pause in pauses {
                clock.pass(Duration::from_millis(pause));
                if !runtime.block_on(rate.turn(&clock, LIMIT)) {
                    break;
                }
                calls.push(clock.elapsed());
            }
            prop_assert!(calls.iter().all(|at| *at <= LIMIT));
            for (first, begin) in calls.iter().enumerate() {
                for (last, end) in calls.iter().enumerate().skip(first + burst as usize) {
                    let further = u32::try_from(last - first).unwrap() + 1 - burst;
                    prop_assert!(end.saturating_sub(*begin) >= interval * further, "calls {first} to {last}: {begin:?} to {end:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_call_that_would_come_after_the_limit_is_not_waited_for() {
        let clock = Virtual::default();
        let mut rate = Rate::new(Duration::from_secs(3), 1);
        for second in [0, 3] {
            assert!(rate.turn(&clock, LIMIT).await);
            assert_eq!(clock.elapsed(), Duration::from_secs(second));
        }
        assert!(!rate.turn(&clock, LIMIT).await);
        assert_eq!(clock.elapsed(), Duration::from_secs(3));
    }
}
