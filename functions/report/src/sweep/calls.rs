//! The calls of a sweep to Step Functions and ECR.

use std::time::Duration;

use aws_sdk_ecr::operation::describe_repositories::DescribeRepositoriesError;
use aws_sdk_ecr::types::Tag;
use aws_sdk_sfn::operation::describe_execution::{DescribeExecutionError, DescribeExecutionOutput};
use aws_sdk_sfn::operation::list_executions::{ListExecutionsError, ListExecutionsOutput};
use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus as Status};
use domain::execution::{Execution, ExecutionStatus};
use domain::outcome::Outcome;
use domain::{SubmissionId, tags};
use runtime::{CallFailed, failure};
use time::OffsetDateTime;
use tokio::time::timeout;

use super::executions::{Ended, Ending, Executions, Listed, Look};
use super::page::{ListError, Page};
use super::rate::{Clock, Process};
use super::repositories::{Examined, Facts, Repositories, Repository};
use super::running::Running;
use crate::error::ReportError;
use crate::{Deps, Known, known, report};

/// Items on a page, the most that Step Functions and ECR give.
const PAGE: i32 = 1000;
/// Limits for reading an execution, for reporting its outcome, and for examining a repository. With them, a sweep ends in the
/// time that its function has, even if a service hangs.
const READ: Duration = Duration::from_secs(20);
const REPORT: Duration = Duration::from_secs(30);
const EXAMINE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Calls<'a> {
    pub(crate) deps: &'a Deps,
    pub(crate) clock: Process,
    /// When the sweep began.
    pub(crate) now: OffsetDateTime,
}

impl Clock for Calls<'_> {
    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        self.clock.sleep(time).await;
    }
}

impl Executions for Calls<'_> {
    async fn list_ended(&self, ending: Ending, token: Option<&str>) -> Result<Page<Listed>, ListError> {
        let status = match ending {
            Ending::Failed => Status::Failed,
            Ending::TimedOut => Status::TimedOut,
            Ending::Aborted => Status::Aborted,
        };
        let page = self.list_executions(status, token).await?;
        let items = page.executions.iter().filter_map(|execution| {
            // Every execution that has ended has both dates.
            let (started_at, stopped_at) = (date(execution.start_date())?, date(execution.stop_date()?)?);
            Some(Listed { arn: execution.execution_arn().to_owned(), started_at, stopped_at })
        });
        Ok(Page { items: items.collect(), next: page.next_token })
    }

    async fn look(&self, ended: &Ended) -> Look {
        match timeout(READ, self.not_sent(ended)).await {
            Ok(Ok(None)) => Look::Reported,
            Ok(Ok(Some(outcome))) => self.report(outcome, ended).await,
            Ok(Err(error)) => {
                failure::log(&error);
                Look::Unknown
            }
            Err(_) => {
                tracing::error!(
                    execution = ended.arn,
                    "reading the execution took too long; a later sweep reads it again"
                );
                Look::Unknown
            }
        }
    }
}

impl Running for Calls<'_> {
    async fn list_running(&self, token: Option<&str>) -> Result<Page<OffsetDateTime>, ListError> {
        let page = self.list_executions(Status::Running, token).await?;
        let started = page.executions.iter().map(ExecutionListItem::start_date).filter_map(date);
        Ok(Page { items: started.collect(), next: page.next_token })
    }
}

impl Calls<'_> {
    async fn list_executions(&self, status: Status, token: Option<&str>) -> Result<ListExecutionsOutput, ListError> {
        let list = self.deps.sfn.list_executions().state_machine_arn(&self.deps.sweep.state_machine);
        let list = list.status_filter(status).max_results(PAGE).set_next_token(token.map(str::to_owned));
        list.send().await.map_err(|error| {
            if token.is_some() && error.as_service_error().is_some_and(ListExecutionsError::is_invalid_token) {
                return ListError::TokenExpired;
            }
            failure::log(&ReportError::Executions(CallFailed::new("Step Functions", "ListExecutions", &error)));
            ListError::Failed
        })
    }

    /// The outcome of an execution that has not been sent. `None` if it has been, or does not have to be.
    async fn not_sent(&self, ended: &Ended) -> Result<Option<Outcome>, ReportError> {
        let Some(described) = self.describe(&ended.arn).await? else { return Ok(None) };
        let Some(execution) = execution(&described) else {
            tracing::warn!(execution = ended.arn, status = %described.status(), "could not read the execution");
            return Ok(None);
        };
        // It was redriven after it was listed: it runs, or has reported itself, or has ended again in a later window.
        if matches!(
            execution.status,
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive | ExecutionStatus::Succeeded
        ) {
            return Ok(None);
        }
        match known(&execution, self.deps).await? {
            Known::NotSent(outcome) => Ok(Some(outcome)),
            Known::Sent(_) | Known::NoSubmission => Ok(None),
        }
    }

    async fn report(&self, outcome: Outcome, ended: &Ended) -> Look {
        let submission = outcome.submission_id.clone();
        tracing::warn!(submissionId = %submission, execution = ended.arn, "the execution ended without a reported outcome");
        match timeout(REPORT, report(outcome, self.deps)).await {
            Ok(Ok(_)) => Look::ReportedNow,
            Ok(Err(error)) => {
                failure::log(&error);
                Look::Unreported
            }
            Err(_) => {
                tracing::error!(submissionId = %submission, "reporting the outcome took too long; a later sweep reports it");
                Look::Unreported
            }
        }
    }

    /// `None` if Step Functions does not have the execution any more.
    async fn describe(&self, arn: &str) -> Result<Option<DescribeExecutionOutput>, ReportError> {
        match self.deps.sfn.describe_execution().execution_arn(arn).send().await {
            Ok(described) => Ok(Some(described)),
            Err(error) if error.as_service_error().is_some_and(DescribeExecutionError::is_execution_does_not_exist) => {
                Ok(None)
            }
            Err(error) => Err(ReportError::Executions(CallFailed::new("Step Functions", "DescribeExecution", &error))),
        }
    }
}

