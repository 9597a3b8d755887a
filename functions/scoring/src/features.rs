//! The feature columns of training and tournament data.

use std::io::Read;

use crate::invalid::Invalid;
use crate::kmeans::Rows;
use crate::roster::{Builder, Roster};
use crate::table::{Limits, Row, Table};

/// Texts that stand for a missing value, as in pandas' `read_csv`.
const MISSING: [&str; 9] = ["", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None"];

/// A feature beyond this has a square distance that single precision cannot hold.
const LARGEST: f64 = 1e15;

/// Rows of features in the order in which they are to be clustered, in single precision.
#[derive(Clone, Debug)]
pub struct Features {
    names: Vec<String>,
    rows: Rows,
}

impl Features {
    /// Reads training data, CSV or gzip: the columns whose names contain `feature`, and the rows that have all of them.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit, no column is a feature, or a feature is no number within ±1e15.
    pub fn read_training(reader: impl Read, limits: &Limits) -> Result<Self, Invalid> {
        let mut table = Table::open(reader, limits)?;
        let mut features = Self::of(&table)?;
        let columns = features.columns(&table)?;
        let id = table.columns().iter().position(|column| column == "id");
        let mut values = Vec::with_capacity(columns.len());
        while let Some(row) = table.next()? {
            if read_row(&row, &columns, id, &mut values)?.is_none() {
                features.rows.push(&values);
            }
        }
        Ok(features)
    }

    /// Reads tournament data, CSV or gzip, and nothing before it: for a competition without training data.
    ///
    /// # Errors
    /// As [`append_tournament`](Self::append_tournament).
    pub fn read_tournament(reader: impl Read, limits: &Limits) -> Result<(Self, Roster), Invalid> {
        let table = Table::open(reader, limits)?;
        Self::of(&table)?.append(table)
    }

    /// Reads tournament data, CSV or gzip, after the training data: the same features, in whatever order its columns
    /// are, of all rows, and the roster of their ids.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit, has no rows, lacks a column, a row lacks a feature or has one
    /// that is no number within ±1e15, or for what [`Roster::read`] refuses.
    pub fn append_tournament(self, reader: impl Read, limits: &Limits) -> Result<(Self, Roster), Invalid> {
        self.append(Table::open(reader, limits)?)
    }

    /// The names of the features, in the order of the first file's columns.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The rows: of training first, then of the tournament, each in the file's order.
    #[must_use]
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    fn of(table: &Table<'_>) -> Result<Self, Invalid> {
        let names: Vec<String> = table.columns().iter().filter(|column| column.contains("feature")).cloned().collect();
        if names.is_empty() {
            return Err(Invalid::NoFeatures);
        }
        let rows = Rows::new(names.len());
        Ok(Self { names, rows })
    }

    fn columns(&self, table: &Table<'_>) -> Result<Vec<usize>, Invalid> {
        self.names.iter().map(|name| table.column(name)).collect()
    }

    fn append(mut self, mut table: Table<'_>) -> Result<(Self, Roster), Invalid> {
        let columns = self.columns(&table)?;
        let mut roster = Builder::new(&table)?;
        let id = Some(roster.id_column());
        let mut values = Vec::with_capacity(columns.len());
        while let Some(row) = table.next()? {
            roster.push(&row)?;
            if let Some(column) = read_row(&row, &columns, id, &mut values)? {
                return Err(Invalid::MissingFeature { place: row.place(column, id) });
            }
            self.rows.push(&values);
        }
        Ok((self, roster.finish()?))
    }
}

/// The features of a row, or the first column in which one is missing.
#[allow(clippy::cast_possible_truncation, reason = "rounded to single precision")]
fn read_row(
    row: &Row<'_>,
    columns: &[usize],
    id: Option<usize>,
    values: &mut Vec<f32>,
) -> Result<Option<usize>, Invalid> {
    values.clear();
    for column in columns {
        let value = match row.number(*column, id) {
            Ok(value) => value,
            Err(_) if MISSING.contains(&row.text(*column)?) => return Ok(Some(*column)),
            Err(error) => return Err(error),
        };
        if value.abs() > LARGEST {
            return Err(Invalid::OutOfRange { place: row.place(*column, id), value, range: "-1e15..=1e15" });
        }
        values.push(value as f32);
    }
    Ok(None)
}
