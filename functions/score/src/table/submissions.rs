//! The table of submissions: a record for each, with its results.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use domain::{ChallengeId, Decimals, OriginalityResult, SubmissionId};
use records::{
    DECIMALS, FROM_TRAINING, FailureReason, PreparedPredictions, Record, RecordError, ResultKind, ranking, to_attribute,
};
use serde::Serialize;
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::{Error, IF_NEW, is_put, not_written, text};
use crate::failed_result::FailedResult;

/// A result is stored once; storing it also removes the reason why it was missing.
const SET_RESULT: &str = "SET #result = :result REMOVE #failure";
const SET_PREPARED: &str = "SET #result = :result, #decimals = :decimals REMOVE #failure";
const SET_NOT_ORIGINAL: &str = "SET #result = :result REMOVE #failure, ranking, standing";
const SET_RANK: &str = "SET ranking = :ranking, standing = :standing";
/// Another execution may find meanwhile that the submission is not original.
const IF_RANKED: &str = "originality.original = :yes AND concordance.concordant = :yes AND attribute_exists(metric)";
const IF_NO_RESULT: &str = "attribute_exists(submissionId) AND attribute_not_exists(#result)";
/// Each result of originality compared with more submissions than the one that it replaced, so the number identifies it.
const IF_UNCHANGED: &str = "attribute_exists(submissionId) AND #result.compared = :compared";

#[derive(Clone, Debug)]
pub(crate) struct Submissions {
    client: Client,
    table: String,
}

impl Submissions {
    pub(crate) fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    pub(crate) async fn record(&self, id: &SubmissionId) -> Result<Record, Error> {
        match records::read(&self.client, &self.table, id).await {
            Ok(Some(record)) => Ok(record),
            Ok(None) => Err(Error::RecordMissing { id: id.clone() }),
            Err(RecordError::Call { table, source }) => Err(Error::Read { table, source }),
            Err(invalid @ RecordError::Invalid { .. }) => Err(Error::RecordInvalid(invalid)),
        }
    }

    /// Registers a submission whose predictions a training job wrote, unless it is registered.
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
            .table_name(&self.table)
            .item("submissionId", text(id.as_str()))
            .item("challengeId", text(challenge.as_str()))
            .item("userId", text(user))
            .item("created", text(&created))
            .item(FROM_TRAINING, AttributeValue::Bool(true))
            .condition_expression(IF_NEW);
        is_put(&self.table, put.send().await)?;
        Ok(())
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

    /// Stores that the predictions were prepared, and how many decimals of their scores readers see, unless that is stored.
    /// Returns the record as it is then, or `None` if it was not stored.
    pub(crate) async fn store_prepared(
        &self,
        id: &SubmissionId,
        prepared: PreparedPredictions,
        decimals: Decimals,
    ) -> Result<Option<Record>, Error> {
        let update = self
            .update_result(id, ResultKind::Predictions, &prepared)
            .expression_attribute_names("#decimals", DECIMALS)
            .expression_attribute_values(":decimals", to_attribute(json!(decimals)));
        self.send(update.update_expression(SET_PREPARED).condition_expression(IF_NO_RESULT)).await
    }

    /// Stores a result of originality if the stored one is still the one that was seen. Returns the record as it is then, or
    /// `None` if it was not stored.
    pub(crate) async fn replace_originality(
        &self,
        id: &SubmissionId,
        seen: Option<&OriginalityResult>,
        result: &OriginalityResult,
    ) -> Result<Option<Record>, Error> {
        let update = self.update_result(id, ResultKind::Originality, result).update_expression(if result.original {
            SET_RESULT
        } else {
            SET_NOT_ORIGINAL
        });
        let update = match seen {
            None => update.condition_expression(IF_NO_RESULT),
            Some(seen) => update
                .condition_expression(IF_UNCHANGED)
                .expression_attribute_values(":compared", AttributeValue::N(seen.compared.to_string())),
        };
        self.send(update).await
    }

    /// Ranks a submission if leaderboards rank it. Every step that stores a result calls this after it, so that the last
    /// one sees all results.
    pub(crate) async fn rank(&self, record: &Record) -> Result<(), Error> {
        let (Some(metric), true) = (&record.scores.metric, record.is_ranked()) else { return Ok(()) };
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
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
            .table_name(&self.table)
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
            Err(error) => Err(not_written(&self.table, "UpdateItem", &error)),
        }
    }
}
