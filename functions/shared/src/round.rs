//! The round of a competition that a submission is judged in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A round's id, which is the challenge's: up to 64 characters of `[A-Za-z0-9_-]`.
///
/// It is part of the names of SSM parameters and of keys in S3, so nothing else is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Round(String);

/// A text that is no round's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a round is 1 to 64 characters of [A-Za-z0-9_-]")]
pub struct InvalidRound;

impl Round {
    /// The id as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Round {
    type Error = InvalidRound;

    fn try_from(id: String) -> Result<Self, InvalidRound> {
        let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if is_plain && (1..=64).contains(&id.len()) { Ok(Self(id)) } else { Err(InvalidRound) }
    }
}

impl FromStr for Round {
    type Err = InvalidRound;

    fn from_str(id: &str) -> Result<Self, InvalidRound> {
        Self::try_from(id.to_owned())
    }
}

impl From<Round> for String {
    fn from(round: Round) -> Self {
        round.0
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_every_name_allows_is_a_round() {
        for id in ["30054163", "9f1c7c7e-7a2d-4a29-a4c2-0f8a9d0a1b2c", "round_1", &"r".repeat(64)] {
            assert_eq!(id.parse::<Round>().unwrap().as_str(), id);
        }
        for id in ["", "a/b", "..", "a b", "ä", &"r".repeat(65)] {
            assert_eq!(id.parse::<Round>(), Err(InvalidRound), "{id}");
        }
    }
}
