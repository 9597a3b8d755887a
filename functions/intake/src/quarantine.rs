//! Putting aside records that a person has to look at.

use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::clients::CallFailed;
use crate::decide::Unreadable;
use crate::event::{Record, Value, split_partition};
use crate::settings::BucketName;

/// Hexadecimal digits of a digest that tell apart what would have the same key.
const DIGEST_LENGTH: usize = 32;

/// A record in quarantine, and where it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The object's key: `quarantine/{topic}/{partition}/{offset}.json`.
    pub key: String,
    /// The object's JSON.
    pub json: String,
}

#[derive(Serialize)]
struct Document<'a> {
    topic: &'a str,
    partition: Option<u32>,
    offset: Option<u64>,
    timestamp: Option<i64>,
    reason: Unreadable,
    /// Base64 as Lambda delivered it; where it was none (`NotBase64`, `NotARecord`), the text as it came.
    value: Option<String>,
}

impl Quarantined {
    /// What to keep of a record of the partition `topic-partition`: the same bytes under the same key however often the
    /// record is delivered.
    #[must_use]
    pub fn new(partition_name: &str, record: &Record, reason: Unreadable) -> Self {
        let (topic, partition) = split_partition(partition_name);
        let value = match &record.value {
            Value::Tombstone => None,
            Value::Bytes(bytes) => Some(BASE64.encode(bytes)),
            Value::NotBase64(text) | Value::NotARecord(text) => Some(text.clone()),
        };
        let folder = format!(
            "quarantine/{}/{}",
            key_safe(topic),
            partition.map_or_else(|| "unknown".to_owned(), |partition| partition.to_string())
        );
        let document = Document { topic, partition, offset: record.offset, timestamp: record.timestamp, reason, value };
        let json = serde_json::to_string(&document).unwrap_or_default();
        let name = record.offset.map_or_else(|| digest(&json), |offset| offset.to_string());
        Self { key: format!("{folder}/{name}.json"), json }
    }

    /// Writes it to the bucket.
    pub async fn put(self, client: &aws_sdk_s3::Client, bucket: &BucketName) -> Result<(), CallFailed> {
        client
            .put_object()
            .bucket(bucket.as_str())
            .key(self.key)
            .content_type("application/json")
            .body(ByteStream::from(self.json.into_bytes()))
            .send()
            .await
            .map(drop)
            .map_err(|error| CallFailed::new("S3", &error))
    }
}

fn digest(text: &str) -> String {
    let mut digits = hex::encode(Sha256::digest(text));
    digits.truncate(DIGEST_LENGTH);
    digits
}

/// A topic as one part of a key. Kafka's topics are 249 characters of `[A-Za-z0-9._-]` at most and need no change; what
/// is changed gets a digest, so that no two topics share a folder.
fn key_safe(topic: &str) -> String {
    let is_safe = !topic.is_empty()
        && topic.len() <= 249
        && topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        && !topic.bytes().all(|byte| byte == b'.');
    if is_safe { topic.to_owned() } else { format!("topic-{}", digest(topic)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: Option<u64>, value: Value) -> Record {
        Record { offset, timestamp: Some(7), value }
    }

    #[test]
    fn is_kept_under_its_place_in_kafka() {
        let kept = Quarantined::new("a.topic-3", &record(Some(9), Value::Bytes(b"hi".into())), Unreadable::NotJson);
        assert_eq!(kept.key, "quarantine/a.topic/3/9.json");
        assert_eq!(
            kept.json,
            r#"{"topic":"a.topic","partition":3,"offset":9,"timestamp":7,"reason":"NotJson","value":"aGk="}"#
        );
    }

    #[test]
    fn is_told_apart_by_its_content_without_a_place() {
        let [one, again, other] = ["[1]", "[1]", "[2]"].map(|json| {
            Quarantined::new("t-0", &record(None, Value::NotARecord(json.to_owned())), Unreadable::NotARecord)
        });
        assert_eq!(one, again);
        assert_ne!(one.key, other.key);
        assert_eq!(one.key.len(), "quarantine/t/0/.json".len() + DIGEST_LENGTH);
    }

    #[test]
    fn no_topic_leaves_the_folder() {
        for name in ["../../etc-0", "..-0", "-0", "a/b-0", "\u{0}-0", "é-0"] {
            let kept = Quarantined::new(name, &record(Some(1), Value::Bytes(Vec::new())), Unreadable::NotJson);
            let parts: Vec<&str> = kept.key.split('/').collect();
            assert_eq!(parts.len(), 4, "{name}");
            assert!(parts[1].starts_with("topic-") && parts[1].is_ascii(), "{name}");
        }
        let kept = Quarantined::new("odd", &record(Some(1), Value::Bytes(Vec::new())), Unreadable::NotJson);
        assert_eq!(kept.key, "quarantine/odd/unknown/1.json");
    }
}
