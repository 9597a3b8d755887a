//! How services limit their callers.

use std::time::Duration;

use crate::time::Moment;

/// A token bucket: holds `size` tokens and gains `rate` a second.
#[derive(Clone, Debug)]
pub(crate) struct TokenBucket {
    size: f64,
    rate: f64,
    tokens: f64,
    at: Moment,
}

impl TokenBucket {
    #[must_use]
    pub(crate) fn new(size: f64, rate: f64) -> Self {
        Self { size, rate, tokens: size, at: Moment::START }
    }

    fn refill(&mut self, now: Moment) {
        self.tokens = (self.tokens + (now - self.at).as_secs_f64() * self.rate).min(self.size);
        self.at = self.at.max(now);
    }

    /// Takes a token if there is one.
    pub(crate) fn take(&mut self, now: Moment) -> bool {
        self.refill(now);
        let available = self.tokens >= 1.0;
        if available {
            self.tokens -= 1.0;
        }
        available
    }

    /// Takes the next token, now or when it will be there: callers queue. Returns how long that takes.
    pub(crate) fn reserve(&mut self, now: Moment) -> Duration {
        self.refill(now);
        self.tokens -= 1.0;
        if self.tokens >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.tokens / self.rate) }
    }
}

/// Places that are taken and given back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    all: u32,
    taken: u32,
    /// The most that were taken at once.
    pub peak: u32,
}

impl Places {
    #[must_use]
    pub(crate) fn new(all: u32) -> Self {
        Self { all, taken: 0, peak: 0 }
    }

    pub(crate) fn take(&mut self, places: u32) -> bool {
        let available = self.taken.saturating_add(places) <= self.all;
        if available {
            self.taken += places;
            self.peak = self.peak.max(self.taken);
        }
        available
    }

    pub(crate) fn give_back(&mut self, places: u32) {
        self.taken = self.taken.checked_sub(places).expect("invariant: only what was taken is given back");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_tokens_and_then_those_it_gains() {
        let mut bucket = TokenBucket::new(2.0, 10.0);
        let at = |milliseconds| Moment::START + Duration::from_millis(milliseconds);
        assert_eq!([0, 0, 0, 99, 100, 100].map(|time| bucket.take(at(time))), [true, true, false, false, true, false]);
        assert_eq!([0, 0].map(|_| bucket.take(at(60_000))), [true, true]);
        assert!(!bucket.take(at(60_000)), "the bucket held more than its size");
    }

    #[test]
    fn callers_of_a_bucket_can_queue() {
        let mut bucket = TokenBucket::new(1.0, 10.0);
        assert_eq!([(); 3].map(|()| bucket.reserve(Moment::START).as_millis()), [0, 100, 200]);
    }

    #[test]
    fn no_more_places_are_taken_than_there_are() {
        let mut places = Places::new(3);
        assert_eq!([places.take(2), places.take(2), places.take(1)], [true, false, true]);
        places.give_back(2);
        assert!(places.take(2));
        assert_eq!(places.peak, 3);
    }
}
