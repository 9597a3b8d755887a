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
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use scoring::encoding::{sorted_from_bytes, sorted_to_bytes};
use scoring::kmeans::{KMeans, Rows};
use scoring::originality::{Plan, Provenance, Rules, Values};
use scoring::{Grid, Grids, Limits, Pool, Regions, Roster, Sorted, Summary, concordance, ks};

fn main() {
    // Cargo adds --bench.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        // `cargo test --benches` passes no arguments: measure nothing.
        [] => {}
        ["pool", folder, count] => pool(Path::new(folder), count.parse().unwrap()),
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

fn sample(path: &Path) -> Sorted {
    Sorted::new(doubles(path)).unwrap()
}

/// Pools the first submissions, as a challenge with so many participants does.
fn pool(folder: &Path, count: usize) {
    let mut pool = Pool::default();
    for submission in 0..count {
        pool.add(&sample(&folder.join("raw").join(submission.to_string())));
    }
    std::fs::write(folder.join("grid"), Grid::of_pool(1, &pool).to_bytes()).unwrap();
}

fn grids(folder: &Path) -> Grids {
    Grids::from_bytes([std::fs::read(folder.join("grid")).unwrap().as_slice()]).unwrap()
}

/// The submission that is scored, created after all others.
fn subject(folder: &Path) -> Plan {
    let sorted = sample(&folder.join("subject"));
    let provenance = provenance("subject".to_owned(), "subject".to_owned(), i128::MAX);
    Plan::new(Rules::default(), provenance, Values::Sorted(sorted), grids(folder)).unwrap()
}

fn provenance(submission: String, user: String, created: i128) -> Provenance {
    Provenance { submission, user, challenge: "2bd6c2c7-9a5a-4c9f-b0a4-3f1c0a9d1b52".to_owned(), created }
}

/// An id as long as those of a platform. Their order is not that of creation.
fn id_of(submission: usize) -> String {
    let mixed = (submission as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{mixed:016x}-2a7f-463f-{submission:014}")
}

fn number_of(id: &str) -> usize {
    id[27..].parse().unwrap()
}

/// Stores submissions as scoring stores them: one record for each, with id, participant, creation and summary, and a file of
/// sorted values. Values are left out where scoring the subject does not read them.
fn store(folder: &Path, from: usize, to: usize) {
    std::fs::create_dir_all(folder.join("sorted")).unwrap();
    let records = File::options().create(true).append(true).open(folder.join("records")).unwrap();
    let mut records = BufWriter::new(records);
    let (plan, grids) = (subject(folder), grids(folder));
    for submission in from..to {
        let sorted = sample(&folder.join("raw").join(submission.to_string()));
        let summary = Summary::of(&sorted, grids.newest());
        let id = id_of(submission);
        if plan.needs_values(&summary) {
            std::fs::write(values_of(folder, &id), sorted_to_bytes(&sorted)).unwrap();
        }
        let mut packed = summary.as_bytes().to_vec();
        packed.extend((submission as i128).to_le_bytes());
        packed.extend(format!("{:08}", submission + 10_000_000).bytes());
        records.write_all(&[u8::try_from(id.len()).unwrap(), u8::try_from(packed.len()).unwrap()]).unwrap();
        records.write_all(id.as_bytes()).unwrap();
        records.write_all(&packed).unwrap();
    }
    records.flush().unwrap();
}

/// Reads one record. Returns the bytes after it.
fn parse(bytes: &[u8]) -> (Provenance, Summary, &[u8]) {
    let (lengths, rest) = bytes.split_first_chunk::<2>().unwrap();
    let (id, rest) = rest.split_at(lengths[0].into());
    let (packed, rest) = rest.split_at(lengths[1].into());
    let (summary, packed) = Summary::read(packed).unwrap();
    let (created, user) = packed.split_first_chunk().unwrap();
    let text = |bytes: &[u8]| str::from_utf8(bytes).unwrap().to_owned();
    (provenance(text(id), text(user), i128::from_le_bytes(*created)), summary, rest)
}

/// Scores one submission against `count` earlier ones, from reading the store to the result.
fn originality(folder: &Path, count: usize) {
    let empty = subject(folder);
    let (mut scans, mut comparing, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    let mut answer = None;
    let mut bytes = Vec::new();
    // Short runs are repeated more often, since other work of the machine disturbs them more.
    for _ in 0..(100_000 / count).clamp(9, 101) {
        let clock = Instant::now();
        let stored = std::fs::read(folder.join("records")).unwrap();
        let mut plan = empty.clone();
        let mut earlier = Vec::with_capacity(count);
        let mut rest = stored.as_slice();
        for _ in 0..count {
            let (other, summary, after) = parse(rest);
            plan.add(&other, Some(&summary));
            earlier.push((other, summary));
            rest = after;
        }
        let needed: Vec<&str> = plan.needed().collect();
        let scanned = clock.elapsed().as_secs_f64();
        let mut comparisons = Vec::with_capacity(needed.len());
        for id in &needed {
            bytes.clear();
            File::open(values_of(folder, id)).unwrap().read_to_end(&mut bytes).unwrap();
            let sorted = sorted_from_bytes(&bytes).unwrap();
            let (other, summary) = &earlier[number_of(id)];
            comparisons.push(plan.compare(other, Some(summary), Values::Sorted(sorted)).unwrap());
        }
        let result = plan.finish(comparisons).unwrap();
        let total = clock.elapsed().as_secs_f64();
        scans.push(scanned / count as f64);
        comparing.push((total - scanned) / needed.len().max(1) as f64);
        seconds.push(total);
        answer = Some((result, needed.len()));
    }
    let (result, needed) = answer.unwrap();
    assert_eq!(result.compared, count);
    let offenders: Vec<String> = result
        .offenders
        .iter()
        .map(|offender| format!("[{}, {:?}]", number_of(&offender.submission), offender.statistic))
        .collect();
    println!(
        r#"{{"seconds": {seconds:?}, "scan": {scans:?}, "pair": {comparing:?}, "megabytes": {}, "scanned": {count}, "needed": {needed}, "offenders": [{}]}}"#,
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
