//! Judges files of predictions by hand, by the rules of the library `scoring`.

mod concordance;
mod files;
mod generate;
mod originality;
mod plot;
mod previous;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Judges a tournament's predictions: are they concordant, are they original?
///
/// Files are CSV, plain or gzip. Predictions have the columns id and probability.
#[derive(Debug, Parser)]
#[command(
    name = "score",
    version,
    after_help = "Exit status: 0 concordant or original, 3 not, 1 the files could not be judged, 2 wrong usage."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Do predictions behave alike on validation, test and live data, region by region?
    Concordance(concordance::Arguments),
    /// Is a submission a near copy of an earlier one?
    Originality(originality::Arguments),
    /// Make up a tournament, with honest, near-duplicate and duplicate submissions; the same for a seed on every machine.
    Generate(generate::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Command::Concordance(command) => concordance::run(command, arguments.json),
        Command::Originality(command) => originality::run(command, arguments.json),
        Command::Generate(command) => generate::run(command, arguments.json),
    };
    match done {
        Ok(Verdict { good, text }) => {
            // Whoever stops reading has read enough.
            let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
            if good { ExitCode::SUCCESS } else { ExitCode::from(3) }
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What a command has to say.
struct Verdict {
    /// Whether every submission is as it should be.
    good: bool,
    /// What goes to standard output.
    text: String,
}
