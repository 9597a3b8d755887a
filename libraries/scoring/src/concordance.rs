//! Do a submission's predictions behave alike on validation, test and live data?
//!
//! For each region of feature space that is present in validation: the largest of D(validation, test),
//! D(validation, live) and D(live, test) over the submission's probabilities. The score is the unweighted mean over these
//! regions; a submission whose score is below the threshold is concordant. (The rule of the Numerai tournament's server of
//! 2018.)

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ks;
use crate::regions::Regions;
use crate::roster::{Roster, Split};
use crate::sorted::{SampleError, Sorted};

/// Scores below this are concordant unless the challenge sets another threshold.
pub const DEFAULT_THRESHOLD: f64 = 0.12;

/// The result of a submission's concordance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Concordance {
    /// Whether the score is below the threshold; the comparison is strict.
    pub concordant: bool,
    /// The unweighted mean of the regions' statistics, from 0 to 1: summed in ascending order of region, then divided.
    pub score: f64,
    /// The regions present in validation, in ascending order.
    pub regions: Vec<RegionStatistic>,
}

/// How far apart the predictions of a region are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionStatistic {
    pub region: u32,
    /// The largest of the statistics below.
    pub statistic: f64,
    /// D(validation, test), if the region is present in both.
    pub validation_test: Option<f64>,
    /// D(validation, live), if the region is present in both.
    pub validation_live: Option<f64>,
    /// D(live, test), if the region is present in both.
    pub live_test: Option<f64>,
}

/// Why concordance could not be scored. The texts are fragments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConcordanceError {
    #[error("there are {predictions} predictions and {regions} regions for {ids} ids")]
    Misaligned { ids: usize, regions: usize, predictions: usize },
    #[error("the tournament data has no validation rows")]
    NoValidation,
    /// A region of validation is present in neither test nor live.
    #[error("region {region} has validation rows only, so there is nothing to compare them with")]
    NoPairs { region: u32 },
    #[error("the predictions cannot be compared: {0}")]
    Predictions(#[from] SampleError),
}

/// Scores the concordance of predictions that are aligned with the roster.
///
/// A region that is absent from test or live contributes the pairs that exist.
///
/// # Errors
/// When the lengths differ, no region is present in validation, a region of validation has no pair, or a prediction is
/// not finite.
pub fn score(
    predictions: &[f64],
    roster: &Roster,
    regions: &Regions,
    threshold: f64,
) -> Result<Concordance, ConcordanceError> {
    let (ids, regions) = (roster.count(), regions.values());
    if predictions.len() != ids || regions.len() != ids {
        return Err(ConcordanceError::Misaligned { ids, regions: regions.len(), predictions: predictions.len() });
    }
    let mut samples: BTreeMap<u32, BTreeMap<Split, Vec<f64>>> = BTreeMap::new();
    for ((prediction, region), split) in predictions.iter().zip(regions).zip(roster.splits()) {
        samples.entry(*region).or_default().entry(*split).or_default().push(*prediction);
    }
    let mut statistics = Vec::new();
    for (region, samples) in samples.into_iter().filter(|(_, samples)| samples.contains_key(&Split::Validation)) {
        statistics.push(compare(region, samples)?);
    }
    if statistics.is_empty() {
        return Err(ConcordanceError::NoValidation);
    }
    let sum: f64 = statistics.iter().map(|region| region.statistic).sum();
    #[allow(clippy::cast_precision_loss, reason = "a count of regions")]
    let score = sum / statistics.len() as f64;
    Ok(Concordance { concordant: score < threshold, score, regions: statistics })
}

fn compare(region: u32, samples: BTreeMap<Split, Vec<f64>>) -> Result<RegionStatistic, ConcordanceError> {
    let samples: BTreeMap<Split, Sorted> = samples
        .into_iter()
        .map(|(split, values)| Ok((split, Sorted::new(values)?)))
        .collect::<Result<_, SampleError>>()?;
    let pair = |first, second| Some(ks::statistic(samples.get(&first)?, samples.get(&second)?));
    let validation_test = pair(Split::Validation, Split::Test);
    let validation_live = pair(Split::Validation, Split::Live);
    let live_test = pair(Split::Live, Split::Test);
    let statistic = [validation_test, validation_live, live_test].into_iter().flatten().reduce(f64::max);
    let statistic = statistic.ok_or(ConcordanceError::NoPairs { region })?;
    Ok(RegionStatistic { region, statistic, validation_test, validation_live, live_test })
}
