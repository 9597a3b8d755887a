//! Is a submission a near copy of an earlier one?
//!
//! Earlier submissions are those of the same challenge by other users, created before the scored one. For each, D is the
//! Kolmogorov-Smirnov [statistic](crate::ks) of the two samples of predictions. D < `equal_threshold` makes the scored
//! submission not original. Otherwise D < `similar_threshold` makes the pair similar, and `max_similar` similar pairs make
//! it not original. Optionally, |Pearson| > `max_correlation` of the values aligned by id does so too. All comparisons are
//! strict. (The rule of the Numerai tournament's server of 2018.)
//!
//! Scoring takes three steps:
//!
//! 1. a [`Plan`] gets every other submission with its [`Summary`] and decides which values are needed;
//! 2. the caller fetches these values and [compares](Plan::compare) them, in any order and on any thread;
//! 3. [`Plan::finish`] gathers the comparisons into the result.
//!
//! The result is the same as if every pair had been compared exactly.

mod provenance;
mod rules;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::correlation::pearson;
use crate::grid::Grids;
use crate::ks;
use crate::sorted::{SampleError, Sorted};
use crate::summary::{Far, Summary};
use provenance::Age;
pub use provenance::Provenance;
pub use rules::{RuleError, Rules};

/// The predictions of a submission, in one of two orders; [`Rules::needs_aligned`] says which is needed.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// In ascending order of value.
    Sorted(Sorted),
    /// In ascending order of their ids.
    Aligned(Vec<f64>),
}

/// How near two samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Closeness {
    /// D < `equal_threshold`.
    Equal,
    /// `equal_threshold` ≤ D < `similar_threshold`.
    Similar,
}

/// An earlier submission that counts against the scored one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offender {
    /// The id of the earlier submission.
    pub submission: String,
    /// The exact D of the pair.
    pub statistic: f64,
    /// `None` if only the correlation counts.
    pub closeness: Option<Closeness>,
    /// Pearson's correlation, if its absolute value is above `max_correlation`.
    pub correlation: Option<f64>,
}

/// The result of a submission's originality.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Originality {
    /// True if no submission is equal or correlated, and fewer than `max_similar` are similar.
    pub original: bool,
    /// How many earlier submissions are similar, not counting equal ones.
    pub similar_count: u32,
    /// How many earlier submissions there are.
    pub compared: usize,
    /// Every equal, similar or correlated earlier submission, newest first, including similar ones that are too few to
    /// decide.
    pub offenders: Vec<Offender>,
}

/// Why originality could not be scored. The texts are fragments.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OriginalityError {
    #[error("the rules are not valid: {0}")]
    Rules(#[from] RuleError),
    /// Stored summary and stored values come from different predictions.
    #[error("the stored summary of submission {submission} does not match its stored values")]
    SummaryMismatch { submission: String },
    #[error("submission {submission} has {found} values, expected {expected}")]
    ValueCount { submission: String, expected: usize, found: usize },
    /// Correlation needs values in the order of their ids.
    #[error("the values of submission {submission} are sorted by value, but the correlation needs them sorted by id")]
    NotAligned { submission: String },
    #[error("the values of submission {submission} are not usable: {source}")]
    Values { submission: String, source: SampleError },
    #[error("submission {submission} was not compared")]
    NotCompared { submission: String },
}

/// What scoring the originality of one submission takes, decided from the summaries.
///
/// It holds the values of the scored submission only, which it counts on every grid. So summaries of all grids are compared,
/// each with the counts on its own grid.
#[derive(Clone, Debug)]
pub struct Plan {
    rules: Rules,
    subject: Provenance,
    sorted: Sorted,
    aligned: Option<Vec<f64>>,
    grids: Grids,
    /// The submission's own summary on each grid.
    summaries: Vec<Summary>,
    far: Far,
    /// The earlier submissions. The value says what a comparison needs.
    earlier: BTreeMap<Age, Need>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// The summaries prove that the pair is far, and correlation is off.
    Nothing,
    /// The summaries prove that the pair is far; the values are needed for the correlation.
    Correlation,
    /// D must be computed.
    Statistic,
}

/// The comparison with one other submission.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    age: Age,
    offender: Option<Offender>,
    renewed: Option<Summary>,
}

