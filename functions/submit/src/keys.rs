//! The API keys of organisers.

use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::Client;
use runtime::CallFailed;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tokio::sync::Mutex;

use crate::error::{HttpError, Outage};

/// An unknown key triggers a reload of the keys, in case one was added, but at most once per this interval.
const RELOAD_INTERVAL: Duration = Duration::from_secs(15);

/// The digests of the valid keys. The keys themselves are not kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys(Vec<[u8; 32]>);

impl Keys {
    /// Reads a secret: a JSON object. Each value that is a text and not empty is a key, whatever its name. While one key
    /// replaces another, both are in the secret. `None` if the secret has no key.
    #[must_use]
    pub fn read(secret: &str) -> Option<Self> {
        let values: Map<String, Value> = serde_json::from_str(secret).ok()?;
        let keys: Vec<_> =
            values.values().filter_map(Value::as_str).filter(|key| !key.is_empty()).map(digest).collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// Whether this is one of the keys. The time it takes reveals nothing about them: all digests are compared, in
    /// constant time.
    #[must_use]
    pub fn accept(&self, key: &str) -> bool {
        let key = digest(key);
        self.0.iter().fold(Choice::from(0), |accepted, one| accepted | one.ct_eq(&key)).into()
    }
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// The keys in Secrets Manager, cached in memory.
pub(crate) struct CachedKeys {
    secrets: Client,
    arn: String,
    max_age: Duration,
    cached: Mutex<Option<(Instant, Keys)>>,
}

impl CachedKeys {
    pub(crate) fn new(secrets: Client, arn: String, max_age: Duration) -> Self {
        Self { secrets, arn, max_age, cached: Mutex::new(None) }
    }

    /// Refuses a key that is not one of them.
    pub(crate) async fn check(&self, key: &str) -> Result<(), HttpError> {
        let mut cached = self.cached.lock().await;
        if let Some((read_at, keys)) = cached.as_ref()
            && read_at.elapsed() < self.max_age
        {
            if keys.accept(key) {
                return Ok(());
            }
            if read_at.elapsed() < RELOAD_INTERVAL {
                return Err(HttpError::WrongKey);
            }
        }
        let keys = self.read().await?;
        let accepted = keys.accept(key);
        *cached = Some((Instant::now(), keys));
        if accepted { Ok(()) } else { Err(HttpError::WrongKey) }
    }

    async fn read(&self) -> Result<Keys, HttpError> {
        let secret = self
            .secrets
            .get_secret_value()
            .secret_id(&self.arn)
            .send()
            .await
            .map_err(|error| Outage::Keys(CallFailed::new("Secrets Manager", "GetSecretValue", &error)))?;
        Ok(secret.secret_string().and_then(Keys::read).ok_or(Outage::KeysInvalid)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_keys_of_the_secret_are_accepted() {
        let keys = Keys::read(r#"{"current": "one", "next": "two", "note": 7, "none": ""}"#).unwrap();
        assert!(keys.accept("one") && keys.accept("two"));
        for key in ["", "on", "one ", "onetwo", "7", "current"] {
            assert!(!keys.accept(key), "{key}");
        }
    }

    #[test]
    fn a_secret_without_a_key_is_not_valid() {
        for secret in ["", "one", "{}", r#"{"a": ""}"#, r#"["one"]"#] {
            assert!(Keys::read(secret).is_none(), "{secret}");
        }
    }
}
