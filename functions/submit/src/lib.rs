//! The HTTP API of scoring, behind a function URL.
//!
//! | request | answer |
//! |---|---|
//! | `POST /` with `{"user_id"?, "submission_id", "api_key"}` | 202, the execution, the same for the same id; once it has ended 200, the record |
//! | `GET /submissions/{submissionId}` | 200, the record |
//! | `GET /challenges/{challengeId}/leaderboard?by=&metric=&limit=&next=` | 200, a page |
//!
//! Reading needs a key in the header `x-api-key`, unless reads are public. Only the key of an organiser starts scoring.
//!
//! This crate promises that a repeated request is harmless, that an error is JSON that says what to do, that keys are compared
//! in constant time and never logged, and that exact scores and offending submissions are shown to organisers only. It may not
//! write: it only starts executions.

pub mod body;
mod error;
pub mod http;
mod index;
mod keys;
pub mod page;
mod settings;
pub mod view;

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use body::Body;
use domain::{ChallengeId, Fault, Role, SubmissionId};
pub use error::{HttpError, Outage};
use http::{Request, Response};
use index::Index;
use keys::CachedKeys;
pub use keys::Keys;
use page::Page;
use records::{Record, ResultKind};
use runtime::CallFailed;
use serde::Serialize;
use serde_json::json;
pub use settings::Settings;
use time::OffsetDateTime;
use view::RecordView;

/// How far a record's date of creation may be ahead of this machine's clock.
const MAX_CLOCK_DIFFERENCE: Duration = Duration::from_mins(5);

/// What the function works with.
pub struct Deps {
    dynamodb: aws_sdk_dynamodb::Client,
    submissions_table: String,
    sfn: aws_sdk_sfn::Client,
    state_machine: String,
    keys: CachedKeys,
    public_reads: bool,
}

impl Deps {
    /// Sends nothing yet.
    #[must_use]
    pub fn new(settings: Settings, aws: &SdkConfig) -> Self {
        let secrets = aws_sdk_secretsmanager::Client::new(aws);
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(aws),
            submissions_table: settings.submissions_table.into(),
            sfn: aws_sdk_sfn::Client::new(aws),
            state_machine: settings.state_machine.into(),
            keys: CachedKeys::new(secrets, settings.secret_arn, settings.key_cache),
            public_reads: settings.public_reads,
        }
    }
}

/// Answers a request. Errors are answers too, and the platform's are logged.
pub async fn handle(request: Request, deps: &Deps) -> Response {
    // On the heap: the futures of AWS calls, nested as they are, exceed the compiler's limit on the depth of types.
    let response = Box::pin(route(&request, deps)).await.unwrap_or_else(|error| {
        if let HttpError::Unavailable(_) | HttpError::Misconfigured(_) = error {
            tracing::error!(path = request.raw_path, causes = error.causes(), "{error}");
        }
        error.into()
    });
    tracing::info!(method = request.method(), path = request.raw_path, status = response.status_code, "answered");
    response
}

async fn route(request: &Request, deps: &Deps) -> Result<Response, HttpError> {
    let path: Vec<&str> = request.raw_path.split('/').filter(|part| !part.is_empty()).collect();
    match path.as_slice() {
        [] => {
            check_method(request, "POST")?;
            submit(request, deps).await
        }
        ["submissions", id] => {
            check_method(request, "GET")?;
            let reader = reader(request, deps).await?;
            let id: SubmissionId = id.parse().map_err(|error| invalid_id("submission_id", &error))?;
            Ok(Response::json(200, &RecordView::new(record(&id, deps).await?, reader)))
        }
        ["challenges", id, "leaderboard"] => {
            check_method(request, "GET")?;
            let reader = reader(request, deps).await?;
            let challenge: ChallengeId = id.parse().map_err(|error| invalid_id("challenge_id", &error))?;
            let page = Page::read(&request.query_string_parameters)?;
            let index = Index { client: &deps.dynamodb, table: &deps.submissions_table, challenge, reader };
            Ok(Response::json(200, &index.page(page).await?))
        }
        _ => Err(HttpError::UnknownPath),
    }
}

fn check_method(request: &Request, allowed: &'static str) -> Result<(), HttpError> {
    if request.method() == allowed { Ok(()) } else { Err(HttpError::WrongMethod { allowed }) }
}

fn invalid_id(field: &'static str, error: &dyn std::error::Error) -> HttpError {
    HttpError::malformed(field, format!("{field} is not valid: {error}."))
}

