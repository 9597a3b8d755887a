//! Records from Kafka: a message, and a whole event.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use intake::decide::decide_message;
use intake::event::Value;
use intake::quarantine::Quarantined;
use intake::settings::Filter;
use intake::{Decision, Event, NotForUs, QuarantineReason, decide};
use serde_json::Value as Json;

/// Limit of S3 for the key of an object.
const MAX_KEY_BYTES: usize = 1024;

pub fn check(input: &[u8]) {
    let filter = Filter::default();
    let decision = decided(input, &filter);
    if let Some(expected) = by_definition(input, &filter) {
        assert_eq!(decision, expected);
    }
    if let Decision::Start(id) = &decision {
        let safe = id.aws_safe();
        assert_eq!(domain::SubmissionId::named(safe.as_str()).as_ref(), Some(id));
        assert!((24..=36).contains(&safe.as_str().len()));
    }
    // As Lambda delivers it.
    let event =
        serde_json::json!({"records": {"topic-0": [{"offset": 7, "timestamp": 8, "value": BASE64.encode(input)}]}});
    check_event(event.to_string().as_bytes(), Some(&decision));
    check_event(input, None);
}

#[cfg(not(feature = "planted"))]
fn decided(message: &[u8], filter: &Filter) -> Decision {
    decide_message(message, filter)
}

/// Loses the submissions whose short id has four digits.
#[cfg(feature = "planted")]
fn decided(message: &[u8], filter: &Filter) -> Decision {
    match decide_message(message, filter) {
        Decision::Start(id)
            if id.as_str().len() == 14 && crate::planted::has(id.as_str().as_bytes(), 4, u8::is_ascii_digit) =>
        {
            Decision::NotForUs(NotForUs::OtherType)
        }
        decision => decision,
    }
}

/// The decision from the message as a tree of JSON values. `None` where that reader has limits of its own: deep nesting,
/// numbers beyond doubles, and escapes that are not text.
fn by_definition(message: &[u8], filter: &Filter) -> Option<Decision> {
    if message.is_empty() {
        return Some(Decision::NotForUs(NotForUs::EmptyValue));
    }
    let text = message.strip_prefix("\u{feff}".as_bytes()).unwrap_or(message);
    let json: Json = serde_json::from_slice(text).ok()?;
    let Json::Object(message) = json else { return Some(Decision::NotForUs(NotForUs::OtherShape)) };
    let review = match message.get("payload") {
        Some(Json::Object(payload)) => payload,
        _ => &message,
    };
    for (name, wanted, reason) in [
        ("resource", &filter.resource, NotForUs::OtherResource),
        ("originalTopic", &filter.original_topic, NotForUs::OtherOriginalTopic),
        ("typeId", &filter.review_type_id, NotForUs::OtherType),
    ] {
        if review.get(name).and_then(Json::as_str) != Some(wanted) {
            return Some(Decision::NotForUs(reason));
        }
    }
    let score = match review.get("score") {
        None | Some(Json::Null) => return Some(Decision::NotForUs(NotForUs::OtherScore)),
        Some(Json::String(text)) => {
            let text = text.trim();
            // Rust reads words as numbers, too.
            if text.contains(|char: char| char.is_ascii_alphabetic() && !char.eq_ignore_ascii_case(&'e')) {
                None
            } else {
                text.parse().ok()
            }
        }
        Some(score) => score.as_f64(),
    };
    let Some(score) = score else { return Some(Decision::Quarantine(QuarantineReason::UnreadableScore)) };
    #[expect(clippy::float_cmp, reason = "100 and 100.0 are the same double, and nothing else is the score")]
    if score != filter.required_score.get() {
        return Some(Decision::NotForUs(NotForUs::OtherScore));
    }
    Some(match review.get("submissionId") {
        None | Some(Json::Null) => Decision::Quarantine(QuarantineReason::SubmissionIdMissing),
        Some(id) => id
            .as_str()
            .and_then(|id| id.parse().ok())
            .map_or(Decision::Quarantine(QuarantineReason::SubmissionIdInvalid), Decision::Start),
    })
}

/// Checks each record of an event. The decisions of a well-formed one are known.
fn check_event(event: &[u8], expected: Option<&Decision>) {
    let Ok(event) = serde_json::from_slice::<Event>(event) else {
        assert!(expected.is_none(), "a well-formed event is not read");
        return;
    };
    for (partition, records) in event.records.iter().flatten() {
        for record in records {
            let decision = decide(&record.value, &Filter::default());
            assert!(expected.is_none_or(|expected| *expected == decision));
            let Decision::Quarantine(reason) = decision else { continue };
            let quarantined = Quarantined::new(partition, record, reason);
            assert_eq!(quarantined, Quarantined::new(partition, record, reason));
            assert!(quarantined.key.len() <= MAX_KEY_BYTES, "{}", quarantined.key);
            let parts: Vec<&str> = quarantined.key.split('/').collect();
            assert!(parts.len() == 4 && parts[0] == "quarantine", "{}", quarantined.key);
            assert!(parts[1..].iter().all(|part| !part.is_empty() && !part.bytes().all(|byte| byte == b'.')));
            assert!(quarantined.key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte)));
            // Whoever replays it gets the bytes that came.
            let document: Json = serde_json::from_str(&quarantined.json).expect("the document is JSON");
            let value = document["value"].as_str();
            match &record.value {
                Value::Tombstone => assert_eq!(value, None),
                Value::Bytes(bytes) => {
                    assert_eq!(BASE64.decode(value.expect("bytes are kept")).as_ref(), Ok(bytes));
                }
                Value::NotBase64(text) | Value::NotARecord(text) => assert_eq!(value, Some(text.as_str())),
            }
        }
    }
}
