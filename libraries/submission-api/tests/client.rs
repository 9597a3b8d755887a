//! The client against a server that fails in every way the real API can.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use domain::{Coded, FailureCode, SubmissionId};
use runtime::CallFailed;
use runtime::settings::{SecretArn, Variables};
use submission_api::{Client, Credentials, Error, Settings, Timeouts};
use testing::server::{Reply, Request, Server, answer};

const ID: &str = "d01c8c8b-2a7f-463f-992b-7bc5423e1dd0";
const SUBMISSION: &str = "GET /submissions/d01c8c8b-2a7f-463f-992b-7bc5423e1dd0";
const DOWNLOAD: &str = "GET /submissions/d01c8c8b-2a7f-463f-992b-7bc5423e1dd0/download";
const TOKEN: &str = "POST /token";
const RECORD: &str = r#"{"id":"d01c8c8b-2a7f-463f-992b-7bc5423e1dd0","challengeId":30049360,"memberId":"8547899"}"#;
const SCANNING: &str = r#"{"message":"The submission is still in AV scan stage."}"#;
const NOT_ALLOWED: &str = r#"{"message":"The submission is not allowed to be downloaded."}"#;
const NO_TOKEN: &str =
    r#"{"id":"1","version":"v3","result":{"success":false,"status":403,"content":{"message":"No token provided."}}}"#;

fn id() -> SubmissionId {
    ID.parse().unwrap()
}

/// A client with short time limits.
fn client(server: &Server, cache_time: Option<&str>) -> Client {
    let mut variables = vec![
        ("SUBMISSION_API_URL", server.url.clone()),
        ("AUTH0_URL", format!("{}/token", server.url)),
        ("AUTH0_AUDIENCE", "https://m2m.topcoder.com/".to_owned()),
    ];
    variables.extend(cache_time.map(|time| ("TOKEN_CACHE_TIME", time.to_owned())));
    client_of(&variables.into_iter().collect())
}

fn client_of(variables: &Variables) -> Client {
    let mut settings = Settings::read(variables).unwrap();
    let soon = Duration::from_millis(300);
    settings.timeouts = Timeouts { connect: soon, call: soon, read: soon };
    let credentials = r#"{"AUTH0_CLIENT_ID":"me","AUTH0_CLIENT_SECRET":"hunter2"}"#;
    Client::new(settings, Credentials::from_json(credentials).unwrap()).unwrap()
}

/// A server that issues `token-0`, `token-1`, … for an hour each, and passes all other requests to `reply`.
async fn signed_in(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |request, nth| if request.line == TOKEN { token(nth, 3600) } else { reply(request) }).await
}

fn token(nth: usize, seconds: u32) -> Reply {
    Reply::status(200, format!(r#"{{"access_token":"token-{nth}","expires_in":{seconds},"token_type":"Bearer"}}"#))
}

fn chunked(chunks: &[&str], end: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".to_owned();
    let chunks = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len()));
    (chunks.fold(head, |answer, chunk| answer + &chunk) + end).into_bytes()
}

fn assert_shows_no_secret(error: &Error) {
    let mut texts = vec![error.to_string(), format!("{error:?}")];
    let mut next = error.source();
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    for text in texts {
        assert!(!text.contains("hunter2") && !text.contains("token-") && !text.contains("X-Amz-Signature"), "{text}");
    }
}

async fn submission_error(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Error {
    let server = signed_in(reply).await;
    client(&server, None).submission(&id()).await.unwrap_err()
}

async fn download_error(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Error {
    let server = signed_in(reply).await;
    client(&server, None).download(&id(), 100, &mut Vec::new()).await.unwrap_err()
}

#[tokio::test]
async fn a_submission_is_read_with_a_token() {
    let server = signed_in(|_| Reply::status(200, RECORD)).await;
    let submission = client(&server, None).submission(&id()).await.unwrap();
    assert_eq!(submission.challenge_id.as_deref(), Some("30049360"));
    assert_eq!(submission.member_id.as_deref(), Some("8547899"));

    let [for_token, for_submission] = server.requests().try_into().unwrap();
    assert_eq!(for_token.line, TOKEN);
    assert_eq!(for_token.header("authorization"), None);
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&for_token.body).unwrap(),
        serde_json::json!({"grant_type": "client_credentials", "client_id": "me", "client_secret": "hunter2",
            "audience": "https://m2m.topcoder.com/", "auth0_url": format!("{}/token", server.url)})
    );
    assert_eq!(for_submission.line, SUBMISSION);
    assert_eq!(for_submission.header("authorization"), Some("Bearer token-0"));
}

