//! Who is in and who is out: the outcomes as they are reported, compared with what is true.

use std::collections::BTreeMap;
use std::fmt;

use domain::outcome::{Outcome, Status};
use domain::{FailureCode, Fault};
use serde::Serialize;

use crate::submissions::{Index, Submissions};
use crate::time::Moment;

/// Something that must not happen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase", tag = "problem")]
pub enum Violation {
    /// A submission without an outcome.
    Lost { submission: String },
    /// A submission with two different outcomes, or with outcomes of two executions.
    ReportedTwice { submission: String, first: String, second: String },
    /// A submission whose outcome names another fault than is true.
    BlamedWrongly { submission: String, truth: String, outcome: String },
    /// A submission that failed, although a working platform would complete or reject it.
    Failed { submission: String, outcome: String },
    /// An image that is trained for another submission than it was built from.
    WrongImage { submission: String },
    /// An execution whose history reached the limit.
    HistoryFull { execution: String, events: usize },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { submission } => write!(f, "{submission} has no outcome"),
            Self::ReportedTwice { submission, first, second } => {
                write!(f, "{submission} was reported twice: {first}, then {second}")
            }
            Self::BlamedWrongly { submission, truth, outcome } => {
                write!(f, "{submission} was reported as {outcome}, but the truth is {truth}")
            }
            Self::Failed { submission, outcome } => write!(f, "{submission} failed: {outcome}"),
            Self::WrongImage { submission } => write!(f, "{submission} was trained with another image than its own"),
            Self::HistoryFull { execution, events } => {
                write!(f, "{execution} reached {events} events of its history")
            }
        }
    }
}

/// A reported outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    pub status: Status,
    pub code: Option<FailureCode>,
    execution: String,
    pub at: Moment,
}

impl Reported {
    fn of(outcome: &Outcome, at: Moment) -> Self {
        let code = outcome.failure.as_ref().map(|failure| failure.code);
        Self { status: outcome.status, code, execution: outcome.execution.clone(), at }
    }

    /// Whether an execution with this ARN has reported it.
    #[must_use]
    pub fn is_of(&self, execution: &str) -> bool {
        self.execution == execution
    }

    fn is_same(&self, other: &Self) -> bool {
        (self.status, self.code, &self.execution) == (other.status, other.code, &other.execution)
    }

    /// The failure code, or the status of an outcome without one.
    #[must_use]
    pub fn name(&self) -> String {
        self.code.map_or_else(|| format!("{:?}", self.status), |code| code.to_string())
    }
}

/// All reported outcomes.
#[derive(Debug, Default)]
pub struct Ledger {
    outcomes: BTreeMap<Index, Reported>,
    violations: Vec<Violation>,
}

impl Ledger {
    /// Records a reported outcome. The same outcome again changes nothing, as in the Submission API.
    pub(crate) fn report(&mut self, outcome: &Outcome, submissions: &Submissions, at: Moment) {
        let reported = Reported::of(outcome, at);
        let index = submissions.find(&outcome.submission_id);
        match self.outcomes.get(&index) {
            None => {
                self.outcomes.insert(index, reported);
            }
            Some(first) if first.is_same(&reported) => {}
            Some(first) => self.violations.push(Violation::ReportedTwice {
                submission: outcome.submission_id.to_string(),
                first: first.name(),
                second: reported.name(),
            }),
        }
    }

    pub fn violate(&mut self, violation: Violation) {
        self.violations.push(violation);
    }

    #[must_use]
    pub fn outcomes(&self) -> &BTreeMap<Index, Reported> {
        &self.outcomes
    }

