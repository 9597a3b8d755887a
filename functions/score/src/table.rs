//! The two tables: the records of submissions, and the summaries of a challenge.
//!
//! The summaries of a challenge share a partition, so that one strongly consistent query reads all of them. An index of
//! the table of submissions could not be read consistently.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use domain::{ChallengeId, OriginalityResult, SubmissionId};
use records::{FailureReason, Record, RecordError, ResultKind, ranking, to_attribute};
use runtime::CallFailed;
use scoring::originality::Provenance;
use scoring::{DecodeError, Summary};
use serde::Serialize;
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::failed_result::FailedResult;

/// A result is stored once; storing it also removes the reason why it was missing.
const SET_RESULT: &str = "SET #result = :result REMOVE #failure";
const SET_NOT_ORIGINAL: &str = "SET #result = :result REMOVE #failure, ranking, standing";
const SET_RANK: &str = "SET ranking = :ranking, standing = :standing";
/// Another execution may find meanwhile that the submission is not original.
const IF_RANKED: &str = "originality.original = :yes AND concordance.concordant = :yes AND attribute_exists(metric)";
const IF_NO_RESULT: &str = "attribute_exists(submissionId) AND attribute_not_exists(#result)";
/// The summaries of a challenge only grow and are read consistently. So of two results of originality, the one that
/// compared with more submissions read them later.
const IF_FEWER_COMPARED: &str =
    "attribute_exists(submissionId) AND (attribute_not_exists(#result) OR #result.compared < :compared)";
const IF_NEW: &str = "attribute_not_exists(submissionId)";

#[derive(Clone, Debug)]
pub(crate) struct Tables {
    client: Client,
    submissions: String,
    summaries: String,
}

/// Why a table could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "The submission {id} was not found in the table of submissions. Write its record to the table, then redrive the execution."
    )]
    RecordMissing { id: SubmissionId },
    #[error("{0} Correct the record, then redrive the execution.")]
    RecordInvalid(#[source] RecordError),
    #[error(
        "The table {table} could not be read. Check the function's permission to read it, then redrive the execution."
    )]
    Read { table: String, source: CallFailed },
    #[error(
        "The table {table} could not be written. Check the function's permission to write to it, then redrive the execution."
    )]
    Write { table: String, source: CallFailed },
    #[error(
        "The creation date of the submission {id} is out of range. Correct it in the Submission API, then ask the participant to submit again: a redrive uses the old date."
    )]
    Created { id: SubmissionId },
    /// Another execution stored the result, and the record was replaced before it could be read.
    #[error("The record of the submission {id} was replaced while {attribute} was scored. Redrive the execution.")]
    ResultMissing { id: SubmissionId, attribute: &'static str },
    #[error(
        "The table {table} has an item of the challenge {challenge} that is not valid. Restore the item from the table's backup, then redrive the execution."
    )]
    SummaryItem { table: String, challenge: ChallengeId },
    #[error(
        "The stored summary of the submission {submission} is not valid: {source}. Restore it from the table's backup, then redrive the execution."
    )]
    Summary { submission: String, source: DecodeError },
}

impl Error {
    pub(crate) fn result_missing(id: &SubmissionId, result: ResultKind) -> Self {
        Self::ResultMissing { id: id.clone(), attribute: result.attribute() }
    }
}

/// A submission that later ones are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PreparedSubmission {
    pub(crate) provenance: Provenance,
    /// The summary of its predictions, from [`Summary::to_bytes`].
    pub(crate) summary: Vec<u8>,
}

impl PreparedSubmission {
    pub(crate) fn summary(&self) -> Result<Summary, Error> {
        Summary::from_bytes(&self.summary)
            .map_err(|source| Error::Summary { submission: self.provenance.submission.clone(), source })
    }
}

impl Tables {
    pub(crate) fn new(client: Client, submissions: String, summaries: String) -> Self {
        Self { client, submissions, summaries }
    }

    pub(crate) async fn record(&self, id: &SubmissionId) -> Result<Record, Error> {
        match records::read(&self.client, &self.submissions, id).await {
            Ok(Some(record)) => Ok(record),
            Ok(None) => Err(Error::RecordMissing { id: id.clone() }),
            Err(RecordError::Call { table, source }) => Err(Error::Read { table, source }),
            Err(invalid @ RecordError::Invalid { .. }) => Err(Error::RecordInvalid(invalid)),
        }
    }

    /// Registers a submission unless it is registered.
    pub(crate) async fn register(
        &self,
        id: &SubmissionId,
        challenge: &ChallengeId,
        user: &str,
        created: OffsetDateTime,
    ) -> Result<(), Error> {
        let created = created.checked_to_offset(UtcOffset::UTC).and_then(|created| created.format(&Rfc3339).ok());
        let created = created.ok_or_else(|| Error::Created { id: id.clone() })?;
        let put = self
            .client
            .put_item()
            .table_name(&self.submissions)
            .item("submissionId", text(id.as_str()))
            .item("challengeId", text(challenge.as_str()))
            .item("userId", text(user))
            .item("created", text(&created))
            .condition_expression(IF_NEW);
        put_if_new(&self.submissions, put.send().await)
    }

    /// Adds a submission to the summaries of its challenge unless it is there.
    pub(crate) async fn add_summary(&self, prepared: &PreparedSubmission) -> Result<(), Error> {
        let Provenance { submission, user, challenge, created } = &prepared.provenance;
        let put = self
            .client
            .put_item()
            .table_name(&self.summaries)
            .item("challengeId", text(challenge))
            .item("submissionId", text(submission))
            .item("userId", text(user))
            .item("createdNanoseconds", AttributeValue::N(created.to_string()))
            .item("summary", AttributeValue::B(Blob::new(prepared.summary.clone())))
            .condition_expression(IF_NEW);
        put_if_new(&self.summaries, put.send().await)
    }

