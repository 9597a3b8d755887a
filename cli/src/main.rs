//! `marathon`: the program of the Marathon Match Processor for people.

mod check;
mod deployed;
mod keep;
mod rehearse;
mod replay;
mod score;
mod screen;
mod up;
mod verify;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use local::parameters::InvalidParameter;
use tokio::signal::unix::{SignalKind, signal};

/// Rehearses and scores submissions on this machine; verifies deployed stacks and replays their quarantined records.
#[derive(Debug, Parser)]
#[command(name = "marathon", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(rehearse::Run),
    Check(check::Check),
    Demo(rehearse::Demo),
    Up(up::Up),
    Replay(replay::Replay),
    Verify(verify::Verify),
    #[command(subcommand)]
    Score(score::ScoreCommand),
}

/// Exit status of wrong usage, as clap has it.
const WRONG_USAGE: u8 = 2;
/// Exit status of a submission, archive or score that is not accepted.
const REJECTED: u8 = 3;
/// Exit status after Ctrl-C, as shells have it: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// The context of errors that only another command line can avoid, such as a missing file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongUsage(String);

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(run) => run.run(interrupted()).await,
        Command::Check(check) => check.run(),
        Command::Demo(demo) => demo.run(interrupted()).await,
        Command::Up(up) => up.run(interrupted()).await,
        Command::Replay(replay) => replay.run().await,
        Command::Verify(verify) => verify.run(interrupted()).await,
        Command::Score(score) => score.run(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        let is_usage = error.is::<InvalidParameter>() || error.is::<WrongUsage>();
        if is_usage { ExitCode::from(WRONG_USAGE) } else { ExitCode::FAILURE }
    })
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted() -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    Ok(())
}
