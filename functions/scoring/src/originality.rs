//! Is a submission a near copy of an earlier one?
//!
//! Previous submissions are those of the same round by other users, created before the one that is judged, newest
//! first. For each, D is the Kolmogorov-Smirnov statistic of the two samples of predictions: D < `equal_threshold` makes
//! the judged one not original; else D < `similar_threshold` makes it one more similar pair, and `max_similar` of those
//! make it not original. Optionally |Pearson| > `max_correlation` of the values aligned by id does so too. All
//! comparisons are strict. (The rule of the Numerai tournament's server of 2018.)
//!
//! The answer names every offending submission with its D, so D is computed for those; all others are proven far by
//! their [`Summary`] where the caller has one, without their values being fetched.

mod entry;
mod rules;

use serde::{Deserialize, Serialize};

use crate::correlation::pearson;
use crate::ks;
use crate::sorted::Sorted;
use crate::summary::Summary;
pub use entry::{Entry, previous};
pub use rules::{RuleError, Rules};

/// Where the judgement finds what is known of previous submissions, asked only for what it needs.
pub trait Evidence {
    /// Why something could not be fetched.
    type Error: std::error::Error + 'static;

    /// The summary of a submission's predictions, if there is one. Asked for each previous submission.
    fn summary(&mut self, submission: &str) -> Result<Option<Summary>, Self::Error>;

    /// A submission's predictions in ascending order. Asked where there is no summary or it does not prove the pair
    /// far, which [`Rules::needs_values`] tells beforehand, and of those that correlate.
    fn sorted(&mut self, submission: &str) -> Result<Sorted, Self::Error>;

    /// A submission's predictions in ascending order of their ids. Asked for each previous submission when
    /// `max_correlation` is set, else never.
    fn aligned(&mut self, submission: &str) -> Result<Vec<f64>, Self::Error>;
}

/// The submission that is judged.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Whose it is and when it came.
    pub entry: &'a Entry,
    /// Its predictions in ascending order.
    pub sorted: &'a Sorted,
    /// Its predictions in ascending order of their ids.
    pub aligned: &'a [f64],
}

/// How near two samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Closeness {
    /// D < `equal_threshold`.
    Equal,
    /// Not equal, and D < `similar_threshold`.
    Similar,
}

/// A previous submission that counts against the judged one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offender {
    /// The id of the previous submission.
    pub submission: String,
    /// D of the pair, exact.
    pub statistic: f64,
    /// How near the samples are, if they are near.
    pub closeness: Option<Closeness>,
    /// Pearson's correlation, if it is beyond `max_correlation`.
    pub correlation: Option<f64>,
}

/// The judgement of a submission's originality.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Originality {
    /// No equal one, no correlated one, and fewer similar ones than `max_similar`.
    pub original: bool,
    /// How many previous submissions are similar, the equal ones apart.
    pub similar_count: u32,
    /// With how many previous submissions it was compared.
    pub compared: usize,
    /// Every equal, similar or correlated previous submission, newest first, whether or not the similar ones are enough
    /// to decide.
    pub offenders: Vec<Offender>,
}

/// Why originality could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum OriginalityError<E: std::error::Error + 'static> {
    /// The rules contradict themselves.
    #[error(transparent)]
    Rules(#[from] RuleError),
    /// What is known of a previous submission could not be fetched.
    #[error("cannot compare with submission {submission}")]
    Evidence {
        /// Its id.
        submission: String,
        /// Why.
        #[source]
        source: E,
    },
    /// The stored summary is not that of the stored values.
    #[error("the stored summary of submission {submission} does not belong to its stored values")]
    SummaryMismatch {
        /// Its id.
        submission: String,
    },
    /// The aligned values are not as many as those of the judged submission.
    #[error("submission {submission} has {found} values by id where {expected} are expected")]
    Misaligned {
        /// Its id.
        submission: String,
        /// How many values the judged submission has.
        expected: usize,
        /// How many values it has.
        found: usize,
    },
}

/// Judges a submission against those of `others` that are previous to it; the rest of them is passed over.
///
/// The answer is that of comparing every pair exactly, and does not depend on the order of `others`.
///
/// # Errors
/// When the rules contradict themselves, evidence cannot be fetched, or does not fit together.
pub fn judge<E: Evidence>(
    rules: &Rules,
    subject: Subject<'_>,
    others: &[Entry],
    evidence: &mut E,
) -> Result<Originality, OriginalityError<E::Error>> {
    rules.check()?;
    let summary = Summary::of(subject.sorted);
    let previous = previous(subject.entry, others);
    let mut offenders = Vec::new();
    for entry in &previous {
        offenders.extend(compare(rules, subject, &summary, &entry.submission, evidence)?);
    }
    let with = |closeness| offenders.iter().filter(|offender| offender.closeness == Some(closeness)).count();
    let similar_count = u32::try_from(with(Closeness::Similar)).unwrap_or(u32::MAX);
    let original = with(Closeness::Equal) == 0
        && similar_count < rules.max_similar
        && offenders.iter().all(|offender| offender.correlation.is_none());
    Ok(Originality { original, similar_count, compared: previous.len(), offenders })
}

/// The previous submission as an offender, if it is one.
fn compare<E: Evidence>(
    rules: &Rules,
    subject: Subject<'_>,
    mine: &Summary,
    submission: &str,
    evidence: &mut E,
) -> Result<Option<Offender>, OriginalityError<E::Error>> {
    let failed = |source| OriginalityError::Evidence { submission: submission.to_owned(), source };

    let theirs = evidence.summary(submission).map_err(failed)?;
    let mut values = None;
    let mut near = None;
    if theirs.as_ref().is_none_or(|theirs| rules.needs_values(mine, theirs)) {
        let sorted = evidence.sorted(submission).map_err(failed)?;
        if theirs.is_some_and(|theirs| Summary::of(&sorted) != theirs) {
            return Err(OriginalityError::SummaryMismatch { submission: submission.to_owned() });
        }
        near = ks::statistic_below(subject.sorted, &sorted, rules.similar_threshold);
        values = Some(sorted);
    }

    let mut correlation = None;
    if let Some(max) = rules.max_correlation {
        let aligned = evidence.aligned(submission).map_err(failed)?;
        if aligned.len() != subject.aligned.len() {
            let (expected, found) = (subject.aligned.len(), aligned.len());
            return Err(OriginalityError::Misaligned { submission: submission.to_owned(), expected, found });
        }
        correlation = pearson(subject.aligned, &aligned).filter(|r| r.abs() > max);
    }

    let closeness = near.map(|d| if d < rules.equal_threshold { Closeness::Equal } else { Closeness::Similar });
    let statistic = match (near, correlation) {
        (Some(statistic), _) => statistic,
        (None, None) => return Ok(None),
        (None, Some(_)) => {
            let sorted = match values {
                Some(sorted) => sorted,
                None => evidence.sorted(submission).map_err(failed)?,
            };
            ks::statistic(subject.sorted, &sorted)
        }
    };
    Ok(Some(Offender { submission: submission.to_owned(), statistic, closeness, correlation }))
}
