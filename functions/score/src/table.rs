//! The two tables: the records of submissions, and the summaries of a challenge.

mod submissions;
mod summaries;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{ChallengeId, SubmissionId};
use records::{RecordError, ResultKind};
use runtime::CallFailed;
use scoring::DecodeError;

use crate::objects;
pub(crate) use submissions::Submissions;
pub(crate) use summaries::{Challenge, Index, PreparedSubmission, Summaries, WRITTEN_AT_ONCE};

const IF_NEW: &str = "attribute_not_exists(submissionId)";

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
        "The stored summary of the submission {submission} is not valid: {source}. Restore it from the table's backup, then redrive the execution."
    )]
    Summary { submission: String, source: ItemError },
    #[error(
        "The table {table} has an index of the challenge {challenge} that is not valid: {source}. Restore the item \"{index}\" from the table's backup, then redrive the execution.",
        index = summaries::INDEX
    )]
    Index { table: String, challenge: ChallengeId, source: ItemError },
    #[error(
        "The table {table} has no index of the challenge {challenge}, although there are segments with summaries. Restore the item \"{index}\" from the table's backup, then redrive the execution.",
        index = summaries::INDEX
    )]
    IndexMissing { table: String, challenge: ChallengeId },
    #[error(
        "The summary of the submission {submission} counts on grid {version}, which the index of the challenge {challenge} in the table {table} does not have. Restore the item \"{index}\" from the table's backup, then redrive the execution.",
        index = summaries::INDEX
    )]
    GridMissing { table: String, challenge: ChallengeId, submission: String, version: u16 },
    #[error(
        "{location}, a segment with summaries, was not found. Restore its latest version, then redrive the execution."
    )]
    SegmentMissing { location: String },
    #[error(
        "{location}, a segment with summaries, is not valid: {source}. Restore its first version, then redrive the execution."
    )]
    Segment { location: String, source: ItemError },
    #[error(transparent)]
    Objects(#[from] objects::Error),
}

/// Why a stored summary is not valid. The texts are fragments.
#[derive(Debug, thiserror::Error)]
pub enum ItemError {
    #[error("an attribute is missing or has another type")]
    Attribute,
    #[error("its key is not the id of a submission")]
    Id,
    #[error("it does not name the participant")]
    User,
    #[error(transparent)]
    Encoding(#[from] DecodeError),
}

impl Error {
    pub(crate) fn result_missing(id: &SubmissionId, result: ResultKind) -> Self {
        Self::ResultMissing { id: id.clone(), attribute: result.attribute() }
    }
}

/// Whether a conditional put was done.
fn is_put<T>(table: &str, result: Result<T, SdkError<PutItemError>>) -> Result<bool, Error> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
            Ok(false)
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
