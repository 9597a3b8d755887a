//! Scoring originality from the store.
//!
//! The summaries of the challenge, which are read consistently, decide most pairs; the values of the others are fetched and
//! compared as they arrive, a few at a time.
//!
//! Creation decides which of two submissions is the earlier one, but submissions are scored in any order. So a submission
//! is added to the summaries before it is scored, and after that, later submissions that are close to it are scored again:
//! of any two submissions, whichever was scored last was scored with both in the summaries.
//!
//! Executions score the same submission at the same time. None of them may undo what another one found: each reads the stored
//! result before the summaries, and replaces that result only. Summaries are only ever added, so a result that replaces
//! another compared with every submission that the other one compared with.

mod grids;

use std::collections::HashSet;
use std::sync::Arc;

use domain::{ChallengeId, OriginalityResult, SubmissionId};
use futures_util::{StreamExt, TryStreamExt, stream};
use scoring::Summary;
use scoring::originality::{Comparison, Originality, OriginalityError, Plan, Provenance, Rules, Values};

use crate::deps::Deps;
use crate::error::ScoreError;
use crate::objects::Objects;
use crate::request::Job;
use crate::stored_values;
use crate::table::{Challenge, Error, ItemError, PreparedSubmission, Submissions, Summaries, WRITTEN_AT_ONCE};

/// Later submissions that are scored again at the same time.
const RESCORED_AT_ONCE: usize = 4;
/// Submissions whose values are fetched at the same time. Together with their size, this bounds the memory.
const FETCHED_AT_ONCE: usize = 16;
/// Offenders that a stored result lists.
const MAX_OFFENDERS: usize = 100;
/// Summaries that are moved to the newest grid after scoring a submission.
const RENEWED_AT_MOST: usize = 1024;

/// Scores the originality of a submission, and again that of later submissions that are close to it.
pub(crate) async fn originality(job: &Job, deps: &Deps) -> Result<OriginalityResult, ScoreError> {
    let scorer = Scorer {
        rules: deps.scoring(&job.challenge, &job.settings)?.originality,
        id: &job.challenge,
        objects: &deps.objects,
        submissions: &deps.submissions,
        summaries: &deps.summaries,
    };
    let (outcome, challenge) = loop {
        let seen = scorer.stored(&job.submission_id).await?;
        let challenge = Arc::new(deps.summaries.read(&job.challenge).await?);
        if let Some(scored) = scorer.score(&job.submission_id, seen, &challenge).await? {
            break (scored, challenge);
        }
    };
    let (affected, renewed) = scorer.affected(&job.submission_id, outcome.plan, &challenge).await?;
    scorer.rescore(affected).await?;
    let renewed = outcome.renewed.into_iter().chain(renewed).take(RENEWED_AT_MOST);
    if let Err(error) = scorer.improve(&challenge, renewed.collect()).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the summaries were not improved; scoring only takes longer"
        );
    }
    Ok(outcome.result)
}

/// Where the submissions of a challenge, their values and their results are.
struct Scorer<'a> {
    rules: Rules,
    id: &'a ChallengeId,
    objects: &'a Objects,
    submissions: &'a Submissions,
    summaries: &'a Summaries,
}

struct Scored {
    result: OriginalityResult,
    /// How it was scored, unless the result was stored before.
    plan: Option<Arc<Plan>>,
    /// Summaries on the newest grid that came out of it, by submission.
    renewed: Vec<(String, Summary)>,
}

