//! The predictions of a submission.

use std::io::Read;

use crate::invalid_file::InvalidFile;
use crate::roster::{Aligner, Roster};
use crate::sorted::{SampleError, Sorted};
use crate::table::{Limits, Table};

/// A probability for every id of validation, test and live.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions(Vec<f64>);

/// Why stored values are not the predictions of this tournament.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAligned {
    #[error(
        "there are {found} values for {expected} ids (were they prepared with another version of the tournament data?)"
    )]
    Count { found: usize, expected: usize },
    #[error("value {index} is not between 0 and 1")]
    OutOfRange {
        /// From 0.
        index: usize,
    },
}

impl Predictions {
    /// Reads `id,probability` (CSV or gzip): every id of the roster exactly once, in any order, 0 ≤ probability ≤ 1.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit, has no rows, lacks a column or has another one, a probability
    /// is not a number from 0 to 1, or ids are missing, unknown or repeated.
    pub fn read(reader: impl Read, roster: &Roster, limits: &Limits) -> Result<Self, InvalidFile> {
        let mut table = Table::open(reader, limits)?;
        let (id, probability) = (table.column("id")?, table.column("probability")?);
        table.allow_only(&["id", "probability"])?;
        let mut aligner = Aligner::new(roster);
        while let Some(row) = table.next()? {
            let name = row.id(id)?;
            let value = row.number(probability, Some(id))?;
            if !(0.0..=1.0).contains(&value) {
                let location = row.location(probability, Some(id));
                return Err(InvalidFile::OutOfRange { location, value, expected: "a number from 0 to 1" });
            }
            // Adding zero turns a negative zero into a positive one.
            aligner.insert(name, value + 0.0);
        }
        Ok(Self(aligner.finish()?))
    }

    /// Takes stored probabilities, in ascending order of the roster's ids.
    ///
    /// # Errors
    /// When there is not one value for each id of the roster, or a value is not between 0 and 1.
    pub fn from_aligned(values: Vec<f64>, roster: &Roster) -> Result<Self, NotAligned> {
        if values.len() != roster.count() {
            return Err(NotAligned::Count { found: values.len(), expected: roster.count() });
        }
        match values.iter().position(|value| !(0.0..=1.0).contains(value)) {
            Some(index) => Err(NotAligned::OutOfRange { index }),
            None => Ok(Self(values)),
        }
    }

    /// The probabilities in ascending order of their ids, each from 0 to 1 and never negative zero.
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
