//! Metrics of predictions against a truth that participants never see.

mod ranks;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::correlation::pearson;
use crate::ratio::quotient;
use ranks::doubled_midranks;

/// Probabilities are clipped to this distance from 0 and 1 before the logarithm is taken, so that one wrong certainty
/// costs 34.5 instead of infinity. (As scikit-learn's `log_loss` did until version 1.2.)
pub const LOGLOSS_EPSILON: f64 = 1e-15;

/// A metric of predictions against the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Mean of −(t ln p + (1−t) ln(1−p)), natural logarithm, p clipped to [ε, 1−ε] with ε = [`LOGLOSS_EPSILON`];
    /// truth from 0 to 1. At least 0, lower is better.
    LogLoss,
    /// Area under the ROC curve: the Mann-Whitney U of the positives divided by the number of pairs; ties count as one
    /// half. Truth 0 or 1, both present. From 0 to 1, higher is better.
    Auc,
    /// Share of rows where (p ≥ 0.5) equals the truth. Truth 0 or 1. From 0 to 1, higher is better.
    Accuracy,
    /// Square root of the mean squared error. Any finite truth. At least 0, lower is better.
    Rmse,
    /// Mean absolute error. Any finite truth. At least 0, lower is better.
    Mae,
    /// Spearman's correlation: Pearson's of the midranks. Any finite truth. From −1 to 1, higher is better.
    Spearman,
}

/// Why a metric is not defined. The texts are fragments.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MetricError {
    #[error("there are {truth} true values for {predictions} predictions")]
    Misaligned { truth: usize, predictions: usize },
    #[error("the truth has no rows")]
    Empty,
    #[error("true value {index} is {value}, but this metric needs {needs}")]
    Truth {
        /// From 0.
        index: usize,
        value: f64,
        /// The allowed values in words.
        needs: &'static str,
    },
    #[error("prediction {index} is {value}, but this metric needs {needs}")]
    Prediction {
        /// From 0.
        index: usize,
        value: f64,
        /// The allowed values in words.
        needs: &'static str,
    },
    /// The truth has one class only, or truth or predictions are constant.
    #[error("this metric is not defined if all true values or all predictions are the same")]
    Constant,
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::LogLoss => "logloss",
            Self::Auc => "auc",
            Self::Accuracy => "accuracy",
            Self::Rmse => "rmse",
            Self::Mae => "mae",
            Self::Spearman => "spearman",
        })
    }
}

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(name: &str) -> Result<Self, UnknownMetric> {
        Self::ALL.into_iter().find(|metric| metric.to_string() == name).ok_or(UnknownMetric)
    }
}

/// No metric has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected logloss, auc, accuracy, rmse, mae or spearman")]
pub struct UnknownMetric;

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 6] = [Self::LogLoss, Self::Auc, Self::Accuracy, Self::Rmse, Self::Mae, Self::Spearman];

    /// Whether a higher score is better.
    #[must_use]
    pub fn higher_is_better(self) -> bool {
        matches!(self, Self::Auc | Self::Accuracy | Self::Spearman)
    }

    /// The score of predictions that are aligned with the truth. Sums are taken in the given order.
    ///
    /// # Errors
    /// When the lengths differ or are 0, a value is not allowed, or the metric is not defined.
    #[allow(clippy::cast_precision_loss, reason = "no vector is that long")]
    pub fn score(self, truth: &[f64], predictions: &[f64]) -> Result<f64, MetricError> {
        if truth.len() != predictions.len() {
            return Err(MetricError::Misaligned { truth: truth.len(), predictions: predictions.len() });
        }
        if truth.is_empty() {
            return Err(MetricError::Empty);
        }
        self.check(truth, predictions)?;
        let count = truth.len() as f64;
        let mean = |error: fn(f64, f64) -> f64| {
            truth.iter().zip(predictions).map(|(truth, prediction)| error(*truth, *prediction)).sum::<f64>() / count
        };
        match self {
            Self::LogLoss => Ok(mean(log_loss)),
            Self::Auc => auc(truth, predictions),
            Self::Accuracy => Ok(mean(|truth, prediction| f64::from((prediction >= 0.5) == (truth >= 0.5)))),
            Self::Rmse => Ok(mean(|truth, prediction| (truth - prediction) * (truth - prediction)).sqrt()),
            Self::Mae => Ok(mean(|truth, prediction| (truth - prediction).abs())),
            Self::Spearman => pearson(&midranks(truth), &midranks(predictions)).ok_or(MetricError::Constant),
        }
    }

    fn check(self, truth: &[f64], predictions: &[f64]) -> Result<(), MetricError> {
        let finite: fn(f64) -> bool = f64::is_finite;
        let unit: fn(f64) -> bool = |value| (0.0..=1.0).contains(&value);
        #[allow(clippy::float_cmp, reason = "exactly 0 or 1 is intended")]
        let class: fn(f64) -> bool = |value| value == 0.0 || value == 1.0;
        let (needs_truth, is_truth) = match self {
            Self::LogLoss => ("a number from 0 to 1", unit),
            Self::Auc | Self::Accuracy => ("0 or 1", class),
            Self::Rmse | Self::Mae | Self::Spearman => ("a finite number", finite),
        };
        let (needs_prediction, is_prediction) = match self {
            Self::LogLoss => ("a number from 0 to 1", unit),
            _ => ("a finite number", finite),
        };
        if let Some((index, value)) = truth.iter().enumerate().find(|(_, value)| !is_truth(**value)) {
            return Err(MetricError::Truth { index, value: *value, needs: needs_truth });
        }
        if let Some((index, value)) = predictions.iter().enumerate().find(|(_, value)| !is_prediction(**value)) {
            return Err(MetricError::Prediction { index, value: *value, needs: needs_prediction });
        }
        Ok(())
    }
}

fn log_loss(truth: f64, prediction: f64) -> f64 {
    let prediction = prediction.clamp(LOGLOSS_EPSILON, 1.0 - LOGLOSS_EPSILON);
    -(truth * libm::log(prediction) + (1.0 - truth) * libm::log(1.0 - prediction))
}

/// In integers, divided once: the doubled midranks of the positives, minus those they have among themselves.
fn auc(truth: &[f64], predictions: &[f64]) -> Result<f64, MetricError> {
    let ranks = doubled_midranks(predictions);
    let positives = truth.iter().filter(|value| **value >= 0.5).count() as u64;
    let negatives = truth.len() as u64 - positives;
    if positives == 0 || negatives == 0 {
        return Err(MetricError::Constant);
    }
    let sum: u64 = ranks.iter().zip(truth).filter(|(_, truth)| **truth >= 0.5).map(|(rank, _)| *rank).sum();
    Ok(quotient(sum - positives * (positives + 1), 2 * positives * negatives))
}

#[allow(clippy::cast_precision_loss, reason = "no vector is that long")]
fn midranks(values: &[f64]) -> Vec<f64> {
    // Doubling the ranks keeps them integers and does not change the correlation.
    doubled_midranks(values).into_iter().map(|rank| rank as f64).collect()
}