impl Scorer<'_> {
    /// The stored result of a submission.
    async fn stored(&self, id: &SubmissionId) -> Result<Option<OriginalityResult>, Error> {
        let record = self.submissions.record(id).await?;
        self.submissions.rank(&record).await?;
        Ok(record.scores.originality)
    }

    /// Scores a submission and replaces the result that was seen before the challenge was read. `None` if another execution
    /// replaced it.
    async fn score(
        &self,
        id: &SubmissionId,
        seen: Option<OriginalityResult>,
        challenge: &Arc<Challenge>,
    ) -> Result<Option<Scored>, ScoreError> {
        let provenance = &subject(id, challenge)?.provenance;
        let earlier = challenge.prepared.iter().filter(|other| provenance.follows(&other.provenance)).count();
        if let Some(result) = seen.as_ref().filter(|seen| seen.compared >= earlier) {
            return Ok(Some(Scored { result: result.clone(), plan: None, renewed: Vec::new() }));
        }
        let plan = Arc::new(self.plan(id, challenge).await?);
        let needed: HashSet<&str> = plan.needed().collect();
        let is_needed =
            |position: &usize| needed.contains(challenge.prepared[*position].provenance.submission.as_str());
        let others = (0..challenge.prepared.len()).filter(is_needed);
        let comparisons = self
            .compare(&plan, challenge, others, |plan, other, values| {
                plan.compare(&other.provenance, Some(&other.summary), values)
            })
            .await?;
        let renewed = renewed(&comparisons, challenge);
        let result = stored_form(plan.finish(comparisons.into_iter().map(|(_, comparison)| comparison))?);
        let Some(record) = self.submissions.replace_originality(id, seen.as_ref(), &result).await? else {
            return Ok(None);
        };
        self.submissions.rank(&record).await?;
        Ok(Some(Scored { result, plan: Some(plan), renewed }))
    }

    async fn plan(&self, id: &SubmissionId, challenge: &Challenge) -> Result<Plan, ScoreError> {
        let provenance = &subject(id, challenge)?.provenance;
        let bytes = self.values(&provenance.submission).await?;
        let values = stored_values::decode(&bytes, &provenance.submission, &self.rules)?;
        let mut plan = Plan::new(self.rules.clone(), provenance.clone(), values, challenge.index.grids.clone())?;
        for other in &challenge.prepared {
            plan.add(&other.provenance, Some(&other.summary));
        }
        Ok(plan)
    }

    /// Fetches the values of submissions, by position, and compares them on other threads.
    async fn compare(
        &self,
        plan: &Arc<Plan>,
        challenge: &Arc<Challenge>,
        others: impl Iterator<Item = usize>,
        compare: fn(&Plan, &PreparedSubmission, Values) -> Result<Comparison, OriginalityError>,
    ) -> Result<Vec<(usize, Comparison)>, ScoreError> {
        let compared = stream::iter(others).map(async |position| {
            let bytes = self.values(&challenge.prepared[position].provenance.submission).await?;
            let (plan, rules, challenge) = (Arc::clone(plan), self.rules.clone(), Arc::clone(challenge));
            let compared = tokio::task::spawn_blocking(move || {
                let other = &challenge.prepared[position];
                let values = stored_values::decode(&bytes, &other.provenance.submission, &rules)?;
                Ok((position, compare(&plan, other, values)?))
            });
            compared.await?
        });
        compared.buffer_unordered(FETCHED_AT_ONCE).try_collect().await
    }

    async fn values(&self, submission: &str) -> Result<Vec<u8>, ScoreError> {
        stored_values::read_encoded(self.objects, self.id, submission, &self.rules).await
    }

    /// The later submissions whose result a submission changes, and summaries on the newest grid that came out of finding them.
    async fn affected(
        &self,
        id: &SubmissionId,
        plan: Option<Arc<Plan>>,
        challenge: &Arc<Challenge>,
    ) -> Result<(Vec<SubmissionId>, Vec<(String, Summary)>), ScoreError> {
        let provenance = &subject(id, challenge)?.provenance;
        if !challenge.prepared.iter().any(|other| other.provenance.follows(provenance)) {
            return Ok((Vec::new(), Vec::new()));
        }
        let plan = match plan {
            Some(plan) => plan,
            None => Arc::new(self.plan(id, challenge).await?),
        };
        let later = may_be_affected(&plan, provenance, challenge);
        let comparisons = self
            .compare(&plan, challenge, later.into_iter(), |plan, other, values| {
                plan.compare_later(&other.provenance, &other.summary, values)
            })
            .await?;
        let close = comparisons.iter().filter(|(_, comparison)| comparison.is_close());
        let affected: Result<_, Error> = close
            .map(|(position, _)| {
                let submission = &challenge.prepared[*position].provenance.submission;
                let invalid = |_| Error::Summary { submission: submission.clone(), source: ItemError::Id };
                submission.parse().map_err(invalid)
            })
            .collect();
        Ok((affected?, renewed(&comparisons, challenge)))
    }

    /// Scores later submissions again, until no other execution has replaced a result meanwhile.
    async fn rescore(&self, mut later: Vec<SubmissionId>) -> Result<(), ScoreError> {
        while !later.is_empty() {
            let seen = stream::iter(later).map(async |id| match self.stored(&id).await {
                Ok(seen) => Ok(Some((id, seen))),
                // The operator deleted its record, so there is nothing to update.
                Err(Error::RecordMissing { .. }) => {
                    tracing::warn!(later = %id, "did not rescore a later near-duplicate: it has no record");
                    Ok(None)
                }
                Err(error) => Err(error),
            });
            let seen: Vec<_> = seen.buffer_unordered(FETCHED_AT_ONCE).try_collect().await?;
            let challenge = Arc::new(self.summaries.read(self.id).await?);
            let scored = stream::iter(seen.into_iter().flatten()).map(async |(id, seen)| {
                match self.score(&id, seen, &challenge).await? {
                    Some(scored) => {
                        let original = scored.result.original;
                        tracing::info!(later = %id, original, "rescored a later near-duplicate");
                        Ok(None)
                    }
                    None => Ok::<_, ScoreError>(Some(id)),
                }
            });
            let replaced: Vec<_> = scored.buffer_unordered(RESCORED_AT_ONCE).try_collect().await?;
            later = replaced.into_iter().flatten().collect();
        }
        Ok(())
    }

    /// Makes later scoring cheaper: moves summaries to the newest grid, adds a grid if one is due, and packs summaries.
    async fn improve(&self, challenge: &Challenge, renewed: Vec<(String, Summary)>) -> Result<(), ScoreError> {
        let renewals = stream::iter(renewed)
            .map(async |(submission, summary)| self.summaries.renew(challenge, &submission, summary).await);
        renewals.buffer_unordered(WRITTEN_AT_ONCE).try_collect::<()>().await?;
        match grids::add_if_due(self, challenge).await? {
            Some(index) => Ok(self.summaries.pack(self.id, challenge, index).await?),
            None => Ok(()),
        }
    }
}

