//! Scoring originality from the store.
//!
//! One strongly consistent query reads the summaries of the challenge. They decide most pairs; the values of the others
//! are fetched and compared as they arrive, a few at a time.
//!
//! Creation decides which of two submissions is the earlier one, but submissions are scored in any order. So a submission
//! is added to the summaries before it is scored, and after that, later submissions that are close to it are scored again:
//! of any two submissions, whichever was scored last was scored with both in the summaries.

use std::collections::HashSet;
use std::sync::Arc;

use domain::{ChallengeId, OriginalityResult, SubmissionId};
use futures_util::{StreamExt, TryStreamExt, stream};
use records::ResultKind;
use scoring::originality::{Comparison, Originality, Plan, Rules};

use crate::deps::Deps;
use crate::error::ScoreError;
use crate::objects::Objects;
use crate::request::Job;
use crate::stored_values;
use crate::table::{Error, PreparedSubmission, Tables};

/// Later submissions that are scored again at the same time.
const RESCORED_AT_ONCE: usize = 4;
/// Submissions whose values are fetched at the same time. Together with their size, this bounds the memory.
const FETCHED_AT_ONCE: usize = 16;
/// Offenders that a stored result lists.
const MAX_OFFENDERS: usize = 100;

/// Scores the originality of a submission, and again that of later submissions that are close to it.
pub(crate) async fn originality(job: &Job, deps: &Deps) -> Result<OriginalityResult, ScoreError> {
    let scorer = Scorer {
        rules: deps.scoring(&job.challenge, &job.settings)?.originality,
        challenge: &job.challenge,
        prepared: deps.tables.prepared(&job.challenge).await?.into(),
        objects: &deps.objects,
        tables: &deps.tables,
    };
    let id = job.submission_id.as_str();
    let subject = scorer.prepared.iter().position(|prepared| prepared.provenance.submission == id);
    let subject = subject.ok_or_else(|| ScoreError::NotPrepared { submission: id.to_owned() })?;
    let result = scorer.score(subject).await?;
    let rescored = stream::iter(scorer.affected(subject)?).map(|later| scorer.rescore(later));
    rescored.buffer_unordered(RESCORED_AT_ONCE).try_collect::<()>().await?;
    Ok(result)
}

/// The prepared submissions of a challenge, and where their values and results are.
struct Scorer<'a> {
    rules: Rules,
    challenge: &'a ChallengeId,
    prepared: Arc<[PreparedSubmission]>,
    objects: &'a Objects,
    tables: &'a Tables,
}

