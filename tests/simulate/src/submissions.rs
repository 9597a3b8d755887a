//! The submissions of an evening, and what is true of each.

use std::collections::HashMap;

use domain::{FailureCode, SubmissionId};

use crate::plan::Plan;
use crate::random::Random;
use crate::time::Moment;

/// What becomes of a submission if the platform does its work. Shares are assumptions; what is left completes.
const FAULTS: [(FailureCode, f64); 12] = [
    (FailureCode::ArchiveInvalid, 0.01),
    (FailureCode::ArchiveUnsafe, 0.003),
    (FailureCode::ArchiveTooLarge, 0.003),
    (FailureCode::DockerfileMissing, 0.02),
    (FailureCode::BuildFailed, 0.05),
    (FailureCode::BuildTimedOut, 0.003),
    (FailureCode::ImageUnusable, 0.01),
    (FailureCode::TrainingFailed, 0.06),
    (FailureCode::TrainingOutOfMemory, 0.02),
    (FailureCode::TrainingTimedOut, 0.005),
    (FailureCode::PredictionsMissing, 0.01),
    (FailureCode::PredictionsInvalid, 0.01),
];
/// Submissions to a challenge that is not scored.
const UNSCORED: f64 = 0.1;

/// The challenge with settings, and the one without.
pub(crate) const SCORED_CHALLENGE: &str = "30054163";
pub(crate) const OTHER_CHALLENGE: &str = "30054164";
/// The settings of the first: an hour of training.
pub(crate) const SETTINGS: &str = r#"{"training": {"max_runtime_in_seconds": 3600, "input_folder": "scored"}, "scoring": {"metric": "logloss", "truth": "truth.csv"}}"#;

/// The place of a submission among all.
pub(crate) type Index = usize;

#[derive(Clone, Debug)]
pub(crate) struct Submission {
    pub id: SubmissionId,
    pub challenge: &'static str,
    /// The participant's fault; none if it completes.
    pub fault: Option<FailureCode>,
    pub published: Moment,
}

/// All submissions, by place and by name.
#[derive(Debug)]
pub(crate) struct Submissions {
    all: Vec<Submission>,
    by_id: HashMap<SubmissionId, Index>,
    by_safe_id: HashMap<String, Index>,
}

impl Submissions {
    #[must_use]
    pub(crate) fn of_plan(plan: &Plan) -> Self {
        let mut random = Random::new(plan.seed, "submissions");
        let mut all: Vec<Submission> = Vec::with_capacity(plan.submissions);
        for _ in 0..plan.submissions {
            let challenge = if random.chance(UNSCORED) { OTHER_CHALLENGE } else { SCORED_CHALLENGE };
            let fault = fault(&mut random).filter(|code| challenge == SCORED_CHALLENGE || !is_of_scoring(*code));
            all.push(Submission { id: id(&mut random), challenge, fault, published: arrival(plan, &mut random) });
        }
        let by_id = all.iter().enumerate().map(|(index, submission)| (submission.id.clone(), index)).collect();
        let by_safe_id =
            all.iter().enumerate().map(|(index, it)| (it.id.aws_safe().as_str().to_owned(), index)).collect();
        Self { all, by_id, by_safe_id }
    }

    #[must_use]
    pub(crate) fn all(&self) -> &[Submission] {
        &self.all
    }

    #[must_use]
    pub(crate) fn get(&self, index: Index) -> &Submission {
        &self.all[index]
    }

    /// The place of a submission.
    ///
    /// # Panics
    ///
    /// When there is no such submission: then a definition or function has mixed up names.
    #[must_use]
    pub(crate) fn find(&self, id: &SubmissionId) -> Index {
        *self.by_id.get(id).unwrap_or_else(|| panic!("there is no submission {id}"))
    }

    /// The place of the submission with this AWS-safe id. Panics as [`Self::find`].
    #[must_use]
    pub(crate) fn find_safe(&self, id: &str) -> Index {
        *self.by_safe_id.get(id).unwrap_or_else(|| panic!("there is no submission {id}"))
    }
}

fn fault(random: &mut Random) -> Option<FailureCode> {
    let mut drawn = random.unit();
    for (code, share) in FAULTS {
        if drawn < share {
            return Some(code);
        }
        drawn -= share;
    }
    None
}

fn is_of_scoring(code: FailureCode) -> bool {
    matches!(code, FailureCode::PredictionsMissing | FailureCode::PredictionsInvalid)
}

/// Of version 5 or 6 of the Submission API.
fn id(random: &mut Random) -> SubmissionId {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    let mut draw = |letters: &[u8], length: usize| -> String {
        (0..length).map(|_| char::from(letters[random.below(letters.len())])).collect()
    };
    let id = if draw(b"56", 1) == "5" {
        [8, 4, 4, 4, 12].map(|length| draw(DIGITS, length)).join("-")
    } else {
        draw(LETTERS, 14)
    };
    id.parse().expect("invariant: this is the form of a submission's id")
}

/// More and more arrive towards the deadline.
fn arrival(plan: &Plan, random: &mut Random) -> Moment {
    // Half of them come after 5/6 of the time, because ln 2 / ln (6/5) = 3.8.
    let share = random.unit().powf(1.0 / 3.8);
    Moment::START + plan.span.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_all_submissions_come_in_the_last_sixth_of_the_time() {
        let plan = Plan { submissions: 4000, ..Plan::default() };
        let submissions = Submissions::of_plan(&plan);
        let late = submissions.all().iter().filter(|it| it.published.elapsed() > plan.span.mul_f64(5.0 / 6.0));
        assert!((1900..2100).contains(&late.count()));
        assert_eq!(submissions.by_safe_id.len(), 4000);
    }

    #[test]
    fn every_fault_of_participants_is_sown() {
        let submissions = Submissions::of_plan(&Plan { submissions: 4000, ..Plan::default() });
        for code in FailureCode::ALL.iter().filter(|code| code.fault() == domain::Fault::Participant) {
            assert!(submissions.all().iter().any(|it| it.fault == Some(*code)), "{code}");
        }
    }
}
