//! Virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use ::time::OffsetDateTime;

/// The start of every simulation in seconds since 1970: 2026-06-01T18:00:00Z.
const START: i64 = 1_780_336_800;

/// A moment, to the millisecond, which is how Step Functions shows times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// When the simulation starts.
    pub const START: Self = Self(0);

    /// The time since the start.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Duration::from_millis(self.0)
    }

    #[must_use]
    pub fn date(self) -> OffsetDateTime {
        let start = OffsetDateTime::from_unix_timestamp(START).expect("invariant: the start is a date");
        start + self.elapsed()
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn unix_milliseconds(self) -> i64 {
        START * 1000 + i64::try_from(self.0).expect("invariant: a simulation ends within 290 million years")
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + u64::try_from(duration.as_millis()).expect("invariant: a duration is below 580 million years"))
    }
}

impl Sub for Moment {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// As Step Functions writes it: `2026-06-01T18:00:00.000Z`.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.date();
        let (hour, minute, second, millisecond) = date.to_hms_milli();
        write!(f, "{}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z", date.date())
    }
}

/// What will happen, in order of time; of the same moment, in the order in which it was planned.
#[derive(Debug)]
pub struct Agenda<E> {
    now: Moment,
    planned: u64,
    queue: BinaryHeap<Reverse<Entry<E>>>,
}

#[derive(Debug)]
struct Entry<E> {
    at: Moment,
    number: u64,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Self { now: Moment::START, planned: 0, queue: BinaryHeap::new() }
    }
}

impl<E> Agenda<E> {
    #[must_use]
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Plans an event. One in the past happens now.
    pub fn at(&mut self, at: Moment, event: impl Into<E>) {
        self.planned += 1;
        self.queue.push(Reverse(Entry { at: at.max(self.now), number: self.planned, event: event.into() }));
    }

    pub fn after(&mut self, duration: Duration, event: impl Into<E>) {
        self.at(self.now + duration, event);
    }

    /// Moves on to the next event.
    pub fn next_event(&mut self) -> Option<E> {
        let Reverse(entry) = self.queue.pop()?;
        self.now = entry.at;
        Some(entry.event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_step_functions_writes_them() {
        assert_eq!(Moment::START.to_string(), "2026-06-01T18:00:00.000Z");
        assert_eq!((Moment::START + Duration::from_millis(7_384_005)).to_string(), "2026-06-01T20:03:04.005Z");
        assert_eq!(Moment::START.unix_milliseconds(), Moment::START.date().unix_timestamp() * 1000);
    }

    #[test]
    fn events_happen_in_order_of_time_and_then_as_planned() {
        let mut agenda = Agenda::<&str>::default();
        for (seconds, event) in [(2, "c"), (1, "a"), (1, "b")] {
            agenda.after(Duration::from_secs(seconds), event);
        }
        let order: Vec<&str> = std::iter::from_fn(|| agenda.next_event()).collect();
        assert_eq!(order, ["a", "b", "c"]);
        assert_eq!(agenda.now().elapsed(), Duration::from_secs(2));
        agenda.at(Moment::START, "late");
        agenda.next_event();
        assert_eq!(agenda.now().elapsed(), Duration::from_secs(2), "time went back");
    }
}
