//! `marathon score originality`.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use scoring::originality::{Closeness, Originality, Plan, Provenance, Rules, Values};
use scoring::{Grids, Limits, Roster, Sorted, ks};
use serde_json::json;

use crate::score::earlier::{EarlierSubmission, EarlierSubmissions, timestamp};
use crate::score::plot::{Pair, plot};
use crate::score::{Scored, Verdict, files};

/// Is a submission a near copy of an earlier one?
///
/// Compares it with earlier submissions by other participants. D is the two-sample Kolmogorov-Smirnov statistic.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status:
  0  the submission is original
  1  a file cannot be scored
  2  wrong usage
  3  the submission is not original")]
pub(crate) struct Arguments {
    /// Earlier submissions: a folder of CSV files, or a manifest (CSV with the column "file" and, optionally, "user" and "created")
    #[arg(long, value_name = "PATH")]
    previous: PathBuf,
    /// The tournament data with the expected ids [default: the ids of the submission]
    #[arg(long, value_name = "FILE")]
    tournament: Option<PathBuf>,
    /// The participant's user id; the participant's own earlier submissions are not compared [default: as in the manifest]
    #[arg(long)]
    user: Option<String>,
    /// When the submission was created, RFC 3339 [default: as in the manifest, or after all others]
    #[arg(long, value_name = "TIME")]
    created: Option<String>,
    /// A D below this value makes the submission not original
    #[arg(long, default_value_t = Rules::default().equal_threshold, value_name = "D")]
    equal_threshold: f64,
    /// A D below this value makes two submissions similar
    #[arg(long, default_value_t = Rules::default().similar_threshold, value_name = "D")]
    similar_threshold: f64,
    /// This many similar submissions make the submission not original
    #[arg(long, default_value_t = Rules::default().max_similar, value_name = "COUNT")]
    max_similar: u32,
    /// An absolute Pearson correlation above this value makes the submission not original [default: off]
    #[arg(long, value_name = "R")]
    max_correlation: Option<f64>,
    /// Draw the distributions of the submission and the nearest earlier one, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// The submission's predictions
    submission: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Scored> {
    let mut earlier = EarlierSubmissions::read(&arguments.previous)?;
    let listed = earlier.take(&arguments.submission);
    let roster = match &arguments.tournament {
        Some(path) => files::roster(path)?,
        None => files::read(&arguments.submission, |file| Roster::read_ids(file, &Limits::predictions()))?,
    };
    let predictions = files::predictions(&arguments.submission, &roster)?;
    let subject = Provenance {
        submission: arguments.submission.display().to_string(),
        user: arguments.user.clone().or(listed.as_ref().map(|listed| listed.user.clone())).unwrap_or_default(),
        challenge: String::new(),
        created: match &arguments.created {
            Some(created) => timestamp(created)?,
            // Files of a folder have no time.
            None => listed.map(|listed| listed.created).filter(|at| *at != i128::MIN).unwrap_or(i128::MAX),
        },
    };
    let rules = Rules {
        equal_threshold: arguments.equal_threshold,
        similar_threshold: arguments.similar_threshold,
        max_similar: arguments.max_similar,
        max_correlation: arguments.max_correlation,
    };
    let name = subject.submission.clone();
    let mut plan = Plan::new(rules, subject, Values::Aligned(predictions.values().to_vec()), Grids::default())?;
    for submission in earlier.iter() {
        plan.add(&submission.provenance, None);
    }
    let originality = compare(&plan, &earlier, &roster)?;
    if let Some(picture) = &arguments.plot {
        let nearest = nearest(&name, &predictions.sorted()?, &plan, &originality, &earlier, &roster)?;
        plot(picture, nearest.as_slice())?;
    }
    let text = if arguments.json {
        let mut result = serde_json::to_value(&originality)?;
        result["submission"] = json!(name);
        format!("{result:#}")
    } else {
        Table { submission: &name, originality: &originality }.to_string()
    };
    Ok(Scored { verdict: Verdict::accepted_if(originality.original), text })
}

/// Compares every earlier submission of the plan, one after the other, and shows the progress.
fn compare(plan: &Plan, earlier: &EarlierSubmissions, roster: &Roster) -> Result<Originality> {
    let needed: Vec<&str> = plan.needed().collect();
    let progress = ProgressBar::new(needed.len() as u64);
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} submissions, {eta} left")
        .expect("invariant: the template is valid");
    progress.set_style(style);
    let mut comparisons = Vec::new();
    for submission in selected(earlier, &needed) {
        let predictions = files::predictions(&submission.path, roster)?;
        let values = Values::Aligned(predictions.values().to_vec());
        comparisons.push(plan.compare(&submission.provenance, None, values)?);
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(plan.finish(comparisons)?)
}

fn selected<'a>(earlier: &'a EarlierSubmissions, names: &[&str]) -> impl Iterator<Item = &'a EarlierSubmission> {
    earlier.iter().filter(move |submission| names.contains(&submission.provenance.submission.as_str()))
}

struct Table<'a> {
    submission: &'a str,
    originality: &'a Originality,
}

impl Display for Table<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Originality { original, compared, offenders, .. } = self.originality;
        let word = if *original { "original" } else { "not original" };
        writeln!(f, "{}: {word}, compared with {compared} earlier submissions", self.submission)?;
        for offender in offenders {
            let closeness = match offender.closeness {
                Some(Closeness::Equal) => "equal",
                Some(Closeness::Similar) => "similar",
                None => "correlated",
            };
            write!(f, "  {closeness:<10}  D {:.6}", offender.statistic)?;
            if let Some(correlation) = offender.correlation {
                write!(f, ", correlation {correlation:.6}")?;
            }
            writeln!(f, "  {}", offender.submission)?;
        }
        Ok(())
    }
}

/// The submission and the earlier one nearest to it: one of the offenders, if there are any.
fn nearest(
    name: &str,
    sorted: &Sorted,
    plan: &Plan,
    originality: &Originality,
    earlier: &EarlierSubmissions,
    roster: &Roster,
) -> Result<Option<Pair>> {
    let candidates: Vec<&str> = if originality.offenders.is_empty() {
        plan.earlier().collect()
    } else {
        originality.offenders.iter().map(|offender| offender.submission.as_str()).collect()
    };
    let mut nearest: Option<(f64, &str, Sorted)> = None;
    for submission in selected(earlier, &candidates) {
        let theirs = files::predictions(&submission.path, roster)?.sorted()?;
        let statistic = ks::statistic(sorted, &theirs);
        if nearest.as_ref().is_none_or(|(least, ..)| statistic < *least) {
            nearest = Some((statistic, &submission.provenance.submission, theirs));
        }
    }
    Ok(nearest.map(|(_, other, theirs)| Pair {
        title: name.to_owned(),
        names: [name.to_owned(), other.to_owned()],
        samples: [sorted.clone(), theirs],
    }))
}
