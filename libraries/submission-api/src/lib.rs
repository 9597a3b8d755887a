//! A client of the Submission API, versions 5 and 6: reads and downloads submissions, writes outcomes.
//!
//! This crate promises:
//! - every call carries a machine-to-machine token, which is cached and renewed once if the API refuses it;
//! - no error shows a token, a secret or a signed URL, and every error has a failure code;
//! - nothing else is retried: the state machine does that, with back-off.
//!
//! It may not decide what an outcome says. The API is documented in
//! <https://github.com/topcoder-platform/submissions-api/blob/master/docs/swagger.yaml>.

mod answer;
mod artifacts;
mod error;
mod id;
mod reviews;
mod settings;
mod signed_in;
mod summations;
mod token;

use std::collections::BTreeSet;
use std::io::Write;

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, redirect};
use serde_json::Value;
use sha2::{Digest, Sha256};

use domain::SubmissionId;

pub use answer::Submission;
pub use artifacts::Artifact;
pub use error::Error;
pub use id::Id;
pub use reviews::{NewReview, Review, ReviewStatus};
pub use settings::{Endpoint, InvalidEndpoint, Settings, Timeouts, TokenSettings};
pub use signed_in::SignedIn;
pub use summations::{NewSummation, Summation};
pub use token::{Credentials, InvalidCredentials};

use answer::HttpError;
use token::{Token, Tokens};

/// Limit for reading a JSON answer. A submission with hundreds of reviews has some hundred kilobytes.
const MAX_JSON_BYTES: usize = 4 << 20;
/// Submissions on a page of those of a challenge.
const PAGE: &str = "100";
const PAGE_SIZE: usize = 100;
/// Limit for the pages of a challenge's submissions.
const MAX_PAGES: u32 = 10;
/// Redirects that a download follows: one to the storage, and one in reserve.
const MAX_REDIRECTS: usize = 2;

/// A client of the Submission API. Create one and share it: it reuses connections and the token.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    tokens: Tokens,
    api: Endpoint,
    timeouts: Timeouts,
}

/// A completed download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Download {
    pub bytes: u64,
    pub sha256: [u8; 32],
    /// Whether the API announced the length. Without it, an interrupted download can look complete.
    pub length_announced: bool,
}

impl Client {
    /// Sends nothing yet.
    pub fn new(settings: Settings, credentials: Credentials) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("marathon-match-processor/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.timeouts.connect)
            .read_timeout(settings.timeouts.read)
            // Requests with a token or secret go only to the configured address.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|source| Error::Client { source })?;
        let Settings { api, tokens, timeouts } = settings;
        Ok(Self { tokens: Tokens::new(http.clone(), tokens, credentials, timeouts.call), http, api, timeouts })
    }

    pub async fn submission(&self, id: &SubmissionId) -> Result<Submission, Error> {
        let (call, body) = self.call(Method::GET, &["submissions", id.as_str()], &[], None).await?;
        Submission::parse(&body, id).map_err(|error| Error::malformed(call, &error))
    }

    /// The members who submitted to a challenge, as far as the first thousand submissions tell.
    pub async fn members_of(&self, challenge: &str) -> Result<BTreeSet<String>, Error> {
        let mut members = BTreeSet::new();
        for page in 1..=MAX_PAGES {
            let page = page.to_string();
            let query = [("challengeId", challenge), ("page", page.as_str()), ("perPage", PAGE)];
            let (call, body) = self.call(Method::GET, &["submissions"], &query, None).await?;
            let found = answer::members(&body);
            let found = found.map_err(|error| Error::malformed(call, &error))?;
            let is_last = found.len() < PAGE_SIZE;
            members.extend(found.into_iter().flatten());
            if is_last {
                break;
            }
        }
        Ok(members)
    }

