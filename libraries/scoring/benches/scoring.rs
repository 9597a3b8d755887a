//! Our side of `bench/scoring/bench.py`, which generates the data, runs this program on it and compares the times with
//! those of its peers.
//!
//! Each command works on a folder and prints one line of JSON: `{"seconds": […], …}`.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark has a clock, uses every processor and fails by panicking"
)]

use std::fs::File;
use std::hint::black_box;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use scoring::encoding::{sorted_from_bytes, sorted_to_bytes};
use scoring::kmeans::{KMeans, Rows};
use scoring::originality::{Plan, Provenance, Rules, Values};
use scoring::{Limits, Regions, Roster, Sorted, Summary, concordance, ks};

fn main() {
    // Cargo adds --bench.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        // `cargo test --benches` passes no arguments: measure nothing.
        [] => {}
        ["store", folder, from, to] => store(Path::new(folder), from.parse().unwrap(), to.parse().unwrap()),
        ["originality", folder, count] => originality(Path::new(folder), count.parse().unwrap()),
        ["pair", folder] => pair(Path::new(folder)),
        ["sort", folder] => sort(Path::new(folder)),
        ["cluster", folder, rows, features, iterations] => {
            let [rows, features, iterations] = [rows, features, iterations].map(|number| number.parse().unwrap());
            cluster(Path::new(folder), rows, features, iterations);
        }
        ["concordance", folder] => score_concordance(Path::new(folder)),
        _ => panic!("unknown arguments {arguments:?}"),
    }
}

/// Little-endian doubles.
fn doubles(path: &Path) -> Vec<f64> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    bytes.chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap())).collect()
}

fn seconds(runs: usize, mut work: impl FnMut()) -> Vec<f64> {
    let time = |_| {
        let clock = Instant::now();
        work();
        clock.elapsed().as_secs_f64()
    };
    (0..runs).map(time).collect()
}

/// The peak of this process's resident memory in megabytes.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1000.0
}

fn values_of(folder: &Path, submission: &str) -> PathBuf {
    folder.join("sorted").join(submission)
}

/// Stores submissions as scoring stores them: a file of sorted values for each, and one file for all summaries.
fn store(folder: &Path, from: usize, to: usize) {
    std::fs::create_dir_all(folder.join("sorted")).unwrap();
    let mut summaries =
        BufWriter::new(File::options().create(true).append(true).open(folder.join("summaries")).unwrap());
    for submission in from..to {
        let sorted = Sorted::new(doubles(&folder.join("raw").join(submission.to_string()))).unwrap();
        std::fs::write(values_of(folder, &submission.to_string()), sorted_to_bytes(&sorted)).unwrap();
        let summary = Summary::of(&sorted).to_bytes();
        summaries.write_all(&u32::try_from(summary.len()).unwrap().to_le_bytes()).unwrap();
        summaries.write_all(&summary).unwrap();
    }
    summaries.flush().unwrap();
}

fn read_summaries(folder: &Path, count: usize) -> Vec<Summary> {
    let mut file = BufReader::new(File::open(folder.join("summaries")).unwrap());
    let mut bytes = Vec::new();
    let mut read = || {
        let mut length = [0; 4];
        file.read_exact(&mut length).unwrap();
        bytes.resize(u32::from_le_bytes(length) as usize, 0);
        file.read_exact(&mut bytes).unwrap();
        Summary::from_bytes(&bytes).unwrap()
    };
    (0..count).map(|_| read()).collect()
}

