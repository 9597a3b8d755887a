//! A stand-in for version 5 of the Submission API and for the endpoint that issues its tokens.
//!
//! It serves what lies in a folder: `{id}.zip` is a submission, `{id}.json` (optional) is its metadata.

use std::collections::HashSet;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::SubmissionId;
use tokio::net::TcpListener;
use tokio_util::io::ReaderStream;

/// The client id that tokens are issued for.
pub const CLIENT_ID: &str = "local-client";
/// The client secret that tokens are issued for.
pub const CLIENT_SECRET: &str = "local-secret";
/// The audience that tokens are issued for.
pub const AUDIENCE: &str = "https://m2m.local/";
/// Seconds that a token is valid for.
const TOKEN_SECONDS: u32 = 3600;

/// The running stand-in.
#[derive(Debug)]
pub struct SubmissionApi {
    /// Its URL without a path.
    pub url: String,
    /// The folder that it serves.
    pub folder: PathBuf,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Served {
    folder: PathBuf,
    tokens: Mutex<HashSet<String>>,
}

impl SubmissionApi {
    /// Serves a folder on a free loopback port.
    pub async fn start(folder: &FilePath) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let state = Arc::new(Served { folder: folder.to_owned(), tokens: Mutex::default() });
        let router = Router::new()
            .route("/oauth/token", post(token))
            .route("/v5/submissions/{id}", get(metadata))
            .route("/v5/submissions/{id}/download", get(download))
            .with_state(state);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the Submission API's stand-in stopped: {error}");
            }
        });
        Ok(Self { url, folder: folder.to_owned(), server })
    }

    /// Puts a submission's archive among what is served.
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
    served.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(token.clone());
    Json(json!({"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"})).into_response()
}

fn authorized(served: &Served, headers: &HeaderMap) -> bool {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .is_some_and(|token| served.tokens.lock().unwrap_or_else(PoisonError::into_inner).contains(token))
}

/// The archive of a submission, or the answer to who may not have it.
fn archive(served: &Served, headers: &HeaderMap, id: &str) -> Result<PathBuf, Box<Response>> {
    if !authorized(served, headers) {
        let refusal = json!({"id": "local", "version": "v5", "result":
            {"success": false, "status": 403, "content": {"message": "No token provided."}}});
        return Err(Box::new((StatusCode::FORBIDDEN, Json(refusal)).into_response()));
    }
    // Only what is an id is looked for: nothing outside of the folder can be named.
    let archive = id.parse::<SubmissionId>().ok().map(|id| served.folder.join(format!("{id}.zip")));
    archive.filter(|archive| archive.is_file()).ok_or_else(|| {
        let refusal = json!({"message": format!("Submission with ID = {id} is not found")});
        Box::new((StatusCode::NOT_FOUND, Json(refusal)).into_response())
    })
}

async fn metadata(State(served): State<Arc<Served>>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    let archive = match archive(&served, &headers, &id) {
        Ok(archive) => archive,
        Err(refusal) => return *refusal,
    };
    let written = std::fs::read(archive.with_extension("json")).ok();
    match written.map(|json| serde_json::from_slice::<Value>(&json)) {
        Some(Ok(metadata)) => Json(metadata).into_response(),
        Some(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        None => Json(json!({
            "id": id, "type": "ContestSubmission", "fileType": "zip", "memberId": 8_547_899, "challengeId": 30_054_692,
            "submittedDate": "2020-01-21T00:00:00.000Z", "review": [], "reviewSummation": [],
        }))
        .into_response(),
    }
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
