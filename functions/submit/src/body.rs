//! The body of a request to score a submission.

use domain::SubmissionId;
use serde_json::error::Category;
use serde_json::{Map, Value};

use crate::error::HttpError;

/// A larger body is refused.
pub const MAX_BODY_BYTES: usize = 16 << 10;
/// A longer text is refused.
const MAX_CHARS: usize = 512;

#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    /// The participant, if given.
    pub user_id: Option<String>,
    pub submission_id: SubmissionId,
    pub api_key: String,
}

impl Body {
    /// Reads `{"user_id", "submission_id", "api_key"}`. `user_id` may be absent or null; other fields are ignored.
    ///
    /// # Errors
    /// An [`HttpError`] that names the field.
    pub fn read(body: &[u8]) -> Result<Self, HttpError> {
        if body.len() > MAX_BODY_BYTES {
            return Err(HttpError::TooLarge { limit: MAX_BODY_BYTES });
        }
        let fields = serde_json::from_slice::<Map<String, Value>>(body).map_err(|error| HttpError::Malformed {
            field: None,
            message: format!(
                "The body must be a JSON object with submission_id, api_key and optionally user_id. It cannot be read: {}.",
                problem(&error)
            ),
        })?;
        let submission_id = text(&fields, "submission_id")?;
        let submission_id = submission_id
            .parse()
            .map_err(|error| HttpError::malformed("submission_id", format!("submission_id is not valid: {error}.")))?;
        let user_id = match fields.get("user_id") {
            None | Some(Value::Null) => None,
            Some(Value::Number(number)) if number.is_u64() => Some(number.to_string()),
            Some(_) => Some(text(&fields, "user_id")?),
        };
        Ok(Self { user_id, submission_id, api_key: text(&fields, "api_key")? })
    }
}

/// What is wrong with the JSON and where, without any of its text: that could be a key.
fn problem(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Eof => "it ends too early",
        Category::Data => "it is not an object",
        Category::Syntax | Category::Io => "invalid JSON",
    };
    format!("{what} at line {} column {}", error.line(), error.column())
}

fn text(fields: &Map<String, Value>, name: &'static str) -> Result<String, HttpError> {
    match fields.get(name) {
        None | Some(Value::Null) => Err(HttpError::malformed(name, format!("{name} is missing."))),
        Some(Value::String(text)) if !text.is_empty() && text.chars().count() <= MAX_CHARS => Ok(text.clone()),
        Some(_) => Err(HttpError::malformed(
            name,
            format!("{name} is not valid: it must be a string of 1 to {MAX_CHARS} characters."),
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "_9VOLnz2XYZv8J";

    fn read(value: &Value) -> Result<(Option<String>, String, String), HttpError> {
        Body::read(value.to_string().as_bytes())
            .map(|body| (body.user_id, body.submission_id.to_string(), body.api_key))
    }

    #[test]
    fn user_id_may_be_absent() {
        let read =
            |user: Value| read(&json!({"user_id": user, "submission_id": ID, "api_key": "k", "more": 1})).unwrap();
        assert_eq!(read(json!("u1")), (Some("u1".to_owned()), ID.to_owned(), "k".to_owned()));
        assert_eq!(read(json!(22)).0.as_deref(), Some("22"));
        assert_eq!(read(Value::Null).0, None);
        let absent = json!({"submission_id": ID, "api_key": "k"}).to_string();
        assert!(Body::read(absent.as_bytes()).is_ok_and(|body| body.user_id.is_none()));
    }

    #[test]
    fn the_requests_of_the_specification_are_read() {
        let read = |request: &str| Body::read(request.as_bytes()).unwrap();
        let with_user = read(include_str!("../../../samples/requests/with-user.json"));
        assert_eq!(with_user.user_id.as_deref(), Some("zuz"));
        assert_eq!(with_user.submission_id.as_str(), "58d411e57278611200ee49a6");
        let without_user = read(include_str!("../../../samples/requests/without-user.json"));
        assert_eq!(without_user.user_id, None);
        assert_eq!(without_user.submission_id.as_str(), "7496e75d-8be1-445f-8883-9f565d9a7244");
        for request in [with_user, without_user] {
            assert_eq!(request.api_key, "h/52y/E7cm8Ih4F3cVdlBM4ZQxER+Apk6P0L7yR0lFU=");
        }
    }

    #[test]
    fn a_missing_or_invalid_field_is_named() {
        for (body, field, says) in [
            (json!({"api_key": "k"}), "submission_id", "submission_id is missing"),
            (json!({"submission_id": ID}), "api_key", "api_key is missing"),
            (json!({"submission_id": ID, "api_key": null}), "api_key", "api_key is missing"),
            (json!({"submission_id": ID, "api_key": ""}), "api_key", "api_key is not valid"),
            (json!({"submission_id": ID, "api_key": 7}), "api_key", "api_key is not valid"),
            (
                json!({"submission_id": "../x", "api_key": "k"}),
                "submission_id",
                "a UUID, 24 hexadecimal digits, or 14 characters",
            ),
            (json!({"submission_id": ID, "api_key": "k", "user_id": ""}), "user_id", "user_id is not valid"),
            (json!({"submission_id": ID, "api_key": "k", "user_id": 1.5}), "user_id", "user_id is not valid"),
        ] {
            let Err(HttpError::Malformed { field: found, message }) = read(&body) else { panic!("{body} was read") };
            assert_eq!(found, Some(field), "{body}");
            assert!(message.contains(says), "{body}: {message}");
        }
    }

    #[test]
    fn a_body_that_is_not_an_object_or_too_large_is_refused() {
        for (body, says) in [
            ("", "it ends too early at line 1 column 0"),
            ("[]", "it is not an object at line 1 column 0"),
            ("null", "it is not an object at line 1 column 4"),
            ("{\n\"submission_id\": \"x\"", "it ends too early at line 2 column 20"),
            ("{\"api_key\": \"a\\%b\"}", "invalid JSON at line 1 column 16"),
            ("\u{1}", "invalid JSON at line 1 column 1"),
        ] {
            let Err(HttpError::Malformed { field: None, message }) = Body::read(body.as_bytes()) else {
                panic!("{body}")
            };
            assert!(message.contains(says), "{body}: {message}");
        }
        let large = json!({"submission_id": ID, "api_key": "k", "more": "x".repeat(MAX_BODY_BYTES)}).to_string();
        assert!(matches!(Body::read(large.as_bytes()), Err(HttpError::TooLarge { .. })));
    }
}
