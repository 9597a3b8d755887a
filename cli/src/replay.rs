//! Delivering quarantined records again: those under `quarantine/` that an operator has corrected or that a new version of
//! the functions can read, and the batches under `aws/lambda/` that an event source mapping gave up on.

use std::process::ExitCode;

use anyhow::{Context, Result};
use aws_sdk_lambda::primitives::Blob;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::deployed::{DeployedStack, setting};

/// Where `intake` stores records that it cannot read.
const QUARANTINE: &str = "quarantine/";
/// Where an event source mapping stores the batches that it gives up on.
const ABANDONED_BATCHES: &str = "aws/lambda/";

/// Deliver quarantined records of a deployed stack again
///
/// Invokes the stack's intake function with each record under quarantine/ and each batch under aws/lambda/ of its staging
/// bucket. Delivered objects are deleted from the bucket; objects that still cannot be read stay. To correct a record before
/// you replay it, change its Base64 "value" and put the object back under the same key. Uses the AWS credentials and region
/// of the environment.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marathon replay --stack marathon-match --dry-run
  marathon replay --stack marathon-match quarantine/submission.notification.aggregate/0/42.json

Exit status:
  0  everything was delivered, or --dry-run
  1  something was not delivered, or AWS could not be reached
  2  wrong usage")]
pub(crate) struct Replay {
    /// The stack's name
    #[arg(long)]
    stack: String,
    /// Only list what would be delivered, and why it was quarantined
    #[arg(long)]
    dry_run: bool,
    /// Print one line of JSON for each object: key, result and reason
    #[arg(long)]
    json: bool,
    /// Keys in the staging bucket [default: everything under quarantine/ and aws/lambda/]
    keys: Vec<String>,
}

/// What happened to an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "result", content = "reason")]
enum Delivery {
    /// Nothing, by request. It waits for the reason given.
    Waiting(String),
    /// Its records were delivered, and it was deleted.
    Delivered,
    /// Its record still cannot be read. It stays.
    Unreadable(String),
    /// It could not be delivered. It stays.
    NotDelivered(String),
}

impl Replay {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let stack = StagedRecords::of_stack(&self.stack).await?;
        let keys = if self.keys.is_empty() { stack.keys().await? } else { self.keys };
        let mut delivered = 0;
        for key in &keys {
            let delivery = if self.dry_run { stack.inspect(key).await? } else { stack.deliver(key).await? };
            delivered += usize::from(delivery == Delivery::Delivered);
            if self.json {
                let mut line = serde_json::to_value(&delivery)?;
                line["key"] = json!(key);
                println!("{line}");
            } else {
                println!("{}", line(key, &delivery));
            }
        }
        eprintln!("{} objects, {delivered} delivered", keys.len());
        Ok(if self.dry_run || delivered == keys.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn line(key: &str, delivery: &Delivery) -> String {
    match delivery {
        Delivery::Waiting(reason) => format!("  waiting        {key}  {reason}"),
        Delivery::Delivered => format!("  delivered      {key}"),
        Delivery::Unreadable(reason) => format!("  unreadable     {key}  {reason}"),
        Delivery::NotDelivered(reason) => format!("  not delivered  {key}  {reason}"),
    }
}

/// The staging bucket and the function `intake` of a stack.
struct StagedRecords {
    s3: aws_sdk_s3::Client,
    lambda: aws_sdk_lambda::Client,
    bucket: String,
    intake: String,
}

impl StagedRecords {
    /// Finds the bucket in the settings of the stack's function `intake`.
    async fn of_stack(stack: &str) -> Result<Self> {
        let stack = DeployedStack::of_name(stack).await?;
        let bucket = setting(&stack.settings("intake").await?, "QUARANTINE_BUCKET")?;
        let intake = stack.function("intake");
        Ok(Self { s3: stack.s3, lambda: stack.lambda, bucket, intake })
    }

    async fn keys(&self) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        for prefix in [QUARANTINE, ABANDONED_BATCHES] {
            let listing = self.s3.list_objects_v2().bucket(&self.bucket).prefix(prefix);
            let mut pages = listing.into_paginator().send();
            while let Some(page) = pages.next().await {
                let page = page.with_context(|| format!("listing s3://{}/{prefix}", self.bucket))?;
                keys.extend(page.contents.into_iter().flatten().filter_map(|object| object.key));
            }
        }
        Ok(keys)
    }

    /// Says why an object was quarantined.
    async fn inspect(&self, key: &str) -> Result<Delivery> {
        let object = self.s3.get_object().bucket(&self.bucket).key(key).send().await;
        let object = object.with_context(|| format!("reading s3://{}/{key}", self.bucket))?;
        Ok(Delivery::Waiting(reason(&object.body.collect().await?.into_bytes())))
    }

    /// Invokes `intake` with the records of one object, and deletes the object if they were accepted.
    async fn deliver(&self, key: &str) -> Result<Delivery> {
        let object = self.s3.get_object().bucket(&self.bucket).key(key).send().await;
        let object = object.with_context(|| format!("reading s3://{}/{key}", self.bucket))?;
        let version = object.version_id.clone();
        let event = match event(&object.body.collect().await?.into_bytes()) {
            Ok(event) => event,
            Err(error) => return Ok(Delivery::NotDelivered(format!("{error:#}"))),
        };
        let invocation = self.lambda.invoke().function_name(&self.intake).payload(Blob::new(event.to_string()));
        let answer = invocation.send().await.with_context(|| format!("invoking {}", self.intake))?;
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        let failed = match serde_json::from_slice::<Answer>(&payload) {
            Ok(answer) => !answer.batch_item_failures.is_empty(),
            Err(_) => true,
        };
        if answer.function_error.is_some() || failed {
            let payload = String::from_utf8_lossy(&payload).into_owned();
            return Ok(Delivery::NotDelivered(format!("intake failed: {payload}")));
        }
        // A record that still cannot be read was quarantined again, under the same key.
        let now = self.s3.get_object().bucket(&self.bucket).key(key).send().await.context("reading it again")?;
        if now.version_id != version {
            let document: Document = serde_json::from_slice(&now.body.collect().await?.into_bytes())
                .with_context(|| format!("s3://{}/{key} is not a quarantined record", self.bucket))?;
            return Ok(Delivery::Unreadable(document.reason));
        }
        let deletion = self.s3.delete_object().bucket(&self.bucket).key(key);
        deletion.send().await.with_context(|| format!("deleting s3://{}/{key}", self.bucket))?;
        Ok(Delivery::Delivered)
    }
}

/// What `intake` answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    batch_item_failures: Vec<Value>,
}

