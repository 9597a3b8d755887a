//! `marathon score`: a generated challenge, results, plots and errors.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn score(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_marathon")).current_dir(folder).arg("score").args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn generated(seed: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let output = score(folder.path(), &["generate", "t", "--seed", seed, "--training", "300"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

fn read(folder: &TempDir, file: &str) -> Vec<u8> {
    std::fs::read(folder.path().join(file)).unwrap()
}

#[test]
fn the_same_seed_generates_the_same_challenge() {
    let [one, same, other] = ["7", "7", "8"].map(generated);
    for file in ["t/training.csv", "t/tournament.csv", "t/truth.csv", "t/manifest.csv", "t/submissions/honest-0001.csv"]
    {
        assert_eq!(read(&one, file), read(&same, file), "{file}");
    }
    assert_ne!(read(&one, "t/tournament.csv"), read(&other, "t/tournament.csv"));
}

#[test]
fn honest_submissions_are_original_and_copies_are_not() {
    let folder = generated("7");
    let run = |name: &str| {
        let file = format!("t/submissions/{name}.csv");
        let output = score(folder.path(), &["originality", "--json", "--previous", "t/manifest.csv", &file]);
        (output.status.code(), json(&output))
    };
    let (status, honest) = run("honest-0003");
    assert_eq!(
        (status, &honest["original"], &honest["compared"]),
        (Some(0), &Value::Bool(true), &2.into()),
        "{honest}"
    );
    for (copy, closeness) in [("near-duplicate-0001", ["equal", "similar"].as_slice()), ("duplicate-0001", &["equal"])]
    {
        let (status, result) = run(copy);
        assert_eq!((status, &result["original"]), (Some(3), &Value::Bool(false)), "{copy}: {result}");
        let offenders = result["offenders"].as_array().unwrap();
        let of = |name: &str| offenders.iter().find(|offender| offender["submission"].as_str().unwrap().contains(name));
        let offender = of("honest-0001").unwrap_or_else(|| panic!("{result}"));
        assert!(closeness.contains(&offender["closeness"].as_str().unwrap()), "{offender}");
    }
}

#[test]
fn regions_are_written_once_and_give_the_same_score_when_read_back() {
    let folder = generated("7");
    let run = |more: &[&str]| {
        let mut arguments =
            vec!["concordance", "--json", "--tournament", "t/tournament.csv", "--regions", "regions.csv"];
        arguments.extend_from_slice(more);
        arguments.push("t/submissions/honest-0001.csv");
        json(&score(folder.path(), &arguments))
    };
    let computed = run(&["--training", "t/training.csv", "--plot", "picture.svg"]);
    let regions = read(&folder, "regions.csv");
    assert_eq!(run(&[]), computed, "the regions that were read back give another score");
    assert_eq!(read(&folder, "regions.csv"), regions);
    let score = computed[0]["score"].as_f64().unwrap();
    let statistics: Vec<f64> =
        computed[0]["regions"].as_array().unwrap().iter().map(|region| region["statistic"].as_f64().unwrap()).collect();
    let count = f64::from(u32::try_from(statistics.len()).unwrap());
    assert_eq!(score.to_bits(), (statistics.iter().sum::<f64>() / count).to_bits());
    let picture = String::from_utf8(read(&folder, "picture.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("region 0: D = "), "no picture");
}

#[test]
fn a_file_that_cannot_be_scored_is_named() {
    let folder = generated("7");
    let predictions = String::from_utf8(read(&folder, "t/submissions/honest-0001.csv")).unwrap();
    let broken = predictions.replacen("0.", "7.", 1);
    std::fs::write(folder.path().join("broken.csv"), broken).unwrap();
    for (file, expected) in [("broken.csv", "line 2"), ("t/truth.csv", "probability"), ("missing.csv", "missing.csv")] {
        let output = score(folder.path(), &["concordance", "--tournament", "t/tournament.csv", file]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{file}: {error}");
        assert!(error.contains(expected), "{file}: {error}");
    }
    assert_eq!(score(folder.path(), &["originality"]).status.code(), Some(2));
}

#[test]
fn a_metric_is_computed_for_the_ids_of_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("truth.csv", "id,target\na,1\nb,0\n");
    write("right.csv", "id,probability\na,0.75\nb,0.25\nc,0.5\n");
    write("wrong.csv", "id,probability\na,0.25\nb,0.75\nc,0.5\n");
    write("partial.csv", "id,probability\na,0.25\n");
    let run = |arguments: &[&str]| score(folder.path(), &[&["metric", "--truth", "truth.csv"], arguments].concat());

    let output = run(&["--json", "right.csv", "wrong.csv"]);
    let scores = json(&output);
    let of = |at: usize, name: &str| {
        let metrics = scores[at]["metrics"].as_array().unwrap();
        metrics.iter().find(|metric| metric["name"] == name).unwrap()["score"].as_f64().unwrap()
    };
    assert_eq!((scores[0]["submission"].as_str(), scores[0]["rows"].as_u64()), (Some("right.csv"), Some(2)));
    assert!((of(0, "logloss") + 0.75f64.ln()).abs() < 1e-12 && (of(1, "logloss") + 0.25f64.ln()).abs() < 1e-12);
    assert_eq!((of(0, "auc"), of(1, "auc"), of(0, "accuracy")), (1.0, 0.0, 1.0), "{scores}");

    let output = run(&["--metric", "auc", "right.csv"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "right.csv: 2 rows\n  auc         1.000000\n");

    // A file that cannot be scored does not hide the others.
    let output = run(&["--metric", "auc", "partial.csv", "right.csv"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "right.csv: 2 rows\n  auc         1.000000\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("partial.csv"));

    for (arguments, status, expected) in [
        (&["partial.csv"][..], 1, "partial.csv has no prediction for 1 of the ids in truth.csv, such as b"),
        (&["truth.csv"], 1, "probability"),
        (&["--metric", "nothing", "right.csv"], 2, "logloss, auc"),
    ] {
        let output = run(arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}

#[test]
fn tournament_data_without_live_rows_is_pointed_out() {
    let folder = generated("7");
    let tournament = String::from_utf8(read(&folder, "t/tournament.csv")).unwrap().replace(",live,", ",test,");
    std::fs::write(folder.path().join("no-live.csv"), tournament).unwrap();
    let arguments = ["--tournament", "no-live.csv", "--training", "t/training.csv", "t/submissions/honest-0001.csv"];
    let output = score(folder.path(), &[&["concordance"], arguments.as_slice()].concat());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("no live rows"), "{error}");
}
