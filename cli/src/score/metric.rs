//! `marathon score metric`.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use scoring::{InvalidFile, Limits, Metric, Predictions, Roster, Truth};
use serde::Serialize;

use crate::score::{Scored, each, files};

/// How good are predictions, measured against the truth?
///
/// Each metric covers the ids of the truth. Lower is better for logloss, rmse and mae, higher for auc, accuracy and spearman.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  marathon score metric --truth results/ID/challenge/truth.csv results/ID/predictions.csv

Exit status:
  0  every metric that was asked for was computed
  1  a file cannot be scored
  2  wrong usage")]
pub(crate) struct Arguments {
    /// The truth: the columns id and target
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    /// The metric: logloss, auc, accuracy, rmse, mae or spearman; can be repeated [default: all that are defined for this truth]
    #[arg(long = "metric", value_name = "NAME")]
    metrics: Vec<Metric>,
    /// The tournament data with the expected ids [default: the ids of each submission]
    #[arg(long, value_name = "FILE")]
    tournament: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Files of predictions, one for each submission
    #[arg(required = true)]
    submissions: Vec<PathBuf>,
}

/// The scores of a submission.
#[derive(Serialize)]
struct Scores {
    submission: PathBuf,
    /// Number of ids that have a true value.
    rows: usize,
    metrics: Vec<Score>,
}

#[derive(Serialize)]
struct Score {
    name: Metric,
    score: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Scored> {
    let tournament = arguments.tournament.as_deref().map(files::roster).transpose()?;
    // An error about the truth is shown once, and not for each submission.
    std::fs::metadata(&arguments.truth).with_context(|| format!("{}", arguments.truth.display()))?;
    let (scored, verdict) = each(&arguments.submissions, |path| score(path, tournament.as_ref(), arguments));
    let scored: Vec<Scores> = scored.into_iter().map(|(_, scores)| scores).collect();
    let text = if arguments.json { serde_json::to_string_pretty(&scored)? } else { Table(&scored).to_string() };
    Ok(Scored { verdict, text })
}

fn score(path: &Path, tournament: Option<&Roster>, arguments: &Arguments) -> Result<Scores> {
    let own;
    let roster = if let Some(roster) = tournament {
        roster
    } else {
        own = files::read(path, |file| Roster::read_ids(file, &Limits::predictions()))?;
        &own
    };
    let predictions = files::predictions(path, roster)?;
    let truth = files::read(&arguments.truth, |file| Truth::read(file, roster, &Limits::data()));
    let truth = truth.map_err(|error| match error.downcast_ref() {
        Some(InvalidFile::Ids(ids)) if tournament.is_none() && ids.unknown.total > 0 => anyhow!(
            "{} has no prediction for {} of the ids in {}, such as {}",
            path.display(),
            ids.unknown.total,
            arguments.truth.display(),
            ids.unknown.first.join(", ")
        ),
        _ => error,
    })?;
    let metrics = scores(&truth, &predictions, &arguments.metrics).with_context(|| format!("{}", path.display()))?;
    Ok(Scores { submission: path.to_owned(), rows: truth.count(), metrics })
}

/// The metrics that are asked for or, if none is, those that are defined.
fn scores(truth: &Truth, predictions: &Predictions, asked: &[Metric]) -> Result<Vec<Score>> {
    let score = |name: &Metric| truth.score(*name, predictions).map(|score| Score { name: *name, score });
    if !asked.is_empty() {
        return Ok(asked.iter().map(score).collect::<Result<_, _>>()?);
    }
    let defined: Vec<Score> = Metric::ALL.iter().filter_map(|name| score(name).ok()).collect();
    ensure!(!defined.is_empty(), "no metric is defined for this truth and these predictions");
    Ok(defined)
}

struct Table<'a>(&'a [Scores]);

impl Display for Table<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for Scores { submission, rows, metrics } in self.0 {
            writeln!(f, "{}: {rows} rows", submission.display())?;
            metrics.iter().try_for_each(|Score { name, score }| writeln!(f, "  {name:<9} {score:>10.6}"))?;
        }
        Ok(())
    }
}