/// The positions of later submissions by others whose values decide whether a submission changes their result.
fn may_be_affected(plan: &Plan, provenance: &Provenance, challenge: &Challenge) -> Vec<usize> {
    let later = challenge.prepared.iter().enumerate().filter(|(_, other)| other.provenance.follows(provenance));
    later.filter(|(_, other)| plan.needs_values(&other.summary)).map(|(position, _)| position).collect()
}

/// The summaries on the newest grid that came out of comparisons.
fn renewed(comparisons: &[(usize, Comparison)], challenge: &Challenge) -> Vec<(String, Summary)> {
    let renewed = comparisons.iter().filter_map(|(position, comparison)| {
        Some((challenge.prepared[*position].provenance.submission.clone(), comparison.renewed()?.clone()))
    });
    renewed.collect()
}

fn subject<'a>(id: &SubmissionId, challenge: &'a Challenge) -> Result<&'a PreparedSubmission, ScoreError> {
    challenge.find(id.as_str()).ok_or_else(|| ScoreError::NotPrepared { submission: id.to_string() })
}

/// The result as it is stored: with all counts, but only the newest offenders. Otherwise, a challenge with thousands of
/// copies would exceed an item of DynamoDB and the state of an execution.
fn stored_form(result: Originality) -> OriginalityResult {
    let Originality { original, similar_count, compared, mut offenders } = result;
    let offender_count = offenders.len();
    offenders.truncate(MAX_OFFENDERS);
    OriginalityResult { original, similar_count, compared, offender_count, offenders }
}

