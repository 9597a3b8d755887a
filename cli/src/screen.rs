//! What a person sees: steps as they come and go, and the outcome at the end.

use std::fmt::{self, Display, Formatter};
use std::io::IsTerminal;
use std::time::Duration;

use anstyle::AnsiColor;
use domain::Scores;
use domain::outcome::{Outcome, Status};
use local::watch::{Ended, Visit};

/// How this machine differs from AWS.
const READ_ONLY: &str = "In a rehearsal, only /opt/ml, /tmp and /run of a training container are writable; on AWS, its whole file system is. Write to one of these folders.";
/// Characters of the longest bar of the timeline.
const BAR: u128 = 40;

/// The line for a step that begins or ends. Choices and other states that take no time have none.
pub(crate) fn progress(visit: &Visit) -> Option<String> {
    match visit.took {
        None if visit.is_work && std::io::stdout().is_terminal() => Some(format!("  … {}", visit.state)),
        Some(took) if visit.is_work => {
            Some(format!("  {} {:<18} {:>7.1} s", Mark::of(visit.failed), visit.state, took.as_secs_f64()))
        }
        _ => None,
    }
}

/// How a submission ended: what it came to in the first line, then the timeline of its steps and the outcome.
pub(crate) fn end(ended: &Ended, outcome: &Outcome) -> String {
    format!("{}\n{}\n{}", Headline(outcome), Timeline { visits: &ended.visits, outcome }, OutcomeText(outcome))
}

/// Text in a colour. Whoever prints it removes the colour where there is no terminal.
struct Painted<T>(AnsiColor, T);

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let style = self.0.on_default().bold();
        write!(f, "{style}{}{style:#}", self.1)
    }
}

/// Whether a step did its work.
enum Mark {
    Done,
    Failed,
}

impl Mark {
    fn of(failed: bool) -> Self {
        if failed { Self::Failed } else { Self::Done }
    }
}

impl Display for Mark {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => Painted(AnsiColor::Green, '✓').fmt(f),
            Self::Failed => Painted(AnsiColor::Red, '✗').fmt(f),
        }
    }
}

/// What the submission came to, why, and who has to do what.
struct Headline<'a>(&'a Outcome);

impl Display for Headline<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = match self.0.status {
            Status::Completed => Painted(AnsiColor::Green, "COMPLETED"),
            Status::Rejected => Painted(AnsiColor::Yellow, "REJECTED"),
            Status::Failed => Painted(AnsiColor::Red, "FAILED"),
        };
        let Some(failure) = &self.0.failure else {
            return writeln!(f, "{word}: the model is trained and stored.");
        };
        let step = failure.step.map(|step| format!(" in step {step:?}")).unwrap_or_default();
        writeln!(f, "{word}: {}{step}\n{}", failure.code, failure.message)?;
        if let Some(detail) = &failure.detail {
            writeln!(f, "Detail: {detail}")?;
        }
        if failure.log_tail.iter().any(|line| line.to_ascii_lowercase().contains("read-only file system")) {
            writeln!(f, "{READ_ONLY}")?;
        }
        if self.0.status == Status::Failed {
            let code = failure.code;
            writeln!(
                f,
                "The submission is not at fault. Find {code} in docs/troubleshooting.md, fix the cause, then run this command again."
            )?;
        }
        Ok(())
    }
}

/// The steps as bars on a common axis of time.
struct Timeline<'a> {
    visits: &'a [Visit],
    outcome: &'a Outcome,
}

impl Timeline<'_> {
    /// Whether the submission failed at this step, even if the step itself did its work: invalid predictions are found by
    /// a step that succeeds.
    fn failed(&self, visit: &Visit) -> bool {
        let step = self.outcome.failure.as_ref().and_then(|failure| failure.step);
        visit.failed || step.is_some_and(|step| format!("{step:?}") == visit.state)
    }
}

