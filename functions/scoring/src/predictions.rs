//! A submission's predictions.

use std::io::Read;

use crate::invalid::Invalid;
use crate::roster::{Fill, Roster};
use crate::sorted::{SampleError, Sorted};
use crate::table::{Limits, Table};

/// A probability for every id of validation, test and live.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions(Vec<f64>);

/// Why values are no predictions of a tournament.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAligned {
    /// There are more or fewer than the tournament has ids.
    #[error("{found} values for {expected} ids: were they made for another version of the tournament's data?")]
    Count {
        /// How many values there are.
        found: usize,
        /// How many ids there are.
        expected: usize,
    },
    /// A value is no probability.
    #[error("value {index} is not in 0..=1")]
    OutOfRange {
        /// Its position, from 0.
        index: usize,
    },
}

impl Predictions {
    /// Reads `id,probability`, CSV or gzip: every id of the roster exactly once in any order, 0 ≤ probability ≤ 1.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit, has no rows, lacks a column or has another one, a probability
    /// is no finite number in 0..=1, or ids are missing, unknown or there twice.
    pub fn read(reader: impl Read, roster: &Roster, limits: &Limits) -> Result<Self, Invalid> {
        let mut table = Table::open(reader, limits)?;
        let (id, probability) = (table.column("id")?, table.column("probability")?);
        table.only(&["id", "probability"])?;
        let mut fill = Fill::new(roster);
        while let Some(row) = table.next()? {
            let name = row.id(id)?;
            let value = row.number(probability, Some(id))?;
            if !(0.0..=1.0).contains(&value) {
                return Err(Invalid::OutOfRange { place: row.place(probability, Some(id)), value, range: "0..=1" });
            }
            // Adding zero makes a negative zero a positive one.
            fill.place(name, value + 0.0);
        }
        Ok(Self(fill.finish()?))
    }

    /// Takes stored probabilities, in ascending order of the roster's ids.
    ///
    /// # Errors
    /// When they are not as many as the roster has ids, or one is not in 0..=1.
    pub fn from_aligned(values: Vec<f64>, roster: &Roster) -> Result<Self, NotAligned> {
        if values.len() != roster.count() {
            return Err(NotAligned::Count { found: values.len(), expected: roster.count() });
        }
        match values.iter().position(|value| !(0.0..=1.0).contains(value)) {
            Some(index) => Err(NotAligned::OutOfRange { index }),
            None => Ok(Self(values)),
        }
    }

    /// The probabilities in ascending order of their ids, each in 0..=1 and without negative zero.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// The probabilities in ascending order of value.
    ///
    /// # Errors
    /// When there are more than `u32::MAX`.
    pub fn sorted(&self) -> Result<Sorted, SampleError> {
        Sorted::new(self.0.clone())
    }
}
