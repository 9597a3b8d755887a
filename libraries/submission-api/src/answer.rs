//! Reads the API's answers, including errors.

use reqwest::{Response, StatusCode};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Id;
use crate::error::{Error, shown};
use domain::SubmissionId;

/// Limit for reading the body of an error answer.
const MAX_ERROR_BYTES: usize = 16 << 10;

/// The fields of a submission that the processor needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// A legacy number or a UUID; up to 64 characters of `[A-Za-z0-9_-]`.
    pub challenge_id: Option<String>,
    /// In the same form.
    pub member_id: Option<String>,
    /// When the API created its record: `created` in version 5, `createdAt` in version 6. Members can set `submittedDate`, so
    /// that it must not decide which of two submissions is the earlier one.
    pub created: Option<OffsetDateTime>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    #[serde(default, deserialize_with = "text_or_number")]
    id: Option<String>,
    #[serde(default, deserialize_with = "text_or_number")]
    challenge_id: Option<String>,
    #[serde(default, rename = "v5ChallengeId", deserialize_with = "text_or_number")]
    v5_challenge_id: Option<String>,
    #[serde(default, deserialize_with = "text_or_number")]
    member_id: Option<String>,
    #[serde(default)]
    created: Value,
    #[serde(default)]
    created_at: Value,
}

/// An answer that cannot be the requested submission.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidRecord {
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("it describes another submission")]
    Other,
}

impl Submission {
    pub(crate) fn parse(body: &[u8], requested: &SubmissionId) -> Result<Self, InvalidRecord> {
        let record: Record = serde_json::from_slice(body)?;
        if !record.id.is_some_and(|id| id.eq_ignore_ascii_case(requested.as_str())) {
            return Err(InvalidRecord::Other);
        }
        // A submission without a readable date is processed too.
        let date = |value: &Value| OffsetDateTime::parse(value.as_str()?, &Rfc3339).ok();
        Ok(Self {
            challenge_id: record.challenge_id.or(record.v5_challenge_id),
            member_id: record.member_id,
            created: date(&record.created_at).or_else(|| date(&record.created)),
        })
    }
}

/// The submissions of a challenge: an array in version 5, an object with `data` in version 6.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listing {
    V5(Vec<Listed>),
    V6 { data: Vec<Listed> },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    #[serde(default, deserialize_with = "text_or_number")]
    member_id: Option<String>,
}

/// The member of each listed submission, if it names one.
pub(crate) fn members(body: &[u8]) -> Result<Vec<Option<String>>, serde_json::Error> {
    let (Listing::V5(listed) | Listing::V6 { data: listed }) = serde_json::from_slice(body)?;
    Ok(listed.into_iter().map(|submission| submission.member_id).collect())
}

/// Reads an id that older records have as a number. It becomes part of names and paths, so its characters are checked.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let id = match Option::<Id>::deserialize(deserializer)? {
        None => return Ok(None),
        Some(Id::Number(id)) => id.to_string(),
        Some(Id::Text(id)) => id,
    };
    let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    match id.len() {
        0 => Ok(None),
        1..=64 if is_plain => Ok(Some(id)),
        _ => Err(serde::de::Error::custom("an id is up to 64 characters of [A-Za-z0-9_-]")),
    }
}

/// An answer with an error status.
#[derive(Debug)]
pub(crate) struct HttpError {
    status: StatusCode,
    message: String,
}

impl HttpError {
    /// Reads the status and the message. If the body does not arrive, the status is enough.
    pub(crate) async fn read(response: &mut Response) -> Self {
        let body = read(response, MAX_ERROR_BYTES).await.unwrap_or_default();
        Self { status: response.status(), message: message_of(&body) }
    }

    /// Reads the answer if its status is 401 or 403.
    pub(crate) async fn of_denial(response: &mut Response) -> Option<Self> {
        match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(Self::read(response).await),
            _ => None,
        }
    }

    /// Whether a new token could help. The API answers a missing or expired token with either status.
    pub(crate) fn may_need_new_token(&self) -> bool {
        !self.is_scanning() && !self.is_not_allowed()
    }

    pub(crate) fn into_error(self, call: String) -> Error {
        if self.is_scanning() {
            return Error::StillScanning { call };
        }
        if self.is_not_allowed() {
            return Error::NotAllowed { call };
        }
        Error::of_status(call, self.status, self.message)
    }

    fn is_scanning(&self) -> bool {
        self.status == StatusCode::FORBIDDEN && self.message.contains("AV scan stage")
    }

    fn is_not_allowed(&self) -> bool {
        self.status == StatusCode::FORBIDDEN && self.message.contains("not allowed to be downloaded")
    }
}

