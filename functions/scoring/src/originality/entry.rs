//! Who came before whom.

use std::cmp::Ordering;

/// A submission as far as the order of submissions is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub submission: String,
    /// Whose it is.
    pub user: String,
    /// The round it was made for.
    pub round: String,
    /// When it was created, in nanoseconds of Unix time; any other unit does as long as all entries share it.
    pub created: i128,
}

impl Entry {
    /// Earlier or later by creation; of two created at the same moment the one with the smaller id is the earlier.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        self.created.cmp(&other.created).then_with(|| self.submission.cmp(&other.submission))
    }

    /// Whether the other is of the same round, by another user, and earlier.
    #[must_use]
    pub fn follows(&self, other: &Self) -> bool {
        self.round == other.round && self.user != other.user && other.order(self) == Ordering::Less
    }
}

/// Those of `others` that are previous to the judged one, newest first, each once.
#[must_use]
pub fn previous<'a>(judged: &Entry, others: &'a [Entry]) -> Vec<&'a Entry> {
    let mut previous: Vec<&Entry> = others.iter().filter(|other| judged.follows(other)).collect();
    previous.sort_by(|first, second| second.order(first));
    previous.dedup_by(|first, second| first.submission == second.submission);
    previous
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(submission: &str, user: &str, round: &str, created: i128) -> Entry {
        Entry { submission: submission.into(), user: user.into(), round: round.into(), created }
    }

    #[test]
    fn only_earlier_ones_of_others_in_the_round_newest_first() {
        let judged = entry("m", "me", "r1", 10);
        let others = [
            entry("old", "you", "r1", 1),
            entry("mine", "me", "r1", 2),
            entry("elsewhere", "you", "r2", 3),
            entry("later", "you", "r1", 11),
            entry("new", "they", "r1", 9),
            entry("new", "they", "r1", 9),
            entry("a", "you", "r1", 10),
            entry("z", "you", "r1", 10),
            judged.clone(),
        ];
        let names: Vec<&str> = previous(&judged, &others).iter().map(|entry| entry.submission.as_str()).collect();
        assert_eq!(names, ["a", "new", "old"]);
    }

    #[test]
    fn of_two_one_is_earlier_whoever_is_judged_first() {
        let (first, second) = (entry("a", "u1", "r", 5), entry("b", "u2", "r", 5));
        assert!(second.follows(&first) && !first.follows(&second));
    }
}
