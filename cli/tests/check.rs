//! `marathon check`: the same answers as the function `fetch`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use testing::zips::{Entry, Zip, dockerfile};

fn check(arguments: &[&str], path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_marathon")).arg("check").args(arguments).arg(path).output().unwrap()
}

fn archive(entries: impl IntoIterator<Item = Entry>) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), Zip::of(entries).pack()).unwrap();
    file
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn an_archive_with_a_dockerfile_is_accepted() {
    let file = archive([dockerfile(), Entry::new("train.py", "print()")]);
    let output = check(&[], file.path());
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output).starts_with("accepted: 2 entries, "), "{}", text(&output));
    let output = check(&["--json"], file.path());
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&result["result"], &result["entries"], &result["buildContext"]),
        (&json!("accepted"), &json!(2), &json!("."))
    );
}

#[test]
fn a_hostile_archive_is_rejected_with_the_words_of_fetch() {
    let file = archive([dockerfile(), Entry::new("../x", "")]);
    let output = check(&[], file.path());
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output).starts_with("rejected: ArchiveUnsafe\n"), "{}", text(&output));
    let output = check(&["--json"], file.path());
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &result["failureCode"]), (Some(3), &json!("ArchiveUnsafe")));
    let problem = archive::verify(std::fs::File::open(file.path()).unwrap(), &archive::Limits::default()).unwrap_err();
    assert_eq!(result["message"], problem.to_string());
}

#[test]
fn the_images_of_the_build_are_shown() {
    let file = archive([Entry::new("Dockerfile", "FROM python:3.13 AS a\nFROM scratch\nCOPY --from=me/b / /\n")]);
    let output = check(&[], file.path());
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output).ends_with("\nthe build pulls python:3.13\nthe build pulls me/b\n"), "{}", text(&output));
    let result: Value = serde_json::from_slice(&check(&["--json"], file.path()).stdout).unwrap();
    assert_eq!(result["baseImages"], json!(["python:3.13", "me/b"]));
}

#[test]
fn a_refused_dockerfile_is_rejected_with_its_line() {
    let file = archive([Entry::new("Dockerfile", "FROM scratch\nCOPY --from=localhost:5000/x / /\n")]);
    let output = check(&[], file.path());
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output).starts_with("rejected: BuildFailed\nLine 2 of the Dockerfile "), "{}", text(&output));
}

#[test]
fn a_folder_is_packed_first() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("code")).unwrap();
    std::fs::write(folder.path().join("code/Dockerfile"), "FROM scratch\n").unwrap();
    let output = check(&["--json"], folder.path());
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &result["buildContext"]), (Some(0), &json!("code")));
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let output = check(&[], Path::new("missing.zip"));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("missing.zip"));
    assert_eq!(Command::new(env!("CARGO_BIN_EXE_marathon")).arg("check").output().unwrap().status.code(), Some(2));
}
