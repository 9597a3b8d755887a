//! Gives a running build the archive and the repository that it was started with, and takes them back when it has ended.
//!
//! The role of all builds reaches only what has the running build's own ARN or session as its tag. This crate promises:
//! - an archive and a repository are tagged only for a running build of this stack that was started with them;
//! - a caller chooses nothing: one that names another's build gives it what it has anyway, and one that says that a running
//!   build has ended takes nothing from it;
//! - after a build has ended, its tags are on neither, unless CodeBuild, ECR or S3 fail for longer than its event is retried;
//! - other tags are kept.
//!
//! It may not read an archive or an image.

mod archives;
mod build_arn;
mod builds;
mod error;
mod holder;
mod repositories;
mod request;
pub mod settings;

use archives::Archives;
use aws_config::SdkConfig;
pub use build_arn::{BuildArn, NotABuild};
use builds::{Builds, StartedBuild};
pub use error::ClaimError;
use holder::Holder;
use repositories::Repositories;
pub use request::{Done, EndedBuild, Request};
use settings::Settings;
use tokio::{join, try_join};

/// The function's clients.
#[derive(Clone, Debug)]
pub struct Deps {
    builds: Builds,
    archives: Archives,
    repositories: Repositories,
    /// The id of the role of all builds.
    role: String,
}

impl Deps {
    /// Sends nothing yet.
    #[must_use]
    pub fn new(settings: Settings, aws: &SdkConfig) -> Self {
        Self {
            builds: Builds::new(aws_sdk_codebuild::Client::new(aws), settings.build_project),
            archives: Archives(aws_sdk_s3::Client::new(aws)),
            repositories: Repositories(aws_sdk_ecr::Client::new(aws)),
            role: settings.build_role_id,
        }
    }

    async fn release(&self, started: &StartedBuild, build: &BuildArn) -> Result<(), ClaimError> {
        let holder = Holder::new(build, &self.role);
        // Both are tried, also if one fails.
        let (archive, repository) = join!(
            self.archives.release(&started.archive, &holder),
            self.repositories.release(&started.repository, build, &holder)
        );
        archive.and(repository)?;
        tracing::info!(%build, "released the archive and the repository of a build");
        Ok(())
    }
}

/// Answers one request.
///
/// # Errors
///
/// A [`ClaimError`], which has been logged.
pub async fn handle(request: Request, deps: &Deps) -> Result<Done, ClaimError> {
    runtime::answer(None, answer(request, deps)).await
}

async fn answer(request: Request, deps: &Deps) -> Result<Done, ClaimError> {
    match request {
        Request::Claim { build } => claim(build, deps).await?,
        Request::BuildEnded { detail: EndedBuild { build } } => {
            let started = match deps.builds.read(&build).await {
                // It could claim nothing.
                Err(ClaimError::NotStartedHere { .. }) => return Ok(Done {}),
                started => started?,
            };
            if started.is_running {
                return Err(ClaimError::StillRuns { build });
            }
            deps.release(&started, &build).await?;
        }
    }
    Ok(Done {})
}

async fn claim(build: BuildArn, deps: &Deps) -> Result<(), ClaimError> {
    let started = deps.builds.read(&build).await?;
    if !started.is_running {
        return Err(ClaimError::HasEnded { build });
    }
    let holder = Holder::new(&build, &deps.role);
    try_join!(
        deps.archives.claim(&started.archive, &holder),
        deps.repositories.claim(&started.repository, &build, &holder)
    )?;
    // If it has ended meanwhile, the event that says so may have been handled before the tags were there.
    if !deps.builds.read(&build).await?.is_running {
        deps.release(&started, &build).await?;
        return Err(ClaimError::HasEnded { build });
    }
    tracing::info!(%build, repository = started.repository, key = started.archive.key, "claimed the archive and the repository of a build");
    Ok(())
}