    /// All prepared submissions of a challenge, including every one whose [`add_summary`](Self::add_summary) returned
    /// before.
    pub(crate) async fn prepared(&self, challenge: &ChallengeId) -> Result<Vec<PreparedSubmission>, Error> {
        let mut items = self
            .client
            .query()
            .table_name(&self.summaries)
            .consistent_read(true)
            .key_condition_expression("challengeId = :challengeId")
            .expression_attribute_values(":challengeId", text(challenge.as_str()))
            .into_paginator()
            .items()
            .send();
        let mut all = Vec::new();
        while let Some(item) = items.next().await {
            let mut item = item.map_err(|error| {
                let source = CallFailed::new("DynamoDB", "Query", &error);
                Error::Read { table: self.summaries.clone(), source }
            })?;
            let mut take = |name: &str| match item.remove(name) {
                Some(AttributeValue::S(text) | AttributeValue::N(text)) => Some(text),
                _ => None,
            };
            let (submission, user) = (take("submissionId"), take("userId"));
            let created = take("createdNanoseconds").and_then(|number| number.parse().ok());
            match (submission, user, created, item.remove("summary")) {
                (Some(submission), Some(user), Some(created), Some(AttributeValue::B(summary))) => {
                    let provenance = Provenance { submission, user, challenge: challenge.to_string(), created };
                    all.push(PreparedSubmission { provenance, summary: summary.into_inner() });
                }
                _ => return Err(self.invalid_summary(challenge)),
            }
        }
        Ok(all)
    }

    pub(crate) fn invalid_summary(&self, challenge: &ChallengeId) -> Error {
        Error::SummaryItem { table: self.summaries.clone(), challenge: challenge.clone() }
    }

    /// Stores a result unless there is one. Returns the record as it is then, or `None` if it was not stored.
    pub(crate) async fn store_result(
        &self,
        id: &SubmissionId,
        kind: ResultKind,
        result: &impl Serialize,
    ) -> Result<Option<Record>, Error> {
        let update = self.update_result(id, kind, result);
        self.send(update.update_expression(SET_RESULT).condition_expression(IF_NO_RESULT)).await
    }

    /// Stores a result of originality unless there is one that compared with at least as many submissions. Returns the
    /// record as it is then, or `None` if it was not stored.
    pub(crate) async fn store_originality(
        &self,
        id: &SubmissionId,
        result: &OriginalityResult,
    ) -> Result<Option<Record>, Error> {
        let update = self
            .update_result(id, ResultKind::Originality, result)
            .update_expression(if result.original { SET_RESULT } else { SET_NOT_ORIGINAL })
            .condition_expression(IF_FEWER_COMPARED)
            .expression_attribute_values(":compared", AttributeValue::N(result.compared.to_string()));
        self.send(update).await
    }

    /// Ranks a submission if leaderboards rank it. Every step that stores a result calls this after it, so that the last
    /// one sees all results.
    pub(crate) async fn rank(&self, record: &Record) -> Result<(), Error> {
        let (Some(metric), true) = (&record.scores.metric, record.is_ranked()) else { return Ok(()) };
        let update = self
            .client
            .update_item()
            .table_name(&self.submissions)
            .key("submissionId", text(record.submission.submission_id.as_str()))
            .update_expression(SET_RANK)
            .condition_expression(IF_RANKED)
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .expression_attribute_values(":ranking", text(&ranking(&record.submission.challenge, metric.name)))
            .expression_attribute_values(":standing", to_attribute(json!(metric.standing)));
        self.send(update).await?;
        Ok(())
    }

    /// Stores why a result is missing, unless it is there.
    pub(crate) async fn store_failure(&self, id: &SubmissionId, failed: &FailedResult) -> Result<(), Error> {
        let reason = FailureReason { code: failed.code, message: failed.message.clone() };
        let update = self
            .update(id, failed.result)
            .update_expression("SET #failure = :failure")
            .condition_expression(IF_NO_RESULT)
            .expression_attribute_values(":failure", to_attribute(json!(reason)));
        self.send(update).await?;
        Ok(())
    }

    fn update_result(&self, id: &SubmissionId, kind: ResultKind, result: &impl Serialize) -> UpdateItemFluentBuilder {
        self.update(id, kind).expression_attribute_values(":result", to_attribute(json!(result)))
    }

    fn update(&self, id: &SubmissionId, kind: ResultKind) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.submissions)
            .key("submissionId", text(id.as_str()))
            .expression_attribute_names("#result", kind.attribute())
            .expression_attribute_names("#failure", kind.failure_attribute())
    }

    /// Sends a conditional update. Returns the record as it is then, or `None` if the condition did not hold.
    async fn send(&self, update: UpdateItemFluentBuilder) -> Result<Option<Record>, Error> {
        match update.return_values(ReturnValue::AllNew).send().await {
            Ok(updated) => {
                Ok(Some(Record::from_item(updated.attributes.unwrap_or_default()).map_err(Error::RecordInvalid)?))
            }
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(not_written(&self.submissions, "UpdateItem", &error)),
        }
    }
}

/// A conditional put that finds the item has succeeded.
fn put_if_new<T>(table: &str, result: Result<T, SdkError<PutItemError>>) -> Result<(), Error> {
    match result {
        Ok(_) => Ok(()),
        Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
            Ok(())
        }
        Err(error) => Err(not_written(table, "PutItem", &error)),
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn not_written<E>(table: &str, operation: &'static str, error: &SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    Error::Write { table: table.to_owned(), source: CallFailed::new("DynamoDB", operation, error) }
}
