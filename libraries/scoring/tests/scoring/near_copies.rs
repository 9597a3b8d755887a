use proptest::prelude::*;
use scoring::originality::{
    Closeness, Comparison, Offender, Originality, OriginalityError, Plan, Provenance, RuleError, Rules, Values,
};
use scoring::{Grid, Grids, Sorted, Summary, ks, pearson};

use super::{definition, sorted, values};

fn from(submission: &str, user: &str, created: i128) -> Provenance {
    Provenance { submission: submission.into(), user: user.into(), challenge: "r".into(), created }
}

/// The values in the order that the rules ask for.
fn ordered(rules: &Rules, values: &[f64]) -> Values {
    if rules.needs_aligned() { Values::Aligned(values.to_vec()) } else { Values::Sorted(sorted(values)) }
}

/// Scores a submission against others, some of which have a summary on some grid. Returns the result and the ids whose values
/// were needed.
fn score(
    rules: &Rules,
    mine: &[f64],
    others: &[(Provenance, Vec<f64>)],
    grids: &Grids,
    grid_of: impl Fn(&str) -> Option<Grid>,
) -> (Originality, Vec<String>) {
    let mut plan = Plan::new(rules.clone(), from("scored", "me", 100), ordered(rules, mine), grids.clone()).unwrap();
    let summary =
        |other: &Provenance, values: &[f64]| grid_of(&other.submission).map(|grid| Summary::of(&sorted(values), &grid));
    for (other, values) in others {
        plan.add(other, summary(other, values).as_ref());
    }
    let needed: Vec<String> = plan.needed().map(str::to_owned).collect();
    // In the order of `others`, which is not that of the plan.
    let comparisons: Vec<Comparison> = others
        .iter()
        .filter(|(other, _)| needed.contains(&other.submission))
        .map(|(other, values)| {
            let summary = summary(other, values);
            let comparison = plan.compare(other, summary.as_ref(), ordered(rules, values)).unwrap();
            if let Some(renewed) = comparison.renewed() {
                assert_eq!(*renewed, Summary::of(&sorted(values), grids.newest()));
                assert_ne!(summary.as_ref(), Some(renewed));
            }
            comparison
        })
        .collect();
    (plan.finish(comparisons).unwrap(), needed)
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

/// The grids that the plan knows, and grids of stored summaries: none, a known one, or one that the plan does not know.
fn grids() -> impl Strategy<Value = (Grids, Vec<Option<Grid>>)> {
    let pools = prop::collection::vec(values(), 0..4);
    let stored = prop::collection::vec((0..5_u8, any::<prop::sample::Index>()), 1..12);
    (pools, stored).prop_map(|(pools, stored)| {
        let grids = pools.iter().fold(Grids::default(), |grids, pool| grids.with_pool(&super::pool(&[pool])));
        let known: Vec<Grid> = grids.iter().cloned().collect();
        let unknown = |version| Grid::from_points(version, vec![0.25, 0.5]).unwrap();
        let stored = stored.into_iter().map(|(kind, index)| match kind {
            0 => None,
            1 => Some(unknown(u16::try_from(index.index(9)).unwrap())),
            _ => Some(index.get(&known).clone()),
        });
        (grids, stored.collect())
    })
}

/// The rule as it is defined, applied to every pair.
fn exhaustive(rules: &Rules, mine: &[f64], others: &[(Provenance, Vec<f64>)]) -> (bool, u32, Vec<Offender>) {
    let (mut original, mut similar_count, mut offenders) = (true, 0, Vec::new());
    for (other, theirs) in others {
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
            offenders.push(Offender { submission: other.submission.clone(), statistic, closeness, correlation });
        }
    }
    (original && similar_count < rules.max_similar, similar_count, offenders)
}

proptest! {
    #[test]
    fn the_result_is_that_of_comparing_every_pair_by_definition(
        (mine, theirs) in copies(),
        (grids, stored) in grids(),
        max_similar in 1..4_u32,
        max_correlation in prop_oneof![Just(None), Just(Some(0.95))],
        rotation in 0..12_usize,
    ) {
        let rules = Rules { max_similar, max_correlation, ..Rules::default() };
        // Newest first, as the result lists offenders.
        let others: Vec<(Provenance, Vec<f64>)> = (0_i128..).zip(theirs)
            .map(|(age, values)| (from(&format!("s{age}"), "you", 99 - age), values))
            .collect();
        let mut shuffled = others.clone();
        shuffled.reverse();
        shuffled.rotate_left(rotation % others.len());
        let grid_of = |submission: &str| {
            let number: usize = submission[1..].parse().unwrap();
            stored[number % stored.len()].clone()
        };
        let (result, _) = score(&rules, &mine, &shuffled, &grids, grid_of);
        let (original, similar_count, offenders) = exhaustive(&rules, &mine, &others);
        prop_assert_eq!((result.original, result.similar_count), (original, similar_count));
        prop_assert_eq!(result.offenders, offenders);
        prop_assert_eq!(result.compared, others.len());
    }
}

proptest! {
    #[test]
    fn a_later_submission_is_close_if_the_earlier_one_counts_against_it(
        (mine, theirs) in copies(),
        (grids, stored) in grids(),
        max_correlation in prop_oneof![Just(None), Just(Some(0.95))],
    ) {
        let rules = Rules { max_correlation, ..Rules::default() };
        let subject = from("scored", "me", 100);
        let plan = Plan::new(rules.clone(), subject.clone(), ordered(&rules, &mine), grids).unwrap();
        for (values, grid) in theirs.iter().zip(stored.iter().flatten()) {
            let later = from("later", "you", 101);
            let summary = Summary::of(&sorted(values), grid);
            let comparison = plan.compare_later(&later, &summary, ordered(&rules, values)).unwrap();
            let (_, _, offenders) = exhaustive(&rules, values, &[(subject.clone(), mine.clone())]);
            prop_assert_eq!(comparison.is_close(), !offenders.is_empty());
            // Whoever is not asked to compare would learn nothing.
            prop_assert!(plan.needs_values(&summary) || offenders.is_empty());
        }
    }
}

