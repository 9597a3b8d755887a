//! The feature columns of training and tournament data.

use std::io::Read;

use crate::invalid_file::InvalidFile;
use crate::kmeans::Rows;
use crate::roster::{Builder, Roster};
use crate::table::{Limits, Row, Table};

/// Texts for a missing value, as in pandas' `read_csv`.
const MISSING: [&str; 9] = ["", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None"];

/// The square distance of larger features would exceed the range of single precision.
const MAX_MAGNITUDE: f64 = 1e15;

/// Rows of features in single precision, in the order in which they are clustered.
#[derive(Clone, Debug)]
pub struct Features {
    names: Vec<String>,
    rows: Rows,
}

impl Features {
    /// Reads training data (CSV or gzip): the columns whose names contain `feature`, and the rows that have all of them.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit, no column is a feature, or a feature is not a number within ±1e15.
    pub fn read_training(reader: impl Read, limits: &Limits) -> Result<Self, InvalidFile> {
        let mut table = Table::open(reader, limits)?;
        let mut features = Self::from_header(&table)?;
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

    /// Reads tournament data (CSV or gzip) of a challenge without training data.
    ///
    /// # Errors
    /// Those of [`append_tournament`](Self::append_tournament).
    pub fn read_tournament(reader: impl Read, limits: &Limits) -> Result<(Self, Roster), InvalidFile> {
        let table = Table::open(reader, limits)?;
        Self::from_header(&table)?.append(table)
    }

    /// Reads tournament data (CSV or gzip) after the training data: all rows, with the same features in any order of
    /// columns, and the roster of their ids.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit, has no rows, lacks a column, a row lacks a feature or has one that
    /// is not a number within ±1e15, and for everything that [`Roster::read`] refuses.
    pub fn append_tournament(self, reader: impl Read, limits: &Limits) -> Result<(Self, Roster), InvalidFile> {
        self.append(Table::open(reader, limits)?)
    }

    /// The names of the features, in the column order of the first file.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The training rows, then the tournament rows, each in the order of its file.
    #[must_use]
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    fn from_header(table: &Table<'_>) -> Result<Self, InvalidFile> {
        let names: Vec<String> = table.columns().iter().filter(|column| column.contains("feature")).cloned().collect();
        if names.is_empty() {
            return Err(InvalidFile::NoFeatures);
        }
        let rows = Rows::new(names.len());
        Ok(Self { names, rows })
    }

    fn columns(&self, table: &Table<'_>) -> Result<Vec<usize>, InvalidFile> {
        self.names.iter().map(|name| table.column(name)).collect()
    }

    fn append(mut self, mut table: Table<'_>) -> Result<(Self, Roster), InvalidFile> {
        let columns = self.columns(&table)?;
        let mut roster = Builder::new(&table)?;
        let id = Some(roster.id_column());
        let mut values = Vec::with_capacity(columns.len());
        while let Some(row) = table.next()? {
            roster.push(&row)?;
            if let Some(column) = read_row(&row, &columns, id, &mut values)? {
                return Err(InvalidFile::MissingFeature { location: row.location(column, id) });
            }
            self.rows.push(&values);
        }
        Ok((self, roster.finish()?))
    }
}

/// Reads the features of a row into `values`. Returns the first column whose value is missing.
#[allow(clippy::cast_possible_truncation, reason = "rounded to single precision")]
fn read_row(
    row: &Row<'_>,
    columns: &[usize],
    id: Option<usize>,
    values: &mut Vec<f32>,
) -> Result<Option<usize>, InvalidFile> {
    values.clear();
    for column in columns {
        let value = match row.number(*column, id) {
            Ok(value) => value,
            Err(_) if MISSING.contains(&row.text(*column)?) => return Ok(Some(*column)),
            Err(error) => return Err(error),
        };
        if value.abs() > MAX_MAGNITUDE {
            let expected = "a number from -1e15 to 1e15";
            return Err(InvalidFile::OutOfRange { location: row.location(*column, id), value, expected });
        }
        values.push(value as f32);
    }
    Ok(None)
}
