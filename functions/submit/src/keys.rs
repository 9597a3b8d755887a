//! The keys that are accepted.

use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::Client;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tokio::sync::Mutex;

use crate::http::Refusal;

/// A wrong key makes the keys be read again, in case one was added, if they were not within this time.
const SETTLING: Duration = Duration::from_secs(15);

/// The digests of the keys: all that is kept of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys(Vec<[u8; 32]>);

impl Keys {
    /// Reads a secret: a JSON object, each of whose values that is a text is a key, whatever its name. Several keys are
    /// there while one replaces the other.
    #[must_use]
    pub fn read(secret: &str) -> Option<Self> {
        let values: Map<String, Value> = serde_json::from_str(secret).ok()?;
        let keys: Vec<_> =
            values.values().filter_map(Value::as_str).filter(|key| !key.is_empty()).map(digest).collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// Whether this is one of the keys. How long that takes says nothing about them: digests are compared, each to its
    /// end, and all of them.
    #[must_use]
    pub fn accept(&self, key: &str) -> bool {
        let key = digest(key);
        self.0.iter().fold(Choice::from(0), |accepted, one| accepted | one.ct_eq(&key)).into()
    }
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// The keys in Secrets Manager, kept for a while.
pub(crate) struct CachedKeys {
    secrets: Client,
    arn: String,
    longest: Duration,
    known: Mutex<Option<(Instant, Keys)>>,
}

impl CachedKeys {
    pub(crate) fn new(secrets: Client, arn: String, longest: Duration) -> Self {
        Self { secrets, arn, longest, known: Mutex::new(None) }
    }

    /// Refuses a key that is none of them.
    pub(crate) async fn check(&self, key: &str) -> Result<(), Refusal> {
        let mut known = self.known.lock().await;
        if let Some((read_at, keys)) = known.as_ref()
            && read_at.elapsed() < self.longest
        {
            if keys.accept(key) {
                return Ok(());
            }
            if read_at.elapsed() < SETTLING {
                return Err(Refusal::WrongKey);
            }
        }
        let keys = self.read().await?;
        let accepted = keys.accept(key);
        *known = Some((Instant::now(), keys));
        if accepted { Ok(()) } else { Err(Refusal::WrongKey) }
    }

    async fn read(&self) -> Result<Keys, Refusal> {
        let secret = self.secrets.get_secret_value().secret_id(&self.arn).send().await.map_err(|error| {
            let error = aws_sdk_secretsmanager::error::DisplayErrorContext(&error);
            tracing::error!(%error, "the API keys cannot be read");
            Refusal::Unavailable
        })?;
        secret.secret_string().and_then(Keys::read).ok_or_else(|| {
            tracing::error!(
                "the secret with the API keys has to be a JSON object with at least one text that is not empty"
            );
            Refusal::Unavailable
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_secret_is_accepted_and_no_other() {
        let keys = Keys::read(r#"{"current": "one", "next": "two", "note": 7, "none": ""}"#).unwrap();
        assert!(keys.accept("one") && keys.accept("two"));
        for key in ["", "on", "one ", "onetwo", "7", "current"] {
            assert!(!keys.accept(key), "{key}");
        }
    }

    #[test]
    fn a_secret_without_a_key_is_none() {
        for secret in ["", "one", "{}", r#"{"a": ""}"#, r#"["one"]"#] {
            assert!(Keys::read(secret).is_none(), "{secret}");
        }
    }
}
