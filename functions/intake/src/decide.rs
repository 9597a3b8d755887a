//! Deciding what a record means: data in, a decision out.

use std::fmt;

use domain::SubmissionId;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::event::{Value, text_of};
use crate::settings::Filter;

/// What a record means for the processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The submission passed its antivirus scan.
    Start(SubmissionId),
    NotForUs(NotForUs),
    /// The record could announce a submission, but cannot be read.
    Quarantine(QuarantineReason),
}

/// Why a record is not for the processor. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum NotForUs {
    /// The value is null.
    Tombstone,
    /// The value has no bytes.
    EmptyValue,
    /// The value is JSON, but not an object.
    OtherShape,
    /// `resource` is absent or differs from the filter's.
    OtherResource,
    /// `originalTopic` is absent or differs from the filter's.
    OtherOriginalTopic,
    /// `typeId` is absent or differs from the filter's.
    OtherType,
    /// `score` is absent, null or a number that differs from the filter's.
    OtherScore,
}

/// Why a record is quarantined. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum QuarantineReason {
    /// The event has something else where a record should be.
    NotARecord,
    /// The value is not Base64.
    NotBase64,
    /// The value is not JSON in UTF-8.
    NotJson,
    /// All other fields match, but `score` is not a number.
    UnreadableScore,
    /// All fields match, but `submissionId` is missing.
    SubmissionIdMissing,
    /// All fields match, but `submissionId` is not a valid id.
    SubmissionIdInvalid,
}

impl fmt::Display for NotForUs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for QuarantineReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Decides about a record by its value.
#[must_use]
pub fn decide(value: &Value, filter: &Filter) -> Decision {
    match value {
        Value::Tombstone => Decision::NotForUs(NotForUs::Tombstone),
        Value::Bytes(bytes) => decide_message(bytes, filter),
        Value::NotBase64(_) => Decision::Quarantine(QuarantineReason::NotBase64),
        Value::NotARecord(_) => Decision::Quarantine(QuarantineReason::NotARecord),
    }
}

/// Decides about a message: the review of a submission, bare or as the `payload` of the bus's envelope.
///
/// Unknown fields are ignored. Of a repeated field the last counts, as in JavaScript. A field of the filter that is not a
/// string does not match. `score` is compared as a number and may be a string that holds one.
#[must_use]
pub fn decide_message(message: &[u8], filter: &Filter) -> Decision {
    if message.is_empty() {
        return Decision::NotForUs(NotForUs::EmptyValue);
    }
    let review = match Review::of_message(message) {
        Ok(Some(review)) => review,
        Ok(None) => return Decision::NotForUs(NotForUs::OtherShape),
        Err(NotJson) => return Decision::Quarantine(QuarantineReason::NotJson),
    };
    if !is_text(review.resource, &filter.resource) {
        return Decision::NotForUs(NotForUs::OtherResource);
    }
    if !is_text(review.original_topic, &filter.original_topic) {
        return Decision::NotForUs(NotForUs::OtherOriginalTopic);
    }
    if !is_text(review.type_id, &filter.review_type_id) {
        return Decision::NotForUs(NotForUs::OtherType);
    }
    match review.score.map(number) {
        #[expect(clippy::float_cmp, reason = "100 and 100.0 are the same double, and nothing else is the score")]
        Some(Some(score)) if score == filter.required_score.get() => {}
        None | Some(Some(_)) => return Decision::NotForUs(NotForUs::OtherScore),
        Some(None) => return Decision::Quarantine(QuarantineReason::UnreadableScore),
    }
    let Some(id) = review.submission_id else { return Decision::Quarantine(QuarantineReason::SubmissionIdMissing) };
    match text_of(id).and_then(|id| id.parse().ok()) {
        Some(id) => Decision::Start(id),
        None => Decision::Quarantine(QuarantineReason::SubmissionIdInvalid),
    }
}

fn is_text(json: Option<&RawValue>, wanted: &str) -> bool {
    json.and_then(text_of).is_some_and(|text| text == wanted)
}

/// A JSON number, or a number in a JSON string, with or without blanks around it. `inf` and `0x64` are not numbers.
fn number(json: &RawValue) -> Option<f64> {
    let text = text_of(json);
    let text = text.as_deref().unwrap_or(json.get()).trim();
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
    if is_decimal { text.parse().ok() } else { None }
}

/// The fields of a review that the decision needs, as JSON. Null counts as absent.
#[derive(Default)]
struct Review<'a> {
    resource: Option<&'a RawValue>,
    original_topic: Option<&'a RawValue>,
    type_id: Option<&'a RawValue>,
    score: Option<&'a RawValue>,
    submission_id: Option<&'a RawValue>,
}

struct NotJson;

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    Resource,
    OriginalTopic,
    TypeId,
    Score,
    SubmissionId,
    Payload,
    #[serde(other)]
    Unknown,
}

impl<'a> Review<'a> {
    /// The review in a message. `None` if the message is JSON but not an object.
    fn of_message(message: &'a [u8]) -> Result<Option<Self>, NotJson> {
        let text = std::str::from_utf8(message).map_err(|_| NotJson)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let review = AnyJson { is_payload: false }.deserialize(&mut deserializer).map_err(|_| NotJson)?;
        deserializer.end().map_err(|_| NotJson)?;
        Ok(review)
    }
}

/// Reads a review from a message or from its payload. `None` if it is not an object.
///
/// Hand-written because a derived struct refuses repeated fields and other shapes. Other fields are skipped, which
/// `serde_json` does without recursion: deep nesting cannot exhaust the stack.
#[derive(Clone, Copy)]
struct AnyJson {
    is_payload: bool,
}

impl<'de> DeserializeSeed<'de> for AnyJson {
    type Value = Option<Review<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyJson {
    type Value = Option<Review<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut review = Review::default();
        let mut payload = None;
        while let Some(field) = map.next_key()? {
            match field {
                Field::Resource => review.resource = map.next_value()?,
                Field::OriginalTopic => review.original_topic = map.next_value()?,
                Field::TypeId => review.type_id = map.next_value()?,
                Field::Score => review.score = map.next_value()?,
                Field::SubmissionId => review.submission_id = map.next_value()?,
                Field::Payload if !self.is_payload => payload = map.next_value_seed(Self { is_payload: true })?,
                Field::Payload | Field::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(payload.or(Some(review)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
}
