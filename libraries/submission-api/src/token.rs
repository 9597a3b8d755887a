//! Machine-to-machine tokens of Auth0, reused until shortly before they expire. The grant is described in
//! <https://auth0.com/docs/get-started/authentication-and-authorization-flow/client-credentials-flow>.

use std::fmt;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use crate::answer;
use crate::error::Error;
use crate::settings::TokenSettings;

/// A token is replaced this long before it expires, so that it does not expire during a call.
const MARGIN: Duration = Duration::from_mins(1);
/// Limit for reading the token service's answer.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// The name of the call in error messages.
const CALL: &str = "The request for a token";

/// The client id and secret that identify the processor to the token service.
#[derive(Clone, Deserialize)]
pub struct Credentials {
    #[serde(rename = "AUTH0_CLIENT_ID")]
    id: String,
    #[serde(rename = "AUTH0_CLIENT_SECRET")]
    secret: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a JSON object with the strings AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET")]
pub struct InvalidCredentials;

impl Credentials {
    /// Reads a secret of the form `{"AUTH0_CLIENT_ID": "…", "AUTH0_CLIENT_SECRET": "…"}`; other keys are ignored.
    /// The error shows nothing of the secret.
    pub fn from_json(secret: &str) -> Result<Self, InvalidCredentials> {
        match serde_json::from_str::<Self>(secret) {
            Ok(credentials) if !credentials.id.is_empty() && !credentials.secret.is_empty() => Ok(credentials),
            _ => Err(InvalidCredentials),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(HeaderValue);

impl Token {
    /// The value of the `Authorization` header, marked as sensitive so that logs do not show it.
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// The token that all calls share.
pub(crate) struct Tokens {
    http: reqwest::Client,
    settings: TokenSettings,
    credentials: Credentials,
    timeout: Duration,
    // Locked while a token is requested: concurrent calls wait and use the same token.
    cached: Mutex<Option<Cached>>,
}

struct Cached {
    token: Token,
    // Wall-clock time: a monotonic clock can stop while Lambda freezes the function.
    until: SystemTime,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// In seconds. Without it, the token is used for one call.
    #[serde(default)]
    expires_in: Option<f64>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl Tokens {
    pub(crate) fn new(
        http: reqwest::Client,
        settings: TokenSettings,
        credentials: Credentials,
        timeout: Duration,
    ) -> Self {
        Self { http, settings, credentials, timeout, cached: Mutex::new(None) }
    }

    /// The current token, or a new one if it is about to expire.
    pub(crate) async fn current(&self) -> Result<Token, Error> {
        let mut cached = self.cached.lock().await;
        match &*cached {
            Some(Cached { token, until }) if SystemTime::now() < *until => Ok(token.clone()),
            _ => self.renew(&mut cached).await,
        }
    }

    /// A token that replaces a refused one: the current token if it is another one by now, or a new one.
    pub(crate) async fn newer_than(&self, refused: &Token) -> Result<Token, Error> {
        let mut cached = self.cached.lock().await;
        match &*cached {
            Some(Cached { token, until }) if token != refused && SystemTime::now() < *until => Ok(token.clone()),
            _ => self.renew(&mut cached).await,
        }
    }

    async fn renew(&self, cached: &mut Option<Cached>) -> Result<Token, Error> {
        *cached = None;
        let requested = SystemTime::now();
        let Granted { access_token, expires_in } = self.request().await?;
        let mut header = HeaderValue::try_from(format!("Bearer {access_token}"))
            .map_err(|_| Error::malformed(CALL, &"the token has invalid characters"))?;
        header.set_sensitive(true);
        // A lifetime that is not a valid duration counts as none.
        let lifetime = Duration::try_from_secs_f64(expires_in.unwrap_or(0.0)).unwrap_or(Duration::ZERO);
        let lifetime = lifetime.saturating_sub(MARGIN).min(self.settings.cache_time.unwrap_or(Duration::MAX));
        let token = Token(header);
        if let Some(until) = requested.checked_add(lifetime) {
            *cached = Some(Cached { token: token.clone(), until });
        }
        Ok(token)
    }

    async fn request(&self) -> Result<Granted, Error> {
        let TokenSettings { auth0, audience, proxy, .. } = &self.settings;
        let request = self.http.post(proxy.as_ref().unwrap_or(auth0).url()).timeout(self.timeout).json(&json!({
            "grant_type": "client_credentials",
            "client_id": self.credentials.id,
            "client_secret": self.credentials.secret,
            "audience": audience,
            "auth0_url": auth0.as_str(),
        }));
        let mut response = request.send().await.map_err(|source| Error::transport(CALL, source))?;
        let status = response.status();
        let body = answer::read(&mut response, MAX_ANSWER_BYTES).await;
        if status == StatusCode::OK {
            let body = body.map_err(|source| Error::transport(CALL, source))?;
            return serde_json::from_slice(&body).map_err(|_| Error::malformed(CALL, &"access_token is missing"));
        }
        let reason = body.ok().and_then(|body| serde_json::from_slice::<Refused>(&body).ok());
        Err(Error::of_token_service(
            CALL,
            status,
            reason.map_or_else(String::new, |refused| stable_name(refused.error)),
        ))
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The name of an error, such as `access_denied`. Any other text could repeat the secret that was sent.
fn stable_name(error: String) -> String {
    let is_name = error.len() <= 40 && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_name { error } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_and_redacted_in_debug_output() {
        let credentials =
            Credentials::from_json(r#"{"AUTH0_CLIENT_ID":"me","AUTH0_CLIENT_SECRET":"hunter2","other":1}"#).unwrap();
        assert_eq!((credentials.id.as_str(), credentials.secret.as_str()), ("me", "hunter2"));
        assert_eq!(format!("{credentials:?}"), "Credentials(redacted)");
    }

    #[test]
    fn an_unusable_secret_is_not_shown() {
        for secret in [
            "",
            "hunter2",
            "[]",
            "{}",
            r#"{"AUTH0_CLIENT_ID":"me"}"#,
            r#"{"AUTH0_CLIENT_ID":"me","AUTH0_CLIENT_SECRET":""}"#,
        ] {
            let error = Credentials::from_json(secret).unwrap_err().to_string();
            assert!(error.contains("AUTH0_CLIENT_SECRET") && !error.contains("hunter2"));
        }
    }

    #[test]
    fn only_the_name_of_an_error_is_shown() {
        assert_eq!(stable_name("access_denied".to_owned()), "access_denied");
        assert_eq!(stable_name("Secret hunter2 is wrong".to_owned()), "");
    }
}