/// Who reads: by the key if there is one, also where reads are public.
async fn reader(request: &Request, deps: &Deps) -> Result<Role, HttpError> {
    match request.headers.get("x-api-key") {
        Some(key) => deps.keys.role_of(key).await,
        None if deps.public_reads => Ok(Role::Reader),
        None => Err(HttpError::WrongKey),
    }
}

async fn submit(request: &Request, deps: &Deps) -> Result<Response, HttpError> {
    let body = request.body().ok_or_else(|| HttpError::Malformed {
        field: None,
        message: "The body is not valid base64. Send it again.".to_owned(),
    })?;
    let Body { user_id, submission_id, api_key } = Body::read(&body)?;
    if deps.keys.role_of(&api_key).await? != Role::Organiser {
        return Err(HttpError::NotAllowed);
    }
    let record = record(&submission_id, deps).await?;
    if user_id.is_some_and(|user| user != record.submission.user_id) {
        let message = "user_id is not the participant of this submission. Correct it or leave it out.";
        return Err(HttpError::malformed("user_id", message));
    }
    if record.submission.created > OffsetDateTime::now_utc() + MAX_CLOCK_DIFFERENCE {
        let message = format!(
            "The record of the submission {submission_id} cannot be used: created is in the future. Correct the record, then send the request again."
        );
        return Err(HttpError::Unscorable { field: "created", message });
    }
    let execution = start(&submission_id, &record.submission.challenge, deps).await?;
    let Some(ended) = execution.ended else {
        let accepted = Accepted { submission_id, execution: execution.arn };
        return Ok(Response::json(202, &accepted));
    };
    // The record may have been read before the execution ended.
    let record = self::record(&submission_id, deps).await?;
    let rejected =
        record.failures.get(&ResultKind::Predictions).filter(|reason| reason.code.fault() == Fault::Participant);
    if let Some(reason) = rejected {
        return Err(HttpError::Unscorable { field: "predictions", message: reason.message.clone() });
    }
    Ok(Response::json(
        200,
        &Ended { submission_id, execution: execution.arn, ended, record: RecordView::new(record, Role::Organiser) },
    ))
}

/// The answer while a submission is being scored.
#[derive(Serialize)]
struct Accepted {
    submission_id: SubmissionId,
    execution: String,
}

/// The answer once the execution has ended: nothing new was started.
#[derive(Serialize)]
struct Ended {
    submission_id: SubmissionId,
    execution: String,
    #[serde(with = "time::serde::rfc3339")]
    ended: OffsetDateTime,
    record: RecordView,
}

async fn record(id: &SubmissionId, deps: &Deps) -> Result<Record, HttpError> {
    let found = records::read(&deps.dynamodb, &deps.submissions_table, id).await?;
    found.ok_or_else(|| HttpError::UnknownSubmission { id: id.to_string() })
}

/// The execution of a submission.
struct Execution {
    arn: String,
    /// When it ended; `None` while it runs.
    ended: Option<OffsetDateTime>,
}

/// Starts the execution of a submission, or finds it if it was started before.
async fn start(id: &SubmissionId, challenge: &ChallengeId, deps: &Deps) -> Result<Execution, HttpError> {
    let (machine, name) = (&deps.state_machine, id.aws_safe());
    // The same bytes for the same submission, so that starting again is idempotent.
    let input = json!({"submissionId": id, "challengeId": challenge}).to_string();
    match deps.sfn.start_execution().state_machine_arn(machine).name(name.as_str()).input(input).send().await {
        Ok(execution) => Ok(Execution { arn: execution.execution_arn, ended: None }),
        Err(error) if error.as_service_error().is_some_and(StartExecutionError::is_execution_already_exists) => {
            let arn = format!("{}:{}", machine.replace(":stateMachine:", ":execution:"), name.as_str());
            let execution = deps.sfn.describe_execution().execution_arn(&arn).send().await.map_err(|error| {
                Outage::ExecutionStatus(CallFailed::new("Step Functions", "DescribeExecution", &error))
            })?;
            let ended = execution.stop_date.map(|at| OffsetDateTime::from_unix_timestamp(at.secs())).transpose();
            let ended = ended.map_err(|error| {
                Outage::ExecutionStatus(CallFailed {
                    service: "Step Functions",
                    operation: "DescribeExecution",
                    code: "InvalidAnswer".to_owned(),
                    message: error.to_string(),
                })
            })?;
            Ok(Execution { arn, ended })
        }
        Err(error) => Err(Outage::Execution(CallFailed::new("Step Functions", "StartExecution", &error)).into()),
    }
}
