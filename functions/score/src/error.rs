use std::io;

use domain::{ChallengeId, Coded, FailureCode};
use outputs::ArchiveError;
use runtime::Raised;
use scoring::concordance::ConcordanceError;
use scoring::kmeans::KMeansError;
use scoring::metrics::MetricError;
use scoring::originality::OriginalityError;
use scoring::{DecodeError, InvalidFile, NotAligned};
use tokio::task::JoinError;

use crate::challenge::ChallengeError;
use crate::{objects, table};

/// Why a request could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    #[error(
        "The settings of the challenge, the SSM parameter {parameter}, are not valid: {source}. Correct them, then redrive the execution."
    )]
    Settings { parameter: String, source: ChallengeError },
    #[error(
        "The settings of the challenge, the SSM parameter {parameter}, have no \"scoring\", so its submissions cannot be scored. Add \"scoring\", then redrive the execution."
    )]
    NotScored { parameter: String },
    #[error(
        "{location} was not found. Upload the file or correct the settings of the challenge, then redrive the execution."
    )]
    FileMissing { location: String },
    #[error("{location} is not valid: {source}. Correct the file, then redrive the execution.")]
    FileInvalid { location: String, source: InvalidFile },
    #[error(
        "{location} could not be read to its end. The step is retried. If all retries fail, redrive the execution."
    )]
    FileUnreadable { location: String, source: io::Error },
    #[error("The rows of {location} could not be clustered: {source}. Correct the file, then redrive the execution.")]
    Clustering { location: String, source: KMeansError },
    #[error(
        "The files under {location} are not valid: {source}. Delete them, then redrive the execution, which computes them again."
    )]
    DerivedFiles { location: String, source: InvalidFile },

    #[error(
        "The submission belongs to the challenge {registered}, not to {requested}. Correct challengeId in the submission's record, then redrive the execution."
    )]
    OtherChallenge { registered: ChallengeId, requested: ChallengeId },
    #[error(
        "The submission has no predictions, and its scoring has ended. Upload the predictions under a new submission id, write its record, then request scoring."
    )]
    PredictionsMissing,
    #[error("The predictions are not valid: {0}. Correct the file and make a new submission.")]
    PredictionsInvalid(String),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(
        "{model_uri} is not a model of this stack. Correct the parameter OutputS3Bucket, then redrive the execution."
    )]
    OtherModel { model_uri: String },

    #[error("The submission {submission} was not prepared before it was scored. Redrive the execution.")]
    NotPrepared { submission: String },
    #[error(
        "The stored values of the submission {submission} were not found. Restore its files under scored/ in the scoring bucket, then redrive the execution."
    )]
    ValuesMissing { submission: String },
    #[error(
        "The stored values of the submission {submission} are not valid: {source}. Restore its files under scored/ in the scoring bucket, then redrive the execution."
    )]
    ValuesInvalid { submission: String, source: DecodeError },
    #[error(
        "The stored values of the submission {submission} do not fit the tournament data: {source}. Restore the data that the submission was prepared with, then redrive the execution."
    )]
    ValuesMisaligned { submission: String, source: NotAligned },

    #[error(
        "Concordance could not be computed: {0}. Check the tournament data and its regions, then redrive the execution."
    )]
    Concordance(#[source] ConcordanceError),
    #[error(
        "Originality could not be computed: {0}. Restore the stored values and summaries from their backups, then redrive the execution."
    )]
    Originality(#[from] OriginalityError),
    #[error(
        "The metric could not be computed: {0}. If the truth is wrong, correct its file, then redrive the execution. If the predictions are wrong, ask the participant for a new submission."
    )]
    Metric(#[source] MetricError),

    #[error(transparent)]
    Objects(#[from] objects::Error),
    #[error(transparent)]
    Tables(#[from] table::Error),
    #[error("A temporary file could not be used. The step is retried. If all retries fail, redrive the execution.")]
    TemporaryFile(#[source] aws_sdk_s3::primitives::ByteStreamError),
    #[error("Scoring stopped unexpectedly. The step is retried. If all retries fail, redrive the execution.")]
    Panicked(#[from] JoinError),
    /// Decided in an earlier step; now it fails the execution.
    #[error(transparent)]
    Raised(#[from] Raised),
}

impl ScoreError {
    /// A file of the organisers that could not be read or used.
    pub(crate) fn file(location: String, error: InvalidFile) -> Self {
        match error {
            InvalidFile::Read(source) => Self::FileUnreadable { location, source },
            source => Self::FileInvalid { location, source },
        }
    }
}

impl Coded for ScoreError {
    fn code(&self) -> FailureCode {
        match self {
            Self::PredictionsMissing => FailureCode::PredictionsMissing,
            Self::PredictionsInvalid(_) => FailureCode::PredictionsInvalid,
            Self::Archive(error) => error.code(),
            Self::Tables(table::Error::RecordMissing { .. }) => FailureCode::SubmissionNotFound,
            Self::Raised(raised) => raised.code,
            Self::Settings { .. }
            | Self::NotScored { .. }
            | Self::FileMissing { .. }
            | Self::FileInvalid { .. }
            | Self::FileUnreadable { .. }
            | Self::Clustering { .. }
            | Self::DerivedFiles { .. }
            | Self::OtherChallenge { .. }
            | Self::OtherModel { .. }
            | Self::NotPrepared { .. }
            | Self::ValuesMissing { .. }
            | Self::ValuesInvalid { .. }
            | Self::ValuesMisaligned { .. }
            | Self::Concordance(_)
            | Self::Originality(_)
            | Self::Metric(_)
            | Self::Objects(_)
            | Self::Tables(_)
            | Self::TemporaryFile(_)
            | Self::Panicked(_) => FailureCode::ScoringFault,
        }
    }
}

#[cfg(test)]
mod tests {
    use runtime::CallFailed;

    use super::*;
    use crate::table::ItemError;

    fn call(service: &'static str, operation: &'static str) -> CallFailed {
        CallFailed { service, operation, code: "AccessDenied".to_owned(), message: "no".to_owned() }
    }

    #[test]
    fn every_error_says_what_happened_and_what_to_do() {
        let location = || "s3://scoring/datasets/r1/tournament.csv".to_owned();
        let parameter = || "/marathon-match/challenges/r1".to_owned();
        let submission = || "_9VOLnz2XYZv8J".to_owned();
        let id = || submission().parse().unwrap();
        let table = || "summaries".to_owned();
        let challenge = || "r1".parse().unwrap();
        let errors: Vec<ScoreError> = vec![
            ScoreError::Settings { parameter: parameter(), source: ChallengeError::MetricWithoutTruth },
            ScoreError::NotScored { parameter: parameter() },
            ScoreError::FileMissing { location: location() },
            ScoreError::file(location(), InvalidFile::NoRows),
            ScoreError::file(location(), InvalidFile::Read(io::Error::other("reset"))),
            ScoreError::Clustering { location: location(), source: KMeansError::TooFewRows { rows: 3, clusters: 5 } },
            ScoreError::DerivedFiles { location: location(), source: InvalidFile::Empty },
            ScoreError::OtherChallenge { registered: "r1".parse().unwrap(), requested: "r2".parse().unwrap() },
            ScoreError::PredictionsMissing,
            ScoreError::PredictionsInvalid(InvalidFile::NoRows.to_string()),
            ArchiveError::Missing.into(),
            ArchiveError::NotAFile.into(),
            ArchiveError::Twice.into(),
            ArchiveError::TooLarge(1000).into(),
            ArchiveError::TooMuch.into(),
            ArchiveError::Write(io::Error::other("full")).into(),
            ArchiveError::Read(io::Error::other("reset")).into(),
            ScoreError::OtherModel { model_uri: "s3://other/model.tar.gz".to_owned() },
            ScoreError::NotPrepared { submission: submission() },
            ScoreError::ValuesMissing { submission: submission() },
            ScoreError::ValuesInvalid { submission: submission(), source: DecodeError::Length },
            ScoreError::ValuesMisaligned {
                submission: submission(),
                source: NotAligned::Count { found: 2, expected: 3 },
            },
            ScoreError::Concordance(ConcordanceError::NoValidation),
            OriginalityError::SummaryMismatch { submission: submission() }.into(),
            ScoreError::Metric(MetricError::Constant),
            objects::Error::Read { location: location(), source: call("S3", "GetObject") }.into(),
            objects::Error::Write { location: location(), source: call("S3", "PutObject") }.into(),
            objects::Error::Conflict { location: location() }.into(),
            table::Error::RecordMissing { id: id() }.into(),
            table::Error::Created { id: id() }.into(),
            table::Error::ResultMissing { id: id(), attribute: "concordance" }.into(),
            table::Error::Read { table: "summaries".to_owned(), source: call("DynamoDB", "Query") }.into(),
            table::Error::Write { table: "submissions".to_owned(), source: call("DynamoDB", "UpdateItem") }.into(),
            table::Error::Summary { submission: submission(), source: DecodeError::Version { found: 2 }.into() }.into(),
            table::Error::Summary { submission: submission(), source: ItemError::Attribute }.into(),
            table::Error::Summary { submission: submission(), source: ItemError::User }.into(),
            table::Error::Summary { submission: submission(), source: ItemError::Id }.into(),
            table::Error::Index { table: table(), challenge: challenge(), source: DecodeError::Grid.into() }.into(),
            table::Error::IndexMissing { table: table(), challenge: challenge() }.into(),
            table::Error::GridMissing { table: table(), challenge: challenge(), submission: submission(), version: 2 }
                .into(),
            table::Error::SegmentMissing { location: location() }.into(),
            table::Error::Segment { location: location(), source: DecodeError::Magic.into() }.into(),
            Raised { code: FailureCode::PredictionsInvalid, message: "The predictions are not valid.".to_owned() }
                .into(),
        ];
        let sentences: Vec<String> = errors.iter().map(|error| format!("{}: {error}", error.code())).collect();
        insta::assert_snapshot!(sentences.join("\n"));
    }
}
