//! Random numbers that depend on nothing but a seed.

use std::time::Duration;

use rand_core::Rng;
use rand_pcg::Pcg64Mcg;

/// A source of random numbers.
#[derive(Debug)]
pub(crate) struct Random(Pcg64Mcg);

impl Random {
    /// Sources of the same seed with different purposes are independent: that one is used more does not change another.
    #[must_use]
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        // FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/
        let hash = purpose
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mut source = Self(Pcg64Mcg::new((u128::from(hash) << 64) | u128::from(seed)));
        // The first numbers of similar seeds are similar.
        for _ in 0..8 {
            source.0.next_u64();
        }
        source
    }

    /// From 0 up to, but not including, 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit into a double")]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A whole number from 0 up to, but not including, `end`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small")]
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.unit() * end as f64) as usize
    }

    /// A duration with a log-normal distribution: half of them are shorter than `median` seconds, and of logarithms, the
    /// standard deviation is `spread`.
    pub(crate) fn seconds(&mut self, median: f64, spread: f64) -> Duration {
        // Box-Muller
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.unit()).cos();
        Duration::from_secs_f64(median * (spread * normal).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_purpose_decide_the_numbers() {
        let first = |seed, purpose| Random::new(seed, purpose).unit().to_bits();
        assert_eq!(first(1, "builds"), first(1, "builds"));
        assert_ne!(first(1, "builds"), first(2, "builds"));
        assert_ne!(first(1, "builds"), first(1, "training"));
    }

    #[test]
    fn durations_have_their_median() {
        let mut random = Random::new(1, "durations");
        let shorter = (0..10_000).filter(|_| random.seconds(60.0, 0.5) < Duration::from_mins(1)).count();
        assert!((4_800..5_200).contains(&shorter), "{shorter}");
    }
}
