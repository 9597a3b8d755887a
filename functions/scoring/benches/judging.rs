//! Our side of `functions/scoring/bench/bench.py`, which makes the data, runs this on it and compares it with its peers.
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

use scoring::kmeans::{KMeans, Rows};
use scoring::originality::{self, Entry, Evidence, Rules, Subject};
use scoring::stored::{sorted_from_bytes, sorted_to_bytes};
use scoring::{FormatError, Limits, Regions, Roster, Sorted, Summary, concordance, ks};

fn main() {
    // Cargo adds --bench.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        // Without arguments, as `cargo test --benches` runs it, there is nothing to measure.
        [] => {}
        ["store", folder, from, to] => store(Path::new(folder), from.parse().unwrap(), to.parse().unwrap()),
        ["judge", folder, count] => judge(Path::new(folder), count.parse().unwrap()),
        ["pair", folder] => pair(Path::new(folder)),
        ["cluster", folder, rows, features, iterations] => {
            let [rows, features, iterations] = [rows, features, iterations].map(|number| number.parse().unwrap());
            cluster(Path::new(folder), rows, features, iterations);
        }
        ["concordance", folder] => judge_concordance(Path::new(folder)),
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

/// The peak of this process' resident memory in megabytes.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1000.0
}

fn values_of(folder: &Path, submission: &str) -> PathBuf {
    folder.join("sorted").join(submission)
}

/// Stores submissions as they are stored when they are scored: sorted values each, and one file of all summaries.
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

/// What is stored: summaries that were read at once, values that are read when they are asked for.
struct Stored<'a> {
    folder: &'a Path,
    summaries: Vec<Summary>,
    read: usize,
}

#[derive(Debug, thiserror::Error)]
enum NotStored {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Format(#[from] FormatError),
}

impl Stored<'_> {
    fn open(folder: &Path, count: usize) -> Stored<'_> {
        let mut file = BufReader::new(File::open(folder.join("summaries")).unwrap());
        let mut summaries = Vec::with_capacity(count);
        let mut bytes = Vec::new();
        for _ in 0..count {
            let mut length = [0; 4];
            file.read_exact(&mut length).unwrap();
            bytes.resize(u32::from_le_bytes(length) as usize, 0);
            file.read_exact(&mut bytes).unwrap();
            summaries.push(Summary::from_bytes(&bytes).unwrap());
        }
        Stored { folder, summaries, read: 0 }
    }
}

impl Evidence for Stored<'_> {
    type Error = NotStored;

    fn summary(&mut self, submission: &str) -> Result<Option<Summary>, NotStored> {
        Ok(Some(self.summaries[submission.parse::<usize>().unwrap()].clone()))
    }

    fn sorted(&mut self, submission: &str) -> Result<Sorted, NotStored> {
        self.read += 1;
        Ok(sorted_from_bytes(&std::fs::read(values_of(self.folder, submission))?)?)
    }

    fn aligned(&mut self, _: &str) -> Result<Vec<f64>, NotStored> {
        Ok(Vec::new())
    }
}

/// Judges one submission against `count` earlier ones, from reading the store to the answer.
fn judge(folder: &Path, count: usize) {
    let subject = Sorted::new(doubles(&folder.join("subject"))).unwrap();
    let entry = |submission: usize| Entry {
        submission: submission.to_string(),
        user: submission.to_string(),
        round: "1".to_owned(),
        created: submission as i128,
    };
    let (entries, judged): (Vec<Entry>, Entry) = ((0..count).map(entry).collect(), entry(count));
    let mut answer = None;
    let seconds = seconds(5, || {
        let mut stored = Stored::open(folder, count);
        let subject = Subject { entry: &judged, sorted: &subject, aligned: &[] };
        let judgement = originality::judge(&Rules::default(), subject, &entries, &mut stored).unwrap();
        answer = Some((judgement, stored.read));
    });
    let (judgement, read) = answer.unwrap();
    let offenders: Vec<String> = judgement
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
    let seconds = seconds(51, || statistic = ks::statistic_of(black_box(first.clone()), second.clone()).unwrap());
    println!(r#"{{"seconds": {seconds:?}, "statistic": {statistic:?}}}"#);
}

/// K-Means with one start and so many iterations.
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
fn judge_concordance(folder: &Path) {
    let open = |name: &str| File::open(folder.join(name)).unwrap();
    let roster = Roster::read(open("tournament.csv"), &Limits::data()).unwrap();
    let regions = Regions::read(open("regions.csv"), &roster, &Limits::predictions()).unwrap();
    let predictions = doubles(&folder.join("subject"));
    let mut score = 0.0;
    let seconds = seconds(51, || {
        score = concordance::judge(black_box(&predictions), &roster, &regions, concordance::THRESHOLD).unwrap().score;
    });
    println!(r#"{{"seconds": {seconds:?}, "score": {score:?}}}"#);
}
