//! The hidden truth.

use std::io::Read;

use crate::invalid_file::{IdProblems, InvalidFile};
use crate::metrics::{Metric, MetricError};
use crate::predictions::Predictions;
use crate::roster::Roster;
use crate::table::{Limits, Table};

/// The true values of some ids of a tournament, such as those of test.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// Positions in the roster, ascending.
    positions: Vec<usize>,
    values: Vec<f64>,
}

impl Truth {
    /// Reads the columns `id` and `target` (CSV or gzip) and ignores all others. The ids are some of the roster's, in any
    /// order, none twice; each target is a finite number.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit, has no rows, lacks a column, a target is not a finite number, or
    /// ids are unknown or repeated.
    pub fn read(reader: impl Read, roster: &Roster, limits: &Limits) -> Result<Self, InvalidFile> {
        let mut table = Table::open(reader, limits)?;
        let (id, target) = (table.column("id")?, table.column("target")?);
        let mut values = vec![None; roster.count()];
        let mut problems = IdProblems::default();
        let mut rows = 0_u64;
        while let Some(row) = table.next()? {
            let name = row.id(id)?;
            let value = row.number(target, Some(id))?;
            rows += 1;
            match roster.position(name).map(|position| &mut values[position]) {
                None => problems.unknown.push(name),
                Some(Some(_)) => problems.duplicate.push(name),
                Some(empty) => *empty = Some(value),
            }
        }
        if rows == 0 {
            return Err(InvalidFile::NoRows);
        }
        if !problems.is_empty() {
            return Err(InvalidFile::Ids(Box::new(problems)));
        }
        let known = values.into_iter().enumerate().filter_map(|(position, value)| Some((position, value?)));
        let (positions, values) = known.unzip();
        Ok(Self { positions, values })
    }

    /// The number of ids that have a true value, at least 1.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len()
    }

    /// The metric over the ids that have a true value, in ascending order of the ids.
    ///
    /// # Errors
    /// When the predictions belong to another tournament, or the metric is not defined.
    pub fn score(&self, metric: Metric, predictions: &Predictions) -> Result<f64, MetricError> {
        // Predictions of a smaller tournament leave positions out, which the metric refuses as misaligned.
        let at = |position: &usize| predictions.values().get(*position).copied();
        let scored: Vec<f64> = self.positions.iter().filter_map(at).collect();
        metric.score(&self.values, &scored)
    }
}