/// The API's message: `{"message"}`, or `{"result": {"content": {"message"}}}` from its authenticator.
fn message_of(body: &[u8]) -> String {
    let Ok(body) = serde_json::from_slice::<serde_json::Value>(body) else { return String::new() };
    let message = body.get("message").or_else(|| body.pointer("/result/content/message"));
    shown(message.and_then(serde_json::Value::as_str).unwrap_or_default())
}

/// Reads up to `limit` bytes of a body and ignores the rest.
pub(crate) async fn read(response: &mut Response, limit: usize) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = limit - body.len();
        if chunk.len() >= room {
            body.extend_from_slice(&chunk[..room]);
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::MAX_SHOWN_CHARACTERS;

    fn parse(body: &str) -> Result<Submission, InvalidRecord> {
        Submission::parse(body.as_bytes(), &"-kJ-nOos4KQaL3".parse().unwrap())
    }

    #[test]
    fn ids_can_be_numbers_or_texts() {
        const UUID: &str = "30377808-d735-43b0-b4a2-9d3a5ea8e58b";
        for (fields, challenge, member) in [
            (r#""challengeId":30049360,"memberId":8547899"#, Some("30049360"), Some("8547899")),
            (r#""challengeId":"30377808-d735-43b0-b4a2-9d3a5ea8e58b","memberId":"1""#, Some(UUID), Some("1")),
            (r#""challengeId":1,"v5ChallengeId":"30377808-d735-43b0-b4a2-9d3a5ea8e58b""#, Some("1"), None),
            (r#""challengeId":null,"v5ChallengeId":"30377808-d735-43b0-b4a2-9d3a5ea8e58b""#, Some(UUID), None),
            (r#""review":[{}],"challengeId":"""#, None, None),
        ] {
            let submission = parse(&format!(r#"{{"id":"-kJ-nOos4KQaL3",{fields}}}"#)).unwrap();
            assert_eq!((submission.challenge_id.as_deref(), submission.member_id.as_deref()), (challenge, member));
        }
    }

    #[test]
    fn only_dates_of_the_api_say_when_a_submission_was_created() {
        for (fields, created) in [
            (
                r#""submittedDate":"2025-01-02T00:00:00Z","created":"2026-01-03T00:00:00.5Z""#,
                Some("2026-01-03T00:00:00.5Z"),
            ),
            (
                r#""submittedDate":"2025-01-02T00:00:00Z","createdAt":"2026-01-03T00:00:00Z""#,
                Some("2026-01-03T00:00:00Z"),
            ),
            (r#""submittedDate":"2026-01-02T00:00:00Z""#, None),
            (r#""createdAt":"yesterday","created":null"#, None),
            (r#""created":7"#, None),
        ] {
            let submission = parse(&format!(r#"{{"id":"-kJ-nOos4KQaL3",{fields}}}"#)).unwrap();
            assert_eq!(submission.created.map(|at| at.format(&Rfc3339).unwrap()).as_deref(), created);
        }
    }

    #[test]
    fn the_members_of_a_challenge_are_read_in_both_versions() {
        let expected = vec![Some("7".to_owned()), None];
        assert_eq!(members(br#"[{"id":"a","memberId":7},{"id":"b"}]"#).unwrap(), expected);
        assert_eq!(members(br#"{"data":[{"memberId":"7"},{"memberId":null}],"meta":{}}"#).unwrap(), expected);
        assert!(members(br#"{"message":"no"}"#).is_err());
    }

    #[test]
    fn malformed_records_are_refused() {
        for body in [
            "",
            "[]",
            "<html>",
            "{}",
            r#"{"id":null}"#,
            r#"{"id":"-kJ-nOos4KQaL3","challengeId":{}}"#,
            r#"{"id":"-kJ-nOos4KQaL3","challengeId":-1}"#,
            r#"{"id":"-kJ-nOos4KQaL3","challengeId":"../x"}"#,
            r#"{"id":"-kJ-nOos4KQaL3","memberId":1.5}"#,
            r#"{"id":"_9VOLnz2XYZv8J"}"#,
        ] {
            assert!(parse(body).is_err(), "{body}");
        }
    }

    #[test]
    fn both_forms_of_error_messages_are_read() {
        assert_eq!(message_of(br#"{"message":"gone"}"#), "gone");
        assert_eq!(
            message_of(br#"{"id":"1","result":{"success":false,"content":{"message":"no\ntoken"}}}"#),
            "no token"
        );
        assert_eq!(message_of(b"<html>"), "");
        assert_eq!(
            message_of(format!(r#"{{"message":"{}"}}"#, "x".repeat(5000)).as_bytes()).len(),
            MAX_SHOWN_CHARACTERS
        );
    }
}