impl Repositories for Calls<'_> {
    async fn list_repositories(&self, token: Option<&str>) -> Result<Page<Repository>, ListError> {
        let list = self.deps.ecr.describe_repositories().max_results(PAGE).set_next_token(token.map(str::to_owned));
        let page = list.send().await.map_err(|error| {
            // ECR has no error of its own for a token, and the token is the only parameter that varies.
            if token.is_some()
                && error.as_service_error().is_some_and(DescribeRepositoriesError::is_invalid_parameter_exception)
            {
                return ListError::TokenExpired;
            }
            failure::log(&ReportError::Repositories(CallFailed::new("ECR", "DescribeRepositories", &error)));
            ListError::Failed
        })?;
        let items = page.repositories.unwrap_or_default().into_iter().filter_map(|repository| {
            let created_at = date(repository.created_at()?)?;
            Some(Repository { name: repository.repository_name?, arn: repository.repository_arn?, created_at })
        });
        Ok(Page { items: items.collect(), next: page.next_token })
    }

    async fn delete_if_unneeded(&self, repository: &Repository) -> Examined {
        match timeout(EXAMINE, self.try_delete(repository)).await {
            Ok(Ok(true)) => Examined::Deleted,
            Ok(Ok(false)) => Examined::Kept,
            Ok(Err(ReportError::Repository { source, .. })) if source.code == "RepositoryNotFoundException" => {
                Examined::Kept
            }
            Ok(Err(error)) => {
                failure::log(&error);
                Examined::Failed
            }
            Err(_) => {
                tracing::error!(repository = repository.name, "examining the repository took too long");
                Examined::Failed
            }
        }
    }
}

impl Calls<'_> {
    /// Returns whether it was deleted.
    async fn try_delete(&self, repository: &Repository) -> Result<bool, ReportError> {
        let failed = |source| ReportError::Repository { name: repository.name.clone(), source };
        let ecr = &self.deps.ecr;
        let tags = ecr.list_tags_for_resource().resource_arn(&repository.arn).send().await;
        let tags = tags.map_err(|error| failed(CallFailed::new("ECR", "ListTagsForResource", &error)))?;
        if !is_of_stack(tags.tags(), &repository.name, &self.deps.stack_name) {
            return Ok(false);
        }
        let mut pushed_at = None;
        let mut images = ecr.describe_images().repository_name(&repository.name).into_paginator().items().send();
        while let Some(image) = images.next().await {
            let image = image.map_err(|error| failed(CallFailed::new("ECR", "DescribeImages", &error)))?;
            pushed_at = pushed_at.max(image.image_pushed_at().and_then(date));
        }
        let machine = self.deps.sweep.state_machine.as_str();
        let arn = format!("{}:{}", machine.replacen(":stateMachine:", ":execution:", 1), repository.name);
        let execution = match self.describe(&arn).await? {
            None => None,
            Some(described) => {
                // A status that does not exist today keeps the repository.
                let Ok(status) = described.status().as_str().parse() else { return Ok(false) };
                Some((status, described.stop_date().and_then(date)))
            }
        };
        let facts = Facts { created_at: repository.created_at, pushed_at, execution };
        if !facts.is_unneeded(self.now, self.deps.sweep.image_retention) {
            return Ok(false);
        }
        let deleted = ecr.delete_repository().repository_name(&repository.name).force(true).send().await;
        deleted.map_err(|error| failed(CallFailed::new("ECR", "DeleteRepository", &error)))?;
        tracing::info!(
            repository = repository.name,
            "deleted the repository: its images are old and nothing needs them"
        );
        Ok(true)
    }
}

/// Whether `fetch` of this stack created the repository, for the submission that it is named after.
fn is_of_stack(tags: &[Tag], name: &str, stack: &str) -> bool {
    let value = |key| tags.iter().find(|tag| tag.key() == key).map(Tag::value);
    let submission = value(tags::SUBMISSION).and_then(|id| id.parse::<SubmissionId>().ok());
    value(tags::STACK) == Some(stack) && submission.is_some_and(|id| id.aws_safe().as_str() == name)
}

fn date(at: &DateTime) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(at.as_nanos()).ok()
}

/// `None` if Step Functions gives a status or date that does not exist today.
fn execution(described: &DescribeExecutionOutput) -> Option<Execution> {
    Some(Execution {
        execution_arn: described.execution_arn().to_owned(),
        status: described.status().as_str().parse().ok()?,
        input: described.input().unwrap_or_default().to_owned(),
        start_date: date(described.start_date())?,
        stop_date: described.stop_date().and_then(date),
        error: described.error().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_the_stacks_by_both_its_tags() {
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build().unwrap();
        let (name, id) = ("x2d6b4a2d6e4f6f73344b51614c33", "-kJ-nOos4KQaL3");
        let both = |stack: &str, id: &str| [tag(tags::SUBMISSION, id), tag(tags::STACK, stack), tag("more", "tags")];
        assert!(is_of_stack(&both("mm", id), name, "mm"));
        assert!(!is_of_stack(&both("mm-staging", id), name, "mm"));
        assert!(!is_of_stack(&both("mm", "_9VOLnz2XYZv8J"), name, "mm"));
        assert!(!is_of_stack(&both("mm", "not an id"), name, "mm"));
        assert!(!is_of_stack(&both("mm", id)[..1], name, "mm"));
        assert!(!is_of_stack(&both("mm", id)[1..], name, "mm"));
        assert!(!is_of_stack(&[], name, "mm"));
    }
}
