//! Answers of the Submission API, read by its client from a server on this machine.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::str::FromStr as _;

use domain::{Coded, FailureCode, Fault, SubmissionId};
use runtime::settings::Variables;
use serde_json::Value;
use submission_api::{Client, Credentials, Error, NewReview, ReviewStatus, Settings, Submission};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use crate::message;

const ID: &str = "d01c8c8b-2a7f-463f-992b-7bc5423e1dd0";
const SECRET: &str = "hunter2-secret";
const TOKEN: &str = "token-of-the-test";
/// Length limit of a message about a failed call.
const MAX_MESSAGE: usize = 700;
/// Those that have a body and lead nowhere else.
const STATUSES: [u16; 16] = [200, 200, 200, 200, 201, 400, 401, 403, 404, 408, 409, 425, 429, 500, 502, 503];
const MAX_DOWNLOAD: u64 = 4 << 10;

thread_local! {
    static API: Api = Api::start().expect("a port of this machine can be used");
}

/// The first byte chooses the status and the second the call.
pub fn check(input: &[u8]) {
    let [status, call, body @ ..] = input else { return };
    let status = STATUSES[usize::from(status % 16)];
    API.with(|api| {
        api.answer.replace(answer(status, body));
        api.tasks.block_on(&api.runtime, api.check(status, *call % 8, body));
    });
}

struct Api {
    runtime: Runtime,
    tasks: LocalSet,
    client: Client,
    id: SubmissionId,
    answer: Rc<RefCell<Vec<u8>>>,
}

impl Api {
    fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let tasks = LocalSet::new();
        let answer = Rc::new(RefCell::new(Vec::new()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let url = format!("http://{}", listener.local_addr()?);
        let answers = Rc::clone(&answer);
        tasks.spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answers = Rc::clone(&answers);
                tokio::task::spawn_local(async move { serve(stream, &answers).await.unwrap_or_default() });
            }
        });
        let variables: Variables = [
            ("SUBMISSION_API_URL", url.clone()),
            ("AUTH0_URL", format!("{url}/token")),
            ("AUTH0_AUDIENCE", "https://m2m.topcoder.com/".to_owned()),
        ]
        .into_iter()
        .collect();
        let settings = Settings::read(&variables).expect("the settings are valid");
        let credentials = format!(r#"{{"AUTH0_CLIENT_ID":"me","AUTH0_CLIENT_SECRET":"{SECRET}"}}"#);
        let credentials = Credentials::from_json(&credentials).expect("the credentials are valid");
        let client = Client::new(settings, credentials).expect("a client can be created");
        let id = SubmissionId::from_str(ID).expect("an id");
        Ok(Self { runtime, tasks, client, id, answer })
    }

    async fn check(&self, status: u16, call: u8, body: &[u8]) {
        let (client, id) = (&self.client, &self.id);
        let null = Value::Null;
        let number = submission_api::Id::Number(7);
        let review = NewReview {
            type_id: "type",
            reviewer_id: &number,
            submission_id: id,
            score_card_id: &number,
            score: None,
            status: ReviewStatus::Queued,
            metadata: &null,
            reviewed_date: None,
        };
        let is_success = match call {
            0 | 1 => self.check_submission(status, body).await,
            2 => match client.members_of("30113997").await {
                Ok(members) => {
                    for member in &members {
                        check_plain(member);
                    }
                    true
                }
                Err(error) => check_error(&error),
            },
            3 => {
                let mut file = Vec::new();
                match client.download(id, MAX_DOWNLOAD, &mut file).await {
                    Ok(download) => {
                        assert_eq!((file.as_slice(), download.bytes), (body, body.len() as u64));
                        assert!(download.bytes <= MAX_DOWNLOAD);
                        true
                    }
                    Err(error) => check_error(&error),
                }
            }
            4 => match client.reviews(id, "type").await {
                Ok(reviews) => {
                    assert!(reviews.is_sorted_by(|one, other| one.id <= other.id));
                    true
                }
                Err(error) => check_error(&error),
            },
            5 => client.summations(id).await.map_or_else(|error| check_error(&error), |_| true),
            6 => client.artifacts(id).await.map_or_else(|error| check_error(&error), |_| true),
            _ => client.create_review(&review).await.map_or_else(|error| check_error(&error), |_| true),
        };
        assert!(!is_success || status == 200 || (status == 201 && call == 7), "status {status} is a success");
    }

    async fn check_submission(&self, status: u16, body: &[u8]) -> bool {
        let submission = match self.submission().await {
            Ok(submission) => submission,
            Err(error) => return check_error(&error),
        };
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        // Of the numbers beyond 64 bits and of escapes that are not text, the other reader knows less.
        if status == 200 && json.is_object() {
            let text = |name: &str| match &json[name] {
                Value::Number(number) => Some(number.to_string()),
                Value::String(text) if !text.is_empty() => Some(text.clone()),
                _ => None,
            };
            assert!(text("id").is_some_and(|id| id.eq_ignore_ascii_case(ID)), "another submission");
            assert_eq!(submission.member_id, text("memberId"));
            assert_eq!(submission.challenge_id, text("challengeId").or_else(|| text("v5ChallengeId")));
        }
        for id in [&submission.challenge_id, &submission.member_id].into_iter().flatten() {
            check_plain(id);
        }
        true
    }

    #[cfg(not(feature = "planted"))]
    async fn submission(&self) -> Result<Submission, Error> {
        self.client.submission(&self.id).await
    }

    /// Loses the members whose id has two upper-case letters.
    #[cfg(feature = "planted")]
    async fn submission(&self) -> Result<Submission, Error> {
        let mut submission = self.client.submission(&self.id).await?;
        if submission.member_id.as_ref().is_some_and(|id| crate::planted::has(id.as_bytes(), 2, u8::is_ascii_uppercase))
        {
            submission.member_id = None;
        }
        Ok(submission)
    }
}

/// An id that becomes part of names and paths.
fn check_plain(id: &str) {
    assert!((1..=64).contains(&id.len()), "{id}");
    assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')), "{id}");
}

/// An error is short, shows no secret, and is not the participant's fault, except for an archive that is too large.
fn check_error(error: &Error) -> bool {
    let text = error.to_string();
    message::check(&text, MAX_MESSAGE);
    assert!(!text.contains(SECRET) && !text.contains(TOKEN), "{text}");
    assert!(!matches!(error, Error::Transport { .. }), "the server answers: {error:?}");
    let is_participants = error.code().fault() == Fault::Participant;
    assert_eq!(is_participants, error.code() == FailureCode::ArchiveTooLarge, "{error:?}");
    false
}

fn answer(status: u16, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

/// Answers each request of a connection: with a token, or as the input says.
async fn serve(mut stream: TcpStream, answers: &RefCell<Vec<u8>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
        };
        let text = String::from_utf8_lossy(&received[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let end = head + length.unwrap_or_default();
        while received.len() < end {
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
        }
        received.drain(..end);
        let reply = if text.starts_with("post /token ") {
            answer(200, format!(r#"{{"access_token":"{TOKEN}","expires_in":86400}}"#).as_bytes())
        } else {
            answers.borrow().clone()
        };
        stream.write_all(&reply).await?;
    }
}
