//! Reading a submission's predictions once, and storing what every result needs of them.

use domain::Logs;
use domain::outcome::Step;
use records::{PreparedPredictions, ResultKind};
use scoring::encoding::{aligned_from_bytes, aligned_to_bytes, sorted_to_bytes};
use scoring::originality::Provenance;
use scoring::{DecodeError, InvalidFile, Limits, Predictions, Roster, Sorted, Summary};

use crate::challenge::ChallengeSettings;
use crate::dataset::DatasetKeys;
use crate::deps::Deps;
use crate::error::ScoreError;
use crate::request::Job;
use crate::stored_values::{aligned_key, sorted_key};
use crate::table::{Error, PreparedSubmission};

/// Validates the predictions, stores their values, and adds the summary to those of the challenge, in this order: where
/// there is a summary, there are values.
///
/// The values that are stored first are the ones that count. Predictions that are replaced later change nothing.
pub(crate) async fn prepare(job: &Job, deps: &Deps) -> Result<PreparedPredictions, ScoreError> {
    let record = deps.submissions.record(&job.submission_id).await?;
    let submission = record.submission;
    if submission.challenge != job.challenge {
        let (registered, requested) = (submission.challenge, job.challenge.clone());
        return Err(ScoreError::OtherChallenge { registered, requested });
    }
    if let Some(prepared) = record.predictions {
        return Ok(prepared);
    }
    let ChallengeSettings { scoring, reporting, .. } = deps.settings(&job.challenge, &job.settings)?;
    let scoring = scoring.ok_or_else(|| deps.not_scored(&job.challenge))?;
    let quotes = !submission.from_training || reporting.logs_of(Some(Step::ScoreSubmission)) == Logs::Tail;
    let dataset = deps.datasets.load(&DatasetKeys::of(&job.challenge, &scoring)).await?;
    let key = submission.predictions_key();
    let version = deps.objects.version(&key).await?.ok_or(ScoreError::PredictionsMissing)?;
    let limits = Limits { max_bytes: deps.max_predictions_bytes, ..Limits::predictions() };
    let location = deps.objects.location(&key);
    let read = move |reader| read(reader, location, &dataset.roster, &limits, quotes);
    let predictions = deps.objects.parse(&key, &version, read).await??;

    let id = job.submission_id.as_str();
    let aligned = aligned_key(&job.challenge, id);
    let aligned = deps.objects.write_once(&aligned, aligned_to_bytes(predictions.values())).await?;
    let invalid = |source| ScoreError::ValuesInvalid { submission: id.to_owned(), source };
    let values = aligned_from_bytes(&aligned).map_err(invalid)?;
    let prepared = PreparedPredictions { rows: values.len() };
    let sorted = Sorted::new(values).map_err(|error| invalid(DecodeError::Values(error)))?;
    deps.objects.write_once(&sorted_key(&job.challenge, id), sorted_to_bytes(&sorted)).await?;
    let provenance = Provenance {
        submission: id.to_owned(),
        user: submission.user_id,
        challenge: job.challenge.to_string(),
        created: submission.created.unix_timestamp_nanos(),
    };
    let index = deps.summaries.index(&job.challenge).await?;
    let summary = Summary::of(&sorted, index.grids.newest());
    deps.summaries.add(&PreparedSubmission { provenance, summary }).await?;
    if deps.submissions.store_prepared(&job.submission_id, prepared, reporting.decimals).await?.is_some() {
        return Ok(prepared);
    }
    let stored = deps.submissions.record(&job.submission_id).await?.predictions;
    Ok(stored.ok_or_else(|| Error::result_missing(&job.submission_id, ResultKind::Predictions))?)
}

/// `quotes`: whether an error may quote the file.
fn read(
    reader: impl std::io::Read,
    location: String,
    roster: &Roster,
    limits: &Limits,
    quotes: bool,
) -> Result<Predictions, ScoreError> {
    Predictions::read(reader, roster, limits).map_err(|error| match error {
        InvalidFile::Read(source) => ScoreError::FileUnreadable { location, source },
        error if quotes => ScoreError::PredictionsInvalid(error.to_string()),
        error => ScoreError::PredictionsInvalid(error.without_quotes()),
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use domain::{Coded, FailureCode};

    use super::*;

    struct Broken;

    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the connection broke"))
        }
    }

    #[test]
    fn only_an_invalid_file_is_the_participants_fault() {
        let roster = Roster::read(&b"id,data_type\na,validation\nb,test\n"[..], &Limits::data()).unwrap();
        let location = || "s3://scoring/predictions/r1/x.csv".to_owned();
        let read = |text: &str, quotes| read(text.as_bytes(), location(), &roster, &Limits::predictions(), quotes);
        assert_eq!(read("id,probability\nb,1\na,0.5\n", true).unwrap().values(), [0.5, 1.0]);
        let error = read("id,probability\na,0.5\n", true).unwrap_err();
        assert_eq!(error.code(), FailureCode::PredictionsInvalid);
        assert!(error.to_string().contains("1 missing: b"), "{error}");
        let error = super::read(Broken, location(), &roster, &Limits::predictions(), true).unwrap_err();
        assert_eq!(error.code(), FailureCode::ScoringFault);
    }
}
