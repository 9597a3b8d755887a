//! What a person sees: states as they come and go, and the outcome at the end.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::Duration;

use serde_json::Value;
use shared::outcome::{Outcome, Scores, Status};

use crate::watch::Visit;

/// Characters of the longest bar of the picture.
const BAR: u128 = 40;

/// Prints a visit of a state when it ends. Choices and other moments that take no time are left out.
pub fn show_visit(visit: &Visit) {
    match visit.took {
        None if visit.is_work && std::io::stdout().is_terminal() => println!("  … {}", visit.state),
        Some(took) if visit.is_work => println!("  ✓ {:<18} {:>7.1} s", visit.state, took.as_secs_f64()),
        _ => {}
    }
}

/// The course of an execution as bars on a common axis of time.
#[must_use]
pub fn picture(visits: &[Visit]) -> String {
    let end = visits.iter().map(|visit| visit.entered + visit.took.unwrap_or_default()).max().unwrap_or_default();
    let column = |at: Duration| usize::try_from(at.as_millis() * BAR / end.as_millis().max(1)).unwrap_or_default();
    let mut picture = String::new();
    for visit in visits.iter().filter(|visit| visit.is_work) {
        let took = visit.took.unwrap_or_default();
        let (from, to) = (column(visit.entered), column(visit.entered + took));
        let bar = format!("{}{}", " ".repeat(from), "█".repeat((to - from).max(1)));
        let _ = writeln!(picture, "  {:<18} {bar:<42} {:>6.1} s", visit.state, took.as_secs_f64());
    }
    picture
}

/// The outcome in words.
#[must_use]
pub fn outcome(outcome: &Outcome) -> String {
    let mut text = String::new();
    let status = match outcome.status {
        Status::Completed => "completed: the model is trained and stored",
        Status::Rejected => "rejected: the submission is at fault",
        Status::Failed => "failed: the platform is at fault",
    };
    let _ = writeln!(text, "  submission   {}\n  outcome      {status}", outcome.submission_id);
    if let Some(failure) = &outcome.failure {
        let step = failure.step.map(|step| format!(" in {step:?}")).unwrap_or_default();
        let _ = writeln!(text, "  failure      {}{step}\n  reason       {}", failure.code, failure.message);
        if let Some(detail) = &failure.detail {
            let _ = writeln!(text, "  detail       {detail}");
        }
        if !failure.log_tail.is_empty() {
            let _ = writeln!(text, "  last lines of the log:");
            for line in &failure.log_tail {
                let _ = writeln!(text, "    │ {line}");
            }
        }
    }
    if let Some(archive) = &outcome.archive {
        let _ = writeln!(
            text,
            "  archive      s3://{}/{} ({} bytes, SHA-256 {})",
            archive.bucket, archive.key, archive.bytes, archive.sha256
        );
    }
    if let Some(image) = &outcome.image {
        let _ = writeln!(text, "  image        {}\n  digest       {}", image.uri, image.digest);
    }
    if let Some(training) = &outcome.training {
        let _ = writeln!(text, "  trained by   {}\n  model        {}", training.job_name, training.model_uri);
    }
    if let Some(scores) = &outcome.scores {
        text.push_str(&judgements(scores));
    }
    if let Some(review) = &outcome.review {
        let _ = writeln!(text, "  review       {review} in the Submission API");
    }
    text
}

/// What was judged about the predictions.
fn judgements(scores: &Scores) -> String {
    let mut text = String::new();
    let number = |judgement: &Value, name: &str| judgement[name].as_f64().unwrap_or(f64::NAN);
    if let Some(concordance) = &scores.concordance {
        let verdict = if concordance["concordant"] == true { "concordant" } else { "not concordant" };
        let _ = writeln!(text, "  concordance  {verdict}, score {:.4}", number(concordance, "score"));
    }
    if let Some(originality) = &scores.originality {
        let verdict = if originality["original"] == true { "original" } else { "not original" };
        let _ = writeln!(text, "  originality  {verdict}, compared with {} earlier ones", originality["compared"]);
    }
    if let Some(metric) = &scores.metric {
        let name = metric["name"].as_str().unwrap_or_default();
        let _ = writeln!(text, "  metric       {name} {:.4}", number(metric, "score"));
    }
    text
}