    /// Calls the API, with a JSON body if given. Returns the call's name and the body of the answer.
    async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(String, Vec<u8>), Error> {
        let call = format!("{method} /{}", path.join("/"));
        let mut url = self.api.join(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = || {
            let request = self.http.request(method.clone(), url.clone()).timeout(self.timeouts.call);
            match body {
                Some(body) => request.json(body),
                None => request,
            }
        };
        let body = body_of(&method, &call, self.send(&call, request).await?).await?;
        Ok((call, body))
    }

    /// Downloads the submitted file into `sink` while it arrives, up to `limit` bytes.
    ///
    /// Writes block: the sink has to be fast, such as a local file.
    pub async fn download(&self, id: &SubmissionId, limit: u64, sink: &mut impl Write) -> Result<Download, Error> {
        let call = format!("GET /submissions/{id}/download");
        let url = self.api.join(&["submissions", id.as_str(), "download"]);
        let response = self.send(&call, || self.http.get(url.clone())).await?;
        let mut response = self.follow(&call, response).await?;
        if response.status() != StatusCode::OK {
            return Err(HttpError::read(&mut response).await.into_error(call));
        }

        // A gateway's error page: submissions never have one of these types, and the participant is not at fault.
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("text/html") || kind.starts_with("application/json") {
            return Err(Error::malformed(call, &format!("{kind:.40} instead of an archive")));
        }
        let announced = response.content_length();
        if announced.is_some_and(|announced| announced > limit) {
            return Err(Error::TooLarge { limit });
        }
        let mut digest = Sha256::new();
        let mut bytes = 0;
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(source) => return Err(Error::truncated(call, bytes, announced, source)),
            };
            bytes += chunk.len() as u64;
            if bytes > limit {
                return Err(Error::TooLarge { limit });
            }
            digest.update(&chunk);
            sink.write_all(&chunk).map_err(|source| Error::Sink { source })?;
        }
        if announced.is_some_and(|announced| announced != bytes) {
            return Err(Error::Truncated { call, received: bytes, announced, source: None });
        }
        sink.flush().map_err(|source| Error::Sink { source })?;
        Ok(Download { bytes, sha256: digest.finalize().into(), length_announced: announced.is_some() })
    }

    /// Sends a request with the token. If the API refuses the token, sends the request once more with a new one. The
    /// answer can still have any other error status.
    async fn send(&self, call: &str, request: impl Fn() -> RequestBuilder) -> Result<Response, Error> {
        let token = self.tokens.current().await?;
        let mut response = send_with(call, request(), &token).await?;
        let Some(error) = HttpError::of_denial(&mut response).await else { return Ok(response) };
        if !error.may_need_new_token() {
            return Err(error.into_error(call.to_owned()));
        }
        let token = self.tokens.newer_than(&token).await?;
        let mut response = send_with(call, request(), &token).await?;
        match HttpError::of_denial(&mut response).await {
            None => Ok(response),
            Some(error) => Err(error.into_error(call.to_owned())),
        }
    }

    /// Follows the redirects of a download without sending the token: the address of the storage is signed.
    async fn follow(&self, call: &str, mut response: Response) -> Result<Response, Error> {
        for _ in 0..MAX_REDIRECTS {
            if !response.status().is_redirection() {
                break;
            }
            let target = response.headers().get(LOCATION).and_then(|target| target.to_str().ok());
            let Some(target) = target.and_then(|target| response.url().join(target).ok()) else { break };
            if !is_as_secure(response.url(), &target) {
                return Err(Error::malformed(call, &"a redirect to plain HTTP"));
            }
            response = self.http.get(target).send().await.map_err(|source| Error::transport(call, source))?;
        }
        Ok(response)
    }
}

fn is_as_secure(from: &Url, to: &Url) -> bool {
    to.scheme() == "https" || (to.scheme() == "http" && from.scheme() == "http")
}

async fn send_with(call: &str, request: RequestBuilder, token: &Token) -> Result<Response, Error> {
    let request = request.header(reqwest::header::AUTHORIZATION, token.header());
    let response = request.send().await.map_err(|source| Error::transport(call, source))?;
    tracing::debug!(call, status = response.status().as_u16(), "the Submission API answered");
    Ok(response)
}

/// The body of a successful answer.
async fn body_of(method: &Method, call: &str, mut response: Response) -> Result<Vec<u8>, Error> {
    // After creating something, version 5 answers 200 and version 6 answers 201.
    let is_created = *method == Method::POST && response.status() == StatusCode::CREATED;
    if response.status() != StatusCode::OK && !is_created {
        return Err(HttpError::read(&mut response).await.into_error(call.to_owned()));
    }
    answer::read(&mut response, MAX_JSON_BYTES).await.map_err(|source| Error::transport(call, source))
}