impl Display for Timeline<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let end = |visit: &Visit| visit.entered + visit.took.unwrap_or_default();
        let total = self.visits.iter().map(end).max().unwrap_or_default();
        for visit in self.visits.iter().filter(|visit| visit.is_work) {
            let (from, to) = (column(visit.entered, total), column(end(visit), total));
            let bar = format!("{}{}", " ".repeat(from), "█".repeat((to - from).max(1)));
            let seconds = visit.took.unwrap_or_default().as_secs_f64();
            writeln!(f, "  {} {:<18} {bar:<42} {seconds:>6.1} s", Mark::of(self.failed(visit)), visit.state)?;
        }
        Ok(())
    }
}

fn column(at: Duration, total: Duration) -> usize {
    let column = at.as_millis() * BAR / total.as_millis().max(1);
    usize::try_from(column).expect("invariant: a column is at most the bar's length")
}

struct OutcomeText<'a>(&'a Outcome);

impl Display for OutcomeText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let outcome = self.0;
        writeln!(f, "  submission   {}", outcome.submission_id)?;
        if let Some(failure) = outcome.failure.as_ref().filter(|failure| !failure.log_tail.is_empty()) {
            writeln!(f, "  last lines of the log:")?;
            failure.log_tail.iter().try_for_each(|line| writeln!(f, "    │ {line}"))?;
        }
        if let Some(archive) = &outcome.archive {
            let (bucket, key, bytes, sha256) = (&archive.bucket, &archive.key, archive.bytes, &archive.sha256);
            writeln!(f, "  archive      s3://{bucket}/{key} ({bytes} bytes, SHA-256 {sha256})")?;
        }
        if let Some(image) = &outcome.image {
            writeln!(f, "  image        {}\n  digest       {}", image.uri, image.digest)?;
        }
        if let Some(training) = &outcome.training {
            writeln!(f, "  training job {}\n  model        {}", training.job_name, training.model_uri)?;
        }
        if let Some(scores) = &outcome.scores {
            ScoresText(scores).fmt(f)?;
        }
        if let Some(review) = &outcome.review {
            writeln!(f, "  review       {review} in the Submission API")?;
        }
        Ok(())
    }
}

struct ScoresText<'a>(&'a Scores);

