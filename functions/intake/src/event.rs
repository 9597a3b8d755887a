//! The batch of records that Lambda's event source mapping delivers, from Amazon MSK or any other Kafka.
//!
//! The format is documented in
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-kafka.html>.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::Simd;
use base64::engine::general_purpose::PAD_INDIFFERENT;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

#[derive(Debug, Deserialize)]
pub struct Event {
    /// The records by `topic-partition`, sorted by that name. Absent from an event of another source.
    pub records: Option<BTreeMap<String, Vec<Record>>>,
}

/// The fields of a Kafka record that are used. Keys and headers are not.
#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    /// Absent if it cannot be read.
    pub offset: Option<u64>,
    /// Milliseconds since 1970. Absent if it cannot be read.
    pub timestamp: Option<i64>,
    pub value: Value,
}

/// The value of a record.
#[derive(Debug, PartialEq, Eq)]
pub enum Value {
    /// Null: the key was deleted.
    Tombstone,
    Bytes(Vec<u8>),
    /// The text as it came, which is not Base64.
    NotBase64(String),
    /// The JSON of something that is not a record.
    NotARecord(String),
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    Offset,
    Timestamp,
    Value,
    #[serde(other)]
    Unknown,
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyJson)
    }
}

/// Reads a record from any JSON. Hand-written because an odd record must not fail the batch, and because parsing a batch of
/// megabytes twice is slow.
struct AnyJson;

impl AnyJson {
    fn not_a_record(json: impl Into<serde_json::Value>) -> Record {
        Record { offset: None, timestamp: None, value: Value::NotARecord(json.into().to_string()) }
    }
}

impl<'de> Visitor<'de> for AnyJson {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Kafka record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
        let mut record = Record { offset: None, timestamp: None, value: Value::Tombstone };
        while let Some(field) = map.next_key()? {
            match field {
                // Read as raw JSON first: an odd field must not fail the record.
                Field::Offset => record.offset = map.next_value::<&RawValue>()?.get().parse().ok(),
                Field::Timestamp => record.timestamp = map.next_value::<&RawValue>()?.get().parse().ok(),
                Field::Value => {
                    record.value = map.next_value::<Option<&RawValue>>()?.map_or(Value::Tombstone, Value::of);
                }
                Field::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(record)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Record, A::Error> {
        let mut json = Vec::new();
        while let Some(item) = items.next_element::<&RawValue>()? {
            json.push(item.get());
        }
        Ok(Record { offset: None, timestamp: None, value: Value::NotARecord(format!("[{}]", json.join(","))) })
    }

    fn visit_unit<E>(self) -> Result<Record, E> {
        Ok(Self::not_a_record(()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Record, E> {
        Ok(Self::not_a_record(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Record, E> {
        Ok(Self::not_a_record(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Record, E> {
        Ok(Self::not_a_record(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Record, E> {
        Ok(Self::not_a_record(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Record, E> {
        Ok(Self::not_a_record(value))
    }
}

/// Several times faster than the portable engine. Most of a batch is Base64.
static BASE64: LazyLock<Simd> = LazyLock::new(|| Simd::standard(PAD_INDIFFERENT));

impl Value {
    fn of(json: &RawValue) -> Self {
        let Some(text) = text_of(json) else { return Self::NotBase64(json.get().to_owned()) };
        BASE64.decode(text.as_bytes()).map_or_else(|_| Self::NotBase64(text.into_owned()), Self::Bytes)
    }
}

/// The text of a JSON string. `None` for any other JSON, and for escapes that are not text (a lone surrogate).
pub(crate) fn text_of(json: &RawValue) -> Option<Cow<'_, str>> {
    let text = json.get().strip_prefix('"')?.strip_suffix('"')?;
    if text.contains('\\') { serde_json::from_str(json.get()).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(json: &str) -> Record {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn reads_a_record_as_lambda_writes_it() {
        let expected =
            Record { offset: Some(15), timestamp: Some(1_545_084_650_987), value: Value::Bytes(b"hi".into()) };
        assert_eq!(
            record(
                r#"{"topic":"t","partition":0,"offset":15,"timestamp":1545084650987,"timestampType":"CREATE_TIME",
                    "key":"aw==","value":"aGk=","headers":[{"h":[104,-1,-128]}]}"#
            ),
            expected
        );
        assert_eq!(record(r#"{"offset":15,"timestamp":1545084650987,"value":"aGk"}"#), expected, "without padding");
        assert_eq!(record(r#"{"value":"\u0061Gk="}"#).value, Value::Bytes(b"hi".into()), "escaped");
    }

    #[test]
    fn a_null_or_absent_value_is_a_tombstone() {
        for json in [r#"{"offset":1,"value":null}"#, r#"{"offset":1}"#] {
            assert_eq!(record(json), Record { offset: Some(1), timestamp: None, value: Value::Tombstone });
        }
        assert_eq!(record(r#"{"value":""}"#).value, Value::Bytes(Vec::new()));
    }

    #[test]
    fn an_odd_field_does_not_affect_other_fields() {
        let odd = record(r#"{"offset":"seven","timestamp":{},"value":"aGk=","key":[],"headers":7,"topic":null}"#);
        assert_eq!(odd, Record { offset: None, timestamp: None, value: Value::Bytes(b"hi".into()) });
        assert_eq!(record(r#"{"value":"no base64!"}"#).value, Value::NotBase64("no base64!".into()));
        assert_eq!(record(r#"{"value":"aGk=\ud800"}"#).value, Value::NotBase64(r#""aGk=\ud800""#.into()));
        assert_eq!(record(r#"{"value":{"a": 1}}"#).value, Value::NotBase64(r#"{"a": 1}"#.into()));
    }

    #[test]
    fn anything_else_is_kept_as_json() {
        for json in ["null", "true", "7", "-7", "0.5", r#""text""#, r#"[1,"x",{"value": null}]"#] {
            assert_eq!(record(json).value, Value::NotARecord(json.into()));
        }
    }
}
