//! Quarantining records that cannot be read but could announce a submission.

use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use runtime::CallFailed;
use runtime::settings::BucketName;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::decide::QuarantineReason;
use crate::event::{Record, Value};
use crate::position::split_partition;

/// Hexadecimal digits of a digest in a key. They keep apart records that have no offset.
const DIGEST_LENGTH: usize = 32;

/// A quarantined record as an object in S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The object's key: `quarantine/{topic}/{partition}/{offset}.json`.
    pub key: String,
    pub json: String,
}

#[derive(Serialize)]
struct Document<'a> {
    topic: &'a str,
    partition: Option<u32>,
    offset: Option<u64>,
    timestamp: Option<i64>,
    reason: QuarantineReason,
    /// Base64 as Lambda delivered it. For `NotBase64` and `NotARecord`, the text as it came.
    value: Option<String>,
}

impl Quarantined {
    /// The object for a record of the partition `topic-partition`: the same bytes under the same key, however often the
    /// record is delivered.
    #[must_use]
    pub fn new(partition_name: &str, record: &Record, reason: QuarantineReason) -> Self {
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
        let json = serde_json::to_string(&document).expect("invariant: a document of texts and numbers is JSON");
        let name = record.offset.map_or_else(|| digest(&json), |offset| offset.to_string());
        Self { key: format!("{folder}/{name}.json"), json }
    }

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
            .map_err(|error| CallFailed::new("S3", "PutObject", &error))
    }
}

fn digest(text: &str) -> String {
    let mut digits = hex::encode(Sha256::digest(text));
    digits.truncate(DIGEST_LENGTH);
    digits
}

/// A topic as one part of a key. A Kafka topic is at most 249 characters of `[A-Za-z0-9._-]` and needs no change. Any other
/// name becomes its digest, so that no two topics share a folder.
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
    fn a_record_is_stored_under_its_position() {
        let quarantined =
            Quarantined::new("a.topic-3", &record(Some(9), Value::Bytes(b"hi".into())), QuarantineReason::NotJson);
        assert_eq!(quarantined.key, "quarantine/a.topic/3/9.json");
        assert_eq!(
            quarantined.json,
            r#"{"topic":"a.topic","partition":3,"offset":9,"timestamp":7,"reason":"NotJson","value":"aGk="}"#
        );
    }

    #[test]
    fn records_without_an_offset_are_stored_under_their_digest() {
        let [one, again, other] = ["[1]", "[1]", "[2]"].map(|json| {
            Quarantined::new("t-0", &record(None, Value::NotARecord(json.to_owned())), QuarantineReason::NotARecord)
        });
        assert_eq!(one, again);
        assert_ne!(one.key, other.key);
        assert_eq!(one.key.len(), "quarantine/t/0/.json".len() + DIGEST_LENGTH);
    }

    #[test]
    fn no_topic_leaves_the_folder() {
        for name in ["../../etc-0", "..-0", "-0", "a/b-0", "\u{0}-0", "é-0"] {
            let quarantined =
                Quarantined::new(name, &record(Some(1), Value::Bytes(Vec::new())), QuarantineReason::NotJson);
            let parts: Vec<&str> = quarantined.key.split('/').collect();
            assert_eq!(parts.len(), 4, "{name}");
            assert!(parts[1].starts_with("topic-") && parts[1].is_ascii(), "{name}");
        }
        let quarantined =
            Quarantined::new("odd", &record(Some(1), Value::Bytes(Vec::new())), QuarantineReason::NotJson);
        assert_eq!(quarantined.key, "quarantine/odd/unknown/1.json");
    }
}