/// Scores a submission against named ones of the same age.
fn against(rules: &Rules, mine: &[f64], theirs: &[(&str, Vec<f64>)]) -> (bool, Vec<Offender>, Vec<String>) {
    let others: Vec<_> = theirs.iter().map(|(name, values)| (from(name, "you", 1), values.clone())).collect();
    let (result, needed) = score(rules, mine, &others, &Grids::default(), |_| Some(Grid::uniform()));
    (result.original, result.offenders, needed)
}

/// 1800 values. The first `count` are moved above all others, so that D is their share.
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
        let (is_original, offenders, _) = against(&rules, &moved(0), &[("theirs", moved(count))]);
        assert_eq!(is_original, original, "{count}");
        assert_eq!(offenders.first().and_then(|offender| offender.closeness), closeness, "{count}");
        if let Some(offender) = offenders.first() {
            assert_eq!(offender.statistic, count as f64 / 1800.0);
        }
    }
}

#[test]
fn similar_submissions_count_up_to_the_limit() {
    let rules = Rules { max_similar: 2, ..Rules::default() };
    let one = against(&rules, &moved(0), &[("a", moved(20))]);
    assert!(one.0 && one.1.len() == 1, "one similar submission is listed but does not decide");
    assert!(!against(&rules, &moved(0), &[("a", moved(20)), ("b", moved(30))]).0);
}

#[test]
fn values_of_far_submissions_are_not_needed() {
    let theirs = [("far", moved(200)), ("near", moved(20))];
    assert_eq!(against(&Rules::default(), &moved(0), &theirs).2, ["near"]);
}

#[test]
fn a_correlated_submission_is_listed_with_its_statistic() {
    let rules = Rules { max_correlation: Some(0.95), ..Rules::default() };
    let mine = moved(0);
    let mirrored: Vec<f64> = mine.iter().map(|value| 1.0 - value).collect();
    let (original, offenders, _) = against(&rules, &mine, &[("mirrored", mirrored.clone()), ("flat", vec![0.5; 1800])]);
    assert!(!original);
    assert_eq!(offenders.len(), 1);
    assert_eq!(offenders[0].statistic, ks::statistic(&sorted(&mine), &sorted(&mirrored)));
    assert!(offenders[0].correlation.is_some_and(|r| r < -0.999) && offenders[0].closeness.is_none());
}

#[test]
fn values_that_do_not_belong_together_are_an_error() {
    let (mine, near) = ([0.5, 0.6], [0.5, 0.7]);
    let plan = |rules: &Rules| {
        let subject = from("scored", "me", 100);
        let mut plan = Plan::new(rules.clone(), subject, ordered(rules, &mine), Grids::default()).unwrap();
        plan.add(&from("other", "you", 1), None);
        plan
    };
    let other = from("other", "you", 1);
    let by_value = plan(&Rules::default());
    let summary_of_another = Summary::of(&sorted(&mine), &Grid::uniform());
    assert_eq!(
        by_value.compare(&other, Some(&summary_of_another), Values::Sorted(sorted(&near))),
        Err(OriginalityError::SummaryMismatch { submission: "other".into() })
    );
    assert_eq!(by_value.finish([]), Err(OriginalityError::NotCompared { submission: "other".into() }));

    let correlated = Rules { max_correlation: Some(0.9), ..Rules::default() };
    let by_id = plan(&correlated);
    assert_eq!(
        by_id.compare(&other, None, Values::Aligned(vec![0.5])),
        Err(OriginalityError::ValueCount { submission: "other".into(), expected: 2, found: 1 })
    );
    let not_aligned = |submission: &str| OriginalityError::NotAligned { submission: submission.into() };
    assert_eq!(by_id.compare(&other, None, Values::Sorted(sorted(&near))), Err(not_aligned("other")));
    let scored = || from("scored", "me", 100);
    let unsorted =
        Plan::new(correlated, scored(), Values::Sorted(Sorted::new(mine.to_vec()).unwrap()), Grids::default());
    assert_eq!(unsorted.unwrap_err(), not_aligned("scored"));
    let none_allowed = Rules { max_similar: 0, ..Rules::default() };
    let refused = Plan::new(none_allowed, scored(), Values::Aligned(mine.to_vec()), Grids::default());
    assert_eq!(refused.unwrap_err(), OriginalityError::Rules(RuleError::NoneAllowed));
}

#[test]
fn a_submission_that_is_added_or_compared_twice_counts_once() {
    let (mine, other) = (moved(0), from("theirs", "you", 1));
    let values = Values::Sorted(sorted(&mine));
    let mut plan = Plan::new(Rules::default(), from("scored", "me", 100), values, Grids::default()).unwrap();
    plan.add(&other, None);
    plan.add(&other, None);
    let comparison = plan.compare(&other, None, Values::Sorted(sorted(&moved(20)))).unwrap();
    let result = plan.finish([comparison.clone(), comparison]).unwrap();
    assert_eq!((result.compared, result.similar_count, result.offenders.len()), (1, 1, 1));
}
