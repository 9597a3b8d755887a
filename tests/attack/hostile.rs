//! Answers that the Submission API should not give, from a proxy in front of it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Result;
use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use hyper::{Response, StatusCode};
use parking_lot::Mutex;

use crate::proxy::{self, Body, Proxy};

/// How the API answers about a submission.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// The download is elsewhere, after some more redirects.
    Redirect { to: String, again: u8 },
    /// The download announces this many bytes and sends a few.
    Announced(u64),
    /// The download does not end.
    Endless,
    /// The metadata do not end.
    EndlessMetadata,
}

/// The hostile answers, by a part of the path that they are for.
pub(crate) type Answers = Arc<Mutex<BTreeMap<String, Answer>>>;

pub(crate) async fn proxy(answers: &Answers) -> Result<Proxy> {
    let answers = Arc::clone(answers);
    Proxy::start(move |call| {
        let answers = Arc::clone(&answers);
        async move { handle(call, &answers).await }
    })
    .await
}

async fn handle(call: proxy::Call, answers: &Answers) -> Result<Response<Body>> {
    let path = call.request.uri.path().to_owned();
    let query = call.request.uri.query().unwrap_or_default().to_owned();
    let found = answers.lock().iter().find(|(id, _)| path.contains(id.as_str())).map(|(_, answer)| answer.clone());
    let is_download = path.ends_with("/download");
    match found {
        Some(Answer::Redirect { to, again }) if is_download => {
            let so_far = query.len();
            let next = if so_far < again.into() { format!("{path}?{}", "r".repeat(so_far + 1)) } else { to };
            let mut answer = Response::new(full(""));
            *answer.status_mut() = StatusCode::FOUND;
            answer.headers_mut().insert(LOCATION, next.parse()?);
            Ok(answer)
        }
        Some(Answer::Announced(bytes)) if is_download => {
            let mut answer = Response::new(endless());
            answer.headers_mut().insert(CONTENT_LENGTH, bytes.to_string().parse()?);
            Ok(answer)
        }
        Some(Answer::Endless) if is_download => Ok(Response::new(endless())),
        Some(Answer::EndlessMetadata) if !path.contains("/artifacts") => {
            let mut answer = Response::new(endless());
            answer.headers_mut().insert(CONTENT_TYPE, "application/json".parse()?);
            Ok(answer)
        }
        _ => {
            let body = call.body.clone();
            call.forward(body).await
        }
    }
}

fn full(text: &'static str) -> Body {
    Full::new(Bytes::from_static(text.as_bytes())).map_err(|never: Infallible| match never {}).boxed()
}

fn endless() -> Body {
    let chunk = Bytes::from(vec![b'{'; 64 << 10]);
    StreamBody::new(stream::repeat_with(move || Ok(Frame::data(chunk.clone())))).boxed()
}
