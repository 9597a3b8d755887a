//! The ids of a tournament, and what belongs to each.

mod fill;

use std::io::{self, Read, Write};

use crate::invalid::{IdProblems, Invalid, shown};
use crate::table::{Limits, Row, Table, field};
pub(crate) use fill::Fill;

/// Which part of the tournament's data a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Split {
    /// Rows whose targets participants know.
    Validation,
    /// Rows whose targets only the organisers know.
    Test,
    /// Rows whose targets nobody knows yet.
    Live,
}

impl Split {
    /// The name that the column `data_type` has for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Test => "test",
            Self::Live => "live",
        }
    }
}

/// Every id of validation, test and live, in ascending order of bytes, with its part of the data.
///
/// Positions in this order are what predictions, regions and truth are aligned by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// All ids, one after the other in ascending order.
    text: String,
    /// Where each of them ends.
    ends: Vec<usize>,
    splits: Vec<Split>,
    /// The position of each of the file's rows.
    file_order: Vec<usize>,
}

impl Roster {
    /// Reads the columns `id` and `data_type` of tournament data, CSV or gzip, and passes over all others.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit, has no rows, lacks a column, has an id twice or none, or names
    /// another part than validation, test or live.
    pub fn read(reader: impl Read, limits: &Limits) -> Result<Self, Invalid> {
        let mut table = Table::open(reader, limits)?;
        let mut builder = Builder::new(&table)?;
        while let Some(row) = table.next()? {
            builder.push(&row)?;
        }
        builder.finish()
    }

    /// Reads the column `id` of any file, CSV or gzip. Which part of the data its rows belong to is not known, and all
    /// are taken for live: for comparing submissions with each other, without the tournament's data.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit, has no rows, lacks the column, or has an id twice or none.
    pub fn read_ids(reader: impl Read, limits: &Limits) -> Result<Self, Invalid> {
        let mut table = Table::open(reader, limits)?;
        let mut builder = Builder { id: table.column("id")?, data_type: None, text: String::new(), rows: Vec::new() };
        while let Some(row) = table.next()? {
            builder.push(&row)?;
        }
        builder.finish()
    }

    /// How many ids there are, at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The id at a position below [`count`](Self::count), if it is.
    #[must_use]
    pub fn id(&self, position: usize) -> Option<&str> {
        let end = *self.ends.get(position)?;
        let start = position.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[start..end])
    }

    /// The ids in ascending order, each with its part of the data.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Split)> {
        self.splits.iter().enumerate().filter_map(|(position, split)| Some((self.id(position)?, *split)))
    }

    /// Writes `id,data_type` in ascending order of the ids: a roster can be read of it that judges as this one does.
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

    /// The parts of the data, by position.
    #[must_use]
    pub fn splits(&self) -> &[Split] {
        &self.splits
    }

    /// The position of each row of the file that the roster was read from, in the file's order.
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
            match self.id(middle)?.cmp(id) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

/// A roster in the making: ids in the file's order.
pub(crate) struct Builder {
    id: usize,
    data_type: Option<usize>,
    text: String,
    rows: Vec<(usize, usize, Split)>,
}

impl Builder {
    pub(crate) fn new(table: &Table<'_>) -> Result<Self, Invalid> {
        let (id, data_type) = (table.column("id")?, Some(table.column("data_type")?));
        Ok(Self { id, data_type, text: String::new(), rows: Vec::new() })
    }

    /// The column that holds the ids.
    pub(crate) fn id_column(&self) -> usize {
        self.id
    }

    pub(crate) fn push(&mut self, row: &Row<'_>) -> Result<(), Invalid> {
        let split = match self.data_type {
            None => Split::Live,
            Some(column) => match row.text(column)? {
                "validation" => Split::Validation,
                "test" => Split::Test,
                "live" => Split::Live,
                other => {
                    let place = row.place(column, Some(self.id));
                    return Err(Invalid::UnknownSplit { place, text: shown(other) });
                }
            },
        };
        let start = self.text.len();
        self.text.push_str(row.id(self.id)?);
        self.rows.push((start, self.text.len(), split));
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Roster, Invalid> {
        if self.rows.is_empty() {
            return Err(Invalid::NoRows);
        }
        let id = |row: usize| &self.text[self.rows[row].0..self.rows[row].1];
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by(|first, second| id(*first).cmp(id(*second)));
        let mut problems = IdProblems::default();
        for pair in order.windows(2).filter(|pair| id(pair[0]) == id(pair[1])) {
            problems.duplicate.push(id(pair[0]));
        }
        if !problems.is_empty() {
            return Err(Invalid::Ids(Box::new(problems)));
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
