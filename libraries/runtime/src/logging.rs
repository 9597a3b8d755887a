//! The functions' log: lines on standard output that Lambda's log-level filtering understands. It takes a line without `level`,
//! or without an RFC 3339 `timestamp`, for one of the level INFO; see
//! <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>.

use std::env;

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

/// Crates that may log in more detail than INFO. Others would log requests with their secrets.
const DETAILED: [&str; 9] =
    ["intake", "fetch", "claim", "diagnose", "report", "score", "submit", "runtime", "submission_api"];

/// Starts the log, with the level and the format that Lambda sets in `AWS_LAMBDA_LOG_LEVEL` and `AWS_LAMBDA_LOG_FORMAT`.
pub(crate) fn start() {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|set| set.eq_ignore_ascii_case(value));
    let level = env::var("AWS_LAMBDA_LOG_LEVEL").ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    log(level, is("AWS_LAMBDA_LOG_FORMAT", "json"), std::io::stdout).init();
}

fn log<W>(level: LevelFilter, json: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_target(false).with_ansi(false).with_writer(writer);
    let lines = if json { lines.json().boxed() } else { lines.boxed() };
    let levels =
        Targets::new().with_default(level.min(LevelFilter::INFO)).with_targets(DETAILED.map(|name| (name, level)));
    registry().with(lines.with_filter(levels))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex, PoisonError};

    use serde_json::Value;
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    use super::*;
    use crate::metrics::{Metrics, Unit};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: LevelFilter) -> Vec<Value> {
        let lines = Lines::default();
        let writer = lines.clone();
        tracing::subscriber::with_default(log(level, true, move || writer.clone()), || {
            let _span = tracing::info_span!("submission", submissionId = "s").entered();
            tracing::error!(code = "Internal", "failed");
            tracing::info!("done");
            tracing::debug!("detail");
            tracing::debug!(target: "aws_smithy_runtime::client", "authorization: secret");
            tracing::trace!(target: "lambda_runtime", "the whole event");
        });
        let bytes = lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn is_understood(line: &Value) -> bool {
        let level = line["level"].as_str().is_some_and(|level| ["ERROR", "WARN", "INFO", "DEBUG"].contains(&level));
        level && line["timestamp"].as_str().is_some_and(|time| OffsetDateTime::parse(time, &Rfc3339).is_ok())
    }

    #[test]
    fn every_line_has_what_lambda_filters_by() {
        let lines = logged(LevelFilter::INFO);
        assert!(lines.len() == 2 && lines.iter().all(is_understood), "{lines:?}");
        assert_eq!(
            (&lines[0]["fields"]["message"], &lines[0]["span"]["submissionId"]),
            (&"failed".into(), &"s".into())
        );
        let metric = Metrics::of_stack("mm").value("Started", Unit::Count, 1.0);
        assert!(is_understood(&metric.to_json(OffsetDateTime::UNIX_EPOCH)));
    }

    #[test]
    fn no_level_shows_requests_or_events() {
        for level in [LevelFilter::DEBUG, LevelFilter::TRACE] {
            let lines = logged(level);
            let messages: Vec<&str> = lines.iter().filter_map(|line| line["fields"]["message"].as_str()).collect();
            assert_eq!(messages, ["failed", "done", "detail"]);
        }
    }
}
