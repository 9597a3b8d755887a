//! Fetches a submission, verifies its archive, stages it in S3, and creates the ECR repository of its image.
//!
//! This crate promises:
//! - an archive is staged only after it was verified, with the checksum of the download, and only if the images that its build
//!   pulls are known and may be pulled;
//! - a build can be pinned to the verified archive by its S3 version;
//! - running it twice is harmless: the archive becomes a new version of the same object.
//!
//! It may not unpack or run anything of a submission.

mod error;
pub mod repository;
pub mod settings;
pub mod staging;

use archive::{Contents, Problem};
use aws_config::SdkConfig;
use dockerfile::{AccountId, BaseImages};
use domain::outcome::Archive;
use domain::{AwsSafeId, SubmissionId};
pub use error::FetchError;
use repository::{Repositories, Repository};
use serde::{Deserialize, Serialize};
use settings::Settings;
use staging::{Object, Staging};
use submission_api::{Client, Download, SignedIn};
use tempfile::NamedTempFile;
use time::OffsetDateTime;

/// The function's clients and settings.
#[derive(Debug)]
pub struct Deps {
    api: SignedIn,
    staging: Staging,
    repositories: Repositories,
    account: AccountId,
    max_archive_bytes: u64,
    limits: archive::Limits,
}

impl Deps {
    /// Sends nothing yet.
    #[must_use]
    pub fn new(settings: Settings, aws: &SdkConfig) -> Self {
        let secrets = aws_sdk_secretsmanager::Client::new(aws);
        Self {
            api: SignedIn::new(secrets, settings.secret_arn, settings.api),
            staging: Staging::new(aws_sdk_s3::Client::new(aws), settings.staging_bucket),
            repositories: Repositories::new(
                aws_sdk_ecr::Client::new(aws),
                settings.stack_name,
                settings.image_retention_days,
            ),
            account: settings.account,
            max_archive_bytes: settings.max_archive_bytes,
            limits: settings.limits,
        }
    }
}

/// The request of the state machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    pub submission_id: SubmissionId,
}

/// The function's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fetched {
    pub submission_id: SubmissionId,
    pub safe_id: AwsSafeId,
    /// A legacy number or a UUID.
    pub challenge_id: Option<String>,
    pub member_id: Option<String>,
    /// When it was submitted.
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub created: Option<OffsetDateTime>,
    pub archive: Archive,
    pub buildspec: Object,
    /// The folder of the archive that the image is built from.
    pub build_context: archive::BuildContext,
    /// The images that the build pulls.
    pub base_images: BaseImages,
    pub repository: Repository,
}

/// Fetches and stages a submission.
///
/// # Errors
///
/// A [`FetchError`], which has been logged.
pub async fn handle(request: Request, deps: &Deps) -> Result<Fetched, FetchError> {
    runtime::answer(Some(&request.submission_id), fetch(&request.submission_id, deps)).await
}

async fn fetch(id: &SubmissionId, deps: &Deps) -> Result<Fetched, FetchError> {
    let fetched = deps.api.call(async |api| {
        let submission = api.submission(id).await?;
        let verified = download_and_verify(api, id, deps).await?;
        Ok::<_, FetchError>((submission, verified))
    });
    let (submission, Verified { file, download, contents }) = fetched.await?;
    let base_images = dockerfile::base_images(&contents.dockerfile, Some(&deps.account))?;
    tracing::info!(
        entries = contents.entries,
        unpackedBytes = contents.unpacked_bytes,
        baseImages = base_images.iter().count(),
        "verified the archive"
    );

    let staged = async {
        let archive = deps.staging.archive(id, file.path(), &download).await?;
        Ok::<_, FetchError>((archive, deps.staging.buildspec().await?))
    };
    let repository = async { Ok(deps.repositories.ensure(id).await?) };
    let ((archive, buildspec), repository) = tokio::try_join!(staged, repository)?;
    tracing::info!(bytes = archive.bytes, sha256 = archive.sha256, "staged the archive");
    Ok(Fetched {
        safe_id: id.aws_safe(),
        submission_id: id.clone(),
        challenge_id: submission.challenge_id,
        member_id: submission.member_id,
        created: submission.created,
        archive,
        buildspec,
        build_context: contents.context,
        base_images,
        repository,
    })
}

/// A downloaded archive that passed every check.
struct Verified {
    file: NamedTempFile,
    download: Download,
    contents: Contents,
}

/// Downloads and verifies the archive. A truncated download without announced length is downloaded again: if the bytes
/// are the same, the archive is at fault and not the network.
async fn download_and_verify(api: &Client, id: &SubmissionId, deps: &Deps) -> Result<Verified, FetchError> {
    let (file, first, verified) = download(api, id, deps).await?;
    match verified {
        Ok(contents) => Ok(Verified { file, download: first, contents }),
        Err(Problem::Truncated) if !first.length_announced => {
            // So that the function's storage does not have to hold two files.
            drop(file);
            let (file, second, verified) = download(api, id, deps).await?;
            match verified {
                Ok(contents) => Ok(Verified { file, download: second, contents }),
                Err(Problem::Truncated) if second.sha256 != first.sha256 => Err(FetchError::EndsEarly),
                Err(problem) => Err(problem.into()),
            }
        }
        Err(problem) => Err(problem.into()),
    }
}

async fn download(
    api: &Client,
    id: &SubmissionId,
    deps: &Deps,
) -> Result<(NamedTempFile, Download, Result<Contents, Problem>), FetchError> {
    let file = NamedTempFile::new().map_err(FetchError::Storage)?;
    let download = api.download(id, deps.max_archive_bytes, &mut file.as_file()).await?;
    let (reader, limits) = (file.reopen().map_err(FetchError::Storage)?, deps.limits);
    let verified = tokio::task::spawn_blocking(move || archive::verify(reader, &limits)).await;
    Ok((file, download, verified.map_err(FetchError::Panicked)?))
}
