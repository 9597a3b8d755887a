//! The HTTP entrance of scoring, behind a function URL.
//!
//! | request | answer |
//! |---|---|
//! | `POST /` with `{"user_id"?, "submission_id", "api_key"}` | 202 `{"submission_id", "execution"}`, the same for the same id |
//! | `GET /submissions/{id}` | 200, the record |
//! | `GET /rounds/{round}/leaderboard?by=&limit=&next=` | 200, a page |
//!
//! Reading needs a key in the header `x-api-key`, unless reads are public. Refusals are JSON that says what to do.

pub mod body;
pub mod http;
mod index;
mod keys;
pub mod page;
mod settings;

use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use body::Body;
use http::{Refusal, Request, Response};
use keys::CachedKeys;
pub use keys::Keys;
use page::Page;
use serde::Serialize;
use serde_json::json;
pub use settings::Settings;
use shared::records::{self, Record};
use shared::{Round, SubmissionId};

/// What the function works with.
pub struct Deps {
    settings: Settings,
    dynamodb: aws_sdk_dynamodb::Client,
    sfn: aws_sdk_sfn::Client,
    keys: CachedKeys,
}

impl Deps {
    /// Clients of everything the function talks to. Nothing is sent yet.
    #[must_use]
    pub fn new(
        settings: Settings,
        dynamodb: aws_sdk_dynamodb::Client,
        sfn: aws_sdk_sfn::Client,
        secrets: aws_sdk_secretsmanager::Client,
    ) -> Self {
        let keys = CachedKeys::new(secrets, settings.secret_arn.clone(), settings.key_cache);
        Self { settings, dynamodb, sfn, keys }
    }
}

/// Answers a request.
pub async fn handle(request: Request, deps: &Deps) -> Response {
    // On the heap: nested as they are, the futures of three clients are too deep a type for the compiler.
    let answer = Box::pin(route(&request, deps)).await;
    let response = answer.unwrap_or_else(Response::from);
    tracing::info!(method = request.method(), path = request.raw_path, status = response.status_code, "answered");
    response
}

async fn route(request: &Request, deps: &Deps) -> Result<Response, Refusal> {
    let path: Vec<&str> = request.raw_path.split('/').filter(|part| !part.is_empty()).collect();
    match path.as_slice() {
        [] => {
            allow(request, "POST")?;
            submit(request, deps).await
        }
        ["submissions", id] => {
            allow(request, "GET")?;
            may_read(request, deps).await?;
            let id: SubmissionId = id.parse().map_err(|error| malformed("submission_id", &error))?;
            Ok(Response::json(200, &page::record(&record(&id, deps).await?.attributes)))
        }
        ["rounds", round, "leaderboard"] => {
            allow(request, "GET")?;
            may_read(request, deps).await?;
            let round: Round = round.parse().map_err(|error| malformed("round", &error))?;
            let page = Page::read(&request.query_string_parameters)?;
            let (items, next) = index::read(&deps.dynamodb, &deps.settings.submissions_table, &round, &page).await?;
            Ok(Response::json(200, &page::leaderboard(&round, page.by, &items, next.as_ref())))
        }
        _ => Err(Refusal::UnknownPath),
    }
}

fn allow(request: &Request, method: &'static str) -> Result<(), Refusal> {
    if request.method() == method { Ok(()) } else { Err(Refusal::WrongMethod { allowed: method }) }
}

fn malformed(field: &'static str, error: &dyn std::error::Error) -> Refusal {
    Refusal::Malformed { field: Some(field), message: format!("{field} is malformed: {error}.") }
}

async fn may_read(request: &Request, deps: &Deps) -> Result<(), Refusal> {
    if deps.settings.public_reads {
        return Ok(());
    }
    deps.keys.check(request.headers.get("x-api-key").ok_or(Refusal::WrongKey)?).await
}

/// The execution's input: the same bytes for the same submission, so that a repeated start is no other one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Input<'a> {
    submission_id: &'a SubmissionId,
    round: &'a Round,
}

async fn submit(request: &Request, deps: &Deps) -> Result<Response, Refusal> {
    let undecodable = || Refusal::Malformed { field: None, message: "The body cannot be decoded.".to_owned() };
    let Body { user_id, submission_id, api_key } = Body::read(&request.body().ok_or_else(undecodable)?)?;
    deps.keys.check(&api_key).await?;
    let submission = record(&submission_id, deps).await?.submission;
    if user_id.is_some_and(|user| user != submission.user_id) {
        let message = "user_id is malformed: the submission is another user's. Leave it out or correct it.".to_owned();
        return Err(Refusal::Malformed { field: Some("user_id"), message });
    }
    let execution = start(&submission_id, &submission.round, deps).await?;
    Ok(Response::json(202, &json!({"submission_id": submission_id, "execution": execution})))
}

async fn record(id: &SubmissionId, deps: &Deps) -> Result<Record, Refusal> {
    match records::read(&deps.dynamodb, &deps.settings.submissions_table, id).await {
        Ok(Some(record)) => Ok(record),
        Ok(None) => Err(Refusal::UnknownSubmission { id: id.to_string() }),
        Err(error) => {
            let error = aws_sdk_dynamodb::error::DisplayErrorContext(&error);
            tracing::error!(submissionId = %id, %error, "the record cannot be read");
            Err(Refusal::Unavailable)
        }
    }
}

/// Starts the submission's execution, or finds it; gives its ARN.
async fn start(id: &SubmissionId, round: &Round, deps: &Deps) -> Result<String, Refusal> {
    let (machine, name) = (&deps.settings.state_machine, id.aws_safe());
    let input = serde_json::to_string(&Input { submission_id: id, round }).unwrap_or_default();
    match deps.sfn.start_execution().state_machine_arn(machine).name(name.as_str()).input(input).send().await {
        Ok(execution) => Ok(execution.execution_arn),
        Err(error) if error.as_service_error().is_some_and(StartExecutionError::is_execution_already_exists) => {
            Ok(format!("{}:{}", machine.replace(":stateMachine:", ":execution:"), name.as_str()))
        }
        Err(error) => {
            let error = aws_sdk_sfn::error::DisplayErrorContext(&error);
            tracing::error!(submissionId = %id, %error, "the execution cannot be started");
            Err(Refusal::Unavailable)
        }
    }
}
