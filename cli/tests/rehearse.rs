//! `marathon run`: what it refuses before anything starts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

/// The repository, where `marathon run` finds the template.
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_marathon")).arg("run").args(arguments).current_dir(folder).output().unwrap()
}

#[test]
fn wrong_usage_is_refused_before_anything_starts() {
    let work = tempfile::tempdir().unwrap();
    let path = |name: &str| work.path().join(name).display().to_string();
    let (zip, file) = (path("submission.zip"), path("file"));
    std::fs::write(&zip, "").unwrap();
    std::fs::write(&file, "").unwrap();
    let below_file = format!("{file}/results");
    for (arguments, says) in [
        (&["missing.zip"][..], "reading missing.zip: No such file"),
        (&[&zip, "--data", "missing"], "reading missing: No such file"),
        (&[&zip, "--data", &file], "Not a directory"),
        (&[&zip, "--keep", &file], "creating"),
        (&[&zip, "--keep", &below_file], "Not a directory"),
        (&[&zip, "--memory", "1"], "1 is not in 64..=1048576"),
        (&[&zip, "--wait-scale", "2"], "expected a number from 0 to 1"),
        (&[&zip, "--wait-scale", "NaN"], "expected a number from 0 to 1"),
        (&[&zip, "--parameter", "Nothing=1"], "there is no parameter Nothing"),
    ] {
        let output = run(Path::new(REPOSITORY), arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(says), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{arguments:?} started something");
    }
}

#[test]
fn outside_of_the_repository_the_command_says_where_to_run_it() {
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("submission.zip"), "").unwrap();
    let output = run(work.path(), &["submission.zip"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("run this command in the repository of the processor, after `make build-local`"),
        "{stderr}"
    );
}