    /// Everything that must not have happened.
    #[must_use]
    pub(crate) fn violations(&self, submissions: &Submissions) -> Vec<Violation> {
        let mut violations = self.violations.clone();
        for (index, submission) in submissions.all().iter().enumerate() {
            let id = submission.id.to_string();
            let Some(reported) = self.outcomes.get(&index) else {
                violations.push(Violation::Lost { submission: id });
                continue;
            };
            if reported.code == submission.fault {
                continue;
            }
            let outcome = reported.name();
            violations.push(if reported.code.map(FailureCode::fault) == Some(Fault::Platform) {
                Violation::Failed { submission: id, outcome }
            } else {
                let truth = submission.fault.map_or_else(|| "Completed".to_owned(), |code| code.to_string());
                Violation::BlamedWrongly { submission: id, truth, outcome }
            });
        }
        violations
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::Plan;

    /// A submission that completes and one that does not build.
    fn two() -> (Submissions, Index, Index) {
        let submissions = Submissions::of_plan(&Plan { submissions: 1000, ..Plan::default() });
        let place = |fault| submissions.all().iter().position(|submission| submission.fault == fault).unwrap();
        let (good, bad) = (place(None), place(Some(FailureCode::BuildFailed)));
        (submissions, good, bad)
    }

    fn outcome(submissions: &Submissions, index: Index, code: Option<FailureCode>, execution: &str) -> Outcome {
        let status = match code.map(FailureCode::fault) {
            None => "completed",
            Some(Fault::Participant) => "rejected",
            Some(Fault::Platform) => "failed",
        };
        let failure = code.map(|code| json!({"code": code, "fault": code.fault(), "message": "m"}));
        serde_json::from_value(json!({
            "submissionId": submissions.get(index).id, "status": status, "failure": failure, "attempts": 1,
            "execution": execution, "startedAt": "a", "finishedAt": "b",
        }))
        .unwrap()
    }

    /// The violations about these two submissions after these reports.
    fn violations(reports: &[(usize, Option<FailureCode>, &str)]) -> Vec<Violation> {
        let (submissions, good, bad) = two();
        let mut ledger = Ledger::default();
        for (which, code, execution) in reports {
            let outcome = outcome(&submissions, [good, bad][*which], *code, execution);
            ledger.report(&outcome, &submissions, Moment::START);
        }
        let ids = [good, bad].map(|index| submissions.get(index).id.to_string());
        let about = |violation: &Violation| {
            let violation = serde_json::to_value(violation).unwrap();
            ids.iter().any(|id| violation["submission"] == *id)
        };
        let mut violations = ledger.violations(&submissions);
        violations.retain(about);
        violations
    }

    const RIGHT: [(usize, Option<FailureCode>, &str); 2] = [(0, None, "a"), (1, Some(FailureCode::BuildFailed), "b")];

    #[test]
    fn true_outcomes_are_no_violation_and_neither_is_a_repeated_report() {
        assert_eq!(violations(&RIGHT), []);
        assert_eq!(violations(&[RIGHT[0], RIGHT[1], RIGHT[0]]), []);
    }

    #[test]
    fn a_lost_submission_is_detected() {
        assert!(matches!(violations(&RIGHT[..1])[..], [Violation::Lost { .. }]));
    }

    #[test]
    fn two_outcomes_of_one_submission_are_detected() {
        let twice = violations(&[RIGHT[0], RIGHT[1], (0, None, "other execution")]);
        assert!(matches!(twice[..], [Violation::ReportedTwice { .. }]), "{twice:?}");
        let other = violations(&[RIGHT[0], RIGHT[1], (1, None, "b")]);
        assert!(matches!(other[..], [Violation::ReportedTwice { .. }]), "{other:?}");
    }

    #[test]
    fn wrong_blame_is_detected() {
        for wrong in [(0, Some(FailureCode::BuildFailed), "a"), (0, Some(FailureCode::TrainingFailed), "a")] {
            let found = violations(&[wrong, RIGHT[1]]);
            assert!(matches!(found[..], [Violation::BlamedWrongly { .. }]), "{found:?}");
        }
        let undeserved = violations(&[RIGHT[0], (1, None, "b")]);
        assert!(matches!(undeserved[..], [Violation::BlamedWrongly { .. }]), "{undeserved:?}");
        let failed = violations(&[(0, Some(FailureCode::QuotaExceeded), "a"), RIGHT[1]]);
        assert!(matches!(failed[..], [Violation::Failed { .. }]), "{failed:?}");
    }
}
