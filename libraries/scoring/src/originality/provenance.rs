//! Which of two submissions is the earlier one.

/// Where a submission comes from: this decides which other submissions it is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The id of the submission.
    pub submission: String,
    /// The participant who submitted it.
    pub user: String,
    pub challenge: String,
    /// When it was created, in nanoseconds since 1970. Any other unit works if all submissions share it.
    pub created: i128,
}

/// The place of a submission in the order of creation. Of two submissions created at the same moment, the one with the
/// smaller id is earlier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Age {
    created: i128,
    submission: String,
}

impl Age {
    pub(super) fn submission(&self) -> &str {
        &self.submission
    }
}

impl Provenance {
    pub(super) fn age(&self) -> Age {
        Age { created: self.created, submission: self.submission.clone() }
    }

    /// Whether the other one is an earlier submission to the same challenge by another user.
    #[must_use]
    pub fn follows(&self, other: &Self) -> bool {
        self.challenge == other.challenge
            && self.user != other.user
            && (other.created, &other.submission) < (self.created, &self.submission)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Plan, Rules, Values};
    use super::*;
    use crate::grid::Grids;
    use crate::sorted::Sorted;

    fn from(submission: &str, user: &str, challenge: &str, created: i128) -> Provenance {
        Provenance { submission: submission.into(), user: user.into(), challenge: challenge.into(), created }
    }

    #[test]
    fn only_earlier_submissions_of_others_to_the_challenge_are_compared_newest_first() {
        let subject = from("m", "me", "r1", 10);
        let others = [
            from("old", "you", "r1", 1),
            from("mine", "me", "r1", 2),
            from("elsewhere", "you", "r2", 3),
            from("later", "you", "r1", 11),
            from("new", "they", "r1", 9),
            from("new", "they", "r1", 9),
            from("a", "you", "r1", 10),
            from("z", "you", "r1", 10),
            subject.clone(),
        ];
        let values = Values::Sorted(Sorted::new(vec![0.5]).unwrap());
        let mut plan = Plan::new(Rules::default(), subject, values, Grids::default()).unwrap();
        for other in &others {
            plan.add(other, None);
        }
        assert_eq!(plan.earlier().collect::<Vec<_>>(), ["a", "new", "old"]);
        assert_eq!(plan.needed().collect::<Vec<_>>(), ["a", "new", "old"]);
    }

    #[test]
    fn of_two_submissions_one_is_always_earlier() {
        let (first, second) = (from("a", "u1", "r", 5), from("b", "u2", "r", 5));
        assert!(second.follows(&first) && !first.follows(&second));
    }
}
