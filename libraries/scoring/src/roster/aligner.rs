//! Brings the rows of a file into the order of a roster.

use super::Roster;
use crate::invalid_file::{IdProblems, InvalidFile};

/// Collects one value for every id of a roster. Rows may come in any order; each id must appear exactly once.
pub(crate) struct Aligner<'r, T> {
    roster: &'r Roster,
    values: Vec<Option<T>>,
    problems: IdProblems,
    rows: usize,
    /// The position after the last one: where the next id is in a file that is sorted by id.
    next: usize,
}

impl<'r, T: Copy> Aligner<'r, T> {
    pub(crate) fn new(roster: &'r Roster) -> Self {
        Self { roster, values: vec![None; roster.count()], problems: IdProblems::default(), rows: 0, next: 0 }
    }

    /// Takes the next row of the file.
    pub(crate) fn insert(&mut self, id: &str, value: T) {
        // Most files list the ids as the tournament data does, or sorted: try both places before searching.
        let as_in_data = self.roster.file_order.get(self.rows).copied();
        self.rows += 1;
        let is_at = |position: &usize| self.roster.id(*position) == Some(id);
        let position = as_in_data.filter(is_at).or(Some(self.next).filter(is_at)).or_else(|| self.roster.position(id));
        let Some(position) = position else {
            self.problems.unknown.push(id);
            return;
        };
        self.next = position + 1;
        match &mut self.values[position] {
            Some(_) => self.problems.duplicate.push(id),
            empty => *empty = Some(value),
        }
    }

    /// The values in ascending order of their ids.
    ///
    /// # Errors
    /// When there were no rows, or an id was missing, unknown or repeated.
    pub(crate) fn finish(mut self) -> Result<Vec<T>, InvalidFile> {
        if self.rows == 0 {
            return Err(InvalidFile::NoRows);
        }
        let mut values = Vec::with_capacity(self.values.len());
        for ((id, _), value) in self.roster.iter().zip(self.values) {
            match value {
                Some(value) => values.push(value),
                None => self.problems.missing.push(id),
            }
        }
        if self.problems.is_empty() { Ok(values) } else { Err(InvalidFile::Ids(Box::new(self.problems))) }
    }
}
