//! Ids that are missing, unknown or repeated.

use std::fmt;

use super::quoted;

/// An error names at most this many ids of each kind.
const MAX_NAMED: usize = 10;

/// How many ids there are, and the first ten of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SomeIds {
    pub total: u64,
    /// At most ten ids, escaped and shortened.
    pub first: Vec<String>,
}

impl SomeIds {
    pub(crate) fn push(&mut self, id: &str) {
        self.total += 1;
        if self.first.len() < MAX_NAMED {
            self.first.push(quoted(id));
        }
    }
}

/// Every id must appear exactly once; these do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdProblems {
    /// In ascending order.
    pub missing: SomeIds,
    /// In the order of the file.
    pub unknown: SomeIds,
    /// In the order of the file; of an id that appears three times, two are counted.
    pub duplicate: SomeIds,
}

impl IdProblems {
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.total + self.unknown.total + self.duplicate.total == 0
    }
}

impl IdProblems {
    const RULE: &str = "every id must appear exactly once";

    fn kinds(&self) -> impl Iterator<Item = (&'static str, &SomeIds)> {
        let kinds = [("missing", &self.missing), ("unknown", &self.unknown), ("duplicate", &self.duplicate)];
        kinds.into_iter().filter(|(_, ids)| ids.total > 0)
    }

    pub(super) fn without_quotes(&self) -> String {
        let count = |text, (kind, ids): (_, &SomeIds)| format!("{text}; {} {kind}", ids.total);
        self.kinds().fold(Self::RULE.to_owned(), count)
    }
}

impl fmt::Display for IdProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::RULE)?;
        for (kind, ids) in self.kinds() {
            write!(f, "; {} {kind}: {}", ids.total, ids.first.join(", "))?;
            if ids.total > ids.first.len() as u64 {
                f.write_str(", …")?;
            }
        }
        Ok(())
    }
}
