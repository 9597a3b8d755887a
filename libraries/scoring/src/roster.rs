//! The ids of a tournament, and which part of the data each belongs to.

mod aligner;

use std::io::{self, Read, Write};

pub(crate) use aligner::Aligner;

use crate::invalid_file::{IdProblems, InvalidFile, quoted};
use crate::table::{Limits, Row, Table, field};

/// The part of the tournament data that a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Split {
    /// Participants know the targets.
    Validation,
    /// Only the organisers know the targets.
    Test,
    /// The targets are not known yet.
    Live,
}

impl Split {
    /// Its name in the column `data_type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Test => "test",
            Self::Live => "live",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Validation, Self::Test, Self::Live].into_iter().find(|split| split.as_str() == name)
    }
}

/// Every id of validation, test and live, in ascending order of bytes.
///
/// Predictions, regions and truth are aligned by an id's position in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// All ids in ascending order, without separators.
    text: String,
    /// Where each id ends in `text`.
    ends: Vec<usize>,
    splits: Vec<Split>,
    /// The position of each row of the file.
    file_order: Vec<usize>,
}

impl Roster {
    /// Reads the columns `id` and `data_type` of the tournament data (CSV or gzip) and ignores all others.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit, has no rows, lacks a column, has a missing or repeated id, or a
    /// `data_type` other than validation, test or live.
    pub fn read(reader: impl Read, limits: &Limits) -> Result<Self, InvalidFile> {
        let mut table = Table::open(reader, limits)?;
        let mut builder = Builder::new(&table)?;
        while let Some(row) = table.next()? {
            builder.push(&row)?;
        }
        builder.finish()
    }

    /// Reads the column `id` of any file (CSV or gzip) and takes every row for live. Use it to compare submissions
    /// without the tournament data.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit, has no rows, lacks the column, or has a missing or repeated id.
    pub fn read_ids(reader: impl Read, limits: &Limits) -> Result<Self, InvalidFile> {
        let mut table = Table::open(reader, limits)?;
        let mut builder = Builder { id: table.column("id")?, data_type: None, text: String::new(), rows: Vec::new() };
        while let Some(row) = table.next()? {
            builder.push(&row)?;
        }
        builder.finish()
    }

    /// The number of ids, at least 1.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The id at a position; `None` from [`count`](Self::count) on.
    #[must_use]
    pub fn id(&self, position: usize) -> Option<&str> {
        (position < self.count()).then(|| self.id_at(position))
    }

    fn id_at(&self, position: usize) -> &str {
        let start = position.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[position]]
    }

    /// The ids in ascending order, each with its part of the data.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Split)> {
        self.splits.iter().enumerate().map(|(position, split)| (self.id_at(position), *split))
    }

    /// Writes `id,data_type` in ascending order of the ids. A roster read back from it gives the same scores.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn write(&self, mut writer: impl Write) -> io::Result<()> {
        writeln!(writer, "id,data_type")?;
        for (id, split) in self.iter() {
            writeln!(writer, "{},{}", field(id), split.as_str())?;
        }
        writer.flush()
    }

    /// The part of the data of each id, by position.
    #[must_use]
    pub fn splits(&self) -> &[Split] {
        &self.splits
    }

    /// The parts of the data without an id: there is nothing to compare the others with.
    pub fn absent_splits(&self) -> impl Iterator<Item = Split> {
        let is_absent = |split: &Split| !self.splits.contains(split);
        [Split::Validation, Split::Test, Split::Live].into_iter().filter(is_absent)
    }

    /// The position of each row of the file that the roster was read from, in the order of the file.
    #[must_use]
    pub fn file_order(&self) -> &[usize] {
        &self.file_order
    }

    /// The position of an id.
    #[must_use]
    pub fn position(&self, id: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.id_at(middle).cmp(id) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

/// Collects the rows of a file for a roster.
pub(crate) struct Builder {
    id: usize,
    data_type: Option<usize>,
    text: String,
    rows: Vec<(usize, usize, Split)>,
}

impl Builder {
    pub(crate) fn new(table: &Table<'_>) -> Result<Self, InvalidFile> {
        let (id, data_type) = (table.column("id")?, Some(table.column("data_type")?));
        Ok(Self { id, data_type, text: String::new(), rows: Vec::new() })
    }

    pub(crate) fn id_column(&self) -> usize {
        self.id
    }

    pub(crate) fn push(&mut self, row: &Row<'_>) -> Result<(), InvalidFile> {
        let split = match self.data_type {
            None => Split::Live,
            Some(column) => {
                let name = row.text(column)?;
                Split::from_name(name).ok_or_else(|| {
                    let location = row.location(column, Some(self.id));
                    InvalidFile::UnknownSplit { location, text: quoted(name) }
                })?
            }
        };
        let start = self.text.len();
        self.text.push_str(row.id(self.id)?);
        self.rows.push((start, self.text.len(), split));
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Roster, InvalidFile> {
        if self.rows.is_empty() {
            return Err(InvalidFile::NoRows);
        }
        let id = |row: usize| &self.text[self.rows[row].0..self.rows[row].1];
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by(|first, second| id(*first).cmp(id(*second)));
        let mut problems = IdProblems::default();
        for pair in order.windows(2).filter(|pair| id(pair[0]) == id(pair[1])) {
            problems.duplicate.push(id(pair[0]));
        }
        if !problems.is_empty() {
            return Err(InvalidFile::Ids(Box::new(problems)));
        }
        let mut text = String::with_capacity(self.text.len());
        let mut ends = Vec::with_capacity(order.len());
        let mut splits = Vec::with_capacity(order.len());
        let mut file_order = vec![0; order.len()];
        for (position, row) in order.into_iter().enumerate() {
            text.push_str(id(row));
            ends.push(text.len());
            splits.push(self.rows[row].2);
            file_order[row] = position;
        }
        Ok(Roster { text, ends, splits, file_order })
    }
}
