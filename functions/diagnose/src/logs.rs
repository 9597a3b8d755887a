//! The last lines of the log of a build or training job.

use aws_sdk_cloudwatchlogs::Client;
use runtime::CallFailed;

use crate::job::LogStream;

/// Lines of a diagnosis, if the log has as many.
const LINES: usize = 40;
/// Further lines are kept up to this number of bytes: what a program buffers of its standard output and only writes when it
/// exits, after it has written to standard error why. (C's `stdio` buffers a block of the pipe.)
const FLUSHED_BYTES: usize = 4096;
/// Limit for the lines in a diagnosis.
const MAX_LINES: usize = 200;
/// Events that are read: one page, which has at most 1 MB. See
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html>.
const EVENTS: i32 = 1000;

/// The last events of a log stream, oldest first, not redacted.
pub(crate) async fn last_events(client: &Client, stream: &LogStream) -> Result<Vec<String>, CallFailed> {
    let name = match stream {
        LogStream::Named { stream, .. } => stream.clone(),
        LogStream::StartingWith { group, prefix } => {
            let streams = client
                .describe_log_streams()
                .log_group_name(group)
                .log_stream_name_prefix(prefix)
                .limit(1)
                .send()
                .await
                .map_err(|error| CallFailed::new("CloudWatch Logs", "DescribeLogStreams", &error))?;
            match streams.log_streams().first().and_then(|stream| stream.log_stream_name()) {
                Some(name) => name.to_owned(),
                None => return Ok(Vec::new()),
            }
        }
    };
    let (LogStream::Named { group, .. } | LogStream::StartingWith { group, .. }) = stream;
    let events = client
        .get_log_events()
        .log_group_name(group)
        .log_stream_name(name)
        .start_from_head(false)
        .limit(EVENTS)
        .send()
        .await
        .map_err(|error| CallFailed::new("CloudWatch Logs", "GetLogEvents", &error))?;
    Ok(events.events.unwrap_or_default().into_iter().filter_map(|event| event.message).collect())
}

pub(crate) fn lines(events: &[String]) -> impl Iterator<Item = &str> {
    events.iter().flat_map(|event| event.split(['\n', '\r']))
}

/// The last lines of a log, redacted. A repeated line is shown once, with the number of repetitions.
pub(crate) fn last_lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut folded: Vec<(&str, String, usize)> = Vec::new();
    let mut bytes = 0;
    for line in without_private_keys(lines).into_iter().rev() {
        if let Some((raw, _, count)) = folded.last_mut()
            && *raw == line
        {
            *count += 1;
            continue;
        }
        let redacted = redact::line(line);
        let is_full = folded.len() >= LINES && (bytes >= FLUSHED_BYTES || folded.len() == MAX_LINES);
        match folded.last_mut() {
            Some((_, last, count)) if *last == redacted => *count += 1,
            _ if redacted.trim().is_empty() => {}
            _ if is_full => break,
            _ => {
                bytes += redacted.len();
                folded.push((line, redacted, 1));
            }
        }
    }
    let shown = |(_, line, count)| if count == 1 { line } else { format!("{line} ({count} times)") };
    folded.into_iter().rev().map(shown).collect()
}

/// Replaces the lines of each private key by one marker. A key that began before the first line is recognised by its end.
fn without_private_keys<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut shown = Vec::new();
    let mut inside = false;
    for line in lines {
        let edge = |word| line.contains(word) && line.contains("PRIVATE KEY-----");
        if inside {
            inside = !edge("-----END ");
        } else if edge("-----BEGIN ") {
            inside = !line.contains("-----END ");
            shown.push("[redacted private key]");
        } else if edge("-----END ") {
            while shown.last().is_some_and(|line| is_base64(line)) {
                shown.pop();
            }
            shown.push("[redacted private key]");
        } else {
            shown.push(line);
        }
    }
    shown
}

fn is_base64(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_without_blank_ones() {
        let log: Vec<String> = (0..100).map(|number| format!("line {number} {}\r\n\n", "x".repeat(200))).collect();
        let tail = last_lines(lines(&log));
        assert_eq!(tail.len(), LINES);
        assert!(tail[0].starts_with("line 60 ") && tail[LINES - 1].starts_with("line 99 "), "{tail:?}");
    }

    #[test]
    fn an_error_before_flushed_output_is_kept() {
        let flushed: Vec<String> = (0..160).map(|at| format!("epoch {at}, loss 0.69")).collect();
        assert!(flushed.join("\n").len() < FLUSHED_BYTES);
        let error = ["Traceback (most recent call last):", "ValueError: no column feature7"];
        let log = (0..1000).map(|at| format!("row {at}")).collect::<Vec<_>>();
        let log = log.iter().map(String::as_str).chain(error).chain(flushed.iter().map(String::as_str));
        let tail = last_lines(log);
        assert!(error.iter().all(|line| tail.iter().any(|kept| kept == line)), "{tail:?}");
        let short = (0..1000).map(|at| at.to_string()).collect::<Vec<_>>();
        assert_eq!(last_lines(short.iter().map(String::as_str)).len(), MAX_LINES);
    }

    #[test]
    fn a_repeated_line_of_megabytes_is_shown_once() {
        let event = "x".repeat(256 * 1024);
        let tail = last_lines(std::iter::repeat_n(event.as_str(), 40).chain(["the end"]));
        assert_eq!(tail.len(), 2);
        assert!(tail[0].ends_with("… (40 times)") && tail[0].chars().count() < 520);
    }

    #[test]
    fn lines_that_differ_only_after_the_limit_count_as_repeated() {
        let events = [1, 2].map(|end| format!("{}{end}", "x".repeat(600)));
        assert!(last_lines(lines(&events))[0].ends_with("(2 times)"));
    }

    #[test]
    fn a_private_key_is_redacted_over_all_its_lines() {
        let log = "a\n-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0B\n-----END PRIVATE KEY-----\nb";
        assert_eq!(last_lines(log.lines()), ["a", "[redacted private key]", "b"]);
        let rest: Vec<&str> = log.lines().skip(2).collect();
        assert_eq!(last_lines(rest), ["[redacted private key]", "b"]);
    }
}
