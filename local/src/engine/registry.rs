//! The one repository of the emulator's registry that a job may use. The emulator answers every service at one address; a job
//! reaches nothing of it but this.

use std::sync::Arc;

use anyhow::{Context, Result};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::clients::Access;

/// A proxy on the loopback interface. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) port: u16,
    /// The emulator's address: `host:port`.
    emulator: String,
    server: AbortHandle,
}

impl Registry {
    /// Lets requests for this repository through to the emulator.
    pub(super) async fn start(access: &Access, repository: &str) -> Result<Self> {
        let emulator = access.endpoint.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let upstream = Arc::new(Upstream {
            emulator: emulator.clone(),
            token: HeaderValue::from_str(&access.token)?,
            prefix: format!("/v2/{repository}/"),
        });
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let upstream = Arc::clone(&upstream);
                tokio::spawn(async move {
                    let service = service_fn(|request| {
                        let upstream = Arc::clone(&upstream);
                        async move { upstream.answer(request).await }
                    });
                    // A connection that breaks is the engine's to report.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(Self { port, emulator, server: server.abort_handle() })
    }

    /// The address here of an image of the emulator's registry, where `host` is this machine. Other images stay as they are.
    pub(super) fn address(&self, image: &str, host: &str) -> String {
        match image.split_once('/') {
            Some((registry, path)) if registry == self.emulator => format!("{host}:{}/{path}", self.port),
            _ => image.to_owned(),
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What the proxy knows and its clients do not.
struct Upstream {
    emulator: String,
    /// The secret of the run.
    token: HeaderValue,
    /// The path of the repository.
    prefix: String,
}

impl Upstream {
    async fn answer(&self, mut request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, hyper::Error>>> {
        if !is_allowed(request.uri().path(), &self.prefix) {
            let empty = Empty::new().map_err(|never| match never {}).boxed();
            return Ok(Response::builder().status(StatusCode::FORBIDDEN).body(empty)?);
        }
        request.headers_mut().insert("x-amz-security-token", self.token.clone());
        let stream = TcpStream::connect(&self.emulator).await.context("connecting to the emulator")?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?.map(BodyExt::boxed))
    }
}

/// Whether a path is of the repository, or asks for the registry's version:
/// <https://distribution.github.io/distribution/spec/api/>.
fn is_allowed(path: &str, prefix: &str) -> bool {
    path == "/v2/" || (path.starts_with(prefix) && !path.contains("..") && !path.contains('%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_repository_is_allowed() {
        let allowed = |path| is_allowed(path, "/v2/d01c/");
        assert!(allowed("/v2/") && allowed("/v2/d01c/manifests/latest") && allowed("/v2/d01c/blobs/uploads/"));
        for path in [
            "/",
            "/2015-03-31/functions",
            "/v2/other/manifests/latest",
            "/v2/d01c",
            "/v2/d01c/../other/x",
            "/v2/d01c/%2e%2e/other/x",
            "/v2/_catalog",
        ] {
            assert!(!allowed(path), "{path}");
        }
    }
}
