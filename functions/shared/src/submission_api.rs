//! The Submission API: reading a submission and downloading what was submitted.
//!
//! Every call carries a machine-to-machine token, which is cached and, when the API refuses it, renewed once. Nothing
//! is retried beyond that: the state machine does it, with back-off. The API is documented in
//! <https://github.com/topcoder-platform/submissions-api/blob/master/docs/swagger.yaml>.

mod answer;
mod artifacts;
mod error;
mod reviews;
mod settings;
mod signed_in;
mod summations;
mod token;

use std::io::Write;

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, redirect};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::SubmissionId;

pub use answer::Submission;
pub use artifacts::Artifact;
pub use error::Error;
pub use reviews::{NewReview, Review, ReviewStatus};
pub use settings::{Endpoint, InvalidEndpoint, Settings, Timeouts, TokenSettings};
pub use signed_in::{SignInError, SignedIn};
pub use summations::{NewSummation, Summation};
pub use token::{Credentials, InvalidCredentials};

use answer::Refusal;
use token::{Token, Tokens};

/// Bytes of a JSON answer that are read at most; a submission with hundreds of reviews takes some hundred kilobytes.
const MAX_JSON_BYTES: usize = 4 << 20;
/// Redirects that a download follows: one to the storage, and one more in case that moves.
const MAX_REDIRECTS: usize = 2;

/// A client of the Submission API. It is made once and shared: connections and the token are kept.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    tokens: Tokens,
    api: Endpoint,
    timeouts: Timeouts,
}

/// What a download amounted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Download {
    /// Bytes received.
    pub bytes: u64,
    /// SHA-256 digest of these bytes.
    pub sha256: [u8; 32],
    /// Whether the API announced the length. Where it did not, a download that broke off can look whole.
    pub length_announced: bool,
}

impl Client {
    /// A client that signs in with these credentials. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Client`] if the machine's trusted certificates cannot be loaded.
    pub fn new(settings: Settings, credentials: Credentials) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("marathon-match-processor/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.timeouts.connect)
            .read_timeout(settings.timeouts.read)
            // A request that carries a token or a secret goes where the settings say and nowhere else.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|source| Error::Client { source })?;
        let Settings { api, tokens, timeouts } = settings;
        Ok(Self { tokens: Tokens::new(http.clone(), tokens, credentials, timeouts.call), http, api, timeouts })
    }

    /// Reads a submission.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is none, [`Error::Denied`] if the API refuses a fresh token, and
    /// [`Error::Unavailable`], [`Error::Transport`] or [`Error::Malformed`] if it gives no usable answer.
    pub async fn submission(&self, id: &SubmissionId) -> Result<Submission, Error> {
        let (call, body) = self.call(Method::GET, &["submissions", id.as_str()], &[], None).await?;
        Submission::parse(&body, id).map_err(|reason| Error::Malformed { call, reason })
    }

    /// Calls the API with a JSON body or none; gives the call's name and the body of its answer.
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

    /// Downloads what was submitted into `sink`, as it comes in.
    ///
    /// The writing is done in place: the sink has to be a local file, not something to wait for.
    ///
    /// # Errors
    ///
    /// Beside those of [`Client::submission`]: [`Error::StillScanning`] and [`Error::NotAllowed`] as the API says,
    /// [`Error::TooLarge`] beyond `limit` bytes, [`Error::Truncated`] if the stream breaks off before the announced
    /// length, and [`Error::Sink`] if it cannot be written.
    pub async fn download(&self, id: &SubmissionId, limit: u64, sink: &mut impl Write) -> Result<Download, Error> {
        let call = format!("GET /submissions/{id}/download");
        let url = self.api.join(&["submissions", id.as_str(), "download"]);
        let response = self.send(&call, || self.http.get(url.clone())).await?;
        let mut response = self.follow(&call, response).await?;
        if response.status() != StatusCode::OK {
            return Err(Refusal::read(&mut response).await.into_error(call));
        }

        // A gateway's page about its troubles: nobody submits one of these types, and nobody is to be blamed for it.
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("text/html") || kind.starts_with("application/json") {
            return Err(Error::Malformed { call, reason: format!("it sent {kind:.40} instead of an archive") });
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

    /// Sends a request with the token, and once more with a new one if the first is refused. The answer can be a
    /// refusal for any other reason.
    async fn send(&self, call: &str, request: impl Fn() -> RequestBuilder) -> Result<Response, Error> {
        let token = self.tokens.current().await?;
        let mut response = send_with(call, request(), &token).await?;
        let Some(refusal) = Refusal::of_token(&mut response).await else { return Ok(response) };
        if !refusal.may_be_the_token() {
            return Err(refusal.into_error(call.to_owned()));
        }
        let token = self.tokens.newer_than(&token).await?;
        let mut response = send_with(call, request(), &token).await?;
        match Refusal::of_token(&mut response).await {
            None => Ok(response),
            Some(refusal) => Err(refusal.into_error(call.to_owned())),
        }
    }

    /// Follows a download's redirects, without the token: the storage it leads to has signed the address.
    async fn follow(&self, call: &str, mut response: Response) -> Result<Response, Error> {
        for _ in 0..MAX_REDIRECTS {
            if !response.status().is_redirection() {
                break;
            }
            let target = response.headers().get(LOCATION).and_then(|target| target.to_str().ok());
            let Some(target) = target.and_then(|target| response.url().join(target).ok()) else { break };
            if !is_no_less_secure(response.url(), &target) {
                return Err(Error::Malformed { call: call.to_owned(), reason: "it redirects to plain HTTP".into() });
            }
            response = self.http.get(target).send().await.map_err(|source| Error::transport(call, source))?;
        }
        Ok(response)
    }
}

fn is_no_less_secure(from: &Url, to: &Url) -> bool {
    to.scheme() == "https" || (to.scheme() == "http" && from.scheme() == "http")
}

async fn send_with(call: &str, request: RequestBuilder, token: &Token) -> Result<Response, Error> {
    request.header(reqwest::header::AUTHORIZATION, token.header()).send().await.map_err(|e| Error::transport(call, e))
}

/// The body of an answer that says that all went well.
async fn body_of(method: &Method, call: &str, mut response: Response) -> Result<Vec<u8>, Error> {
    // Version 5 answers 200 to what it created, version 6 answers 201.
    let is_created = *method == Method::POST && response.status() == StatusCode::CREATED;
    if response.status() != StatusCode::OK && !is_created {
        return Err(Refusal::read(&mut response).await.into_error(call.to_owned()));
    }
    answer::read(&mut response, MAX_JSON_BYTES).await.map_err(|source| Error::transport(call, source))
}
