//! The result for people.

use std::fmt::{self, Write};

use crate::plan::Plan;
use crate::result::{Distribution, Outcomes};

/// Violations that are shown.
const SHOWN: usize = 20;

/// A result, with the plan that it belongs to.
pub struct Table<'a> {
    pub plan: &'a Plan,
    pub outcomes: &'a Outcomes,
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, outcomes } = self;
        let Outcomes { messages, history, peaks, .. } = outcomes;
        writeln!(
            f,
            "{} submissions in {}, seed {}: {} builds and {} training instances at once, {} concurrent functions\n",
            outcomes.submissions,
            duration(plan.span.as_secs_f64()),
            plan.seed,
            plan.quotas.builds,
            plan.quotas.training_instances,
            plan.quotas.lambda_concurrency
        )?;
        writeln!(
            f,
            "messages     {} published: {} started, {} duplicates, {} not for us, {} quarantined; {} batches repeated",
            messages.published,
            messages.started,
            messages.duplicate,
            messages.not_for_us,
            messages.quarantined,
            messages.batches_repeated
        )?;
        writeln!(f, "outcomes     {} of {}", outcomes.reported, outcomes.submissions)?;
        let mut codes: Vec<_> = outcomes.by_code.iter().collect();
        codes.sort_by_key(|(code, count)| (std::cmp::Reverse(**count), *code));
        for (code, count) in codes {
            writeln!(f, "  {count:>8}  {code}")?;
        }
        let tail = outcomes.last_outcome_seconds - outcomes.last_arrival_seconds;
        writeln!(f, "tail         the last outcome came {} after the last submission", duration(tail))?;

        let mut rows = vec![["waited", "how many", "median", "95 %", "longest"].map(str::to_owned)];
        rows.push(row("from message to outcome", &outcomes.to_outcome));
        rows.extend(outcomes.waits.iter().map(|wait| row(&wait.reason, &wait.seconds)));
        writeln!(f)?;
        write_rows(f, &rows)?;

        let mut rows = vec![["service", "calls", "throttled", "over quota", ""].map(str::to_owned)];
        for (service, calls) in &outcomes.calls {
            let [made, throttled, over] = [calls.made, calls.throttled, calls.over_quota].map(|it| it.to_string());
            rows.push([(*service).to_owned(), made, throttled, over, String::new()]);
        }
        writeln!(f)?;
        write_rows(f, &rows)?;
        let mut rows = vec![["retried by the definitions", "times", "", "", ""].map(str::to_owned)];
        for (error, count) in &outcomes.retries {
            rows.push([error.clone(), count.to_string(), String::new(), String::new(), String::new()]);
        }
        writeln!(f)?;
        write_rows(f, &rows)?;

        writeln!(
            f,
            "\nat once      {} functions, {} builds, {} training instances at most; {} state transitions had to wait",
            peaks.lambda_concurrency, peaks.builds, peaks.training_instances, outcomes.delayed_transitions
        )?;
        writeln!(f, "history      {} of {} events in the longest execution", history.events, history.limit)?;
        if outcomes.violations.is_empty() {
            return writeln!(f, "verdict      none lost, none reported twice, none blamed wrongly, none failed");
        }
        writeln!(f, "verdict      {} violations", outcomes.violations.len())?;
        for violation in outcomes.violations.iter().take(SHOWN) {
            writeln!(f, "  {violation}")?;
        }
        if outcomes.violations.len() > SHOWN {
            writeln!(f, "  … and {} more", outcomes.violations.len() - SHOWN)?;
        }
        Ok(())
    }
}

type Row = [String; 5];

fn row(name: &str, distribution: &Distribution) -> Row {
    let Distribution { count, median, p95, max } = *distribution;
    [name.to_owned(), count.to_string(), duration(median), duration(p95), duration(max)]
}

fn write_rows(f: &mut fmt::Formatter<'_>, rows: &[Row]) -> fmt::Result {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths = [0, 1, 2, 3, 4].map(width);
    for row in rows {
        let mut line = format!("{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(widths).skip(1) {
            write!(line, "  {cell:>width$}")?;
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Two units: `3 d 4 h`, `2 h 5 min`, `1 min 7 s`, `0.4 s`.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "durations are positive and below 10^15 s")]
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_short() {
        let shown = [0.42, 59.4, 67.0, 7500.0, 273_600.0].map(duration);
        assert_eq!(shown, ["0.4 s", "59 s", "1 min 7 s", "2 h 5 min", "3 d 4 h"]);
    }
}
