//! From a submission's id to a verified archive in S3 and a repository in ECR for its image.
//!
//! Running it twice is harmless: the archive becomes another version of the same object, and the repository is there
//! already.

pub mod archive;
pub mod repository;
pub mod settings;
pub mod staging;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::outcome::Archive;
use shared::submission_api::{Client, Download, SignedIn};
use shared::{AwsSafeId, Failure, FailureCode, SubmissionId};
use tempfile::NamedTempFile;
use time::OffsetDateTime;
use tracing::Instrument;

use archive::{Contents, Problem};
use repository::{Repositories, Repository};
use settings::Settings;
use staging::{Object, Staging};

/// What the function works with.
#[derive(Debug)]
pub struct Deps {
    api: SignedIn,
    staging: Staging,
    repositories: Repositories,
    max_archive_bytes: u64,
    limits: archive::Limits,
}

impl Deps {
    /// Clients of everything the function talks to. Nothing is sent yet.
    #[must_use]
    pub fn new(
        settings: Settings,
        secrets: aws_sdk_secretsmanager::Client,
        s3: aws_sdk_s3::Client,
        ecr: aws_sdk_ecr::Client,
    ) -> Self {
        Self {
            api: SignedIn::new(secrets, settings.secret_arn, settings.api),
            staging: Staging::new(s3, settings.staging_bucket),
            repositories: Repositories::new(ecr, settings.stack, settings.image_retention_days),
            max_archive_bytes: settings.max_archive_bytes,
            limits: settings.limits,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    submission_id: SubmissionId,
}

/// The function's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fetched {
    /// The submission's id as the Submission API wrote it.
    pub submission_id: SubmissionId,
    /// The form of it that names everything in AWS.
    pub safe_id: AwsSafeId,
    /// The challenge's id: a legacy number or a UUID.
    pub challenge_id: Option<String>,
    /// The participant's id.
    pub member_id: Option<String>,
    /// When it was handed in.
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub created: Option<OffsetDateTime>,
    /// The staged archive.
    pub archive: Archive,
    /// The staged build specification.
    pub buildspec: Object,
    /// The folder of the archive that the image is built from.
    pub build_context: archive::BuildContext,
    /// Where the image goes.
    pub repository: Repository,
}

/// Fetches the submission that an event `{"submissionId": "…"}` names.
///
/// # Errors
///
/// A [`Failure`] with the code that the state machine decides by; it has been logged.
pub async fn handle(event: Value, deps: &Deps) -> Result<Fetched, Failure> {
    let Event { submission_id } = serde_json::from_value(event).map_err(|error| {
        let failure =
            Failure::new(FailureCode::Internal, "The event has to be {\"submissionId\": \"…\"}.").caused_by(error);
        failure.log();
        failure
    })?;
    let span = tracing::info_span!("fetch", submissionId = %submission_id);
    let work = async {
        fetch(submission_id, deps).await.inspect_err(Failure::log).inspect(|fetched| {
            tracing::info!(bytes = fetched.archive.bytes, sha256 = fetched.archive.sha256, "the archive is staged");
        })
    };
    work.instrument(span).await
}

async fn fetch(id: SubmissionId, deps: &Deps) -> Result<Fetched, Failure> {
    let (submission, file, download, contents) = {
        let api = deps.api.client().await?;
        let fetched = async {
            let submission = api.submission(&id).await?;
            let (file, download, contents) = download_and_verify(&api, &id, deps).await?;
            Ok::<_, Failure>((submission, file, download, contents))
        };
        match fetched.await {
            Err(failure) if failure.code == FailureCode::SubmissionApiDenied => {
                // The credentials may have been replaced: the next attempt reads them again.
                deps.api.forget().await;
                return Err(failure);
            }
            fetched => fetched?,
        }
    };
    tracing::info!(entries = contents.entries, unpacked_bytes = contents.unpacked_bytes, "the archive is verified");

    let safe_id = id.aws_safe();
    let staged = async {
        let archive = deps.staging.archive(&id, file.path(), &download).await?;
        Ok::<_, Failure>((archive, deps.staging.buildspec(&safe_id).await?))
    };
    let repository = async { Ok(deps.repositories.ensure(&id).await?) };
    let ((archive, buildspec), repository) = tokio::try_join!(staged, repository)?;
    Ok(Fetched {
        safe_id,
        submission_id: id,
        challenge_id: submission.challenge_id,
        member_id: submission.member_id,
        created: submission.created,
        archive,
        buildspec,
        build_context: contents.context,
        repository,
    })
}

/// Downloads the archive and verifies it. A download of unannounced length that ends too soon is fetched again: if the
/// same comes once more, the archive is at fault, not the network.
async fn download_and_verify(
    api: &Client,
    id: &SubmissionId,
    deps: &Deps,
) -> Result<(NamedTempFile, Download, Contents), Failure> {
    let (file, download, verdict) = download_once(api, id, deps).await?;
    match verdict {
        Ok(contents) => Ok((file, download, contents)),
        Err(Problem::Truncated) if !download.length_announced => {
            // One file at a time: the function's storage need not hold two.
            drop(file);
            let (file, second, verdict) = download_once(api, id, deps).await?;
            match verdict {
                Ok(contents) => Ok((file, second, contents)),
                Err(Problem::Truncated) if second.sha256 != download.sha256 => Err(Failure::new(
                    FailureCode::SubmissionApiUnavailable,
                    "The Submission API ended the download too soon, twice and at different places. The step is tried again.",
                )),
                Err(problem) => Err(problem.into()),
            }
        }
        Err(problem) => Err(problem.into()),
    }
}

async fn download_once(
    api: &Client,
    id: &SubmissionId,
    deps: &Deps,
) -> Result<(NamedTempFile, Download, Result<Contents, Problem>), Failure> {
    let storage = |source| {
        Failure::new(FailureCode::Internal, "The function's ephemeral storage cannot be used.").caused_by(source)
    };
    let file = NamedTempFile::new().map_err(storage)?;
    let download = api.download(id, deps.max_archive_bytes, &mut file.as_file()).await?;
    let (reader, limits) = (file.reopen().map_err(storage)?, deps.limits);
    let verdict = tokio::task::spawn_blocking(move || archive::verify(reader, &limits)).await.map_err(|panic| {
        Failure::new(FailureCode::Internal, "Verifying the archive stopped unexpectedly.").caused_by(panic)
    })?;
    Ok((file, download, verdict))
}
