//! `marathon score concordance`.

use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use scoring::concordance::{self, Concordance, DEFAULT_THRESHOLD};
use scoring::kmeans::KMeans;
use scoring::{Features, Limits, Predictions, Regions, Roster, Sorted, Split};
use serde_json::json;

use crate::score::plot::{Pair, plot};
use crate::score::{Scored, Verdict, each, files};

/// Do predictions behave alike on validation, test and live data?
///
/// In each region of feature space, D is computed for each pair of validation, test and live data. The score is the mean of
/// the largest D of each region. D is the two-sample Kolmogorov-Smirnov statistic.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status:
  0  every submission is concordant
  1  a file cannot be scored
  2  wrong usage
  3  a submission is not concordant")]
pub(crate) struct Arguments {
    #[arg(
        long,
        value_name = "FILE",
        help = "The tournament data: the columns id, data_type (validation, test or live) and those whose names contain \"feature\""
    )]
    tournament: PathBuf,
    /// Training data with the same features, clustered together with the tournament data
    #[arg(long, value_name = "FILE")]
    training: Option<PathBuf>,
    /// Regions (id, region): read if the file exists, otherwise computed and written to it
    #[arg(long, value_name = "FILE")]
    regions: Option<PathBuf>,
    /// Predictions with a score below this value are concordant
    #[arg(long, default_value_t = DEFAULT_THRESHOLD, value_name = "SCORE")]
    threshold: f64,
    /// Draw the distributions that decided the score of the first submission, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Files of predictions, one for each submission
    #[arg(required = true)]
    submissions: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Scored> {
    let (roster, regions) = regions(arguments)?;
    for split in roster.absent_splits() {
        eprintln!("the tournament data has no {} rows, so concordance leaves this part out", split.as_str());
    }
    let mut picture = arguments.plot.as_deref();
    let (scored, read) = each(&arguments.submissions, |path| {
        let predictions = files::predictions(path, &roster)?;
        let concordance = concordance::score(predictions.values(), &roster, &regions, arguments.threshold)
            .with_context(|| format!("{}", path.display()))?;
        if let Some(picture) = picture.take() {
            plot(picture, &pairs(&concordance, &predictions, &roster, &regions)?)?;
        }
        Ok(concordance)
    });
    let accepted = Verdict::accepted_if(scored.iter().all(|(_, concordance)| concordance.concordant));
    let text = if arguments.json {
        let line = |(path, concordance): &(&Path, Concordance)| {
            let mut result = json!(concordance);
            result["submission"] = json!(path);
            result
        };
        format!("{:#}", scored.iter().map(line).collect::<serde_json::Value>())
    } else {
        Table { scored: &scored, threshold: arguments.threshold }.to_string()
    };
    Ok(Scored { verdict: accepted.and(read), text })
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

struct Table<'a> {
    scored: &'a [(&'a Path, Concordance)],
    threshold: f64,
}

impl Display for Table<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (path, Concordance { concordant, score, regions }) in self.scored {
            let (word, sign) = if *concordant { ("concordant", "<") } else { ("not concordant", ">=") };
            writeln!(f, "{}: {word}, {score:.6} {sign} {}", path.display(), self.threshold)?;
            writeln!(f, "  region          D   validation-test  validation-live  live-test")?;
            for region in regions {
                let [test, live, live_test] = [region.validation_test, region.validation_live, region.live_test]
                    .map(|d| d.map_or_else(|| "-".to_owned(), |d| format!("{d:.6}")));
                let (number, statistic) = (region.region, region.statistic);
                writeln!(f, "  {number:>6}   {statistic:.6}  {test:>16}  {live:>15}  {live_test:>9}")?;
            }
        }
        Ok(())
    }
}

/// For each region, the pair of distributions with the largest D.
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
