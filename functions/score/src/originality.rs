//! Judging originality from the store.
//!
//! One strongly consistent query brings the summaries of the round. They decide most pairs; the values of the others are
//! fetched ahead, a few at a time, in the order in which the judgement asks for them.
//!
//! Who is earlier is decided by creation, but submissions are judged in any order. So a submission is added to the round
//! before it is judged, and once judged, later ones that it is close to are judged again: of any two, the judgement that
//! ran last saw both.

mod evidence;

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use scoring::originality::{self, Originality, Rules, Subject};
use scoring::stored::{aligned_from_bytes, sorted_from_bytes};
use serde_json::{Value, json};
use shared::records::Part;
use shared::{Failure, FailureCode, SubmissionId};

use crate::prepare::{aligned_key, sorted_key};
use crate::request::Job;
use crate::table::Prepared;
use crate::{Deps, fault};
use evidence::{Ahead, Fetched, Wanted};

/// How many later submissions are judged again at once.
const AT_ONCE: usize = 4;
/// How many offenders a written judgement names.
const MAX_OFFENDERS: usize = 100;

/// Judges the originality of a submission, and again that of later ones which it is close to.
pub(crate) async fn originality(job: &Job, deps: &Deps) -> Result<Value, Failure> {
    let rules = deps.scoring(&job.settings)?.originality;
    let round = Arc::new(deps.tables.prepared(&job.round).await?);
    let id = job.submission_id.as_str();
    let subject = round.iter().position(|prepared| prepared.entry.submission == id);
    let subject = subject.ok_or_else(|| fault(format!("Submission {id} is not prepared.")))?;
    let judged = judge(job, &rules, &round, subject, deps).await?;
    let again = stream::iter(affected(&rules, &round, subject)?).map(async |later| {
        let submission_id = round[later].entry.submission.as_str();
        match judge(job, &rules, &round, later, deps).await {
            Ok(again) => {
                let original = again["original"].as_bool();
                tracing::info!(
                    later = submission_id,
                    original,
                    "a later submission that is close is judged in sight of this one"
                );
                Ok(())
            }
            // Whoever removed its record wants no judgement on it.
            Err(failure) if failure.code == FailureCode::SubmissionNotFound => {
                tracing::warn!(later = submission_id, "not judged again: it has no record");
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    });
    again.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    Ok(judged)
}

/// The positions of later submissions whose judgement this one may change.
fn affected(rules: &Rules, round: &[Prepared], subject: usize) -> Result<Vec<usize>, Failure> {
    let summary = round[subject].summary()?;
    let mut affected = Vec::new();
    for (at, other) in round.iter().enumerate().filter(|(_, other)| other.entry.follows(&round[subject].entry)) {
        if rules.max_correlation.is_some() || rules.needs_values(&summary, &other.summary()?) {
            affected.push(at);
        }
    }
    Ok(affected)
}

/// Judges the submission at a position and writes the judgement, unless one that saw as many submissions is there.
async fn judge(
    job: &Job,
    rules: &Rules,
    round: &Arc<Vec<Prepared>>,
    subject: usize,
    deps: &Deps,
) -> Result<Value, Failure> {
    let submission = round[subject].entry.submission.as_str();
    let id: SubmissionId =
        submission.parse().map_err(|error| fault("The round has a submission without an id.").caused_by(error))?;
    let earlier = round.iter().filter(|other| round[subject].entry.follows(&other.entry)).count();
    let stands = deps.tables.record(&id).await?.attributes.remove(Part::Originality.attribute());
    let compared = stands.as_ref().and_then(|judgement| judgement.get("compared")?.as_u64());
    if let Some(judgement) = stands.filter(|_| compared.is_some_and(|compared| compared >= earlier as u64)) {
        return Ok(judgement);
    }
    let wanted = wanted(rules, round, subject)?;
    let unusable = || fault(format!("The stored values of submission {submission} cannot be used."));
    let (by_value, by_id) = tokio::try_join!(
        required(deps, sorted_key(&job.round, submission)),
        required(deps, aligned_key(&job.round, submission)),
    )?;
    let sorted = sorted_from_bytes(&by_value).map_err(|error| unusable().caused_by(error))?;
    let aligned = aligned_from_bytes(&by_id).map_err(|error| unusable().caused_by(error))?;
    let ahead = Ahead::start(wanted, deps.objects.clone(), job.round.clone());
    let (round, rules) = (Arc::clone(round), rules.clone());
    let judged = tokio::task::spawn_blocking(move || {
        let subject = Subject { entry: &round[subject].entry, sorted: &sorted, aligned: &aligned };
        let others: Vec<_> = round.iter().map(|prepared| prepared.entry.clone()).collect();
        originality::judge(&rules, subject, &others, &mut Fetched::new(&round, ahead))
    });
    let judged = judged.await.map_err(|panic| fault("Judging originality stopped unexpectedly.").caused_by(panic))?;
    let judged = judged.map_err(|error| fault(format!("Originality cannot be judged: {error}.")).caused_by(error))?;
    let written = shown(&judged);
    if deps.tables.judged_original(&id, judged.compared, written.clone()).await? {
        return Ok(written);
    }
    let stands = deps.tables.record(&id).await?.attributes.remove(Part::Originality.attribute());
    stands.ok_or_else(|| fault(format!("The record of {id} vanished while it was judged.")))
}

/// The judgement as it is written: with all its counts, and the newest of the offenders. A round of thousands of copies
/// must fit an item of DynamoDB and the state of an execution.
fn shown(judged: &Originality) -> Value {
    let mut shown = json!(judged);
    shown["offender_count"] = json!(judged.offenders.len());
    if let Some(offenders) = shown["offenders"].as_array_mut() {
        offenders.truncate(MAX_OFFENDERS);
    }
    shown
}

/// The values that the judgement will ask for, in its order.
fn wanted(rules: &Rules, round: &[Prepared], subject: usize) -> Result<Vec<Wanted>, Failure> {
    let (entry, summary) = (&round[subject].entry, round[subject].summary()?);
    let mut earlier: Vec<&Prepared> = round.iter().filter(|other| entry.follows(&other.entry)).collect();
    earlier.sort_by(|first, second| second.entry.order(&first.entry));
    let mut wanted = Vec::new();
    for other in earlier {
        if rules.needs_values(&summary, &other.summary()?) {
            wanted.push(Wanted::Sorted(other.entry.submission.clone()));
        }
        if rules.max_correlation.is_some() {
            wanted.push(Wanted::Aligned(other.entry.submission.clone()));
        }
    }
    Ok(wanted)
}

async fn required(deps: &Deps, key: String) -> Result<Vec<u8>, Failure> {
    deps.objects.read(&key).await?.ok_or_else(|| fault(format!("{key} is not in the scoring bucket.")))
}

#[cfg(test)]
mod tests {
    use scoring::originality::{Closeness, Entry, Offender};
    use scoring::{Sorted, Summary};

    use super::*;

    /// A submission whose predictions are spread evenly above `from`.
    fn prepared(submission: &str, user: &str, created: i128, from: f64) -> Prepared {
        let values = (0..1000).map(|at| from + f64::from(at) / 10_000.0).collect();
        Prepared {
            entry: Entry { submission: submission.into(), user: user.into(), round: "r".into(), created },
            summary: Summary::of(&Sorted::new(values).unwrap()).to_bytes(),
        }
    }

    fn round() -> Vec<Prepared> {
        vec![
            prepared("far-later", "a", 9, 0.8),
            prepared("near-later", "a", 8, 0.1),
            prepared("own-later", "me", 7, 0.1),
            prepared("subject", "me", 5, 0.1),
            prepared("near-earlier", "b", 4, 0.1),
            prepared("far-earlier", "b", 3, 0.8),
            prepared("nearest-earlier", "c", 2, 0.1),
        ]
    }

    #[test]
    fn a_written_judgement_is_bounded() {
        let offender = Offender {
            submission: "d01c8c8b".into(),
            statistic: 0.001,
            closeness: Some(Closeness::Equal),
            correlation: None,
        };
        let judged = Originality { original: false, similar_count: 0, compared: 9000, offenders: vec![offender; 5000] };
        let written = shown(&judged);
        assert_eq!((&written["offender_count"], &written["compared"]), (&json!(5000), &json!(9000)));
        assert_eq!(written["offenders"].as_array().unwrap().len(), MAX_OFFENDERS);
    }

    #[test]
    fn only_later_ones_of_others_that_may_be_close_are_judged_again() {
        let rules = Rules::default();
        assert_eq!(affected(&rules, &round(), 3).unwrap(), [1]);
        let correlated = Rules { max_correlation: Some(0.95), ..rules };
        assert_eq!(affected(&correlated, &round(), 3).unwrap(), [0, 1]);
    }

    #[test]
    fn values_are_fetched_of_close_ones_only_newest_first() {
        let sorted = |id: &str| Wanted::Sorted(id.to_owned());
        let aligned = |id: &str| Wanted::Aligned(id.to_owned());
        let rules = Rules::default();
        assert_eq!(wanted(&rules, &round(), 3).unwrap(), [sorted("near-earlier"), sorted("nearest-earlier")]);
        let correlated = Rules { max_correlation: Some(0.95), ..rules };
        assert_eq!(
            wanted(&correlated, &round(), 3).unwrap(),
            [
                sorted("near-earlier"),
                aligned("near-earlier"),
                aligned("far-earlier"),
                sorted("nearest-earlier"),
                aligned("nearest-earlier")
            ]
        );
    }
}
