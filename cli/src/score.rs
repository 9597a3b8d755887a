//! `marathon score`: scoring files by the rules of the library `scoring`.

mod concordance;
mod earlier;
mod files;
mod generate;
mod metric;
mod originality;
mod plot;

use std::io::Write;
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
        let Scored { accepted, text } = match self {
            Self::Concordance(arguments) => concordance::run(arguments)?,
            Self::Originality(arguments) => originality::run(arguments)?,
            Self::Metric(arguments) => metric::run(arguments)?,
            Self::Generate(arguments) => generate::run(arguments)?,
        };
        // A reader that has closed the pipe wants no more text.
        let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
        Ok(if accepted { ExitCode::SUCCESS } else { ExitCode::from(REJECTED) })
    }
}

struct Scored {
    /// Whether every submission is concordant or original, if that was asked.
    accepted: bool,
    /// For standard output.
    text: String,
}
