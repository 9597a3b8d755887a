//! Deletes the repositories of submissions whose images nothing needs any more. An account may have 100,000 repositories in a
//! region, and a submission has one; see <https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html>.
//!
//! A pass goes through all repositories of the account. What a sweep does not reach, the next one continues.

use std::collections::VecDeque;
use std::time::Duration;

use domain::SubmissionId;
use domain::execution::ExecutionStatus;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::FAILED_CALLS;
use super::page::{ListError, Page, Place};
use super::rate::{Clock, Rate};

/// Time between two repositories that are examined, with up to four calls each. Beside them, `fetch` and CodeBuild use ECR.
const EXAMINE: Rate = Rate::new(Duration::from_millis(200), 1);
/// Time between two `DescribeRepositories` calls.
const LIST: Rate = Rate::new(Duration::from_millis(500), 1);
/// As many repositories are deleted in one sweep.
const DELETIONS: u32 = 500;
/// Retention is counted in days, so a pass begins a day after the last one did.
const BETWEEN_PASSES: Duration = Duration::from_hours(24);
/// An execution can be redriven for so long after its end; see
/// <https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html>.
const REDRIVABLE: Duration = Duration::from_hours(14 * 24);

/// A repository of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Repository {
    pub(crate) name: String,
    pub(crate) arn: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
}

/// What happened to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Examined {
    Deleted,
    Kept,
    /// A call failed. The next pass examines it again.
    Failed,
}

/// The calls of a pass.
pub(crate) trait Repositories: Clock {
    async fn list_repositories(&self, token: Option<&str>) -> Result<Page<Repository>, ListError>;
    /// Deletes the repository if it is one of the stack and nothing needs it.
    async fn delete_if_unneeded(&self, repository: &Repository) -> Examined;
}

/// A pass through the repositories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pass {
    #[serde(with = "time::serde::rfc3339")]
    began: OffsetDateTime,
    next: Place,
    /// Listed, old enough, and not examined yet.
    queue: VecDeque<Repository>,
}

/// What one sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) deleted: u32,
    pub(crate) failed_calls: u32,
}

impl Pass {
    pub(crate) fn begin(now: OffsetDateTime) -> Self {
        Self { began: now, next: Place::Start, queue: VecDeque::new() }
    }

    fn is_over(&self) -> bool {
        self.next == Place::End && self.queue.is_empty()
    }

    /// Continues the pass, or begins another one if it is time, until `limit`.
    pub(crate) async fn advance(
        &mut self,
        repositories: &impl Repositories,
        describe: &mut Rate,
        (now, retention): (OffsetDateTime, Duration),
        limit: Duration,
    ) -> Found {
        let mut found = Found::default();
        if self.is_over() && now >= self.began + BETWEEN_PASSES {
            *self = Self::begin(now);
        }
        let (mut list, mut examine) = (LIST, EXAMINE);
        while found.deleted < DELETIONS && found.failed_calls < FAILED_CALLS && !self.is_over() {
            let Some(repository) = self.queue.front() else {
                if !list.turn(repositories, limit).await {
                    break;
                }
                match repositories.list_repositories(self.next.token()).await {
                    Ok(page) => self.listed(page, now - retention),
                    Err(ListError::TokenExpired) => self.next = Place::Start,
                    Err(ListError::Failed) => {
                        found.failed_calls += 1;
                        break;
                    }
                }
                continue;
            };
            if !examine.turn(repositories, limit).await || !describe.turn(repositories, limit).await {
                break;
            }
            match repositories.delete_if_unneeded(repository).await {
                Examined::Deleted => found.deleted += 1,
                Examined::Kept => {}
                Examined::Failed => found.failed_calls += 1,
            }
            self.queue.pop_front();
        }
        found
    }

    fn listed(&mut self, page: Page<Repository>, before: OffsetDateTime) {
        self.next = Place::before(page.next);
        // What is not named after a submission is not the stack's, and needs no further call.
        let old = page.items.into_iter().filter(|repository| repository.created_at < before);
        self.queue.extend(old.filter(|repository| SubmissionId::named(&repository.name).is_some()));
    }
}

/// What decides about a repository of the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) created_at: OffsetDateTime,
    /// When its newest image was pushed, if it has one.
    pub(crate) pushed_at: Option<OffsetDateTime>,
    /// The submission's execution, with its end. `None` if Step Functions does not have it any more.
    pub(crate) execution: Option<(ExecutionStatus, Option<OffsetDateTime>)>,
}

impl Facts {
    /// Whether the images are older than `retention` and the execution neither runs nor can be redriven.
    pub(crate) fn is_unneeded(&self, now: OffsetDateTime, retention: Duration) -> bool {
        let needed = self.execution.is_some_and(|(status, stopped_at)| match status {
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive => true,
            ExecutionStatus::Succeeded => false,
            ExecutionStatus::Failed | ExecutionStatus::TimedOut | ExecutionStatus::Aborted => {
                stopped_at.is_none_or(|stopped_at| stopped_at >= now - REDRIVABLE)
            }
        });
        !needed && self.pushed_at.max(Some(self.created_at)) < Some(now - retention)
    }
}

#[cfg(test)]
mod tests;
