//! The body of a request to score a submission. Pure.

use serde_json::{Map, Value};
use shared::SubmissionId;

use crate::http::Refusal;

/// Bytes of the largest body that is read.
pub const MAX_BODY_BYTES: usize = 16 << 10;
/// Characters of the longest user and key.
const MAX_CHARS: usize = 512;

/// What is asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    /// Whose submission it is said to be, if it is said.
    pub user_id: Option<String>,
    /// The submission.
    pub submission_id: SubmissionId,
    /// The key.
    pub api_key: String,
}

impl Body {
    /// Reads `{"user_id", "submission_id", "api_key"}`; `user_id` may be absent or null, further fields are passed over.
    ///
    /// # Errors
    /// A refusal that names the field.
    pub fn read(body: &[u8]) -> Result<Self, Refusal> {
        if body.len() > MAX_BODY_BYTES {
            return Err(Refusal::TooLarge { limit: MAX_BODY_BYTES });
        }
        let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(body) else {
            return Err(malformed(None, "The body has to be a JSON object with user_id, submission_id and api_key."));
        };
        let submission_id = text(&fields, "submission_id")?;
        let submission_id = submission_id
            .parse()
            .map_err(|error| malformed(Some("submission_id"), &format!("submission_id is malformed: {error}.")))?;
        let user_id = match fields.get("user_id") {
            None | Some(Value::Null) => None,
            Some(Value::Number(number)) if number.is_u64() => Some(number.to_string()),
            Some(_) => Some(text(&fields, "user_id")?),
        };
        Ok(Self { user_id, submission_id, api_key: text(&fields, "api_key")? })
    }
}

fn text(fields: &Map<String, Value>, name: &'static str) -> Result<String, Refusal> {
    match fields.get(name) {
        None | Some(Value::Null) => Err(malformed(Some(name), &format!("{name} is missing."))),
        Some(Value::String(text)) if !text.is_empty() && text.chars().count() <= MAX_CHARS => Ok(text.clone()),
        Some(_) => Err(malformed(
            Some(name),
            &format!("{name} is malformed: it has to be text of 1 to {MAX_CHARS} characters."),
        )),
    }
}

fn malformed(field: Option<&'static str>, message: &str) -> Refusal {
    Refusal::Malformed { field, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "_9VOLnz2XYZv8J";

    fn read(value: &Value) -> Result<(Option<String>, String, String), Refusal> {
        Body::read(value.to_string().as_bytes())
            .map(|body| (body.user_id, body.submission_id.to_string(), body.api_key))
    }

    #[test]
    fn the_user_may_be_absent() {
        let read =
            |user: Value| read(&json!({"user_id": user, "submission_id": ID, "api_key": "k", "more": 1})).unwrap();
        assert_eq!(read(json!("u1")), (Some("u1".to_owned()), ID.to_owned(), "k".to_owned()));
        assert_eq!(read(json!(22)).0.as_deref(), Some("22"));
        assert_eq!(read(Value::Null).0, None);
        let absent = json!({"submission_id": ID, "api_key": "k"}).to_string();
        assert!(Body::read(absent.as_bytes()).is_ok_and(|body| body.user_id.is_none()));
    }

    #[test]
    fn a_field_that_is_missing_or_malformed_is_named() {
        for (body, field, says) in [
            (json!({"api_key": "k"}), "submission_id", "submission_id is missing"),
            (json!({"submission_id": ID}), "api_key", "api_key is missing"),
            (json!({"submission_id": ID, "api_key": null}), "api_key", "api_key is missing"),
            (json!({"submission_id": ID, "api_key": ""}), "api_key", "api_key is malformed"),
            (json!({"submission_id": ID, "api_key": 7}), "api_key", "api_key is malformed"),
            (json!({"submission_id": "../x", "api_key": "k"}), "submission_id", "a UUID or 14 characters"),
            (json!({"submission_id": ID, "api_key": "k", "user_id": ""}), "user_id", "user_id is malformed"),
            (json!({"submission_id": ID, "api_key": "k", "user_id": 1.5}), "user_id", "user_id is malformed"),
        ] {
            let Err(Refusal::Malformed { field: found, message }) = read(&body) else { panic!("{body} was read") };
            assert_eq!(found, Some(field), "{body}");
            assert!(message.contains(says), "{body}: {message}");
        }
    }

    #[test]
    fn a_body_that_is_no_object_or_too_large_is_refused() {
        for body in ["", "[]", "null", "{", "\u{1}"] {
            let Err(Refusal::Malformed { field: None, .. }) = Body::read(body.as_bytes()) else { panic!("{body}") };
        }
        let large = json!({"submission_id": ID, "api_key": "k", "more": "x".repeat(MAX_BODY_BYTES)}).to_string();
        assert!(matches!(Body::read(large.as_bytes()), Err(Refusal::TooLarge { .. })));
    }
}
