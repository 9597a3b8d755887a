//! The HTTP entrance of scoring.

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use local::challenge::{predictions, register};
use local::deploy::put_api_key;
use local::watch::{execution_arn, follow};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::arena::Arena;
use crate::case::{Attack, Case, Control, Deed, End, Group, deed};
use crate::scene::Scene;

fn case(name: &str, defence: &'static str, expected: &'static str, attack: Deed, control: Deed) -> Case {
    Case::new(Group::Entrance, name, defence, Attack::Deed(attack, expected), End::Completed, Control::Deed(control))
}

fn request(arena: &Arena, method: Method, path: &str) -> RequestBuilder {
    Client::new().request(method, format!("{}{path}", arena.stack.deployed.submit_url))
}

/// The status and the body of an answer.
async fn ask(request: RequestBuilder) -> Result<(u16, String)> {
    let answer = request.send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

async fn registered(arena: &Arena, second: u32) -> Result<domain::SubmissionId> {
    let id: domain::SubmissionId = uuid::Uuid::new_v4().to_string().parse()?;
    let created = format!("2026-01-01T00:00:{second:02}Z");
    let same = predictions(|at| 0.2 + f64::from(at * 7919 % 600) / 2000.0);
    register(&arena.stack.clients, &arena.stack.deployed, &id, &format!("user-of-{id}"), &created, same).await?;
    Ok(id)
}

/// With the key of an organiser, the record is shown.
fn right_key() -> Deed {
    deed(|arena, _| {
        Box::pin(async move {
            let id = registered(arena, 1).await?;
            let right = request(arena, Method::GET, &format!("/submissions/{id}"));
            let (status, body) = ask(right.header("x-api-key", &arena.stack.deployed.api_key)).await?;
            ensure!(status == 200 && body.contains(id.as_str()), "{status}: {body}");
            Ok("who has the right key gets the record".to_owned())
        })
    })
}

/// Clients that guess at once.
const CLIENTS: usize = 8;

fn cases_of_keys() -> Vec<Case> {
    let guesses = deed(|arena, _| {
        Box::pin(async move {
            let id = registered(arena, 1).await?;
            let path = format!("/submissions/{id}");
            let guesses = async || {
                for _ in 0..10_000 / CLIENTS {
                    let guess = uuid::Uuid::new_v4().simple().to_string();
                    let (status, body) = ask(request(arena, Method::GET, &path).header("x-api-key", guess)).await?;
                    ensure!(status == 401 && !body.contains(id.as_str()), "{status}: {body}");
                }
                Ok(())
            };
            // Meanwhile, whoever has the key is answered.
            let honest = async {
                for _ in 0..50 {
                    let right = request(arena, Method::GET, &path).header("x-api-key", &arena.stack.deployed.api_key);
                    let (status, body) = ask(right).await?;
                    ensure!(status == 200, "{status}: {body}");
                }
                Ok(())
            };
            let (clients, ()) = tokio::try_join!(try_join_all((0..CLIENTS).map(|_| guesses())), honest)?;
            Ok(format!("401 ten thousand times from {} clients, and an answer for who has the key", clients.len()))
        })
    });
    let near = deed(|arena, _| {
        Box::pin(async move {
            let id = registered(arena, 1).await?;
            let key = &arena.stack.deployed.api_key;
            let path = format!("/submissions/{id}");
            let near = [
                String::new(),
                key[1..].to_owned(),
                format!("{key}0"),
                key.to_uppercase() + "A",
                format!("{key},{key}"),
            ];
            let headers = near.iter().map(|near| request(arena, Method::GET, &path).header("x-api-key", near));
            let elsewhere = [
                request(arena, Method::GET, &format!("{path}?x-api-key={key}&api_key={key}")),
                request(arena, Method::GET, &path).bearer_auth(key),
                request(arena, Method::GET, &path).body(json!({ "api_key": key }).to_string()),
            ];
            for request in headers.chain(elsewhere) {
                let (status, body) = ask(request).await?;
                ensure!(status == 401 && !body.contains(id.as_str()), "{status}: {body}");
            }
            Ok("401 each time".to_owned())
        })
    });
    vec![
        case("ten thousand guessed keys", "keys", "401 each time", guesses, right_key()),
        case("keys that are nearly right, and the key elsewhere", "keys", "401 each time", near, right_key())
            .representative(),
    ]
}

/// Two equal submissions of different participants, scored.
async fn copies(arena: &Arena) -> Result<[domain::SubmissionId; 2]> {
    let ids = [registered(arena, 2).await?, registered(arena, 3).await?];
    for id in &ids {
        let body = json!({"submission_id": id, "api_key": arena.stack.deployed.api_key}).to_string();
        let (status, answer) = ask(request(arena, Method::POST, "/").body(body)).await?;
        ensure!(status == 202, "{status}: {answer}");
        let execution = execution_arn(&arena.stack.deployed.scoring_state_machine, id.aws_safe().as_str());
        follow(&arena.stack.clients.sfn, &execution, std::time::Duration::from_mins(1), |_| {}).await?;
    }
    Ok(ids)
}

async fn record(arena: &Arena, id: &domain::SubmissionId, key: &str) -> Result<Value> {
    let (status, body) =
        ask(request(arena, Method::GET, &format!("/submissions/{id}")).header("x-api-key", key)).await?;
    ensure!(status == 200, "{status}: {body}");
    Ok(serde_json::from_str(&body)?)
}

async fn reader(arena: &Arena) -> Result<String> {
    let key = uuid::Uuid::new_v4().simple().to_string();
    let name = format!("reader-{}", &key[..8]);
    put_api_key(&arena.stack.clients, &arena.stack.deployed.api_keys_secret, &name, &key).await?;
    Ok(key)
}

/// A new key is read at most 15 s after it was put into the secret.
async fn accepted(arena: &Arena, key: &str, id: &domain::SubmissionId) -> Result<()> {
    for _ in 0..40 {
        let asked = request(arena, Method::GET, &format!("/submissions/{id}")).header("x-api-key", key);
        if ask(asked).await?.0 == 200 {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    anyhow::bail!("the reader's key is not accepted")
}

fn cases_of_roles() -> Vec<Case> {
    let sees = deed(|arena, _| {
        Box::pin(async move {
            let (ids, key) = (copies(arena).await?, reader(arena).await?);
            accepted(arena, &key, &ids[1]).await?;
            let text = record(arena, &ids[1], &key).await?.to_string();
            ensure!(!text.contains(ids[0].as_str()) && !text.contains("offenders"), "{text}");
            Ok("no offenders".to_owned())
        })
    });
    let organiser = deed(|arena, _| {
        Box::pin(async move {
            let ids = copies(arena).await?;
            let whole = record(arena, &ids[1], &arena.stack.deployed.api_key).await?.to_string();
            ensure!(whole.contains("offenders"), "{whole}");
            Ok("the record as it is names the offenders".to_owned())
        })
    });
    let starts = deed(|arena, _| {
        Box::pin(async move {
            let (id, key) = (registered(arena, 4).await?, reader(arena).await?);
            accepted(arena, &key, &id).await?;
            let body = json!({"submission_id": id, "api_key": key}).to_string();
            let (status, answer) = ask(request(arena, Method::POST, "/").body(body)).await?;
            ensure!(status == 403, "{status}: {answer}");
            Ok("403".to_owned())
        })
    });
    let organiser_starts = deed(|arena, _| {
        Box::pin(async move {
            let body = json!({"submission_id": registered(arena, 5).await?, "api_key": arena.stack.deployed.api_key})
                .to_string();
            let (status, answer) = ask(request(arena, Method::POST, "/").body(body)).await?;
            ensure!(status == 202, "{status}: {answer}");
            Ok("an organiser's key starts it".to_owned())
        })
    });
    vec![
        case("a reader asks for offenders", "roles", "no offenders", sees, organiser),
        case("a reader starts scoring", "roles", "403", starts, organiser_starts),
    ]
}

/// Asks for a path as it is written: clients resolve `..` before they send it.
async fn ask_as_written(arena: &Arena, path: &str) -> Result<(u16, String)> {
    let url = arena.stack.deployed.submit_url.trim_start_matches("http://");
    let (server, base) = url.split_once('/').context("a URL has a path")?;
    let key = &arena.stack.deployed.api_key;
    let mut stream = TcpStream::connect(server).await?;
    let text = format!("GET /{base}{path} HTTP/1.1\r\nHost: {server}\r\nx-api-key: {key}\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.with_context(|| format!("no answer to {path:.60}: {answer}"))?, answer))
}

/// What a server reads that joins the decoded path to its folder.
fn naive(scene: &Scene, path: &str) -> Option<String> {
    let decoded = path.replace("%2e", ".").replace("%2f", "/").replace("%5c", "\\");
    std::fs::read_to_string(scene.canary_folder().join(decoded.trim_start_matches("/submissions/"))).ok()
}

const PATHS: [&str; 3] = ["/submissions/../file", "/submissions/%2e%2e%2ffile", "/submissions/%2e%2e/file"];

fn cases_of_requests() -> Vec<Case> {
    let paths = deed(|arena, scene| {
        Box::pin(async move {
            let long = format!("/submissions/{}", "a".repeat(6000));
            let other = ["/submissions/%00", "/submissions/..%5cfile", "/challenges/%2e%2e/leaderboard", &long];
            for path in PATHS.into_iter().chain(other) {
                let (status, body) = ask_as_written(arena, path).await?;
                ensure!(matches!(status, 400 | 404 | 414), "{path:.60}: {status}: {body}");
                ensure!(!body.contains(&scene.secret), "{path}: {body}");
            }
            Ok("400 or 404 each time".to_owned())
        })
    });
    let joined = deed(|_, scene| {
        Box::pin(async move {
            let read = PATHS.iter().find_map(|path| naive(scene, path)).context("no path leads to the canary")?;
            ensure!(read == scene.secret, "{read}");
            Ok("a server that joins the path to a folder returns the canary's secret".to_owned())
        })
    });
    let large = |bytes: usize| json!({"submission_id": "x".repeat(bytes), "api_key": "x"}).to_string();
    let body = deed(move |arena, _| {
        Box::pin(async move {
            for bytes in [17 << 10, 5 << 20] {
                let (status, answer) = ask(request(arena, Method::POST, "/").body(large(bytes))).await?;
                ensure!(status == 413, "{bytes} bytes: {status}: {answer}");
            }
            Ok("413".to_owned())
        })
    });
    let parsed = deed(move |_, _| {
        Box::pin(async move {
            let read: Value = serde_json::from_str(&large(5 << 20))?;
            let bytes = read["submission_id"].as_str().context("a text")?.len();
            Ok(format!("a parser without a limit keeps a text of {bytes} bytes"))
        })
    });
    vec![
        case("paths that climb out, NUL and 6,000 characters", "ids", "400 or 404 each time", paths, joined)
            .representative(),
        case("a body of 17 kB and one of 5 MB", "size", "413", body, parsed),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    [cases_of_keys(), cases_of_roles(), cases_of_requests()].into_iter().flatten().collect()
}
