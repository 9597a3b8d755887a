use std::fmt::Write;

use proptest::prelude::*;
use scoring::concordance::{Concordance, ConcordanceError, DEFAULT_THRESHOLD, score};
use scoring::{Limits, Regions, Roster};

use super::definition;

const SPLITS: [&str; 3] = ["validation", "test", "live"];

/// Scores rows of (split, region, probability).
fn concordance(rows: &[(usize, u32, f64)], threshold: f64) -> Result<Concordance, ConcordanceError> {
    let (mut data, mut regions) = ("id,data_type\n".to_owned(), "id,region\n".to_owned());
    for (row, (split, region, _)) in rows.iter().enumerate() {
        writeln!(data, "n{row:05},{}", SPLITS[*split]).unwrap();
        writeln!(regions, "n{row:05},{region}").unwrap();
    }
    let roster = Roster::read(data.as_bytes(), &Limits::data()).unwrap();
    let regions = Regions::read(regions.as_bytes(), &roster, &Limits::predictions()).unwrap();
    let predictions: Vec<f64> = rows.iter().map(|(_, _, probability)| *probability).collect();
    score(&predictions, &roster, &regions, threshold)
}

proptest! {
    #[test]
    fn the_score_is_the_mean_of_the_largest_statistics_to_the_last_bit(
        mut rows in prop::collection::vec((0..3_usize, 0..7_u32, (0..50_u32).prop_map(|step| f64::from(step) / 49.0)), 1..200),
    ) {
        // Every region of validation has test rows to be compared with.
        rows.extend((0..7).map(|region| (1, region, 0.5)));
        rows.push((0, 3, 0.25));
        let sample = |split: usize, region: u32| -> Vec<f64> {
            rows.iter().filter(|row| (row.0, row.1) == (split, region)).map(|row| row.2).collect()
        };
        let mut largest = Vec::new();
        for region in 0..7 {
            let [validation, test, live] = [0, 1, 2].map(|split| sample(split, region));
            if validation.is_empty() {
                continue;
            }
            let pairs = [(&validation, &test), (&validation, &live), (&live, &test)];
            let pairs = pairs.into_iter().filter(|(first, second)| !first.is_empty() && !second.is_empty());
            largest.push(pairs.map(|(first, second)| definition(first, second)).fold(0.0, f64::max));
        }
        let expected = largest.iter().sum::<f64>() / largest.len() as f64;
        let answer = concordance(&rows, DEFAULT_THRESHOLD).unwrap();
        prop_assert_eq!(answer.score.to_bits(), expected.to_bits());
        prop_assert_eq!(answer.concordant, expected < 0.12);
        prop_assert_eq!(answer.regions.len(), largest.len());
    }
}

#[test]
fn the_threshold_is_strict() {
    let rows = [(0, 0, 0.1), (0, 0, 0.2), (1, 0, 0.1), (1, 0, 0.3)];
    assert!(!concordance(&rows, 0.5).unwrap().concordant);
    assert!(concordance(&rows, 0.5_f64.next_up()).unwrap().concordant);
}

#[test]
fn an_absent_part_leaves_the_other_pairs() {
    let answer = concordance(&[(0, 7, 0.1), (2, 7, 0.1), (1, 8, 0.9)], 0.12).unwrap();
    assert_eq!(answer.regions.len(), 1);
    assert_eq!((answer.regions[0].region, answer.regions[0].validation_live), (7, Some(0.0)));
    assert_eq!((answer.regions[0].validation_test, answer.regions[0].live_test), (None, None));
}

#[test]
fn a_region_without_a_pair_is_an_error() {
    assert_eq!(concordance(&[(1, 0, 0.5), (2, 0, 0.5)], 0.12), Err(ConcordanceError::NoValidation));
    let alone = [(0, 0, 0.5), (1, 0, 0.5), (0, 4, 0.5), (1, 1, 0.5)];
    assert_eq!(concordance(&alone, 0.12), Err(ConcordanceError::NoPairs { region: 4 }));
}

#[test]
fn different_lengths_are_an_error() {
    let roster = Roster::read("id,data_type\na,test\n".as_bytes(), &Limits::data()).unwrap();
    let regions = Regions::read("id,region\na,0\n".as_bytes(), &roster, &Limits::predictions()).unwrap();
    let misaligned = ConcordanceError::Misaligned { ids: 1, regions: 1, predictions: 2 };
    assert_eq!(score(&[0.5, 0.5], &roster, &regions, 0.12), Err(misaligned));
}
