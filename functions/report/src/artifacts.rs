//! The artifacts of an outcome: one for the participant, whom the API checks, and one for the operators, which it hides from
//! participants by its name.

use std::io::{Cursor, Write};

use domain::outcome::Outcome;
use serde_json::{Value, json};
use submission_api::Artifact;
use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;

use crate::review::{InternalOutcome, ParticipantsOutcome};
use crate::shown::Shown;

/// Packs both artifacts. Their names contain the time of the outcome: sending the same outcome again finds them, and the
/// outcome of a redrive adds its own.
pub(crate) fn of_outcome(outcome: &Outcome, shown: &Shown, region: &str) -> Result<[Artifact; 2], ZipError> {
    let at: String = outcome.finished_at.chars().filter(char::is_ascii_alphanumeric).collect();
    let of_failure = outcome.failure.iter().map(|failure| &failure.log_tail);
    let of_training = outcome.training.iter().map(|training| &training.log_tail);
    let log = of_failure.chain(of_training).find(|log| !log.is_empty()).map(|log| log.join("\n"));
    let participants = json!(ParticipantsOutcome::new(outcome, shown));
    let internal = json!(InternalOutcome::new(outcome, region));
    Ok([
        Artifact { name: format!("outcome-{at}"), zip: pack(&participants, &shown.log.join("\n"))? },
        Artifact { name: format!("outcome-{at}-internal"), zip: pack(&internal, &log.unwrap_or_default())? },
    ])
}

fn pack(outcome: &Value, log: &str) -> Result<Vec<u8>, ZipError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // With the default date, so that the same outcome is packed to the same bytes.
    let options = SimpleFileOptions::default().unix_permissions(0o644);
    zip.start_file("outcome.json", options)?;
    zip.write_all(format!("{outcome:#}\n").as_bytes())?;
    if !log.is_empty() {
        zip.start_file("log.txt", options)?;
        zip.write_all(format!("{log}\n").as_bytes())?;
    }
    Ok(zip.finish()?.into_inner())
}
