//! The addresses of the Submission API and its token service, and time limits.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;

use runtime::settings::{SettingError, Variables};

/// An HTTPS address, or a plain HTTP address on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    text: String,
    url: Url,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an https:// address (http:// only on this machine) without user name, query or fragment")]
pub struct InvalidEndpoint;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Such as `https://api.topcoder.com/v5`.
    pub api: Endpoint,
    pub tokens: TokenSettings,
    pub timeouts: Timeouts,
}

/// Where tokens come from, and for which API.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// Auth0's token endpoint. Each request for a token names it, also through the proxy.
    pub auth0: Endpoint,
    /// The API that the tokens are for.
    pub audience: String,
    /// The proxy in front of Auth0. If set, requests go to it.
    pub proxy: Option<Endpoint>,
    /// Limit for reusing a token, in addition to its own lifetime.
    pub cache_time: Option<Duration>,
}

/// Time limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For opening a connection.
    pub connect: Duration,
    /// For a whole call, except downloads.
    pub call: Duration,
    /// For the next bytes of a download.
    pub read: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), call: Duration::from_secs(20), read: Duration::from_secs(30) }
    }
}

impl Settings {
    /// Reads `SUBMISSION_API_URL`, `AUTH0_URL`, `AUTH0_AUDIENCE`, and the optional `AUTH0_PROXY_SERVER_URL` and
    /// `TOKEN_CACHE_TIME` (milliseconds).
    pub fn read(variables: &Variables) -> Result<Self, SettingError> {
        Ok(Self {
            api: variables.required("SUBMISSION_API_URL")?,
            tokens: TokenSettings {
                auth0: variables.required("AUTH0_URL")?,
                audience: variables.required("AUTH0_AUDIENCE")?,
                proxy: variables.optional("AUTH0_PROXY_SERVER_URL")?,
                cache_time: variables.optional("TOKEN_CACHE_TIME")?.map(Duration::from_millis),
            },
            timeouts: Timeouts::default(),
        })
    }
}

impl Endpoint {
    /// As it was configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn url(&self) -> Url {
        self.url.clone()
    }

    /// The address of a path below this one.
    pub(crate) fn join(&self, segments: &[&str]) -> Url {
        let mut url = self.url.clone();
        let mut path = url.path_segments_mut().expect("invariant: an HTTP address has a path");
        path.pop_if_empty().extend(segments);
        drop(path);
        url
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let url = Url::parse(text).map_err(|_| InvalidEndpoint)?;
        let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let usable = url.scheme() == "https" || (url.scheme() == "http" && local);
        let bare =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        if usable && bare { Ok(Self { text: text.to_owned(), url }) } else { Err(InvalidEndpoint) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(&str, &str); 5] = [
        ("SUBMISSION_API_URL", "https://api.topcoder.com/v5/"),
        ("AUTH0_URL", "https://topcoder.auth0.com/oauth/token"),
        ("AUTH0_AUDIENCE", "https://m2m.topcoder.com/"),
        ("AUTH0_PROXY_SERVER_URL", "https://auth0proxy.topcoder.com/token"),
        ("TOKEN_CACHE_TIME", "90000"),
    ];

    #[test]
    fn all_settings_are_read() {
        let settings = Settings::read(&Variables::from_iter(ALL)).unwrap();
        assert_eq!(settings.api.as_str(), "https://api.topcoder.com/v5/");
        assert_eq!(settings.tokens.auth0.as_str(), "https://topcoder.auth0.com/oauth/token");
        assert_eq!(settings.tokens.audience, "https://m2m.topcoder.com/");
        assert_eq!(settings.tokens.proxy.unwrap().as_str(), "https://auth0proxy.topcoder.com/token");
        assert_eq!(settings.tokens.cache_time, Some(Duration::from_secs(90)));
    }

    #[test]
    fn a_missing_or_malformed_setting_is_named() {
        for missing in ["SUBMISSION_API_URL", "AUTH0_URL", "AUTH0_AUDIENCE"] {
            let variables: Variables = ALL.into_iter().filter(|(name, _)| *name != missing).collect();
            assert_eq!(Settings::read(&variables).unwrap_err(), SettingError::Missing { name: missing });
        }
        for (name, value) in [("AUTH0_PROXY_SERVER_URL", "proxy"), ("TOKEN_CACHE_TIME", "1h")] {
            let variables: Variables = ALL.into_iter().chain([(name, value)]).collect();
            assert!(Settings::read(&variables).unwrap_err().to_string().contains(name));
        }
    }

    #[test]
    fn only_this_machine_is_reached_without_encryption() {
        for good in ["https://api.topcoder.com/v5", "http://127.0.0.1:8000", "http://localhost/v5", "http://[::1]:1/"] {
            assert!(good.parse::<Endpoint>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "api",
            "http://api.topcoder.com/v5",
            "ftp://localhost",
            "https://me:pw@host/",
            "https://host/?key=1",
            "file:///etc/passwd",
            "https://host/#v5",
            "mailto:a@b.c",
        ] {
            assert_eq!(bad.parse::<Endpoint>(), Err(InvalidEndpoint), "{bad}");
        }
    }

    #[test]
    fn a_path_is_appended_with_or_without_a_trailing_slash() {
        for base in ["https://api.topcoder.com/v5", "https://api.topcoder.com/v5/"] {
            let url = base.parse::<Endpoint>().unwrap().join(&["submissions", "-kJ-nOos4KQaL3", "download"]);
            assert_eq!(url.as_str(), "https://api.topcoder.com/v5/submissions/-kJ-nOos4KQaL3/download");
        }
    }
}