/// A record as `intake` quarantines it.
#[derive(Deserialize)]
struct Document {
    topic: String,
    partition: Option<u32>,
    offset: Option<u64>,
    timestamp: Option<i64>,
    #[serde(default)]
    reason: String,
    value: Option<String>,
}

/// Why an object was quarantined: the reason that `intake` gave, or the condition under which a mapping gave up.
fn reason(object: &[u8]) -> String {
    let object: Value = serde_json::from_slice(object).unwrap_or_default();
    let given = object["reason"].as_str().or_else(|| object["requestContext"]["condition"].as_str());
    given.unwrap_or("the object gives no reason").to_owned()
}

/// The event that delivers an object's records. The object is a quarantined record, or a mapping's own; see
/// <https://docs.aws.amazon.com/lambda/latest/dg/kafka-on-failure.html>.
fn event(object: &[u8]) -> Result<Value> {
    let object: Value = serde_json::from_slice(object).context("the object is not JSON")?;
    let batch = match &object["payload"] {
        Value::String(text) => serde_json::from_str(text).context("its payload is not JSON")?,
        payload => payload.clone(),
    };
    if batch["records"].is_object() {
        return Ok(batch);
    }
    let Document { topic, partition, offset, timestamp, value, .. } =
        serde_json::from_value(object).context("it is neither a quarantined record nor a batch")?;
    let partition = partition.context("its record has no partition")?;
    let offset = offset.context("its record has no offset")?;
    let record = json!({
        "topic": topic, "partition": partition, "offset": offset, "timestamp": timestamp, "value": value,
    });
    Ok(json!({"eventSource": "aws:kafka", "records": {format!("{topic}-{partition}"): [record]}}))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_quarantined_record_is_delivered_as_it_came() {
        let record = r#"{"topic":"a-b","partition":3,"offset":9,"timestamp":7,"reason":"NotJson","value":"aGk="}"#;
        let event = event(record.as_bytes()).unwrap();
        assert_eq!(event["records"]["a-b-3"][0]["value"], "aGk=");
        assert_eq!(event["records"]["a-b-3"][0]["offset"], 9);
    }

    #[test]
    fn an_abandoned_batch_is_delivered_whole() {
        let records = json!({"records": {"t-0": [{"offset": 1}, {"offset": 2}]}});
        for payload in [records.clone(), json!(records.to_string())] {
            let object = json!({"version": "1.0", "payload": payload}).to_string();
            assert_eq!(event(object.as_bytes()).unwrap(), records);
        }
    }

    #[test]
    fn a_dry_run_says_why_each_object_waits() {
        for (object, expected) in [
            (r#"{"topic":"t","partition":0,"offset":1,"reason":"NotJson","value":"aGk="}"#, "NotJson"),
            (r#"{"requestContext":{"condition":"RetryAttemptsExhausted"},"payload":{}}"#, "RetryAttemptsExhausted"),
            ("x", "the object gives no reason"),
        ] {
            let shown = line("quarantine/t/0/1.json", &Delivery::Waiting(reason(object.as_bytes())));
            assert_eq!(shown, format!("  waiting        quarantine/t/0/1.json  {expected}"));
        }
    }

    #[test]
    fn an_object_without_a_deliverable_record_is_refused() {
        for object in [r#"{"topic":"t","partition":null,"offset":null,"value":"[1]"}"#, "{}", "[]", "x"] {
            assert!(event(object.as_bytes()).is_err(), "{object}");
        }
    }
}
