//! Stands in for version 5 of the Submission API and its token endpoint.
//!
//! It serves the files of a folder: `{id}.zip` is a submission, `{id}.json` (optional) its metadata. Artifacts are stored in
//! the same folder, reviews in memory. Both behave like the API, oddities included.

use std::collections::HashSet;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use anyhow::Result;
use axum::body::Body;
use axum::extract::{Multipart, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use domain::SubmissionId;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::io::ReaderStream;

/// The client id that tokens are issued for.
pub const CLIENT_ID: &str = "local-client";
/// The client secret that tokens are issued for.
pub const CLIENT_SECRET: &str = "local-secret";
/// The audience that tokens are issued for.
pub const AUDIENCE: &str = "https://m2m.local/";
/// The type of the reviews that report outcomes.
pub const REPORT_TYPE_ID: &str = "0f7c8a52-6f0c-4c6b-9d6f-1f2a7f0f6a11";
/// The reviewer of these reviews.
pub const REPORT_REVIEWER_ID: &str = "6e2f7b1d-58d3-4e0a-a9bb-3d5a1c9f7e02";
/// Validity of a token in seconds.
const TOKEN_SECONDS: u32 = 3600;

/// The running stand-in.
#[derive(Debug)]
pub struct SubmissionApi {
    /// Its URL without a path.
    pub url: String,
    /// The folder that it serves.
    pub folder: PathBuf,
    state: Arc<Served>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Served {
    folder: PathBuf,
    tokens: Mutex<HashSet<String>>,
    reviews: Mutex<Vec<Value>>,
}

impl SubmissionApi {
    /// Serves a folder on a free loopback port.
    pub async fn start(folder: &FilePath) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let state = Arc::new(Served { folder: folder.to_owned(), tokens: Mutex::default(), reviews: Mutex::default() });
        let router = Router::new()
            .route("/oauth/token", post(token))
            .route("/v5/submissions", get(submissions))
            .route("/v5/submissions/{id}", get(metadata))
            .route("/v5/submissions/{id}/download", get(download))
            .route("/v5/submissions/{id}/artifacts", get(artifacts).post(upload))
            .route("/v5/reviews", get(reviews).post(create_review))
            .route("/v5/reviews/{id}", patch(update_review))
            .with_state(Arc::clone(&state));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the stand-in for the Submission API stopped: {error}");
            }
        });
        Ok(Self { url, folder: folder.to_owned(), state, server })
    }

    /// The reviews of a submission.
    #[must_use]
    pub fn reviews(&self, id: &SubmissionId) -> Vec<Value> {
        let reviews = self.state.reviews.lock();
        reviews.iter().filter(|review| review["submissionId"] == id.as_str()).cloned().collect()
    }

    /// The reviews of all submissions.
    #[must_use]
    pub fn all_reviews(&self) -> Vec<Value> {
        self.state.reviews.lock().clone()
    }

    /// The tokens that were handed out.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        self.state.tokens.lock().iter().cloned().collect()
    }

    /// The folder of a submission's artifacts.
    #[must_use]
    pub fn artifacts(&self, id: &SubmissionId) -> PathBuf {
        artifact_folder(&self.folder, id.as_str())
    }

    /// Adds a submission's archive to the folder.
    pub fn add(&self, id: &SubmissionId, archive: &FilePath) -> Result<()> {
        std::fs::copy(archive, self.folder.join(format!("{id}.zip")))?;
        Ok(())
    }
}

impl Drop for SubmissionApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Deserialize)]
struct TokenRequest {
    grant_type: String,
    client_id: String,
    client_secret: String,
    audience: String,
}

async fn token(State(served): State<Arc<Served>>, Json(request): Json<TokenRequest>) -> Response {
    let known = request.grant_type == "client_credentials"
        && request.client_id == CLIENT_ID
        && request.client_secret == CLIENT_SECRET
        && request.audience == AUDIENCE;
    if !known {
        let refusal = json!({"error": "access_denied", "error_description": "Unauthorized"});
        return (StatusCode::UNAUTHORIZED, Json(refusal)).into_response();
    }
    let token = uuid::Uuid::new_v4().to_string();
    served.tokens.lock().insert(token.clone());
    Json(json!({"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"})).into_response()
}

