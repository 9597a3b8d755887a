//! Ids that are not as expected.

use std::fmt;

use super::shown;

/// At most this many ids of each kind are named.
const NAMED: usize = 10;

/// How many there are, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capped {
    /// How many there are in all.
    pub total: u64,
    /// The first ten at most, escaped and cut.
    pub first: Vec<String>,
}

impl Capped {
    pub(crate) fn push(&mut self, id: &str) {
        self.total += 1;
        if self.first.len() < NAMED {
            self.first.push(shown(id));
        }
    }
}

/// Every id must be there exactly once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdProblems {
    /// Ids that are expected and not there, in ascending order.
    pub missing: Capped,
    /// Ids that are there and not expected, in the file's order.
    pub unknown: Capped,
    /// Ids that are there again, in the file's order.
    pub duplicate: Capped,
}

impl IdProblems {
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.total + self.unknown.total + self.duplicate.total == 0
    }
}

impl fmt::Display for IdProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("every id is expected exactly once")?;
        let kinds = [("missing", &self.missing), ("unknown", &self.unknown), ("duplicate", &self.duplicate)];
        for (kind, ids) in kinds.into_iter().filter(|(_, ids)| ids.total > 0) {
            write!(f, "; {} {kind}: {}", ids.total, ids.first.join(", "))?;
            if ids.total > ids.first.len() as u64 {
                f.write_str(", …")?;
            }
        }
        Ok(())
    }
}
