//! `score originality`.

use std::path::PathBuf;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use scoring::originality::{Closeness, Entry, Evidence, Originality, Rules, Subject, judge};
use scoring::{Limits, Roster, Sorted, ks};
use serde_json::json;

use crate::plot::{Pair, plot};
use crate::previous::{Files, Previous, moment};
use crate::{Verdict, files};

/// What `score originality` is given.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Earlier submissions: a folder of CSV files, or a manifest (CSV: file, and if wanted user and created).
    #[arg(long)]
    previous: PathBuf,
    /// The tournament's data, with its ids; unless given, the submission's ids are those expected of all.
    #[arg(long)]
    tournament: Option<PathBuf>,
    /// Whose submission it is: their own earlier ones do not count. Unless given, what the manifest says, or somebody else.
    #[arg(long)]
    user: Option<String>,
    /// When it was created, RFC 3339. Unless given, what the manifest says, or after all others.
    #[arg(long)]
    created: Option<String>,
    /// A D below it makes it not original.
    #[arg(long, default_value_t = Rules::default().equal_threshold)]
    equal_threshold: f64,
    /// A D below it makes a similar pair.
    #[arg(long, default_value_t = Rules::default().similar_threshold)]
    similar_threshold: f64,
    /// So many similar pairs make it not original.
    #[arg(long, default_value_t = Rules::default().max_similar)]
    max_similar: u32,
    /// A Pearson correlation beyond it makes it not original; off unless given.
    #[arg(long)]
    max_correlation: Option<f64>,
    /// Draw its distribution and the nearest earlier one, as SVG.
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Predictions.
    submission: PathBuf,
}

/// Judges a submission.
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<Verdict> {
    let mut previous = Previous::find(&arguments.previous)?;
    let listed = previous.take(&arguments.submission);
    let roster = match &arguments.tournament {
        Some(path) => files::roster(path)?,
        None => files::read(&arguments.submission, |file| Roster::read_ids(file, &Limits::predictions()))?,
    };
    let predictions = files::predictions(&arguments.submission, &roster)?;
    let sorted = predictions.sorted()?;
    let entry = Entry {
        submission: arguments.submission.display().to_string(),
        user: arguments.user.clone().or(listed.as_ref().map(|entry| entry.user.clone())).unwrap_or_default(),
        round: String::new(),
        created: match &arguments.created {
            Some(created) => moment(created)?,
            // Files of a folder have no time.
            None => listed.map(|entry| entry.created).filter(|at| *at != i128::MIN).unwrap_or(i128::MAX),
        },
    };
    let rules = Rules {
        equal_threshold: arguments.equal_threshold,
        similar_threshold: arguments.similar_threshold,
        max_similar: arguments.max_similar,
        max_correlation: arguments.max_correlation,
    };
    let subject = Subject { entry: &entry, sorted: &sorted, aligned: predictions.values() };
    let progress = ProgressBar::new(previous.entries.len() as u64);
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} submissions, {eta} left");
    progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut evidence = Files { previous: &previous, roster: &roster, progress };
    let originality = judge(&rules, subject, &previous.entries, &mut evidence)?;
    evidence.progress.finish_and_clear();
    if let Some(picture) = &arguments.plot {
        let pair = nearest(subject, &previous, &originality, &mut evidence)?;
        plot(picture, pair.as_slice())?;
    }
    let text = if json {
        let mut judged = serde_json::to_value(&originality)?;
        judged["submission"] = json!(entry.submission);
        format!("{judged:#}")
    } else {
        table(&entry.submission, &originality)
    };
    Ok(Verdict { good: originality.original, text })
}

fn table(submission: &str, originality: &Originality) -> String {
    use std::fmt::Write as _;
    let verdict = if originality.original { "original" } else { "not original" };
    let mut text = format!("{submission}: {verdict}, compared with {} earlier submissions\n", originality.compared);
    for offender in &originality.offenders {
        let closeness = match offender.closeness {
            Some(Closeness::Equal) => "equal",
            Some(Closeness::Similar) => "similar",
            None => "correlated",
        };
        let correlation = offender.correlation.map(|r| format!(", correlation {r:.6}")).unwrap_or_default();
        let _ = writeln!(text, "  {closeness:<10}  D {:.6}{correlation}  {}", offender.statistic, offender.submission);
    }
    text
}

/// The submission beside the earlier one that is nearest to it, which is an offender if there is one.
fn nearest(
    subject: Subject<'_>,
    previous: &Previous,
    originality: &Originality,
    evidence: &mut Files<'_>,
) -> Result<Option<Pair>> {
    let offenders = originality.offenders.iter().map(|offender| offender.submission.as_str());
    let names: Vec<&str> = if originality.offenders.is_empty() {
        let earlier = scoring::originality::previous(subject.entry, &previous.entries);
        earlier.into_iter().map(|entry| entry.submission.as_str()).collect()
    } else {
        offenders.collect()
    };
    let mut nearest: Option<(f64, &str, Sorted)> = None;
    for name in names {
        let sorted = evidence.sorted(name)?;
        let distance = ks::statistic(subject.sorted, &sorted);
        if nearest.as_ref().is_none_or(|(least, ..)| distance < *least) {
            nearest = Some((distance, name, sorted));
        }
    }
    Ok(nearest.map(|(_, name, sorted)| Pair {
        title: subject.entry.submission.clone(),
        names: [subject.entry.submission.clone(), name.to_owned()],
        samples: [subject.sorted.clone(), sorted],
    }))
}