impl Comparison {
    /// Whether the earlier of the two counts against the later one. The same for both.
    #[must_use]
    pub fn is_close(&self) -> bool {
        self.offender.is_some()
    }

    /// The other submission's summary on the newest grid, if it had none on that grid and D was computed. It may tell the
    /// submission apart from others without its values.
    #[must_use]
    pub fn renewed(&self) -> Option<&Summary> {
        self.renewed.as_ref()
    }
}

impl Plan {
    /// A plan for a submission and its values, without any other submission yet.
    ///
    /// # Errors
    /// When the rules are not valid, or the values are not a sample or in the wrong order.
    pub fn new(rules: Rules, subject: Provenance, values: Values, grids: Grids) -> Result<Self, OriginalityError> {
        rules.check()?;
        let (sorted, aligned) = match values {
            Values::Aligned(aligned) => (sorted(&subject.submission, aligned.clone())?, Some(aligned)),
            Values::Sorted(_) if rules.needs_aligned() => {
                return Err(OriginalityError::NotAligned { submission: subject.submission });
            }
            Values::Sorted(sorted) => (sorted, None),
        };
        let summaries = grids.iter().map(|grid| Summary::of(&sorted, grid)).collect();
        let far = Far::new(rules.similar_threshold, sorted.count());
        Ok(Self { rules, subject, sorted, aligned, grids, summaries, far, earlier: BTreeMap::new() })
    }

    /// Whether the values of another submission, earlier or later, must be compared.
    #[must_use]
    pub fn needs_values(&self, summary: &Summary) -> bool {
        self.need(Some(summary)) != Need::Nothing
    }

    fn need(&self, summary: Option<&Summary>) -> Need {
        let is_far = summary.is_some_and(|theirs| {
            let mine = self.summaries.get(usize::from(theirs.grid().version()));
            mine.is_some_and(|mine| self.far.is_proven(mine, theirs))
        });
        match (is_far, self.rules.needs_aligned()) {
            (false, _) => Need::Statistic,
            (true, true) => Need::Correlation,
            (true, false) => Need::Nothing,
        }
    }

    /// Adds another submission, with its summary if there is one. The order does not matter.
    ///
    /// Changes nothing if the submission is not an earlier one, or was added before. A summary on a grid that the plan does not
    /// have decides nothing.
    pub fn add(&mut self, other: &Provenance, summary: Option<&Summary>) {
        if !self.subject.follows(other) {
            return;
        }
        let need = self.need(summary);
        self.earlier.entry(other.age()).or_insert(need);
    }

    /// The ids of all earlier submissions, newest first.
    pub fn earlier(&self) -> impl Iterator<Item = &str> {
        self.earlier.keys().rev().map(Age::submission)
    }

    /// The ids of the earlier submissions that must be compared, newest first.
    pub fn needed(&self) -> impl Iterator<Item = &str> {
        self.earlier.iter().rev().filter(|(_, need)| **need != Need::Nothing).map(|(age, _)| age.submission())
    }

    /// Compares an earlier submission. Its summary, if there is one, must match its values.
    ///
    /// The comparison with a submission that is not [needed](Self::needed) changes nothing.
    ///
    /// # Errors
    /// When summary, values and the scored submission do not belong together.
    pub fn compare(
        &self,
        other: &Provenance,
        summary: Option<&Summary>,
        values: Values,
    ) -> Result<Comparison, OriginalityError> {
        let need = self.earlier.get(&other.age()).copied().unwrap_or(Need::Nothing);
        self.comparison(other, need, summary, values)
    }

    /// Compares a later submission: if they are [close](Comparison::is_close), its own result changes.
    ///
    /// # Errors
    /// When summary, values and the scored submission do not belong together.
    pub fn compare_later(
        &self,
        later: &Provenance,
        summary: &Summary,
        values: Values,
    ) -> Result<Comparison, OriginalityError> {
        self.comparison(later, self.need(Some(summary)), Some(summary), values)
    }

    fn comparison(
        &self,
        other: &Provenance,
        need: Need,
        summary: Option<&Summary>,
        values: Values,
    ) -> Result<Comparison, OriginalityError> {
        let (offender, renewed) = match need {
            Need::Nothing => (None, None),
            Need::Correlation | Need::Statistic => self.offender(&other.submission, need, summary, values)?,
        };
        Ok(Comparison { age: other.age(), offender, renewed })
    }