fn authorized(served: &Served, headers: &HeaderMap) -> bool {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .is_some_and(|token| served.tokens.lock().contains(token))
}

/// The answer to a request without a valid token.
fn require_token(served: &Served, headers: &HeaderMap) -> Result<(), Box<Response>> {
    if authorized(served, headers) {
        return Ok(());
    }
    let refusal = json!({"id": "local", "version": "v5", "result":
        {"success": false, "status": 403, "content": {"message": "No token provided."}}});
    Err(Box::new((StatusCode::FORBIDDEN, Json(refusal)).into_response()))
}

/// The archive of a submission, or the answer if there is none for this request.
fn archive(served: &Served, headers: &HeaderMap, id: &str) -> Result<PathBuf, Box<Response>> {
    require_token(served, headers)?;
    // Only a valid id becomes a path, so no request can name a file outside the folder.
    let archive = id.parse::<SubmissionId>().ok().map(|id| served.folder.join(format!("{id}.zip")));
    archive.filter(|archive| archive.is_file()).ok_or_else(|| {
        let refusal = json!({"message": format!("Submission with ID = {id} is not found")});
        Box::new((StatusCode::NOT_FOUND, Json(refusal)).into_response())
    })
}

async fn metadata(State(served): State<Arc<Served>>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    match archive(&served, &headers, &id) {
        Ok(archive) => match metadata_of(&archive, &id) {
            Ok(metadata) => Json(metadata).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        },
        Err(refusal) => *refusal,
    }
}

