//! Reading a submission's predictions, once, and writing what every judgement needs of them.

use scoring::originality::Entry;
use scoring::stored::{aligned_from_bytes, aligned_to_bytes, sorted_to_bytes};
use scoring::{Invalid, Limits, Predictions, Roster, Sorted, Summary};
use serde_json::{Value, json};
use shared::records::Part;
use shared::{Failure, FailureCode, Round};

use crate::dataset::Places;
use crate::request::Job;
use crate::table::Prepared;
use crate::{Deps, fault};

/// Where a submission's values are, in ascending order of their ids.
pub(crate) fn aligned_key(round: &Round, submission: &str) -> String {
    format!("scored/{round}/{submission}/aligned")
}

/// Where a submission's values are, in ascending order of value.
pub(crate) fn sorted_key(round: &Round, submission: &str) -> String {
    format!("scored/{round}/{submission}/sorted")
}

/// Validates the predictions, stores their values, and adds the summary to the round's, in this order: whoever finds the
/// summary finds the values.
///
/// The values that were stored first are those that count. Predictions that are replaced later change nothing.
pub(crate) async fn prepare(job: &Job, deps: &Deps) -> Result<Value, Failure> {
    let record = deps.tables.record(&job.submission_id).await?;
    if record.submission.round != job.round {
        return Err(fault(format!("The submission is of round {}, not of {}.", record.submission.round, job.round)));
    }
    if let Some(prepared) = record.attributes.get(Part::Predictions.attribute()) {
        return Ok(prepared.clone());
    }
    let scoring = deps.scoring(&job.settings)?;
    let dataset = deps.datasets.load(&Places::of(&job.round, &scoring)).await?;
    let key = record.submission.predictions_key();
    if !key.starts_with("predictions/") {
        return Err(fault(
            "The record's predictionsKey has to begin with predictions/. Mend the record, then redrive.",
        ));
    }
    let version = deps.objects.version(&key).await?.ok_or_else(|| {
        Failure::new(FailureCode::PredictionsMissing, "There are no predictions: upload them and submit again.")
    })?;
    let limits = Limits { max_bytes: deps.max_predictions_bytes, ..Limits::predictions() };
    let read = move |reader| read(reader, &dataset.roster, &limits);
    let predictions = deps.objects.parse(&key, &version, read).await??;

    let id = job.submission_id.as_str();
    let aligned = deps.objects.write_once(&aligned_key(&job.round, id), aligned_to_bytes(predictions.values())).await?;
    let unusable = || fault(format!("The stored values of submission {id} cannot be used."));
    let values = aligned_from_bytes(&aligned).map_err(|error| unusable().caused_by(error))?;
    let rows = values.len();
    let sorted = Sorted::new(values).map_err(|error| unusable().caused_by(error))?;
    deps.objects.write_once(&sorted_key(&job.round, id), sorted_to_bytes(&sorted)).await?;
    let entry = Entry {
        submission: id.to_owned(),
        user: record.submission.user_id,
        round: job.round.to_string(),
        created: record.submission.created.unix_timestamp_nanos(),
    };
    deps.tables.add(&Prepared { entry, summary: Summary::of(&sorted).to_bytes() }).await?;
    deps.tables.judged(&job.submission_id, Part::Predictions, json!({"rows": rows})).await
}

fn read(reader: impl std::io::Read, roster: &Roster, limits: &Limits) -> Result<Predictions, Failure> {
    Predictions::read(reader, roster, limits).map_err(|error| match error {
        Invalid::Read(_) => fault("The predictions cannot be read.").caused_by(error),
        error => Failure::new(
            FailureCode::PredictionsInvalid,
            format!("The predictions do not fit: {error}. Correct the file and submit again."),
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    struct Broken;

    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the connection broke"))
        }
    }

    #[test]
    fn only_what_is_wrong_with_the_file_is_the_participants_fault() {
        let roster = Roster::read(&b"id,data_type\na,validation\nb,test\n"[..], &Limits::data()).unwrap();
        let read = |text: &str| read(text.as_bytes(), &roster, &Limits::predictions());
        assert_eq!(read("id,probability\nb,1\na,0.5\n").unwrap().values(), [0.5, 1.0]);
        let failure = read("id,probability\na,0.5\n").unwrap_err();
        assert_eq!(failure.code, FailureCode::PredictionsInvalid);
        assert!(failure.message.contains("1 missing: b"), "{}", failure.message);
        assert_eq!(super::read(Broken, &roster, &Limits::predictions()).unwrap_err().code, FailureCode::ScoringFault);
    }
}
