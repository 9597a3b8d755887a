//! The precision of scores that everyone may read.

use serde::{Deserialize, Serialize};

/// More decimals than a score between 0 and 1 has.
const MAX: u8 = 17;
/// Enough for a leaderboard.
const DEFAULT: u8 = 4;

/// How many decimals of a score are shown to participants and to the public. A score with all its decimals tells much about the
/// hidden truth: with one log loss at full precision, dozens of labels can be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8")]
pub struct Decimals(u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a score has 0 to {MAX} decimals")]
pub struct InvalidDecimals;

impl TryFrom<u8> for Decimals {
    type Error = InvalidDecimals;

    fn try_from(decimals: u8) -> Result<Self, Self::Error> {
        if decimals <= MAX { Ok(Self(decimals)) } else { Err(InvalidDecimals) }
    }
}

impl Default for Decimals {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl Decimals {
    /// The score with this many decimals.
    #[must_use]
    pub fn round(self, score: f64) -> f64 {
        let text = format!("{score:.*}", usize::from(self.0));
        // Adding 0 turns -0 into 0.
        text.parse::<f64>().expect("invariant: a number is written so that it can be read") + 0.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scores_are_rounded() {
        for (decimals, score, expected) in [
            (4, 0.712_345_6, 0.7123),
            (4, 0.712_349, 0.7123),
            (2, -0.005_000_1, -0.01),
            (0, 0.5, 0.0),
            (3, 1_234.567_89, 1_234.568),
            (17, 0.1 + 0.2, 0.1 + 0.2),
        ] {
            let rounded = Decimals::try_from(decimals).unwrap().round(score);
            assert!((rounded - expected).abs() < f64::EPSILON, "{score} became {rounded}");
        }
        assert!(Decimals::default().round(-1e-9).is_sign_positive());
        assert_eq!(Decimals::try_from(18), Err(InvalidDecimals));
        assert!(serde_json::from_str::<Decimals>("18").is_err());
    }

    proptest! {
        #[test]
        fn a_rounded_score_is_near_and_stays(score in -1e6..1e6_f64, decimals in 0..=9_u8) {
            let decimals = Decimals::try_from(decimals).unwrap();
            let rounded = decimals.round(score);
            prop_assert!((rounded - score).abs() <= 0.5 * 10_f64.powi(-i32::from(decimals.0)) + 1e-9);
            prop_assert_eq!(decimals.round(rounded).to_bits(), rounded.to_bits());
        }
    }
}