#[tokio::test]
async fn token_requests_go_to_the_proxy_if_there_is_one() {
    let server = Server::start(|_, nth| if nth == 0 { token(0, 3600) } else { Reply::status(200, RECORD) }).await;
    let client = client_of(&Variables::from_iter([
        ("SUBMISSION_API_URL", server.url.clone()),
        ("AUTH0_URL", "https://topcoder.auth0.com/oauth/token".to_owned()),
        ("AUTH0_AUDIENCE", "audience".to_owned()),
        ("AUTH0_PROXY_SERVER_URL", format!("{}/proxy", server.url)),
    ]));
    client.submission(&id()).await.unwrap();
    let request = &server.requests()[0];
    assert_eq!(request.line, "POST /proxy");
    assert!(String::from_utf8_lossy(&request.body).contains(r#""auth0_url":"https://topcoder.auth0.com/oauth/token""#));
}

#[tokio::test]
async fn concurrent_callers_share_one_token() {
    let server = signed_in(|_| Reply::status(200, RECORD)).await;
    let client = Arc::new(client(&server, None));
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let client = Arc::clone(&client);
            tokio::spawn(async move { client.submission(&id()).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!((server.count(TOKEN), server.count(SUBMISSION)), (1, 20));
}

#[tokio::test]
async fn an_expired_token_is_replaced_before_it_is_sent() {
    // A token of a minute or less is within the margin at once; a cache time of 0 allows no reuse.
    for (seconds, cache_time) in [(60, None), (0, None), (3600, Some("0"))] {
        let server =
            Server::start(move |r, nth| if r.line == TOKEN { token(nth, seconds) } else { Reply::status(200, RECORD) })
                .await;
        let client = client(&server, cache_time);
        client.submission(&id()).await.unwrap();
        client.submission(&id()).await.unwrap();
        assert_eq!(server.count(TOKEN), 2);
        assert_eq!(server.requests()[3].header("authorization"), Some("Bearer token-2"));
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    for refusal in [Reply::status(401, ""), Reply::status(403, NO_TOKEN), Reply::status(403, "<html>")] {
        let server = signed_in(move |request| {
            if request.header("authorization") == Some("Bearer token-0") {
                refusal.clone()
            } else {
                Reply::status(200, RECORD)
            }
        })
        .await;
        client(&server, None).submission(&id()).await.unwrap();
        assert_eq!((server.count(TOKEN), server.count(SUBMISSION)), (2, 2));
    }
}

#[tokio::test]
async fn callers_that_are_refused_together_renew_together() {
    let server = signed_in(|request| {
        if request.header("authorization") == Some("Bearer token-0") {
            Reply::status(401, "")
        } else {
            Reply::status(200, RECORD)
        }
    })
    .await;
    let client = client(&server, None);
    let id = id();
    let (one, two, three) = tokio::join!(client.submission(&id), client.submission(&id), client.submission(&id));
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!(server.count(TOKEN), 2);
}

#[tokio::test]
async fn a_token_refused_twice_is_denied() {
    for status in [401, 403] {
        let server = signed_in(move |_| Reply::status(status, NO_TOKEN)).await;
        let error = client(&server, None).submission(&id()).await.unwrap_err();
        assert_eq!(error.code(), FailureCode::SubmissionApiDenied);
        assert!(error.to_string().contains("No token provided."), "{error}");
        assert_eq!((server.count(TOKEN), server.count(SUBMISSION)), (2, 2));
        assert_shows_no_secret(&error);
    }
}

#[tokio::test]
async fn each_answer_of_the_token_service_has_its_code() {
    use FailureCode::{Internal, SubmissionApiDenied, SubmissionApiUnavailable};
    for (reply, code) in [
        (
            Reply::status(401, r#"{"error":"access_denied","error_description":"Unauthorized hunter2"}"#),
            SubmissionApiDenied,
        ),
        (Reply::status(403, r#"{"error":"hunter2!","error_description":"hunter2"}"#), SubmissionApiDenied),
        (Reply::status(400, ""), SubmissionApiDenied),
        (Reply::status(429, ""), SubmissionApiUnavailable),
        (Reply::status(503, "hunter2"), SubmissionApiUnavailable),
        (Reply::status(200, r#"{"token":"hunter2"}"#), SubmissionApiUnavailable),
        (Reply::status(200, r#"{"access_token":"hunter2\n","expires_in":1}"#), SubmissionApiUnavailable),
        (Reply::Reset(Vec::new()), SubmissionApiUnavailable),
        (Reply::Hang(Vec::new()), SubmissionApiUnavailable),
        // A redirect would send the secret elsewhere.
        (
            Reply::Raw(
                b"HTTP/1.1 307 X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
            ),
            Internal,
        ),
    ] {
        let server = Server::start(move |_, _| reply.clone()).await;
        let error = client(&server, None).submission(&id()).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(server.requests().len(), 1);
        assert_shows_no_secret(&error);
    }
}

#[tokio::test]
async fn each_status_has_its_code() {
    use FailureCode::{Internal, SubmissionApiUnavailable, SubmissionNotFound};
    for (status, code) in [
        (404, SubmissionNotFound),
        (429, SubmissionApiUnavailable),
        (500, SubmissionApiUnavailable),
        (503, SubmissionApiUnavailable),
        (400, Internal),
        (302, Internal),
        (204, Internal),
    ] {
        let error = submission_error(move |_| Reply::status(status, r#"{"message":"because"}"#)).await;
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().starts_with(SUBMISSION));
    }
}

#[tokio::test]
async fn a_broken_answer_is_unavailable() {
    let half = answer(200, RECORD.as_bytes()).split_at(60).0.to_vec();
    for reply in [
        Reply::status(200, "{"),
        Reply::status(200, "<html>"),
        Reply::status(200, r#"{"id":"_9VOLnz2XYZv8J"}"#),
        Reply::Reset(Vec::new()),
        Reply::Reset(half.clone()),
        Reply::Raw(half.clone()),
        Reply::Hang(Vec::new()),
        Reply::Hang(half),
        Reply::After(Duration::from_secs(5), answer(200, RECORD.as_bytes())),
        Reply::Raw(b"SSH-2.0\r\n".to_vec()),
        Reply::status(200, vec![b' '; 5 << 20]),
    ] {
        let error = submission_error(move |_| reply.clone()).await;
        assert_eq!(error.code(), FailureCode::SubmissionApiUnavailable, "{error}");
        assert_shows_no_secret(&error);
    }
}

#[tokio::test]
async fn a_closed_port_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let variables =
        [("SUBMISSION_API_URL", url.clone()), ("AUTH0_URL", url), ("AUTH0_AUDIENCE", "audience".to_owned())];
    let error = client_of(&Variables::from_iter(variables)).submission(&id()).await.unwrap_err();
    assert_eq!(error.code(), FailureCode::SubmissionApiUnavailable);
    assert_shows_no_secret(&error);
}

#[tokio::test]
async fn a_download_is_written_and_digested() {
    for (reply, announced) in [
        (answer(200, b"abc"), true),
        (chunked(&["a", "bc"], "0\r\n\r\n"), false),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc".to_vec(), false),
    ] {
        let server = signed_in(move |_| Reply::Raw(reply.clone())).await;
        let mut sink = Vec::new();
        let download = client(&server, None).download(&id(), 3, &mut sink).await.unwrap();
        assert_eq!(sink, b"abc");
        assert_eq!((download.bytes, download.length_announced), (3, announced));
        assert_eq!(download.sha256[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(server.requests()[1].line, DOWNLOAD);
    }
}

#[tokio::test]
async fn the_api_decides_what_may_be_downloaded() {
    for (body, code) in
        [(SCANNING, FailureCode::SubmissionApiUnavailable), (NOT_ALLOWED, FailureCode::SubmissionApiDenied)]
    {
        let server = signed_in(move |_| Reply::status(403, body)).await;
        let error = client(&server, None).download(&id(), 100, &mut Vec::new()).await.unwrap_err();
        assert_eq!(error.code(), code);
        assert!(matches!(error, Error::StillScanning { .. } | Error::NotAllowed { .. }));
        // Another token would not change it.
        assert_eq!((server.count(TOKEN), server.count(DOWNLOAD)), (1, 1));
    }
    assert_eq!(download_error(|_| Reply::status(404, "{}")).await.code(), FailureCode::SubmissionNotFound);
    assert_eq!(download_error(|_| Reply::status(500, "{}")).await.code(), FailureCode::SubmissionApiUnavailable);
}

#[tokio::test]
async fn an_interrupted_download_is_unavailable() {
    let half = answer(200, b"abcdef").split_last_chunk::<3>().unwrap().0.to_vec();
    for reply in [
        Reply::Raw(half.clone()),
        Reply::Reset(half.clone()),
        Reply::Hang(half),
        Reply::Hang(Vec::new()),
        Reply::Raw(chunked(&["abc"], "")),
        Reply::Raw(chunked(&["abc"], "ffff\r\nabc")),
        Reply::Raw(chunked(&[], "x\r\n")),
    ] {
        let error = download_error(move |_| reply.clone()).await;
        assert_eq!(error.code(), FailureCode::SubmissionApiUnavailable, "{error}");
        assert_shows_no_secret(&error);
    }
}

#[tokio::test]
async fn what_an_error_quotes_of_an_answer_is_short_and_printable() {
    for status in ["x\u{7f}\u{85}y".to_owned(), "x".repeat(5000)] {
        let body = format!(r#"[{{"id":"a","status":"{status}"}}]"#);
        let server = signed_in(move |_| Reply::status(200, &body)).await;
        let error = client(&server, None).reviews(&id(), "type").await.unwrap_err().to_string();
        assert!(error.contains("unknown variant `x") && error.chars().count() < 500, "{error}");
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}

#[tokio::test]
async fn a_page_instead_of_an_archive_is_not_the_participants_fault() {
    let page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 6\r\n\r\n<html>";
    let server = signed_in(|_| Reply::Raw(page.to_vec())).await;
    let error = client(&server, None).download(&id(), 100, &mut Vec::new()).await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert_eq!(error.code(), FailureCode::SubmissionApiUnavailable);
}

#[tokio::test]
async fn a_download_beyond_the_limit_is_the_participants_fault() {
    for reply in [answer(200, &[0; 101]), chunked(&["x".repeat(60).as_str(), "x".repeat(60).as_str()], "0\r\n\r\n")] {
        let error = download_error(move |_| Reply::Raw(reply.clone())).await;
        assert_eq!(error.code(), FailureCode::ArchiveTooLarge);
        assert!(error.to_string().contains("100 bytes"), "{error}");
    }
}

#[tokio::test]
async fn a_download_follows_redirects_without_the_token() {
    let storage = Server::start(|_, _| Reply::status(200, "abc")).await;
    let target = format!("{}/bucket/key?X-Amz-Signature=1", storage.url);
    let server = signed_in(move |_| redirect(&target)).await;
    let mut sink = Vec::new();
    client(&server, None).download(&id(), 3, &mut sink).await.unwrap();
    assert_eq!(sink, b"abc");
    assert_eq!(storage.requests()[0].line, "GET /bucket/key?X-Amz-Signature=1");
    assert_eq!(storage.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn redirects_are_limited_and_no_error_shows_a_signature() {
    let error = download_error(|_| redirect("/again?X-Amz-Signature=1")).await;
    assert_eq!(error.code(), FailureCode::Internal);
    assert_shows_no_secret(&error);
    let error = download_error(|_| redirect("http://127.0.0.1:1/?X-Amz-Signature=1")).await;
    assert_eq!(error.code(), FailureCode::SubmissionApiUnavailable);
    assert_shows_no_secret(&error);
}

fn redirect(target: &str) -> Reply {
    Reply::Raw(
        format!("HTTP/1.1 302 X\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes(),
    )
}

struct Full;

impl std::io::Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_full_disk_is_the_platforms_fault() {
    let server = signed_in(|_| Reply::status(200, "abc")).await;
    let error = client(&server, None).download(&id(), 3, &mut Full).await.unwrap_err();
    assert_eq!(error.code(), FailureCode::Internal);
}

#[test]
fn each_error_says_what_happened_and_what_to_do() {
    let transport = || reqwest::Client::new().get("").build().unwrap_err();
    let arn: SecretArn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:auth0".parse().unwrap();
    let call = || DOWNLOAD.to_owned();
    let message = || "because".to_owned();
    let denied = CallFailed {
        service: "Secrets Manager",
        operation: "GetSecretValue",
        code: "AccessDeniedException".to_owned(),
        message: String::new(),
    };
    let errors = [
        Error::Transport { call: call(), source: transport() },
        Error::Unavailable { call: call(), status: 503, message: message() },
        Error::Unavailable { call: "The request for a token".to_owned(), status: 503, message: String::new() },
        Error::Malformed { call: call(), reason: "text/html instead of an archive".to_owned() },
        Error::Truncated { call: call(), received: 5, announced: Some(10), source: None },
        Error::Truncated { call: call(), received: 5, announced: None, source: Some(transport()) },
        Error::StillScanning { call: call() },
        Error::NotAllowed { call: call() },
        Error::Denied { call: call(), status: 403, message: message() },
        Error::NotFound { call: SUBMISSION.to_owned() },
        Error::Unexpected { call: call(), status: 302, message: String::new() },
        Error::TooLarge { limit: 524_288_000 },
        Error::Sink { source: std::io::ErrorKind::StorageFull.into() },
        Error::Client { source: transport() },
        Error::Secret { arn: arn.clone(), source: denied },
        Error::Credentials { arn, source: Credentials::from_json("").unwrap_err() },
    ];
    let texts: Vec<String> = errors.iter().map(|error| format!("{}: {error}", error.code())).collect();
    insta::assert_snapshot!(texts.join("\n\n"));
}
