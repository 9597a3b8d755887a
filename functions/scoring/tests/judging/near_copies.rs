use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;
use scoring::originality::{Closeness, Entry, Evidence, Offender, OriginalityError, Rules, Subject, judge};
use scoring::{Sorted, Summary, ks, pearson};

use super::{definition, sorted};

#[derive(Debug, Default)]
struct Archive {
    values: BTreeMap<String, Vec<f64>>,
    summaries: bool,
    fetched: Vec<String>,
}

impl Evidence for Archive {
    type Error = Infallible;

    fn summary(&mut self, submission: &str) -> Result<Option<Summary>, Infallible> {
        Ok(self.summaries.then(|| Summary::of(&sorted(&self.values[submission]))))
    }

    fn sorted(&mut self, submission: &str) -> Result<Sorted, Infallible> {
        self.fetched.push(submission.to_owned());
        Ok(sorted(&self.values[submission]))
    }

    fn aligned(&mut self, submission: &str) -> Result<Vec<f64>, Infallible> {
        Ok(self.values[submission].clone())
    }
}

fn entry(submission: &str, user: &str, created: i128) -> Entry {
    Entry { submission: submission.into(), user: user.into(), round: "r".into(), created }
}

/// A sample, and copies of it with some values moved: D is near 0.005, 0.03 or anything.
fn copies() -> impl Strategy<Value = (Vec<f64>, Vec<Vec<f64>>)> {
    let base = prop::collection::vec(0.2..0.8_f64, 200);
    let moves = prop::collection::vec((0..12_usize, 0..200_usize, -0.1..0.1_f64), 1..12);
    (base, moves).prop_map(|(base, moves)| {
        let copy = |(count, from, by): (usize, usize, f64)| {
            let mut copy = base.clone();
            for offset in 0..count {
                copy[(from + offset) % 200] += by * 3.0;
            }
            copy
        };
        (base.clone(), moves.into_iter().map(copy).collect())
    })
}

/// The rule, read out: every pair by the definition.
fn exhaustive(rules: &Rules, mine: &[f64], others: &[(Entry, Vec<f64>)]) -> (bool, u32, Vec<Offender>) {
    let (mut original, mut similar_count, mut offenders) = (true, 0, Vec::new());
    for (entry, theirs) in others {
        let statistic = definition(mine, theirs);
        let mut closeness = None;
        if statistic < rules.equal_threshold {
            original = false;
            closeness = Some(Closeness::Equal);
        } else if statistic < rules.similar_threshold {
            similar_count += 1;
            closeness = Some(Closeness::Similar);
        }
        let correlation = rules.max_correlation.and_then(|max| pearson(mine, theirs).filter(|r| r.abs() > max));
        original &= correlation.is_none();
        if closeness.is_some() || correlation.is_some() {
            offenders.push(Offender { submission: entry.submission.clone(), statistic, closeness, correlation });
        }
    }
    (original && similar_count < rules.max_similar, similar_count, offenders)
}

proptest! {
    #[test]
    fn by_summaries_the_answer_is_the_exhaustive_one(
        (mine, theirs) in copies(),
        summaries in any::<bool>(),
        max_similar in 1..4_u32,
        max_correlation in prop_oneof![Just(None), Just(Some(0.95))],
    ) {
        let rules = Rules { max_similar, max_correlation, ..Rules::default() };
        let judged = entry("judged", "me", 100);
        // Newest first, as the answer has them.
        let others: Vec<(Entry, Vec<f64>)> = (0_i128..).zip(theirs)
            .map(|(age, values)| (entry(&format!("s{age}"), "you", 99 - age), values))
            .collect();
        let mut entries: Vec<Entry> = others.iter().map(|(entry, _)| entry.clone()).collect();
        entries.reverse();
        let values = others.iter().map(|(entry, values)| (entry.submission.clone(), values.clone())).collect();
        let mut archive = Archive { values, summaries, ..Archive::default() };
        let ascending = sorted(&mine);
        let subject = Subject { entry: &judged, sorted: &ascending, aligned: &mine };
        let answer = judge(&rules, subject, &entries, &mut archive).unwrap();
        let (original, similar_count, offenders) = exhaustive(&rules, &mine, &others);
        prop_assert_eq!((answer.original, answer.similar_count), (original, similar_count));
        prop_assert_eq!(answer.offenders, offenders);
        prop_assert_eq!(answer.compared, others.len());
    }
}

