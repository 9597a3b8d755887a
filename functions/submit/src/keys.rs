//! The API keys, and what their holders may do.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::Client;
use domain::Role;
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
pub struct Keys(Vec<([u8; 32], Role)>);

impl Keys {
    /// Reads a secret: a JSON object. Each value that is a text and not empty is a key, whose name begins with its role. While
    /// one key replaces another, both are in the secret. `None` if the secret has no key, if the name of one has no role, or if
    /// two have the same key.
    #[must_use]
    pub fn read(secret: &str) -> Option<Self> {
        let values: Map<String, Value> = serde_json::from_str(secret).ok()?;
        let texts = values.iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
        let keys = texts.filter(|(_, key)| !key.is_empty());
        let keys: Vec<_> = keys.map(|(name, key)| Some((digest(key), Role::of_key(name)?))).collect::<Option<_>>()?;
        let different: HashSet<_> = keys.iter().map(|(digest, _)| digest).collect();
        (!keys.is_empty() && different.len() == keys.len()).then_some(Self(keys))
    }

    /// The role of a key, if it is one of them. The time it takes reveals nothing about them: all digests are compared, in
    /// constant time.
    #[must_use]
    pub fn role_of(&self, key: &str) -> Option<Role> {
        let key = digest(key);
        let is = |role: Role| {
            self.0.iter().fold(Choice::from(0), |found, (one, its)| {
                found | (one.ct_eq(&key) & Choice::from(u8::from(*its == role)))
            })
        };
        match (is(Role::Organiser).into(), is(Role::Reader).into()) {
            (true, _) => Some(Role::Organiser),
            (false, true) => Some(Role::Reader),
            (false, false) => None,
        }
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

    /// The role of a key. Refuses a key that is not one of them.
    pub(crate) async fn role_of(&self, key: &str) -> Result<Role, HttpError> {
        let mut cached = self.cached.lock().await;
        if let Some((read_at, keys)) = cached.as_ref()
            && read_at.elapsed() < self.max_age
        {
            if let Some(role) = keys.role_of(key) {
                return Ok(role);
            }
            if read_at.elapsed() < RELOAD_INTERVAL {
                return Err(HttpError::WrongKey);
            }
        }
        let keys = self.read().await?;
        let role = keys.role_of(key);
        *cached = Some((Instant::now(), keys));
        role.ok_or(HttpError::WrongKey)
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
    fn only_the_keys_of_the_secret_have_a_role() {
        let secret =
            r#"{"organiser": "one", "organiser-next": "two", "reader-website": "three", "note": 7, "reader": ""}"#;
        let keys = Keys::read(secret).unwrap();
        for (key, role) in [("one", Role::Organiser), ("two", Role::Organiser), ("three", Role::Reader)] {
            assert_eq!(keys.role_of(key), Some(role), "{key}");
        }
        for key in ["", "on", "one ", "onetwo", "7", "organiser"] {
            assert_eq!(keys.role_of(key), None, "{key}");
        }
    }

    #[test]
    fn a_secret_without_a_key_or_with_one_that_has_no_role_is_not_valid() {
        for secret in [
            "",
            "one",
            "{}",
            r#"{"reader": ""}"#,
            r#"["one"]"#,
            r#"{"current": "one"}"#,
            r#"{"organiser": "one", "readers": "two"}"#,
            r#"{"Organiser": "one"}"#,
            r#"{"organiser": "one", "reader": "one"}"#,
        ] {
            assert!(Keys::read(secret).is_none(), "{secret}");
        }
    }
}
