//! Ids of challenges.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A challenge's id: 1 to 64 characters of `[A-Za-z0-9_-]`.
///
/// It becomes part of SSM parameter names and S3 keys, so no other character is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChallengeId(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a challenge id is 1 to 64 characters of [A-Za-z0-9_-]")]
pub struct InvalidChallengeId;

impl ChallengeId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ChallengeId {
    type Error = InvalidChallengeId;

    fn try_from(id: String) -> Result<Self, InvalidChallengeId> {
        let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if is_plain && (1..=64).contains(&id.len()) { Ok(Self(id)) } else { Err(InvalidChallengeId) }
    }
}

impl FromStr for ChallengeId {
    type Err = InvalidChallengeId;

    fn from_str(id: &str) -> Result<Self, InvalidChallengeId> {
        Self::try_from(id.to_owned())
    }
}

impl From<ChallengeId> for String {
    fn from(id: ChallengeId) -> Self {
        id.0
    }
}

impl fmt::Display for ChallengeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_only_characters_that_are_safe_in_names_and_keys() {
        for id in ["30054163", "9f1c7c7e-7a2d-4a29-a4c2-0f8a9d0a1b2c", "challenge_1", &"c".repeat(64)] {
            assert_eq!(id.parse::<ChallengeId>().unwrap().as_str(), id);
        }
        for id in ["", "a/b", "..", "a b", "ä", &"c".repeat(65)] {
            assert_eq!(id.parse::<ChallengeId>(), Err(InvalidChallengeId), "{id}");
        }
    }
}
