//! Reading the last lines of a build's or training job's log.

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::error::DisplayErrorContext;

use crate::classify::LogStream;
use crate::clean::clean_line;

/// Lines kept.
const LINES: usize = 40;

/// The last lines of a log stream, cleaned, oldest first. The text of the error names the call that failed.
pub(crate) async fn tail(client: &Client, stream: &LogStream) -> Result<Vec<String>, String> {
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
                .map_err(|error| format!("DescribeLogStreams: {}", DisplayErrorContext(error)))?;
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
        .limit(100)
        .send()
        .await
        .map_err(|error| format!("GetLogEvents: {}", DisplayErrorContext(error)))?;
    Ok(last_lines(events.events().iter().filter_map(|event| event.message())))
}

/// The last lines of a log's events, cleaned. A line that comes many times in a row is told once, with how often.
fn last_lines<'a>(events: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut folded: Vec<(String, usize)> = Vec::new();
    for line in events.into_iter().flat_map(|event| event.split(['\n', '\r'])).map(clean_line) {
        match folded.last_mut() {
            Some((last, count)) if *last == line => *count += 1,
            _ if line.trim().is_empty() => {}
            _ => folded.push((line, 1)),
        }
    }
    let kept = folded.split_off(folded.len().saturating_sub(LINES));
    let told = |(line, count)| if count == 1 { line } else { format!("{line} ({count} times)") };
    kept.into_iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_lines_without_blank_ones() {
        let log: Vec<String> = (0..100).map(|number| format!("line {number}\r\n\n")).collect();
        let lines = last_lines(log.iter().map(String::as_str));
        assert_eq!(lines.len(), LINES);
        assert_eq!((lines[0].as_str(), lines[LINES - 1].as_str()), ("line 60", "line 99"));
    }

    #[test]
    fn one_line_of_megabytes_comes_out_once() {
        let event = "x".repeat(256 * 1024);
        let lines = last_lines(std::iter::repeat_n(event.as_str(), 40).chain(["the end"]));
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with("… (40 times)") && lines[0].chars().count() < 520);
    }
}
