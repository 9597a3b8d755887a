//! The hidden truth.

use std::io::Read;

use crate::invalid::{IdProblems, Invalid};
use crate::metrics::{Metric, MetricError};
use crate::predictions::Predictions;
use crate::roster::Roster;
use crate::table::{Limits, Table};

/// True values of some of a tournament's ids, such as those of test.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// Positions in the roster, ascending.
    positions: Vec<usize>,
    values: Vec<f64>,
}

impl Truth {
    /// Reads the columns `id` and `target`, CSV or gzip, and passes over all others: ids of the roster in any order,
    /// none twice, each with a finite number.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit, has no rows, lacks a column, a target is no finite number, or
    /// ids are unknown or there twice.
    pub fn read(reader: impl Read, roster: &Roster, limits: &Limits) -> Result<Self, Invalid> {
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
            return Err(Invalid::NoRows);
        }
        if !problems.is_empty() {
            return Err(Invalid::Ids(Box::new(problems)));
        }
        let known = values.into_iter().enumerate().filter_map(|(position, value)| Some((position, value?)));
        let (positions, values) = known.unzip();
        Ok(Self { positions, values })
    }

    /// How many ids have a true value, at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len()
    }

    /// The metric over the ids that have a true value, in their ascending order.
    ///
    /// # Errors
    /// When the predictions are of another tournament, or the metric is not defined.
    pub fn score(&self, metric: Metric, predictions: &Predictions) -> Result<f64, MetricError> {
        let of = |position: &usize| predictions.values().get(*position).copied();
        let scored: Vec<f64> = self.positions.iter().filter_map(of).collect();
        metric.score(&self.values, &scored)
    }
}
