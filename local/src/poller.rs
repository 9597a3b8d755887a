//! Stands in for Lambda's event source mapping: consumes the topic and invokes `intake` with batches in MSK's format.

use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_lambda::primitives::Blob;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Timestamp};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use crate::broker::TOPIC;

/// Maximum number of records in a batch: the template's default.
const BATCH_SIZE: usize = 100;
/// How long records are collected for a batch.
const BATCH_WINDOW: Duration = Duration::from_millis(200);
/// The pause before a failed batch is retried.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Polls the topic for ever. Offsets are committed only after the function has accepted the batch.
pub async fn poll(servers: &str, lambda: &aws_sdk_lambda::Client, function: &str) -> Result<()> {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "marathon-match-processor")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.message.max.bytes", "6000000")
        .create()?;
    consumer.subscribe(&[TOPIC]).with_context(|| format!("subscribing to {TOPIC} at {servers}"))?;
    loop {
        let mut batch = vec![consumer.recv().await.context("receiving from Kafka")?];
        let deadline = Instant::now() + BATCH_WINDOW;
        while batch.len() < BATCH_SIZE
            && let Ok(message) = timeout_at(deadline, consumer.recv()).await
        {
            batch.push(message?);
        }
        let event = serde_json::to_vec(&msk_event(servers, &batch))?;
        while !invoke(lambda, function, &event).await? {
            sleep(RETRY_PAUSE).await;
        }
        if let Some(last) = batch.last() {
            consumer.commit_message(last, CommitMode::Sync).context("committing offsets")?;
        }
    }
}

/// Invokes `intake` with an event. Whether it accepted the event.
pub async fn invoke(lambda: &aws_sdk_lambda::Client, function: &str, event: &[u8]) -> Result<bool> {
    let answer = lambda
        .invoke()
        .function_name(function)
        .payload(Blob::new(event))
        .send()
        .await
        .context("invoking the function intake")?;
    if let Some(error) = answer.function_error() {
        let payload = answer.payload().map(|payload| String::from_utf8_lossy(payload.as_ref()).into_owned());
        eprintln!("intake failed ({error}) and its batch is retried: {}", payload.unwrap_or_default());
        return Ok(false);
    }
    Ok(true)
}

/// A batch as <https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html> describes it.
fn msk_event(servers: &str, batch: &[BorrowedMessage<'_>]) -> Value {
    let mut records: Map<String, Value> = Map::new();
    for message in batch {
        let partition =
            records.entry(format!("{}-{}", message.topic(), message.partition())).or_insert_with(|| json!([]));
        if let Some(partition) = partition.as_array_mut() {
            partition.push(record(message));
        }
    }
    json!({
        "eventSource": "aws:kafka",
        "eventSourceArn": "arn:aws:kafka:us-east-1:000000000000:cluster/local/00000000-0000-0000-0000-000000000000-1",
        "bootstrapServers": servers,
        "records": records,
    })
}

fn record(message: &BorrowedMessage<'_>) -> Value {
    let (timestamp, timestamp_type) = match message.timestamp() {
        Timestamp::NotAvailable => (0, "NO_TIMESTAMP_TYPE"),
        Timestamp::CreateTime(at) => (at, "CREATE_TIME"),
        Timestamp::LogAppendTime(at) => (at, "LOG_APPEND_TIME"),
    };
    let headers: Vec<Value> = message
        .headers()
        .map(|headers| {
            headers
                .iter()
                .map(|header| {
                    let signed: Vec<i8> =
                        header.value.unwrap_or_default().iter().map(|byte| byte.cast_signed()).collect();
                    json!({ header.key: signed })
                })
                .collect()
        })
        .unwrap_or_default();
    let mut record = json!({
        "topic": message.topic(), "partition": message.partition(), "offset": message.offset(),
        "timestamp": timestamp, "timestampType": timestamp_type,
        "value": message.payload().map(|value| BASE64_STANDARD.encode(value)), "headers": headers,
    });
    if let Some(key) = message.key() {
        record["key"] = json!(BASE64_STANDARD.encode(key));
    }
    record
}
