//! When a challenge gets a new grid, and from whose predictions.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use scoring::{Grids, Pool, Sorted};

use super::{FETCHED_AT_ONCE, Scorer};
use crate::error::ScoreError;
use crate::stored_values;
use crate::table::{Challenge, Index, PreparedSubmission};

/// A challenge gets its next grid when so many participants have prepared submissions: participants and not submissions, since
/// one participant can make any number of submissions. Before the second one, nothing is compared.
const PARTICIPANTS: [usize; 5] = [2, 8, 64, 512, 4_096];
/// The most participants in a pool. More would change its quantiles little.
const POOLED_AT_MOST: usize = 64;

/// Adds a grid if one is due. Returns the index as it is then, or `None` if another execution changed it meanwhile.
///
/// Nothing else depends on it: summaries of older grids stay comparable. So it does not matter where this stops.
pub(super) async fn add_if_due(scorer: &Scorer<'_>, challenge: &Challenge) -> Result<Option<Index>, ScoreError> {
    let newest = newest_of_each_participant(&challenge.prepared);
    if !is_due(newest.len(), &challenge.index.grids) {
        return Ok(Some(challenge.index.clone()));
    }
    let samples = stream::iter(pooled(&newest)).map(async |prepared| {
        let submission = &prepared.provenance.submission;
        stored_values::read_sorted(scorer.objects, scorer.id, submission).await
    });
    let pool = samples.buffered(FETCHED_AT_ONCE).try_fold(Pool::default(), async |mut pool, sample: Sorted| {
        pool.add(&sample);
        Ok(pool)
    });
    let index = scorer.summaries.add_grid(scorer.id, &challenge.index, &pool.await?).await?;
    if index.is_some() {
        tracing::info!(participants = newest.len(), "added a grid for summaries");
    }
    Ok(index)
}

fn is_due(participants: usize, grids: &Grids) -> bool {
    let reached = PARTICIPANTS.iter().filter(|count| **count <= participants).count();
    reached > usize::from(grids.newest().id().version())
}

/// The newest submission of each participant, in the order of their creation.
fn newest_of_each_participant(prepared: &[PreparedSubmission]) -> Vec<&PreparedSubmission> {
    let mut newest = BTreeMap::new();
    for submission in prepared {
        let kept = newest.entry(&submission.provenance.user).or_insert(submission);
        if age(submission) > age(kept) {
            *kept = submission;
        }
    }
    let mut newest: Vec<_> = newest.into_values().collect();
    newest.sort_by_key(|submission| age(submission));
    newest
}

fn age(submission: &PreparedSubmission) -> (i128, &str) {
    (submission.provenance.created, &submission.provenance.submission)
}

/// Evenly spaced in the order of creation.
fn pooled<'a>(newest: &[&'a PreparedSubmission]) -> Vec<&'a PreparedSubmission> {
    let count = newest.len().min(POOLED_AT_MOST);
    (0..count).map(|nth| newest[(2 * nth + 1) * newest.len() / (2 * count)]).collect()
}

#[cfg(test)]
mod tests {
    use scoring::originality::Provenance;
    use scoring::{Grid, Summary};

    use super::*;

    fn prepared(submission: usize, user: usize, created: i128) -> PreparedSubmission {
        let sample = Sorted::new(vec![0.5]).unwrap();
        PreparedSubmission {
            provenance: Provenance {
                submission: format!("s{submission:05}"),
                user: format!("u{user:05}"),
                challenge: "r".into(),
                created,
            },
            summary: Summary::of(&sample, &Grid::uniform()),
        }
    }

    #[test]
    fn grids_are_due_at_counts_of_participants() {
        let mut grids = Grids::default();
        let mut pool = Pool::default();
        pool.add(&Sorted::new(vec![0.5]).unwrap());
        for count in PARTICIPANTS {
            assert!(!is_due(count - 1, &grids) && is_due(count, &grids), "{count}");
            grids = grids.with_pool(&pool);
        }
        assert!(!is_due(usize::MAX, &grids));
    }

    #[test]
    fn a_participant_with_many_submissions_is_in_the_pool_once() {
        let mut all: Vec<_> = (0..5000).map(|nth| prepared(nth, 0, 7 + i128::try_from(nth).unwrap())).collect();
        all.extend((0..3).map(|nth| prepared(9000 + nth, 1 + nth, 9)));
        let newest = newest_of_each_participant(&all);
        let ids: Vec<&str> = newest.iter().map(|prepared| prepared.provenance.submission.as_str()).collect();
        assert_eq!(ids, ["s09000", "s09001", "s09002", "s04999"]);
        assert_eq!(pooled(&newest), newest);
    }

    #[test]
    fn a_pool_is_bounded_and_spread_over_time() {
        let all: Vec<_> = (0..5000).map(|nth| prepared(nth, nth, i128::try_from(nth).unwrap())).collect();
        let newest = newest_of_each_participant(&all);
        let pool = pooled(&newest);
        assert_eq!(pool.len(), POOLED_AT_MOST);
        assert!(
            pool.windows(2).all(|pair| (70..90).contains(&(pair[1].provenance.created - pair[0].provenance.created)))
        );
    }
}
