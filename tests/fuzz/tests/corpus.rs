//! Replays the saved corpus: inputs that fuzzing found, and seeds made from the samples and fixtures.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Limit for all saved inputs.
const MAX_BYTES: u64 = 1 << 20;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn inputs(target: &str) -> Vec<PathBuf> {
    let mut inputs: Vec<PathBuf> =
        fs::read_dir(corpus().join(target)).unwrap().map(|file| file.unwrap().path()).collect();
    inputs.sort();
    inputs
}

#[test]
fn every_property_holds_for_the_saved_corpus() {
    for (target, check) in fuzz::TARGETS {
        let inputs = inputs(target);
        assert!(!inputs.is_empty(), "{target} has no saved input");
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            let result = std::panic::catch_unwind(|| check(&bytes));
            assert!(result.is_ok(), "{} is a finding", input.display());
        }
    }
}

#[test]
fn the_saved_corpus_is_small_and_each_target_has_one() {
    let names: BTreeSet<String> =
        fs::read_dir(corpus()).unwrap().map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, fuzz::TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect());
    let bytes: u64 =
        names.iter().flat_map(|target| inputs(target)).map(|input| fs::metadata(input).unwrap().len()).sum();
    assert!(bytes <= MAX_BYTES, "the saved corpus has {bytes} bytes");
}