/// Scores one submission against `count` earlier ones, from reading the store to the result.
fn originality(folder: &Path, count: usize) {
    let subject = Sorted::new(doubles(&folder.join("subject"))).unwrap();
    let provenance = |submission: usize| Provenance {
        submission: submission.to_string(),
        user: submission.to_string(),
        challenge: "1".to_owned(),
        created: submission as i128,
    };
    let others: Vec<Provenance> = (0..count).map(provenance).collect();
    let mut answer = None;
    let seconds = seconds(5, || {
        let summaries = read_summaries(folder, count);
        let values = Values::Sorted(subject.clone());
        let mut plan = Plan::new(Rules::default(), provenance(count), values).unwrap();
        for (other, summary) in others.iter().zip(&summaries) {
            plan.add(other, Some(summary));
        }
        let mut comparisons = Vec::new();
        for submission in plan.needed() {
            let sorted = sorted_from_bytes(&std::fs::read(values_of(folder, submission)).unwrap()).unwrap();
            let index: usize = submission.parse().unwrap();
            let comparison = plan.compare(&others[index], Some(&summaries[index]), Values::Sorted(sorted));
            comparisons.push(comparison.unwrap());
        }
        let read = comparisons.len();
        answer = Some((plan.finish(comparisons).unwrap(), read));
    });
    let (result, read) = answer.unwrap();
    let offenders: Vec<String> = result
        .offenders
        .iter()
        .map(|offender| format!("[{}, {:?}]", offender.submission, offender.statistic))
        .collect();
    println!(
        r#"{{"seconds": {seconds:?}, "megabytes": {}, "values_read": {read}, "offenders": [{}]}}"#,
        peak(),
        offenders.join(", ")
    );
}

/// One exact statistic of two unsorted samples.
fn pair(folder: &Path) {
    let (first, second) = (doubles(&folder.join("subject")), doubles(&folder.join("raw/0")));
    let mut statistic = 0.0;
    let seconds = seconds(51, || {
        let [first, second] = [&first, &second].map(|values| Sorted::new(black_box(values.clone())).unwrap());
        statistic = ks::statistic(&first, &second);
    });
    println!(r#"{{"seconds": {seconds:?}, "statistic": {statistic:?}}}"#);
}

/// Sorting a sample by radix, as the library does, and by comparison, as the standard library would.
fn sort(folder: &Path) {
    let values = doubles(&folder.join("subject"));
    let (mut by_radix, mut by_comparison) = (None, None);
    let radix = seconds(101, || by_radix = Some(Sorted::new(black_box(values.clone())).unwrap()));
    let comparison = seconds(101, || {
        let mut values = black_box(values.clone());
        values.sort_unstable_by(f64::total_cmp);
        by_comparison = Some(Sorted::from_ascending(values).unwrap());
    });
    assert_eq!(by_radix, by_comparison);
    println!(r#"{{"seconds": {radix:?}, "comparison": {comparison:?}}}"#);
}

/// K-Means with one start and this many iterations.
fn cluster(folder: &Path, rows: usize, features: usize, iterations: usize) {
    let values = doubles(&folder.join("features"));
    assert_eq!(values.len(), rows * features);
    let mut data = Rows::new(features);
    for row in values.chunks_exact(features) {
        #[allow(clippy::cast_possible_truncation, reason = "the library clusters in single precision")]
        data.push(&row.iter().map(|value| *value as f32).collect::<Vec<f32>>());
    }
    let parameters = KMeans { max_iter: iterations, tolerance: 0.0, ..KMeans::default() };
    let threads = std::thread::available_parallelism().unwrap().get();
    let mut found = None;
    let seconds = seconds(3, || found = Some(parameters.fit(&data, threads).unwrap()));
    let found = found.unwrap();
    println!(
        r#"{{"seconds": {seconds:?}, "iterations": {}, "inertia": {:?}, "threads": {threads}}}"#,
        found.iterations, found.inertia
    );
}

/// Concordance of loaded predictions with loaded regions.
fn score_concordance(folder: &Path) {
    let open = |name: &str| File::open(folder.join(name)).unwrap();
    let roster = Roster::read(open("tournament.csv"), &Limits::data()).unwrap();
    let regions = Regions::read(open("regions.csv"), &roster, &Limits::predictions()).unwrap();
    let predictions = doubles(&folder.join("subject"));
    let mut score = 0.0;
    let seconds = seconds(51, || {
        score = concordance::score(black_box(&predictions), &roster, &regions, concordance::DEFAULT_THRESHOLD)
            .unwrap()
            .score;
    });
    println!(r#"{{"seconds": {seconds:?}, "score": {score:?}}}"#);
}
