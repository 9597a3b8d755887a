//! Logs of builds and training jobs, in CloudWatch Logs as on AWS.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::time::Instant;

/// Bytes of one event. A longer line is split; see
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>.
const EVENT_BYTES: usize = 64 * 1024;
/// Events of one call.
const BATCH_EVENTS: usize = 200;
/// Events and bytes of a log's start that are kept: the emulator has them in memory.
const START: (usize, usize) = (100_000, 64 << 20);
/// Events of a longer log's end that are kept.
const END_EVENTS: usize = 500;
/// How long events are collected for a call.
const BATCH_WINDOW: Duration = Duration::from_secs(1);

/// A log stream that a job writes to.
#[derive(Debug)]
pub(crate) struct JobLog {
    client: Client,
    pub(crate) group: String,
    pub(crate) stream: String,
}

impl JobLog {
    /// Creates the stream, and its group if it does not exist.
    pub(crate) async fn create(client: &Client, group: &str, stream: &str) -> Result<Self> {
        // It fails if the group exists. Any other reason makes the next call fail too.
        let _ = client.create_log_group().log_group_name(group).send().await;
        client
            .create_log_stream()
            .log_group_name(group)
            .log_stream_name(stream)
            .send()
            .await
            .with_context(|| format!("creating the log stream {stream} in {group}"))?;
        Ok(Self { client: client.clone(), group: group.to_owned(), stream: stream.to_owned() })
    }

    /// Writes everything that a program prints until it ends.
    pub(crate) async fn copy(&self, output: impl AsyncRead + Unpin) -> Result<()> {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        let mut batch = Vec::new();
        let mut due = Instant::now() + BATCH_WINDOW;
        let (mut events_left, mut bytes_left) = START;
        let (mut end, mut is_cut) = (VecDeque::new(), false);
        loop {
            let chunk = reader.fill_buf().await?;
            if chunk.is_empty() {
                break;
            }
            let taken = chunk.iter().position(|byte| *byte == b'\n').map_or(chunk.len(), |at| at + 1);
            line.extend_from_slice(&chunk[..taken]);
            reader.consume(taken);
            if line.ends_with(b"\n") || line.len() >= EVENT_BYTES {
                if events_left > 0 && bytes_left > line.len() {
                    (events_left, bytes_left) = (events_left - 1, bytes_left - line.len());
                    batch.push(event(&line)?);
                } else {
                    bytes_left = 0;
                    end.push_back(event(&line)?);
                    if end.len() > END_EVENTS {
                        end.pop_front();
                        is_cut = true;
                    }
                }
                line.clear();
            }
            if batch.len() >= BATCH_EVENTS || (Instant::now() >= due && !batch.is_empty()) {
                self.put(std::mem::take(&mut batch)).await?;
                due = Instant::now() + BATCH_WINDOW;
            }
        }
        if is_cut {
            batch.push(event(b"[lines are left out here: the log is too long for this machine]")?);
        }
        batch.extend(end);
        if !line.is_empty() {
            batch.push(event(&line)?);
        }
        for events in batch.chunks(BATCH_EVENTS) {
            self.put(events.to_vec()).await?;
        }
        Ok(())
    }

    async fn put(&self, events: Vec<InputLogEvent>) -> Result<()> {
        self.client
            .put_log_events()
            .log_group_name(&self.group)
            .log_stream_name(&self.stream)
            .set_log_events(Some(events))
            .send()
            .await
            .with_context(|| format!("writing to the log stream {}", self.stream))?;
        Ok(())
    }
}

fn event(line: &[u8]) -> Result<InputLogEvent> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\n', '\r']);
    let event = InputLogEvent::builder()
        .timestamp(now.as_millis().try_into()?)
        // An event must not be empty.
        .message(if text.is_empty() { " " } else { text })
        .build();
    Ok(event?)
}