    fn offender(
        &self,
        submission: &str,
        need: Need,
        summary: Option<&Summary>,
        values: Values,
    ) -> Result<(Option<Offender>, Option<Summary>), OriginalityError> {
        let correlation = self.correlation(submission, &values)?;
        if need == Need::Correlation && correlation.is_none() {
            return Ok((None, None));
        }
        let theirs = match values {
            Values::Sorted(sorted) => sorted,
            Values::Aligned(aligned) => sorted(submission, aligned)?,
        };
        let (near, renewed) = match need {
            Need::Statistic => {
                let renewed = self.renewed(submission, summary, &theirs)?;
                (ks::statistic_below(&self.sorted, &theirs, self.rules.similar_threshold), renewed)
            }
            Need::Correlation | Need::Nothing => (None, None),
        };
        let statistic = match (near, correlation) {
            (Some(statistic), _) => statistic,
            (None, Some(_)) => ks::statistic(&self.sorted, &theirs),
            (None, None) => return Ok((None, renewed)),
        };
        let equal = self.rules.equal_threshold;
        let closeness = near.map(|d| if d < equal { Closeness::Equal } else { Closeness::Similar });
        let offender = Offender { submission: submission.to_owned(), statistic, closeness, correlation };
        Ok((Some(offender), renewed))
    }

    /// Checks that values belong to a summary, and summarises them on the newest grid if the summary does not.
    fn renewed(
        &self,
        submission: &str,
        summary: Option<&Summary>,
        values: &Sorted,
    ) -> Result<Option<Summary>, OriginalityError> {
        let newest = self.grids.newest();
        let Some(summary) = summary else { return Ok(Some(Summary::of(values, newest))) };
        if self.grids.get(summary.grid()).is_some_and(|grid| Summary::of(values, grid) != *summary) {
            return Err(OriginalityError::SummaryMismatch { submission: submission.to_owned() });
        }
        Ok((summary.grid() != newest.id()).then(|| Summary::of(values, newest)))
    }

    /// Pearson's correlation with the values of an earlier submission, if it counts.
    fn correlation(&self, submission: &str, theirs: &Values) -> Result<Option<f64>, OriginalityError> {
        let (Some(max), Some(mine)) = (self.rules.max_correlation, &self.aligned) else { return Ok(None) };
        let Values::Aligned(theirs) = theirs else {
            return Err(OriginalityError::NotAligned { submission: submission.to_owned() });
        };
        if theirs.len() != mine.len() {
            let (expected, found) = (mine.len(), theirs.len());
            return Err(OriginalityError::ValueCount { submission: submission.to_owned(), expected, found });
        }
        Ok(pearson(mine, theirs).filter(|r| r.abs() > max))
    }

    /// The result. The order of the comparisons does not matter.
    ///
    /// # Errors
    /// When a comparison is missing.
    pub fn finish(&self, comparisons: impl IntoIterator<Item = Comparison>) -> Result<Originality, OriginalityError> {
        let mut compared: BTreeMap<Age, Option<Offender>> =
            comparisons.into_iter().map(|comparison| (comparison.age, comparison.offender)).collect();
        let mut offenders = Vec::new();
        for (age, _) in self.earlier.iter().rev().filter(|(_, need)| **need != Need::Nothing) {
            let offender = compared
                .remove(age)
                .ok_or_else(|| OriginalityError::NotCompared { submission: age.submission().to_owned() })?;
            offenders.extend(offender);
        }
        let (mut equal_count, mut similar_count, mut correlated_count) = (0_u32, 0_u32, 0_u32);
        for offender in &offenders {
            equal_count += u32::from(offender.closeness == Some(Closeness::Equal));
            similar_count += u32::from(offender.closeness == Some(Closeness::Similar));
            correlated_count += u32::from(offender.correlation.is_some());
        }
        let original = equal_count == 0 && correlated_count == 0 && similar_count < self.rules.max_similar;
        Ok(Originality { original, similar_count, compared: self.earlier.len(), offenders })
    }
}

fn sorted(submission: &str, values: Vec<f64>) -> Result<Sorted, OriginalityError> {
    Sorted::new(values).map_err(|source| OriginalityError::Values { submission: submission.to_owned(), source })
}
