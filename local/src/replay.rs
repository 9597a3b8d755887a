//! Feeding records back that were put aside: those under `quarantine/` that a person has mended, or that a new version of
//! the functions can read, and the batches under `aws/lambda/` that an event source mapping gave up.

use std::path::Path;

use anyhow::{Context, Result, bail};
use aws_config::BehaviorVersion;
use aws_sdk_lambda::primitives::Blob;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::deploy;

/// Where records that could not be read are kept.
const QUARANTINE: &str = "quarantine/";
/// Where event source mappings keep the batches that they gave up.
const GIVEN_UP: &str = "aws/lambda/";

/// What became of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// Its records were taken, and it was removed.
    Taken,
    /// It cannot be read any better than before, and stays; with the reason.
    Unreadable(String),
    /// It was not delivered, and stays; with the reason.
    Kept(String),
}

/// The staging bucket and the function `intake` of a stack, wherever the environment's credentials lead.
#[derive(Debug)]
pub struct Replay {
    s3: aws_sdk_s3::Client,
    lambda: aws_sdk_lambda::Client,
    bucket: String,
    intake: String,
}

impl Replay {
    /// Looks the stack's outputs up.
    pub async fn of_stack(root: &Path, stack: &str) -> Result<Self> {
        let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let region = config.region().context("no region is configured: set AWS_REGION or choose an AWS_PROFILE")?;
        let mut aws = deploy::aws(&root.join(".local"));
        aws.env("AWS_DEFAULT_REGION", region.as_ref());
        let mut outputs = deploy::outputs_of(aws, stack).await?;
        let mut output = |name: &str| outputs.remove(name).with_context(|| format!("{stack} has no output {name}"));
        let (bucket, intake) = (output("StagingBucketName")?, output("IntakeFunctionArn")?);
        // An emulator on this machine knows no bucket by a host name.
        let local = std::env::var("AWS_ENDPOINT_URL").is_ok();
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(local).build();
        Ok(Self { s3: aws_sdk_s3::Client::from_conf(s3), lambda: aws_sdk_lambda::Client::new(&config), bucket, intake })
    }

    /// Everything that was put aside, by key.
    pub async fn keys(&self) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        for prefix in [QUARANTINE, GIVEN_UP] {
            let listing = self.s3.list_objects_v2().bucket(&self.bucket).prefix(prefix);
            let mut pages = listing.into_paginator().send();
            while let Some(page) = pages.next().await {
                let page = page.with_context(|| format!("listing s3://{}/{prefix}", self.bucket))?;
                keys.extend(page.contents.into_iter().flatten().filter_map(|object| object.key));
            }
        }
        Ok(keys)
    }

    /// Feeds the records of one object to `intake`, and removes the object if they were taken.
    pub async fn replay(&self, key: &str) -> Result<Replayed> {
        let object = self.s3.get_object().bucket(&self.bucket).key(key).send().await;
        let object = object.with_context(|| format!("reading s3://{}/{key}", self.bucket))?;
        let version = object.version_id.clone();
        let event = match event(&object.body.collect().await?.into_bytes()) {
            Ok(event) => event,
            Err(error) => return Ok(Replayed::Kept(format!("{error:#}"))),
        };
        let invocation = self.lambda.invoke().function_name(&self.intake).payload(Blob::new(event.to_string()));
        let answer = invocation.send().await.context("invoking the function intake")?;
        let said = String::from_utf8_lossy(answer.payload.unwrap_or_else(|| Blob::new("")).as_ref()).into_owned();
        let response: Value = serde_json::from_str(&said).unwrap_or_default();
        let failed = response["batchItemFailures"].as_array().is_some_and(|failures| !failures.is_empty());
        if answer.function_error.is_some() || failed {
            return Ok(Replayed::Kept(format!("intake could not take it now: {said}")));
        }
        // What cannot be read is put aside under the same key again.
        let now = self.s3.get_object().bucket(&self.bucket).key(key).send().await.context("reading it again")?;
        if now.version_id != version {
            let document: Value = serde_json::from_slice(&now.body.collect().await?.into_bytes()).unwrap_or_default();
            return Ok(Replayed::Unreadable(document["reason"].as_str().unwrap_or("unknown").to_owned()));
        }
        let removal = self.s3.delete_object().bucket(&self.bucket).key(key);
        removal.send().await.with_context(|| format!("removing s3://{}/{key}", self.bucket))?;
        Ok(Replayed::Taken)
    }
}

/// A record as `intake` keeps it.
#[derive(Deserialize)]
struct Document {
    topic: String,
    partition: u32,
    offset: u64,
    timestamp: Option<i64>,
    value: Option<String>,
}

/// The event that brought an object's records: see `functions/intake/src/quarantine.rs`, and for a mapping's own objects
/// <https://docs.aws.amazon.com/lambda/latest/dg/kafka-on-failure.html>.
fn event(object: &[u8]) -> Result<Value> {
    let object: Value = serde_json::from_slice(object).context("the object is no JSON")?;
    let given_up = match &object["payload"] {
        Value::String(text) => serde_json::from_str(text).context("its payload is no JSON")?,
        payload => payload.clone(),
    };
    if given_up["records"].is_object() {
        return Ok(given_up);
    }
    let Ok(Document { topic, partition, offset, timestamp, value }) = serde_json::from_value(object) else {
        bail!("it was no record with a topic, partition and offset, so there is nothing to deliver");
    };
    let mut records = Map::new();
    let record = json!({
        "topic": topic, "partition": partition, "offset": offset, "timestamp": timestamp, "value": value,
    });
    records.insert(format!("{topic}-{partition}"), json!([record]));
    Ok(json!({"eventSource": "aws:kafka", "records": records}))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_kept_record_is_delivered_as_it_came() {
        let kept = r#"{"topic":"a-b","partition":3,"offset":9,"timestamp":7,"reason":"NotJson","value":"aGk="}"#;
        let event = event(kept.as_bytes()).unwrap();
        assert_eq!(event["records"]["a-b-3"][0]["value"], "aGk=");
        assert_eq!(event["records"]["a-b-3"][0]["offset"], 9);
    }

    #[test]
    fn a_batch_that_was_given_up_is_delivered_whole() {
        let records = json!({"records": {"t-0": [{"offset": 1}, {"offset": 2}]}});
        for payload in [records.clone(), json!(records.to_string())] {
            let object = json!({"version": "1.0", "payload": payload}).to_string();
            assert_eq!(event(object.as_bytes()).unwrap(), records);
        }
    }

    #[test]
    fn what_was_no_record_is_kept() {
        for object in [r#"{"topic":"t","partition":null,"offset":null,"value":"[1]"}"#, "{}", "[]", "x"] {
            assert!(event(object.as_bytes()).is_err(), "{object}");
        }
    }
}
