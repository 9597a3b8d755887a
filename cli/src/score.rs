//! `marathon score`: scoring files by the rules of the library `scoring`.

mod concordance;
mod earlier;
mod files;
mod generate;
mod metric;
mod originality;
mod plot;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::REJECTED;

/// Score files of predictions by the rules of the platform
///
/// Files are CSV, plain or gzip. Predictions have the columns id and probability.
#[derive(Debug, Subcommand)]
pub(crate) enum ScoreCommand {
    Concordance(concordance::Arguments),
    Originality(originality::Arguments),
    Metric(metric::Arguments),
    Generate(generate::Arguments),
}

impl ScoreCommand {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let Scored { verdict, text } = match self {
            Self::Concordance(arguments) => concordance::run(arguments)?,
            Self::Originality(arguments) => originality::run(arguments)?,
            Self::Metric(arguments) => metric::run(arguments)?,
            Self::Generate(arguments) => generate::run(arguments)?,
        };
        if !text.is_empty() {
            // A reader that has closed the pipe wants no more text.
            let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
        }
        Ok(match verdict {
            Verdict::Accepted => ExitCode::SUCCESS,
            Verdict::Rejected => ExitCode::from(REJECTED),
            Verdict::Unscored => ExitCode::FAILURE,
        })
    }
}

struct Scored {
    verdict: Verdict,
    /// For standard output.
    text: String,
}

/// What the exit status says about all submissions together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Every submission is concordant or original, if that was asked.
    Accepted,
    Rejected,
    /// At least one file could not be scored.
    Unscored,
}

impl Verdict {
    fn accepted_if(accepted: bool) -> Self {
        if accepted { Self::Accepted } else { Self::Rejected }
    }

    /// A file that could not be scored weighs more than one that was rejected.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unscored, _) | (_, Self::Unscored) => Self::Unscored,
            (Self::Rejected, _) | (_, Self::Rejected) => Self::Rejected,
            (Self::Accepted, Self::Accepted) => Self::Accepted,
        }
    }
}

/// Scores each file. An error is shown, and the other files are still scored.
fn each<T>(files: &[PathBuf], mut score: impl FnMut(&Path) -> Result<T>) -> (Vec<(&Path, T)>, Verdict) {
    let mut verdict = Verdict::Accepted;
    let mut scored = Vec::new();
    for file in files {
        match score(file) {
            Ok(result) => scored.push((file.as_path(), result)),
            Err(error) => {
                eprintln!("error: {error:#}");
                verdict = Verdict::Unscored;
            }
        }
    }
    (scored, verdict)
}
