//! What the proxy does with a call that a fault affects.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::call::{Call, Protocol};
use crate::fault::{Faults, Kind};
use crate::process_of_peer;
use crate::proxy::{self, Body, Proxy};
use crate::secrets::SECRETS;

/// Longer than any caller waits for an answer.
const SLOW: Duration = Duration::from_mins(5);

/// A proxy that injects faults.
pub(crate) async fn proxy(faults: &Arc<Faults>) -> Result<Proxy> {
    let faults = Arc::clone(faults);
    Proxy::start(move |call| {
        let faults = Arc::clone(&faults);
        async move { handle(call, &faults).await }
    })
    .await
}

async fn handle(made: proxy::Call, faults: &Faults) -> Result<Response<Body>> {
    let body = made.body.clone();
    let Some(call) = Call::of(&made.request) else { return made.forward(body).await };
    let (uri, text) = (made.request.uri.to_string(), String::from_utf8_lossy(&body));
    match faults.on(call, &[&uri, &text]) {
        None | Some(Kind::Seen | Kind::TaskFails { .. }) => made.forward(body).await,
        Some(Kind::Throttled) => Ok(throttled(call)),
        Some(Kind::ServerError) => Ok(server_error(call)),
        Some(Kind::Reset) => Err(anyhow!("reset")),
        Some(Kind::Denied) => {
            let refusal = json!({"message": format!("You are not allowed to do this with {SECRETS}")});
            Ok(answer(StatusCode::FORBIDDEN, "application/json", refusal.to_string()))
        }
        Some(Kind::AnswerLost) => {
            made.forward(body).await?.into_body().collect().await?;
            Err(anyhow!("reset"))
        }
        Some(Kind::Slow) => {
            let answer = made.forward(body).await?;
            sleep(SLOW).await;
            Ok(answer)
        }
        Some(Kind::Malformed) => malformed(made.forward(body).await?).await,
        Some(Kind::Crash) => {
            signal::kill(Pid::from_raw(process_of_peer::of(made.connection)?), Signal::SIGKILL)?;
            sleep(SLOW).await;
            bail!("the function survived")
        }
        Some(Kind::Emulated(case)) => {
            let mut start: Value = serde_json::from_slice(&body)?;
            start["stateMachineArn"] =
                json!(format!("{}#{case}", start["stateMachineArn"].as_str().unwrap_or_default()));
            made.forward(start.to_string().into()).await
        }
    }
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
