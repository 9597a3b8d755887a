//! A proxy between the functions and the services, which injects faults.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::call::{Call, Protocol};
use crate::fault::{Faults, Kind};
use crate::process_of_peer;

/// Longer than any caller waits for an answer.
const SLOW: Duration = Duration::from_mins(5);

type Body = BoxBody<Bytes, hyper::Error>;

/// A proxy for one service.
pub(crate) struct Proxy {
    /// Its URL.
    pub(crate) url: String,
    upstream: Arc<OnceLock<String>>,
}

impl Proxy {
    /// Listens on a free port. Requests wait until there is an upstream.
    pub(crate) async fn start(faults: Arc<Faults>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let own = listener.local_addr()?;
        let url = format!("http://{own}");
        let upstream = Arc::new(OnceLock::new());
        let target = Arc::clone(&upstream);
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let (faults, target) = (Arc::clone(&faults), Arc::clone(&target));
                tokio::spawn(async move {
                    // Dropping the connection resets it.
                    let _ = stream.set_zero_linger();
                    let service = service_fn(|request| {
                        let (faults, target) = (Arc::clone(&faults), Arc::clone(&target));
                        async move { handle(request, [peer, own], &faults, &target).await }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
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

async fn handle(
    request: Request<Incoming>,
    [peer, own]: [SocketAddr; 2],
    faults: &Faults,
    upstream: &OnceLock<String>,
) -> Result<Response<Body>> {
    let upstream = upstream.get().context("there is no upstream yet")?;
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let forward = |body: Bytes| {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = parts.uri.clone();
        *request.headers_mut() = parts.headers.clone();
        forward(request, upstream)
    };
    let Some(call) = Call::of(&parts) else { return forward(body).await };
    let (uri, text) = (parts.uri.to_string(), String::from_utf8_lossy(&body));
    match faults.on(call, &[&uri, &text]) {
        None | Some(Kind::Seen | Kind::TaskFails { .. }) => forward(body).await,
        Some(Kind::Throttled) => Ok(throttled(call)),
        Some(Kind::ServerError) => Ok(server_error(call)),
        Some(Kind::Reset) => Err(anyhow!("reset")),
        Some(Kind::AnswerLost) => {
            forward(body).await?.into_body().collect().await?;
            Err(anyhow!("reset"))
        }
        Some(Kind::Slow) => {
            let answer = forward(body).await?;
            sleep(SLOW).await;
            Ok(answer)
        }
        Some(Kind::Malformed) => malformed(forward(body).await?).await,
        Some(Kind::Crash) => {
            process_of_peer::kill(peer, own)?;
            sleep(SLOW).await;
            bail!("the function survived")
        }
        Some(Kind::Emulated(case)) => {
            let mut start: Value = serde_json::from_slice(&body)?;
            start["stateMachineArn"] =
                json!(format!("{}#{case}", start["stateMachineArn"].as_str().unwrap_or_default()));
            forward(start.to_string().into()).await
        }
    }
}

async fn forward(mut request: Request<Full<Bytes>>, upstream: &str) -> Result<Response<Body>> {
    let stream = TcpStream::connect(upstream).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let headers = request.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    headers.insert(HOST, HeaderValue::from_str(upstream)?);
    let mut answer = sender.send_request(request).await?;
    answer.headers_mut().remove(CONNECTION);
    Ok(answer.map(BodyExt::boxed))
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::new(Full::new(body.into()).map_err(|never: Infallible| match never {}).boxed());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// Refusals in the words of the services:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>,
/// <https://docs.aws.amazon.com/step-functions/latest/apireference/CommonErrors.html>.
fn throttled(call: Call) -> Response<Body> {
    match call.protocol() {
        Protocol::AwsJson => answer(
            StatusCode::BAD_REQUEST,
            "application/x-amz-json-1.1",
            r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#,
        ),
        Protocol::S3 => answer(
            StatusCode::SERVICE_UNAVAILABLE,
            "application/xml",
            "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
        ),
        Protocol::SubmissionApi => {
            answer(StatusCode::TOO_MANY_REQUESTS, "application/json", r#"{"message":"Too many requests"}"#)
        }
    }
}

fn server_error(call: Call) -> Response<Body> {
    match call.protocol() {
        Protocol::AwsJson => answer(
            StatusCode::INTERNAL_SERVER_ERROR,
            "application/x-amz-json-1.1",
            r#"{"__type":"InternalFailure","message":"Internal failure"}"#,
        ),
        Protocol::S3 => answer(
            StatusCode::INTERNAL_SERVER_ERROR,
            "application/xml",
            "<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>",
        ),
        Protocol::SubmissionApi => answer(StatusCode::BAD_GATEWAY, "text/html", "<html>502 Bad Gateway</html>"),
    }
}

/// A success with an unreadable body.
async fn malformed(good: Response<Body>) -> Result<Response<Body>> {
    let status = good.status();
    good.into_body().collect().await?;
    Ok(answer(status, "text/html", "<html>this is not { what you expect"))
}
