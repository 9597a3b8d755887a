//! Looks up builds in CodeBuild, and stops them.

use aws_sdk_codebuild::Client;
use aws_sdk_codebuild::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_codebuild::types;
use domain::AwsSafeId;
use runtime::CallFailed;
use time::OffsetDateTime;

use crate::job::{Build, Logs, Phase, PhaseContext};

/// Limit for the pages of builds that are read, newest first, with 100 builds each: more than run at once.
const PAGES: usize = 50;
/// No build is older and still runs: it may wait for 8 and run for 36 hours. See
/// <https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html>.
const OLDEST_SECONDS: i64 = 44 * 60 * 60;

/// The builds of one project.
#[derive(Debug, Clone)]
pub(crate) struct Builds {
    client: Client,
    project: String,
}

impl Builds {
    pub(crate) fn new(client: Client, project: String) -> Self {
        Self { client, project }
    }

    pub(crate) async fn describe(&self, id: &str) -> Result<Option<Build>, CallFailed> {
        Ok(self.get(vec![id.to_owned()]).await?.first().map(Build::from))
    }

    /// The submission's newest build.
    pub(crate) async fn newest(&self, submission: &AwsSafeId) -> Result<Option<Build>, CallFailed> {
        let mut pages = Pages::default();
        while let Some(builds) = self.next(&mut pages).await? {
            if let Some(build) = builds.iter().find(|build| is_of(build, submission)) {
                return Ok(Some(build.into()));
            }
        }
        Ok(None)
    }

    /// Stops the submission's running builds that started up to `before`. Returns their ids.
    pub(crate) async fn stop(&self, submission: &AwsSafeId, before: OffsetDateTime) -> Result<Vec<String>, CallFailed> {
        let mut stopped = Vec::new();
        let mut pages = Pages::default();
        while let Some(builds) = self.next(&mut pages).await? {
            for build in builds {
                let is_running = build.build_status() == Some(&types::StatusType::InProgress);
                if let Some(id) = build.id().filter(|_| is_running && started(&build) <= before.unix_timestamp())
                    && is_of(&build, submission)
                {
                    // Stopping a build that has just ended is not an error.
                    self.client.stop_build().id(id).send().await.map_err(|error| failed("StopBuild", &error))?;
                    stopped.push(id.to_owned());
                }
            }
        }
        Ok(stopped)
    }

    /// The next page of builds; absent once builds are so old that none of them runs.
    async fn next(&self, pages: &mut Pages) -> Result<Option<Vec<types::Build>>, CallFailed> {
        if pages.have_ended || pages.read == PAGES {
            return Ok(None);
        }
        let call = self
            .client
            .list_builds_for_project()
            .project_name(&self.project)
            .sort_order(types::SortOrderType::Descending)
            .set_next_token(pages.token.take());
        let page = call.send().await.map_err(|error| failed("ListBuildsForProject", &error))?;
        let builds = self.get(page.ids.unwrap_or_default()).await?;
        let oldest = OffsetDateTime::now_utc().unix_timestamp() - OLDEST_SECONDS;
        pages.read += 1;
        pages.have_ended = page.next_token.is_none() || builds.last().is_some_and(|build| started(build) < oldest);
        pages.token = page.next_token;
        Ok(Some(builds))
    }

    /// The builds with these ids, in the same order.
    async fn get(&self, ids: Vec<String>) -> Result<Vec<types::Build>, CallFailed> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let call = self.client.batch_get_builds().set_ids(Some(ids.clone()));
        let mut builds =
            call.send().await.map_err(|error| failed("BatchGetBuilds", &error))?.builds.unwrap_or_default();
        builds.sort_by_key(|build| ids.iter().position(|id| Some(id.as_str()) == build.id()));
        Ok(builds)
    }
}

/// How far the builds of the project have been read, newest first.
#[derive(Debug, Default)]
struct Pages {
    read: usize,
    token: Option<String>,
    have_ended: bool,
}

/// When a build started, in seconds since 1970.
fn started(build: &types::Build) -> i64 {
    build.start_time().map_or(i64::MIN, aws_sdk_codebuild::primitives::DateTime::secs)
}

fn failed<E>(operation: &'static str, error: &SdkError<E>) -> CallFailed
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    CallFailed::new("CodeBuild", operation, error)
}

/// Whether a build is of this submission: its image goes to the repository with the submission's name.
fn is_of(build: &types::Build, submission: &AwsSafeId) -> bool {
    let variables = build.environment().map(types::ProjectEnvironment::environment_variables).unwrap_or_default();
    variables.iter().any(|variable| {
        variable.name() == "IMAGE_REPOSITORY_URI" && variable.value().rsplit('/').next() == Some(submission.as_str())
    })
}

impl From<&types::Build> for Build {
    fn from(build: &types::Build) -> Self {
        let phase = |phase: &types::BuildPhase| Phase {
            phase_type: phase.phase_type().map(|name| name.as_str().to_owned()).unwrap_or_default(),
            phase_status: phase.phase_status().map(|status| status.as_str().to_owned()),
            contexts: phase
                .contexts()
                .iter()
                .map(|context| PhaseContext { message: context.message().map(str::to_owned) })
                .collect(),
        };
        Self {
            id: build.id().unwrap_or_default().to_owned(),
            arn: build.arn().unwrap_or_default().to_owned(),
            build_status: build.build_status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
            phases: build.phases().iter().map(phase).collect(),
            logs: build.logs().map(|logs| Logs {
                group_name: logs.group_name().map(str::to_owned),
                stream_name: logs.stream_name().map(str::to_owned),
            }),
            timeout_in_minutes: build.timeout_in_minutes().and_then(|minutes| minutes.try_into().ok()),
        }
    }
}
