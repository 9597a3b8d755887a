//! A proxy between the functions and the services, and who is behind a connection to it.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

pub(crate) type Body = BoxBody<Bytes, hyper::Error>;

/// A request on its way to its service.
pub(crate) struct Call {
    pub(crate) request: Parts,
    pub(crate) body: Bytes,
    /// The caller's end of the connection, and the proxy's.
    pub(crate) connection: [SocketAddr; 2],
    upstream: String,
}

impl Call {
    /// Sends the request with this body to the service.
    pub(crate) async fn forward(&self, body: Bytes) -> Result<Response<Body>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.request.method.clone();
        *request.uri_mut() = self.request.uri.clone();
        *request.headers_mut() = self.request.headers.clone();
        let headers = request.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.remove(TRANSFER_ENCODING);
        headers.insert(HOST, HeaderValue::from_str(&self.upstream)?);
        let stream = TcpStream::connect(&self.upstream).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut answer = sender.send_request(request).await?;
        answer.headers_mut().remove(CONNECTION);
        Ok(answer.map(BodyExt::boxed))
    }
}

/// A proxy for one service.
pub(crate) struct Proxy {
    /// Its URL.
    pub(crate) url: String,
    upstream: Arc<OnceLock<String>>,
}

impl Proxy {
    /// Listens on a free port and lets `handle` answer. Without an upstream, requests fail.
    pub(crate) async fn start<H, F>(handle: H) -> Result<Self>
    where
        H: Fn(Call) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response<Body>>> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let own = listener.local_addr()?;
        let url = format!("http://{own}");
        let upstream = Arc::new(OnceLock::new());
        let target = Arc::clone(&upstream);
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let (handle, target) = (handle.clone(), Arc::clone(&target));
                tokio::spawn(async move {
                    let (stream, same) = twice(stream)?;
                    let service = service_fn(|request| {
                        let (handle, target) = (handle.clone(), Arc::clone(&target));
                        async move { handle(read(request, [peer, own], &target).await?).await }
                    });
                    // A client such as nc may close its side after the request.
                    let served = hyper::server::conn::http1::Builder::new()
                        .half_close(true)
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                    if served.is_err() {
                        // Dropping the connection resets it.
                        same.set_zero_linger()?;
                    }
                    std::io::Result::Ok(())
                });
            }
        });
        Ok(Self { url, upstream })
    }

    /// Sets where requests are forwarded to: `http://host:port`.
    pub(crate) fn forward_to(&self, url: &str) {
        let _ = self.upstream.set(url.trim_start_matches("http://").to_owned());
    }
}

/// The stream, and another handle of it.
fn twice(stream: TcpStream) -> std::io::Result<(TcpStream, TcpStream)> {
    let stream = stream.into_std()?;
    let same = TcpStream::from_std(stream.try_clone()?)?;
    Ok((TcpStream::from_std(stream)?, same))
}

async fn read(request: Request<Incoming>, connection: [SocketAddr; 2], upstream: &OnceLock<String>) -> Result<Call> {
    let upstream = upstream.get().context("there is no upstream yet")?.clone();
    let (request, body) = request.into_parts();
    Ok(Call { request, body: body.collect().await?.to_bytes(), connection, upstream })
}