#[cfg(test)]
mod tests {
    use scoring::originality::{Closeness, Offender};
    use scoring::{Grids, Sorted};

    use super::*;

    fn values(from: f64) -> Vec<f64> {
        (0..1000).map(|at| from + f64::from(at) / 10_000.0).collect()
    }

    /// A submission whose predictions are spread evenly above `from`.
    fn prepared(submission: &str, user: &str, created: i128, from: f64) -> PreparedSubmission {
        PreparedSubmission {
            provenance: Provenance { submission: submission.into(), user: user.into(), challenge: "r".into(), created },
            summary: Summary::of(&Sorted::new(values(from)).unwrap(), Grids::default().newest()),
        }
    }

    const SUBJECT: &str = "subject-------";

    fn challenge() -> Challenge {
        let prepared = vec![
            prepared("far-later-----", "a", 9, 0.8),
            prepared("near-later----", "a", 8, 0.1),
            prepared("own-later-----", "me", 7, 0.1),
            prepared(SUBJECT, "me", 5, 0.1),
            prepared("near-earlier--", "b", 4, 0.1),
            prepared("far-earlier---", "b", 3, 0.8),
            prepared("nearest-------", "c", 2, 0.1),
        ];
        prepared.into()
    }

    fn plan(rules: &Rules, values: Values) -> Plan {
        let challenge = challenge();
        let subject = challenge.find(SUBJECT).unwrap().provenance.clone();
        let mut plan = Plan::new(rules.clone(), subject, values, Grids::default()).unwrap();
        for other in &challenge.prepared {
            plan.add(&other.provenance, Some(&other.summary));
        }
        plan
    }

    #[test]
    fn a_stored_result_is_bounded() {
        let offender = Offender {
            submission: "d01c8c8b".into(),
            statistic: 0.001,
            closeness: Some(Closeness::Equal),
            correlation: None,
        };
        let result = Originality { original: false, similar_count: 0, compared: 9000, offenders: vec![offender; 5000] };
        let stored = stored_form(result);
        assert_eq!((stored.offender_count, stored.compared, stored.offenders.len()), (5000, 9000, MAX_OFFENDERS));
    }

    #[test]
    fn only_later_submissions_of_others_that_may_be_close_are_rescored() {
        let may_be_affected = |rules: &Rules, values: Values| {
            let challenge = challenge();
            let subject = &challenge.find(SUBJECT).unwrap().provenance;
            let positions = may_be_affected(&plan(rules, values), subject, &challenge);
            positions.into_iter().map(|at| challenge.prepared[at].provenance.submission.clone()).collect::<Vec<_>>()
        };
        let rules = Rules::default();
        let sorted = Values::Sorted(Sorted::new(values(0.1)).unwrap());
        assert_eq!(may_be_affected(&rules, sorted), ["near-later----"]);
        let correlated = Rules { max_correlation: Some(0.95), ..rules };
        assert_eq!(may_be_affected(&correlated, Values::Aligned(values(0.1))), ["far-later-----", "near-later----"]);
    }

    #[test]
    fn values_are_needed_of_close_submissions_only_unless_they_may_correlate() {
        let needed =
            |rules: &Rules, values: Values| plan(rules, values).needed().map(str::to_owned).collect::<Vec<_>>();
        let rules = Rules::default();
        let sorted = Values::Sorted(Sorted::new(values(0.1)).unwrap());
        assert_eq!(needed(&rules, sorted), ["near-earlier--", "nearest-------"]);
        let correlated = Rules { max_correlation: Some(0.95), ..rules };
        let all = ["near-earlier--", "far-earlier---", "nearest-------"];
        assert_eq!(needed(&correlated, Values::Aligned(values(0.1))), all);
    }
}
