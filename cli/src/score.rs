//! `marathon score`: scoring files by the rules of the library `scoring`.

mod concordance;
mod earlier;
mod files;
mod generate;
mod originality;
mod plot;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::REJECTED;

const EXIT_STATUS: &str = "\
Exit status:
  0  concordant, original or generated
  1  a file cannot be scored
  2  wrong usage
  3  not concordant or not original";

/// Score files of predictions by the rules of the platform
///
/// Files are CSV, plain or gzip. Predictions have the columns id and probability.
#[derive(Debug, Subcommand)]
#[command(after_help = EXIT_STATUS)]
pub(crate) enum ScoreCommand {
    Concordance(concordance::Arguments),
    Originality(originality::Arguments),
    Generate(generate::Arguments),
}

impl ScoreCommand {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let Scored { accepted, text } = match self {
            Self::Concordance(arguments) => concordance::run(arguments)?,
            Self::Originality(arguments) => originality::run(arguments)?,
            Self::Generate(arguments) => generate::run(arguments)?,
        };
        // A reader that has closed the pipe wants no more text.
        let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
        Ok(if accepted { ExitCode::SUCCESS } else { ExitCode::from(REJECTED) })
    }
}

struct Scored {
    /// Whether every submission is concordant or original.
    accepted: bool,
    /// For standard output.
    text: String,
}