/// What was written beside an archive about its submission or, if nothing was, what all others have.
fn metadata_of(archive: &FilePath, id: &str) -> serde_json::Result<Value> {
    match std::fs::read(archive.with_extension("json")) {
        Ok(json) => serde_json::from_slice(&json),
        Err(_) => Ok(json!({
            "id": id, "type": "ContestSubmission", "fileType": "zip", "memberId": 8_547_899, "challengeId": 30_054_692,
            "submittedDate": "2019-01-21T00:00:00.000Z", "created": "2020-01-21T00:00:00.000Z", "review": [], "reviewSummation": [],
        })),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubmissionFilter {
    challenge_id: String,
    #[serde(default)]
    page: Option<u32>,
}

/// All submissions of a challenge on one page.
async fn submissions(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
    Query(filter): Query<SubmissionFilter>,
) -> Response {
    if let Err(refusal) = require_token(&served, &headers) {
        return *refusal;
    }
    let archives = std::fs::read_dir(&served.folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let found =
        archives.filter(|path| path.extension().is_some_and(|extension| extension == "zip")).filter_map(|path| {
            let id = path.file_stem()?.to_str()?;
            let metadata = metadata_of(&path, id).ok()?;
            let challenge = match &metadata["challengeId"] {
                Value::String(challenge) => challenge.clone(),
                other => other.to_string(),
            };
            (challenge == filter.challenge_id).then_some(metadata)
        });
    let found: Vec<Value> = if filter.page.unwrap_or(1) > 1 { Vec::new() } else { found.collect() };
    Json(found).into_response()
}

async fn download(State(served): State<Arc<Served>>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    let archive = match archive(&served, &headers, &id) {
        Ok(archive) => archive,
        Err(refusal) => return *refusal,
    };
    match tokio::fs::File::open(&archive).await {
        Ok(file) => {
            let bytes = file.metadata().await.map(|metadata| metadata.len()).unwrap_or_default();
            let headers = [
                (header::CONTENT_TYPE, "application/zip".to_owned()),
                (header::CONTENT_LENGTH, bytes.to_string()),
                (header::CONTENT_DISPOSITION, format!("attachment; filename=\"submission-{id}.zip\"")),
            ];
            (headers, Body::from_stream(ReaderStream::new(file))).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn artifact_folder(folder: &FilePath, id: &str) -> PathBuf {
    folder.join("artifacts").join(id)
}

async fn artifacts(State(served): State<Arc<Served>>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    if let Err(refusal) = archive(&served, &headers, &id) {
        return *refusal;
    }
    let entries = std::fs::read_dir(artifact_folder(&served.folder, &id)).into_iter().flatten().flatten();
    let names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    Json(json!({ "artifacts": names })).into_response()
}

async fn upload(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    mut form: Multipart,
) -> Response {
    if let Err(refusal) = archive(&served, &headers, &id) {
        return *refusal;
    }
    let bad = |message: &str| (StatusCode::BAD_REQUEST, Json(json!({ "message": message }))).into_response();
    let Ok(Some(field)) = form.next_field().await else { return bad("the form has no file") };
    let name = field.file_name().unwrap_or_default().to_owned();
    if field.name() != Some("artifact") || name.is_empty() || name.contains(['/', '.']) {
        return bad("the field must be called artifact, and the name must not have an extension");
    }
    let Ok(bytes) = field.bytes().await else { return bad("the file is incomplete") };
    if !bytes.starts_with(b"PK") {
        return bad("the type of the file cannot be determined");
    }
    let folder = artifact_folder(&served.folder, &id);
    let written =
        std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(folder.join(format!("{name}.zip")), bytes));
    match written {
        Ok(()) => Json(json!({ "artifact": format!("{name}.zip") })).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReviewFilter {
    submission_id: Option<String>,
    type_id: Option<String>,
}

async fn reviews(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
    Query(filter): Query<ReviewFilter>,
) -> Response {
    if let Err(refusal) = require_token(&served, &headers) {
        return *refusal;
    }
    let fits = |review: &Value, name: &str, wanted: &Option<String>| {
        wanted.as_ref().is_none_or(|wanted| review[name] == wanted.as_str())
    };
    let reviews = served.reviews.lock();
    let found: Vec<&Value> = reviews
        .iter()
        .filter(|review| fits(review, "submissionId", &filter.submission_id) && fits(review, "typeId", &filter.type_id))
        .collect();
    Json(json!(found)).into_response()
}

/// The keys of a review. The API refuses others.
const REVIEW_KEYS: [&str; 8] =
    ["typeId", "reviewerId", "submissionId", "scoreCardId", "score", "status", "metadata", "reviewedDate"];

fn refuse_unknown_keys(review: &Value) -> Result<(), Box<Response>> {
    match review.as_object().and_then(|review| review.keys().find(|key| !REVIEW_KEYS.contains(&key.as_str()))) {
        None => Ok(()),
        Some(key) => {
            let refusal = json!({"message": format!("\"{key}\" is not allowed")});
            Err(Box::new((StatusCode::BAD_REQUEST, Json(refusal)).into_response()))
        }
    }
}

async fn create_review(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
    Json(mut review): Json<Value>,
) -> Response {
    if let Err(refusal) = require_token(&served, &headers).and_then(|()| refuse_unknown_keys(&review)) {
        return *refusal;
    }
    review["id"] = json!(uuid::Uuid::new_v4().to_string());
    served.reviews.lock().push(review.clone());
    Json(review).into_response()
}

async fn update_review(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Json(changes): Json<Value>,
) -> Response {
    if let Err(refusal) = require_token(&served, &headers).and_then(|()| refuse_unknown_keys(&changes)) {
        return *refusal;
    }
    let mut reviews = served.reviews.lock();
    let Some(review) = reviews.iter_mut().find(|review| review["id"] == id.as_str()) else {
        let refusal = json!({"message": format!("Review with ID = {id} is not found")});
        return (StatusCode::NOT_FOUND, Json(refusal)).into_response();
    };
    for (key, value) in changes.as_object().into_iter().flatten() {
        match key.as_str() {
            "metadata" => merge(&mut review["metadata"], value),
            // The API ignores a score of 0.
            "score" if value.as_f64() == Some(0.0) => {}
            _ => review[key] = value.clone(),
        }
    }
    Json(review.clone()).into_response()
}

fn merge(into: &mut Value, from: &Value) {
    match (into.as_object_mut(), from.as_object()) {
        (Some(into), Some(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        _ => *into = from.clone(),
    }
}
