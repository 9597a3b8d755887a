//! The files that go up with an outcome: one for the participant, one for the operators.

use std::io::{Cursor, Write};

use serde_json::Value;
use shared::outcome::Outcome;
use shared::submission_api::Artifact;
use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;

use crate::review;

/// Both files. Their names carry the time of the outcome, so that sending it again finds them, and a redriven
/// execution's outcome adds its own.
pub(crate) fn of_outcome(outcome: &Outcome, region: &str) -> Result<[Artifact; 2], ZipError> {
    let at: String = outcome.finished_at.chars().filter(char::is_ascii_alphanumeric).collect();
    let log = outcome.failure.as_ref().map(|failure| failure.log_tail.join("\n")).unwrap_or_default();
    let public = review::public(outcome, region);
    let internal = serde_json::to_value(outcome).unwrap_or_default();
    Ok([
        Artifact { name: format!("outcome-{at}"), zip: packed(&public, &log)? },
        Artifact { name: format!("outcome-{at}-internal"), zip: packed(&internal, &log)? },
    ])
}

fn packed(outcome: &Value, log: &str) -> Result<Vec<u8>, ZipError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // The default date: the same outcome is packed to the same bytes.
    let options = SimpleFileOptions::default().unix_permissions(0o644);
    zip.start_file("outcome.json", options)?;
    zip.write_all(format!("{outcome:#}\n").as_bytes())?;
    if !log.is_empty() {
        zip.start_file("log.txt", options)?;
        zip.write_all(format!("{log}\n").as_bytes())?;
    }
    Ok(zip.finish()?.into_inner())
}