fn judge_against(rules: &Rules, mine: &[f64], theirs: &[(&str, Vec<f64>)]) -> (bool, Vec<Offender>, Vec<String>) {
    let judged = entry("judged", "me", 100);
    let entries: Vec<Entry> = theirs.iter().map(|(name, _)| entry(name, "you", 1)).collect();
    let values = theirs.iter().map(|(name, values)| ((*name).to_owned(), values.clone())).collect();
    let mut archive = Archive { values, summaries: true, ..Archive::default() };
    let subject = Subject { entry: &judged, sorted: &sorted(mine), aligned: mine };
    let answer = judge(rules, subject, &entries, &mut archive).unwrap();
    (answer.original, answer.offenders, archive.fetched)
}

/// 1800 values of which the first are moved above all others, so D is their share.
fn moved(count: usize) -> Vec<f64> {
    (0..1800).map(|i| if i < count { 0.999 } else { i as f64 / 2000.0 }).collect()
}

#[test]
fn thresholds_are_strict() {
    let rules = Rules::default();
    let cases = [
        (8, false, Some(Closeness::Equal)),
        (9, false, Some(Closeness::Similar)), // 9/1800 is equal_threshold
        (53, false, Some(Closeness::Similar)),
        (54, true, None), // 54/1800 is similar_threshold
    ];
    for (count, original, closeness) in cases {
        let (answer, offenders, _) = judge_against(&rules, &moved(0), &[("theirs", moved(count))]);
        assert_eq!(answer, original, "{count}");
        assert_eq!(offenders.first().and_then(|offender| offender.closeness), closeness, "{count}");
        if let Some(offender) = offenders.first() {
            assert_eq!(offender.statistic, count as f64 / 1800.0);
        }
    }
}

#[test]
fn similar_ones_count_up_to_the_limit() {
    let rules = Rules { max_similar: 2, ..Rules::default() };
    let one = judge_against(&rules, &moved(0), &[("a", moved(20))]);
    assert!(one.0 && one.1.len() == 1, "one similar submission is named and does not decide");
    assert!(!judge_against(&rules, &moved(0), &[("a", moved(20)), ("b", moved(30))]).0);
}

#[test]
fn far_ones_are_not_fetched() {
    let theirs = [("far", moved(200)), ("near", moved(20))];
    assert_eq!(judge_against(&Rules::default(), &moved(0), &theirs).2, ["near"]);
}

#[test]
fn a_correlated_one_is_named_with_its_statistic() {
    let rules = Rules { max_correlation: Some(0.95), ..Rules::default() };
    let mine = moved(0);
    let mirrored: Vec<f64> = mine.iter().map(|value| 1.0 - value).collect();
    let (original, offenders, _) =
        judge_against(&rules, &mine, &[("mirrored", mirrored.clone()), ("flat", vec![0.5; 1800])]);
    assert!(!original);
    assert_eq!(offenders.len(), 1);
    assert_eq!(offenders[0].statistic, ks::statistic(&sorted(&mine), &sorted(&mirrored)));
    assert!(offenders[0].correlation.is_some_and(|r| r < -0.999) && offenders[0].closeness.is_none());
}

#[test]
fn evidence_that_does_not_fit_is_an_error() {
    struct Odd;
    impl Evidence for Odd {
        type Error = std::io::Error;
        fn summary(&mut self, submission: &str) -> std::io::Result<Option<Summary>> {
            Ok((submission == "mixed up").then(|| Summary::of(&sorted(&[0.5, 0.6]))))
        }
        fn sorted(&mut self, submission: &str) -> std::io::Result<Sorted> {
            if submission == "gone" { Err(std::io::Error::other("no such key")) } else { Ok(sorted(&[0.5, 0.7])) }
        }
        fn aligned(&mut self, _: &str) -> std::io::Result<Vec<f64>> {
            Ok(vec![0.5])
        }
    }
    let judged = entry("judged", "me", 100);
    let mine = sorted(&[0.5, 0.6]);
    let subject = Subject { entry: &judged, sorted: &mine, aligned: &[0.5, 0.6] };
    let against = |name: &str, rules: &Rules| judge(rules, subject, &[entry(name, "you", 1)], &mut Odd);
    let rules = Rules::default();
    assert!(matches!(against("mixed up", &rules), Err(OriginalityError::SummaryMismatch { .. })));
    assert!(matches!(against("gone", &rules), Err(OriginalityError::Evidence { .. })));
    let rules = Rules { max_correlation: Some(0.9), ..rules };
    assert!(matches!(against("short", &rules), Err(OriginalityError::Misaligned { expected: 2, found: 1, .. })));
    assert!(matches!(against("any", &Rules { max_similar: 0, ..rules }), Err(OriginalityError::Rules(_))));
}
