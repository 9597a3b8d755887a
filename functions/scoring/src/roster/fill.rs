//! One value for every id of a roster.

use super::Roster;
use crate::invalid::{IdProblems, Invalid};

/// Values that are placed by their ids, each id exactly once.
pub(crate) struct Fill<'r, T> {
    roster: &'r Roster,
    values: Vec<Option<T>>,
    problems: IdProblems,
    /// How many rows were placed.
    rows: usize,
    /// The position after the last one, where the next id is in a file that is sorted by id.
    next: usize,
}

impl<'r, T: Copy> Fill<'r, T> {
    pub(crate) fn new(roster: &'r Roster) -> Self {
        Self { roster, values: vec![None; roster.count()], problems: IdProblems::default(), rows: 0, next: 0 }
    }

    /// Places the next row of a file.
    pub(crate) fn place(&mut self, id: &str, value: T) {
        // Most files have the order of the data or that of the ids.
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

    /// The values in ascending order of their ids, if every id had one.
    pub(crate) fn finish(mut self) -> Result<Vec<T>, Invalid> {
        if self.rows == 0 {
            return Err(Invalid::NoRows);
        }
        let values: Vec<T> = self.values.iter().copied().flatten().collect();
        for (position, value) in self.values.iter().enumerate() {
            if value.is_none() {
                self.problems.missing.push(self.roster.id(position).unwrap_or_default());
            }
        }
        if self.problems.is_empty() { Ok(values) } else { Err(Invalid::Ids(Box::new(self.problems))) }
    }
}