impl Scorer<'_> {
    /// The positions of later submissions whose result the subject may change.
    fn affected(&self, subject: usize) -> Result<Vec<usize>, ScoreError> {
        let subject = &self.prepared[subject];
        let summary = subject.summary()?;
        let mut affected = Vec::new();
        for (position, other) in self.prepared.iter().enumerate() {
            if other.provenance.follows(&subject.provenance)
                && (self.rules.needs_aligned() || self.rules.needs_values(&summary, &other.summary()?))
            {
                affected.push(position);
            }
        }
        Ok(affected)
    }

    async fn rescore(&self, later: usize) -> Result<(), ScoreError> {
        let submission = &self.prepared[later].provenance.submission;
        match self.score(later).await {
            Ok(result) => {
                tracing::info!(later = submission, original = result.original, "rescored a later near-duplicate");
                Ok(())
            }
            // The operator deleted its record, so there is nothing to update.
            Err(ScoreError::Tables(Error::RecordMissing { .. })) => {
                tracing::warn!(later = submission, "did not rescore a later near-duplicate: it has no record");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Scores the submission at a position, unless a result that considered as many submissions is stored.
    async fn score(&self, subject: usize) -> Result<OriginalityResult, ScoreError> {
        let provenance = &self.prepared[subject].provenance;
        let submission = provenance.submission.as_str();
        let id: SubmissionId = submission.parse().map_err(|_| self.tables.invalid_summary(self.challenge))?;
        let earlier = self.prepared.iter().filter(|other| provenance.follows(&other.provenance)).count();
        let stored = async || {
            let record = self.tables.record(&id).await?;
            self.tables.rank(&record).await?;
            Ok::<_, Error>(record.scores.originality)
        };
        if let Some(stored) = stored().await?.filter(|stored| stored.compared >= earlier) {
            return Ok(stored);
        }

        let plan = Arc::new(self.plan(subject).await?);
        let needed: HashSet<&str> = plan.needed().collect();
        let is_needed = |position: &usize| needed.contains(self.prepared[*position].provenance.submission.as_str());
        let comparisons = stream::iter((0..self.prepared.len()).filter(is_needed))
            .map(|other| self.compare(&plan, other))
            .buffer_unordered(FETCHED_AT_ONCE)
            .try_collect::<Vec<Comparison>>();
        let result = stored_form(plan.finish(comparisons.await?)?);
        if let Some(record) = self.tables.store_originality(&id, &result).await? {
            self.tables.rank(&record).await?;
            return Ok(result);
        }
        Ok(stored().await?.ok_or_else(|| Error::result_missing(&id, ResultKind::Originality))?)
    }

    async fn plan(&self, subject: usize) -> Result<Plan, ScoreError> {
        let provenance = &self.prepared[subject].provenance;
        let bytes = self.read(provenance.submission.as_str()).await?;
        let values = stored_values::decode(&bytes, &provenance.submission, &self.rules)?;
        let mut plan = Plan::new(self.rules.clone(), provenance.clone(), values)?;
        for other in self.prepared.iter().filter(|other| provenance.follows(&other.provenance)) {
            plan.add(&other.provenance, Some(&other.summary()?));
        }
        Ok(plan)
    }

    /// Fetches the values of a submission and compares them on another thread.
    async fn compare(&self, plan: &Arc<Plan>, other: usize) -> Result<Comparison, ScoreError> {
        let bytes = self.read(&self.prepared[other].provenance.submission).await?;
        let (plan, rules, prepared) = (Arc::clone(plan), self.rules.clone(), Arc::clone(&self.prepared));
        let compared = tokio::task::spawn_blocking(move || {
            let PreparedSubmission { provenance, .. } = &prepared[other];
            let values = stored_values::decode(&bytes, &provenance.submission, &rules)?;
            Ok(plan.compare(provenance, Some(&prepared[other].summary()?), values)?)
        });
        compared.await?
    }

    async fn read(&self, submission: &str) -> Result<Vec<u8>, ScoreError> {
        stored_values::read_encoded(self.objects, self.challenge, submission, &self.rules).await
    }
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
    use aws_sdk_dynamodb::config::BehaviorVersion;
    use scoring::originality::{Closeness, Offender, Provenance, Values};
    use scoring::{Sorted, Summary};

    use super::*;

    fn values(from: f64) -> Vec<f64> {
        (0..1000).map(|at| from + f64::from(at) / 10_000.0).collect()
    }

    /// A submission whose predictions are spread evenly above `from`.
    fn prepared(submission: &str, user: &str, created: i128, from: f64) -> PreparedSubmission {
        PreparedSubmission {
            provenance: Provenance { submission: submission.into(), user: user.into(), challenge: "r".into(), created },
            summary: Summary::of(&Sorted::new(values(from)).unwrap()).to_bytes(),
        }
    }

    fn challenge() -> Arc<[PreparedSubmission]> {
        vec![
            prepared("far-later", "a", 9, 0.8),
            prepared("near-later", "a", 8, 0.1),
            prepared("own-later", "me", 7, 0.1),
            prepared("subject", "me", 5, 0.1),
            prepared("near-earlier", "b", 4, 0.1),
            prepared("far-earlier", "b", 3, 0.8),
            prepared("nearest-earlier", "c", 2, 0.1),
        ]
        .into()
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
        let s3 = aws_sdk_s3::Config::builder().behavior_version(BehaviorVersion::latest()).build();
        let dynamodb = aws_sdk_dynamodb::Config::builder().behavior_version(BehaviorVersion::latest()).build();
        let mut scorer = Scorer {
            rules: Rules::default(),
            challenge: &"r".parse().unwrap(),
            prepared: challenge(),
            objects: &Objects::new(aws_sdk_s3::Client::from_conf(s3), String::new()),
            tables: &Tables::new(aws_sdk_dynamodb::Client::from_conf(dynamodb), String::new(), String::new()),
        };
        assert_eq!(scorer.affected(3).unwrap(), [1]);
        scorer.rules.max_correlation = Some(0.95);
        assert_eq!(scorer.affected(3).unwrap(), [0, 1]);
    }

    #[test]
    fn values_are_needed_of_close_submissions_only_unless_they_may_correlate() {
        let needed = |rules: &Rules, values: Values| {
            let challenge = challenge();
            let mut plan = Plan::new(rules.clone(), challenge[3].provenance.clone(), values).unwrap();
            for other in challenge.iter() {
                plan.add(&other.provenance, Some(&other.summary().unwrap()));
            }
            plan.needed().map(str::to_owned).collect::<Vec<_>>()
        };
        let rules = Rules::default();
        let sorted = Values::Sorted(Sorted::new(values(0.1)).unwrap());
        assert_eq!(needed(&rules, sorted), ["near-earlier", "nearest-earlier"]);
        let correlated = Rules { max_correlation: Some(0.95), ..rules };
        let all = ["near-earlier", "far-earlier", "nearest-earlier"];
        assert_eq!(needed(&correlated, Values::Aligned(values(0.1))), all);
    }
}
