//! The prepared submissions of a challenge, put together from items and segments.

use super::{Index, PreparedSubmission};

/// All prepared submissions of a challenge at one time, and the grids of their summaries.
#[derive(Debug)]
pub(crate) struct Challenge {
    /// One for each submission, in the order of their ids.
    pub(crate) prepared: Vec<PreparedSubmission>,
    pub(crate) index: Index,
    /// The items of the table, in the order of their ids.
    pub(super) items: Vec<Item>,
}

/// An item of the table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) prepared: PreparedSubmission,
    /// Whether the submission is in a segment too, with a summary that is as new: then the item may be deleted.
    pub(super) is_in_segment: bool,
}

impl Challenge {
    /// Takes the newest summary of each submission, and the oldest provenance: it never changes once it is stored.
    pub(super) fn new(index: Index, segments: Vec<Vec<PreparedSubmission>>, items: Vec<PreparedSubmission>) -> Self {
        let mut challenge = Self { prepared: Vec::new(), index, items: Vec::with_capacity(items.len()) };
        let in_segments = segments.into_iter().flatten().map(|prepared| (prepared, false));
        let mut all: Vec<(PreparedSubmission, bool)> =
            in_segments.chain(items.into_iter().map(|item| (item, true))).collect();
        // Stable: for the same id, the item comes last.
        all.sort_by(|(one, _), (other, _)| one.provenance.submission.cmp(&other.provenance.submission));
        challenge.prepared.reserve_exact(all.len());
        for (prepared, is_item) in all {
            let found = challenge
                .prepared
                .last_mut()
                .filter(|last| last.provenance.submission == prepared.provenance.submission);
            let Some(found) = found else {
                if is_item {
                    challenge.items.push(Item { prepared: prepared.clone(), is_in_segment: false });
                }
                challenge.prepared.push(prepared);
                continue;
            };
            let is_newer = prepared.summary.grid().version() > found.summary.grid().version();
            if is_newer {
                found.summary = prepared.summary.clone();
            }
            if is_item {
                challenge.items.push(Item { prepared, is_in_segment: !is_newer });
            }
        }
        challenge
    }

    pub(crate) fn find(&self, submission: &str) -> Option<&PreparedSubmission> {
        let id = |prepared: &PreparedSubmission| prepared.provenance.submission.as_str().cmp(submission);
        self.prepared.binary_search_by(id).ok().map(|position| &self.prepared[position])
    }

    pub(super) fn item(&self, submission: &str) -> Option<&Item> {
        let id = |item: &Item| item.prepared.provenance.submission.as_str().cmp(submission);
        self.items.binary_search_by(id).ok().map(|position| &self.items[position])
    }
}

#[cfg(test)]
impl From<Vec<PreparedSubmission>> for Challenge {
    fn from(items: Vec<PreparedSubmission>) -> Self {
        Self::new(Index::default(), Vec::new(), items)
    }
}

#[cfg(test)]
mod tests {
    use scoring::originality::Provenance;
    use scoring::{Grid, Sorted, Summary};

    use super::*;

    /// A submission whose summary counts on a grid of this version.
    fn prepared(submission: &str, user: &str, version: u16) -> PreparedSubmission {
        let grid = Grid::from_points(version, vec![0.5]).unwrap();
        PreparedSubmission {
            provenance: Provenance {
                submission: submission.into(),
                user: user.into(),
                challenge: "r".into(),
                created: 1,
            },
            summary: Summary::of(&Sorted::new(vec![0.4]).unwrap(), &grid),
        }
    }

    #[test]
    fn each_submission_counts_once_with_its_newest_summary() {
        let segments = vec![
            vec![prepared("b", "u", 0), prepared("d", "u", 1)],
            vec![prepared("a", "u", 0), prepared("b", "u", 2)],
        ];
        let items = vec![prepared("b", "other", 1), prepared("c", "u", 1), prepared("d", "other", 2)];
        let challenge = Challenge::new(Index::default(), segments, items);
        let expected = [prepared("a", "u", 0), prepared("b", "u", 2), prepared("c", "u", 1), prepared("d", "u", 2)];
        assert_eq!(challenge.prepared, expected);
        let items: Vec<_> = challenge.items.iter().map(|item| (item.prepared.clone(), item.is_in_segment)).collect();
        let expected =
            [(prepared("b", "other", 1), true), (prepared("c", "u", 1), false), (prepared("d", "other", 2), false)];
        assert_eq!(items, expected);
        assert_eq!(challenge.find("c"), Some(&prepared("c", "u", 1)));
        assert!(challenge.find("e").is_none() && challenge.item("a").is_none() && challenge.item("d").is_some());
    }
}
