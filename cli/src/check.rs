//! Verifying an archive as `fetch` does.

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use archive::{Contents, Limits};
use clap::Args;
use domain::Coded;
use serde::Serialize;

use crate::REJECTED;

/// Check a submission's archive as the processor does after downloading it
///
/// Reads the whole archive and says what the processor would say: whether the archive and its Dockerfile are accepted, where the
/// Dockerfile is, and which images its build pulls. Of the processor's own registry, only the processor knows the name. Nothing is unpacked to disk, built or sent. The default limits apply; the operator of a stack may have set others.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status:
  0  the archive is accepted
  1  the file cannot be read
  2  wrong usage
  3  the archive is rejected")]
pub(crate) struct Check {
    /// The submission: a zip archive, or a folder to be packed
    submission: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase", tag = "result")]
enum CheckResult {
    #[serde(rename_all = "camelCase")]
    Accepted {
        entries: usize,
        unpacked_bytes: u64,
        build_context: archive::BuildContext,
        base_images: dockerfile::BaseImages,
    },
    #[serde(rename_all = "camelCase")]
    Rejected { failure_code: domain::FailureCode, message: String },
}

impl Check {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let work = tempfile::tempdir()?;
        let path = local::pack::archive_of(&self.submission, work.path())?;
        let reading = || format!("reading {}", path.display());
        let file = File::open(&path).with_context(reading)?;
        let result = match archive::verify(file, &Limits::default()) {
            Ok(Contents { context, dockerfile, entries, unpacked_bytes }) => {
                match dockerfile::base_images(&dockerfile, None) {
                    Ok(base_images) => {
                        CheckResult::Accepted { entries, unpacked_bytes, build_context: context, base_images }
                    }
                    Err(problem) => rejected(&problem),
                }
            }
            Err(archive::Problem::Read { source }) => return Err(source).with_context(reading),
            Err(problem) => rejected(&problem),
        };
        if self.json {
            println!("{}", serde_json::to_string(&result)?);
        } else {
            match &result {
                CheckResult::Accepted { entries, unpacked_bytes, build_context, base_images } => {
                    let context = serde_json::to_value(build_context)?;
                    println!("accepted: {entries} entries, {unpacked_bytes} bytes unpacked, Dockerfile in {context}");
                    for image in base_images.iter() {
                        println!("the build pulls {image}");
                    }
                }
                CheckResult::Rejected { failure_code, message } => println!("rejected: {failure_code}\n{message}"),
            }
        }
        Ok(match result {
            CheckResult::Accepted { .. } => ExitCode::SUCCESS,
            CheckResult::Rejected { .. } => ExitCode::from(REJECTED),
        })
    }
}

fn rejected(problem: &impl Coded) -> CheckResult {
    CheckResult::Rejected { failure_code: problem.code(), message: problem.to_string() }
}
