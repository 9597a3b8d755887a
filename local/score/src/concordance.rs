//! `score concordance`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use scoring::concordance::{self, Concordance, THRESHOLD};
use scoring::kmeans::KMeans;
use scoring::{Features, Limits, Predictions, Regions, Roster, Sorted, Split};
use serde_json::json;

use crate::plot::{Pair, plot};
use crate::{Verdict, files};

/// What `score concordance` is given.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The tournament's data.
    ///
    /// Its columns are id, `data_type` (validation, test or live) and those whose names contain "feature".
    #[arg(long)]
    tournament: PathBuf,
    /// Training data with the same features, clustered before the tournament's.
    #[arg(long)]
    training: Option<PathBuf>,
    /// Regions (id, region): read if the file exists, else computed and written there.
    #[arg(long)]
    regions: Option<PathBuf>,
    /// A score below it is concordant.
    #[arg(long, default_value_t = THRESHOLD)]
    threshold: f64,
    /// Draw the distributions that decided on the first submission, as SVG.
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Predictions.
    #[arg(required = true)]
    submissions: Vec<PathBuf>,
}

/// Judges every submission.
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<Verdict> {
    let (roster, regions) = regions(arguments)?;
    let mut judged = Vec::new();
    for path in &arguments.submissions {
        let predictions = files::predictions(path, &roster)?;
        let concordance = concordance::judge(predictions.values(), &roster, &regions, arguments.threshold)
            .with_context(|| format!("{}", path.display()))?;
        if judged.is_empty()
            && let Some(picture) = &arguments.plot
        {
            plot(picture, &pairs(&concordance, &predictions, &roster, &regions)?)?;
        }
        judged.push((path, concordance));
    }
    let good = judged.iter().all(|(_, concordance)| concordance.concordant);
    let text = if json {
        let line = |(path, concordance): &(&PathBuf, Concordance)| {
            let mut judged = serde_json::to_value(concordance).unwrap_or_default();
            judged["submission"] = json!(path);
            judged
        };
        format!("{:#}", judged.iter().map(line).collect::<serde_json::Value>())
    } else {
        table(&judged, arguments.threshold)
    };
    Ok(Verdict { good, text })
}

fn regions(arguments: &Arguments) -> Result<(Roster, Regions)> {
    if let Some(path) = arguments.regions.as_deref().filter(|path| path.exists()) {
        let roster = files::roster(&arguments.tournament)?;
        let regions = files::read(path, |file| Regions::read(file, &roster, &Limits::predictions()))?;
        return Ok((roster, regions));
    }
    let limits = Limits::data();
    let (features, roster) = match &arguments.training {
        Some(training) => {
            let features = files::read(training, |file| Features::read_training(file, &limits))?;
            files::read(&arguments.tournament, |file| features.append_tournament(file, &limits))?
        }
        None => files::read(&arguments.tournament, |file| Features::read_tournament(file, &limits))?,
    };
    eprintln!("clustering {} features of {} ids", features.names().len(), roster.count());
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let regions = Regions::cluster(&features, &roster, &KMeans::default(), threads)?;
    if let Some(path) = &arguments.regions {
        write(path, &regions, &roster).with_context(|| format!("{}", path.display()))?;
        eprintln!("regions written to {}", path.display());
    }
    Ok((roster, regions))
}

fn write(path: &Path, regions: &Regions, roster: &Roster) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    regions.write(roster, &mut file)?;
    Ok(file.flush()?)
}

fn table(judged: &[(&PathBuf, Concordance)], threshold: f64) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for (path, concordance) in judged {
        let verdict = if concordance.concordant { "concordant" } else { "not concordant" };
        let sign = if concordance.concordant { "<" } else { ">=" };
        let _ = writeln!(text, "{}: {verdict}, {:.6} {sign} {threshold}", path.display(), concordance.score);
        let _ = writeln!(text, "  region          D   validation-test  validation-live  live-test");
        for region in &concordance.regions {
            let cell = |d: Option<f64>| d.map_or_else(|| "-".to_owned(), |d| format!("{d:.6}"));
            let _ = writeln!(
                text,
                "  {:>6}   {:.6}  {:>16}  {:>15}  {:>9}",
                region.region,
                region.statistic,
                cell(region.validation_test),
                cell(region.validation_live),
                cell(region.live_test)
            );
        }
    }
    text
}

/// The pair of distributions that decided on each region.
fn pairs(
    concordance: &Concordance,
    predictions: &Predictions,
    roster: &Roster,
    regions: &Regions,
) -> Result<Vec<Pair>> {
    let sample = |region: u32, split: Split| {
        let values = predictions.values().iter().zip(regions.values()).zip(roster.splits());
        let chosen = values.filter(|((_, other), part)| **other == region && **part == split);
        Sorted::new(chosen.map(|((value, _), _)| *value).collect())
    };
    let mut pairs = Vec::new();
    for region in &concordance.regions {
        let of = [
            (region.validation_test, Split::Validation, Split::Test),
            (region.validation_live, Split::Validation, Split::Live),
            (region.live_test, Split::Live, Split::Test),
        ];
        if let Some((_, first, second)) = of.into_iter().find(|(d, ..)| *d == Some(region.statistic)) {
            pairs.push(Pair {
                title: format!("region {}", region.region),
                names: [first.as_str().to_owned(), second.as_str().to_owned()],
                samples: [sample(region.region, first)?, sample(region.region, second)?],
            });
        }
    }
    Ok(pairs)
}
