//! Machine-to-machine tokens of Auth0, kept until shortly before they expire.
//!
//! The grant is described in
//! <https://auth0.com/docs/get-started/authentication-and-authorization-flow/client-credentials-flow>.

use std::fmt;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::answer;
use super::error::Error;
use super::settings::TokenSettings;

/// A token is let go this long before it expires, so that a call which it starts does not outlive it.
const MARGIN: Duration = Duration::from_mins(1);
/// Bytes of the token service's answer that are read at most.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// What errors call a request for a token.
const CALL: &str = "POST for a token";

/// Who the processor is to the token service.
#[derive(Clone, Deserialize)]
pub struct Credentials {
    #[serde(rename = "AUTH0_CLIENT_ID")]
    id: String,
    #[serde(rename = "AUTH0_CLIENT_SECRET")]
    secret: String,
}

/// A secret that holds no credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret has to be a JSON object with the texts AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET")]
pub struct InvalidCredentials;

impl Credentials {
    /// Reads a secret of the form `{"AUTH0_CLIENT_ID": "…", "AUTH0_CLIENT_SECRET": "…"}`; other keys are ignored.
    ///
    /// # Errors
    ///
    /// If a key is missing, empty or no text; the error shows nothing of the secret.
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

/// A token, ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(HeaderValue);

impl Token {
    /// The value of the `Authorization` header, which no log shows.
    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// The one token that all calls share.
pub(super) struct Tokens {
    http: reqwest::Client,
    settings: TokenSettings,
    credentials: Credentials,
    timeout: Duration,
    // Held while a token is asked for: whoever comes meanwhile waits and takes the same one.
    cached: Mutex<Option<Cached>>,
}

struct Cached {
    token: Token,
    // By the wall clock: a monotonic one can stand still while Lambda freezes the function.
    until: SystemTime,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds; without it the token serves one call.
    #[serde(default)]
    expires_in: Option<f64>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl Tokens {
    pub(super) fn new(
        http: reqwest::Client,
        settings: TokenSettings,
        credentials: Credentials,
        timeout: Duration,
    ) -> Self {
        Self { http, settings, credentials, timeout, cached: Mutex::new(None) }
    }

    /// The token in use, or a new one if it is about to expire.
    pub(super) async fn current(&self) -> Result<Token, Error> {
        let mut cached = self.cached.lock().await;
        match &*cached {
            Some(Cached { token, until }) if SystemTime::now() < *until => Ok(token.clone()),
            _ => self.renew(&mut cached).await,
        }
    }

    /// A token other than this one, which was refused: the one in use by now, or a new one.
    pub(super) async fn newer_than(&self, refused: &Token) -> Result<Token, Error> {
        let mut cached = self.cached.lock().await;
        match &*cached {
            Some(Cached { token, until }) if token != refused && SystemTime::now() < *until => Ok(token.clone()),
            _ => self.renew(&mut cached).await,
        }
    }

    async fn renew(&self, cached: &mut Option<Cached>) -> Result<Token, Error> {
        *cached = None;
        let asked = SystemTime::now();
        let Granted { access_token, expires_in } = self.request().await?;
        let mut header = HeaderValue::try_from(format!("Bearer {access_token}"))
            .map_err(|_| Error::Malformed { call: CALL.to_owned(), reason: "the token is no header value".into() })?;
        header.set_sensitive(true);
        let lifetime = Duration::try_from_secs_f64(expires_in.unwrap_or(0.0)).unwrap_or_default();
        let kept = lifetime.saturating_sub(MARGIN).min(self.settings.cache_time.unwrap_or(Duration::MAX));
        let token = Token(header);
        if let Some(until) = asked.checked_add(kept) {
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
            return serde_json::from_slice(&body).map_err(|_| Error::Malformed {
                call: CALL.to_owned(),
                reason: "the answer holds no access_token".into(),
            });
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

/// An error's name such as `access_denied`; anything else could repeat what was sent.
fn stable_name(error: String) -> String {
    let is_name = error.len() <= 40 && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_name { error } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_and_never_shown() {
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
    fn only_an_errors_name_is_passed_on() {
        assert_eq!(stable_name("access_denied".to_owned()), "access_denied");
        assert_eq!(stable_name("Secret hunter2 is wrong".to_owned()), "");
    }
}
