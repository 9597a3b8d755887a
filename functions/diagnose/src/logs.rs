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
    let lines: Vec<String> = events
        .events()
        .iter()
        .filter_map(|event| event.message())
        .flat_map(|message| message.split(['\n', '\r']))
        .map(clean_line)
        .filter(|line| !line.trim().is_empty())
        .collect();
    Ok(lines[lines.len().saturating_sub(LINES)..].to_vec())
}