impl Display for ScoresText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(concordance) = &self.0.concordance {
            let word = if concordance.concordant { "concordant" } else { "not concordant" };
            writeln!(f, "  concordance  {word}, score {:.4}", concordance.score)?;
        }
        if let Some(originality) = &self.0.originality {
            let word = if originality.original { "original" } else { "not original" };
            writeln!(f, "  originality  {word}, compared with {} earlier submissions", originality.compared)?;
        }
        if let Some(metric) = &self.0.metric {
            writeln!(f, "  metric       {} {:.4}", metric.name, metric.score)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn visit(state: &str, entered: u64, took: u64) -> Visit {
        let (entered, took) = (Duration::from_millis(entered), Some(Duration::from_millis(took)));
        Visit { state: state.to_owned(), is_work: true, entered, took, failed: false }
    }

    /// The end without its colours.
    fn plain(ended: &Ended, outcome: &Outcome) -> String {
        anstream::adapter::strip_str(&end(ended, outcome)).to_string()
    }

    fn outcome(more: &serde_json::Value) -> Outcome {
        let mut outcome = json!({
            "submissionId": "d01c8c8b-2a7f-463f-992b-7bc5423e1dd0", "attempts": 1,
            "execution": "arn:aws:states:us-east-1:000000000000:execution:mm:d01c8c8b-2a7f-463f-992b-7bc5423e1dd0",
            "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:02:00Z",
            "archive": {"bucket": "staging", "key": "submissions/d01c8c8b/submission.zip", "versionId": "v1",
                        "sha256": "9f86d081884c7d659a2feaa0c55ad015", "bytes": 1538},
        });
        outcome.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(outcome).unwrap()
    }

    #[test]
    fn a_completed_submission() {
        let visits =
            vec![visit("FetchSubmission", 0, 300), visit("BuildImage", 300, 2000), visit("TrainModel", 2300, 1200)];
        let ended = Ended { status: "SUCCEEDED".into(), output: None, error: None, visits };
        let outcome = outcome(&json!({
            "status": "completed", "review": "7f0c8a52",
            "image": {"uri": "registry/d01c8c8b:latest", "digest": "sha256:ab", "bytes": 7},
            "training": {"jobName": "d01c8c8b-0-1", "modelUri": "s3://models/d01c8c8b/model.tar.gz"},
            "scores": {
                "concordance": {"concordant": true, "score": 0.051_25, "regions": []},
                "originality": {"original": true, "similar_count": 0, "compared": 12, "offender_count": 0, "offenders": []},
                "metric": {"name": "logloss", "score": 0.673_154, "standing": -0.673_154},
            },
        }));
        insta::assert_snapshot!(plain(&ended, &outcome));
    }

    #[test]
    fn a_rejected_submission() {
        let visits = vec![visit("FetchSubmission", 0, 300), Visit { failed: true, ..visit("BuildImage", 300, 2000) }];
        let ended = Ended { status: "SUCCEEDED".into(), output: None, error: None, visits };
        let outcome = outcome(&json!({
            "status": "rejected",
            "failure": {"code": "BuildFailed", "fault": "participant", "step": "BuildImage",
                        "message": "The image did not build.", "detail": "COPY failed", "logTail": ["#5 ERROR", "gone"]},
        }));
        insta::assert_snapshot!(plain(&ended, &outcome));
    }

    #[test]
    fn a_file_system_that_is_read_only_on_this_machine_is_explained() {
        let ended = Ended { status: "SUCCEEDED".into(), output: None, error: None, visits: Vec::new() };
        let outcome = outcome(&json!({
            "status": "rejected",
            "failure": {"code": "TrainingFailed", "fault": "participant", "step": "TrainModel", "message": "It failed.",
                        "logTail": ["OSError: [Errno 30] Read-only file system: '/cache'"]},
        }));
        assert!(plain(&ended, &outcome).contains("only /opt/ml, /tmp and /run"), "{}", plain(&ended, &outcome));
    }

    #[test]
    fn predictions_that_are_rejected_by_a_step_that_did_its_work() {
        let visits = vec![visit("TrainModel", 0, 1200), visit("ScoreSubmission", 1200, 800)];
        let ended = Ended { status: "SUCCEEDED".into(), output: None, error: None, visits };
        let outcome = outcome(&json!({
            "status": "rejected",
            "failure": {"code": "PredictionsInvalid", "fault": "participant", "step": "ScoreSubmission",
                        "message": "The predictions are not valid: line 3 has no fields. Correct the file and make a new submission."},
        }));
        insta::assert_snapshot!(plain(&ended, &outcome));
    }

    #[test]
    fn the_first_word_is_in_colour() {
        let ended = Ended { status: "SUCCEEDED".into(), output: None, error: None, visits: Vec::new() };
        assert!(
            end(&ended, &outcome(&json!({"status": "completed"}))).starts_with("\u{1b}[1m\u{1b}[32mCOMPLETED\u{1b}[0m")
        );
    }

    #[test]
    fn a_failed_execution() {
        let visits = vec![Visit { failed: true, ..visit("TrainModel", 0, 1200) }];
        let ended = Ended { status: "FAILED".into(), output: None, error: Some("QuotaExceeded".to_owned()), visits };
        let outcome = outcome(&json!({
            "status": "failed",
            "failure": {"code": "QuotaExceeded", "fault": "platform", "step": "TrainModel",
                        "message": "The model could not be trained because all training machines were in use."},
        }));
        insta::assert_snapshot!(plain(&ended, &outcome));
    }
}
