//! Submission ids, and the form of them that every AWS name accepts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Length of the nanoids that version 6 of the Submission API creates.
const NANOID_LENGTH: usize = 14;
/// Length of the ids of a tournament's database, in hexadecimal digits.
const OBJECT_ID_LENGTH: usize = 24;

/// A submission's id: a UUID (version 5 of the Submission API), 14 characters of `[A-Za-z0-9_-]` (version 6), or 24
/// hexadecimal digits (a tournament's database). Hexadecimal digits are in lower case, so that an id has one form.
///
/// ```
/// # use domain::SubmissionId;
/// let id: SubmissionId = "d01c8c8b-2a7f-463f-992b-7bc5423e1dd0".parse()?;
/// assert_eq!(id.aws_safe().as_str(), "d01c8c8b-2a7f-463f-992b-7bc5423e1dd0");
/// let id: SubmissionId = "-kJ-nOos4KQaL3".parse()?;
/// assert_eq!(id.aws_safe().as_str(), "x2d6b4a2d6e4f6f73344b51614c33");
/// let id: SubmissionId = "58D411E57278611200EE49A6".parse()?;
/// assert_eq!(id.aws_safe().as_str(), "58d411e57278611200ee49a6");
/// # Ok::<(), domain::id::InvalidSubmissionId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SubmissionId(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a submission id is a UUID, 24 hexadecimal digits, or 14 characters of [A-Za-z0-9_-]")]
pub struct InvalidSubmissionId;

impl SubmissionId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form of this id that names executions, repositories, training jobs and staged objects.
    #[must_use]
    pub fn aws_safe(&self) -> AwsSafeId {
        let is_nanoid = self.0.len() == NANOID_LENGTH;
        AwsSafeId(if is_nanoid { format!("x{}", hex::encode(&self.0)) } else { self.0.clone() })
    }

    /// The submission that something is named after. `None` for any other name.
    ///
    /// ```
    /// # use domain::SubmissionId;
    /// let id = SubmissionId::named("x2d6b4a2d6e4f6f73344b51614c33").unwrap();
    /// assert_eq!(id.as_str(), "-kJ-nOos4KQaL3");
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let decoded = name.strip_prefix('x').and_then(|digits| String::from_utf8(hex::decode(digits).ok()?).ok());
        let id: Self = decoded.as_deref().unwrap_or(name).parse().ok()?;
        (id.aws_safe().as_str() == name).then_some(id)
    }
}

fn is_uuid(id: &[u8]) -> bool {
    id.len() == 36
        && id.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_object_id(id: &[u8]) -> bool {
    id.len() == OBJECT_ID_LENGTH && id.iter().all(u8::is_ascii_hexdigit)
}

fn is_nanoid(id: &[u8]) -> bool {
    id.len() == NANOID_LENGTH && id.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

impl TryFrom<String> for SubmissionId {
    type Error = InvalidSubmissionId;

    fn try_from(id: String) -> Result<Self, InvalidSubmissionId> {
        let bytes = id.as_bytes();
        if is_uuid(bytes) || is_object_id(bytes) {
            Ok(Self(id.to_ascii_lowercase()))
        } else if is_nanoid(bytes) {
            Ok(Self(id))
        } else {
            Err(InvalidSubmissionId)
        }
    }
}

impl FromStr for SubmissionId {
    type Err = InvalidSubmissionId;

    fn from_str(id: &str) -> Result<Self, InvalidSubmissionId> {
        Self::try_from(id.to_owned())
    }
}

impl From<SubmissionId> for String {
    fn from(id: SubmissionId) -> Self {
        id.0
    }
}

impl fmt::Display for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A submission's id in 24 to 36 characters of `[a-z0-9-]` that starts and ends with a letter or digit.
///
/// A UUID and 24 hexadecimal digits stay as they are. An id of 14 characters becomes `x` followed by the hexadecimal digits of
/// its bytes. Two ids never share a form. It is a valid ECR repository name
/// (2 to 256 characters, lower case), execution name (up to 80) and start of a training job name (up to 63); see
/// <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html>,
/// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html> and
/// <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html>.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct AwsSafeId(String);

impl AwsSafeId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AwsSafeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn uuids_database_ids_and_nanoids_are_accepted() {
        for id in [
            "d01c8c8b-2a7f-463f-992b-7bc5423e1dd0",
            "58d411e57278611200ee49a6",
            "-kJ-nOos4KQaL3",
            "_9VOLnz2XYZv8J",
            "--------------",
        ] {
            assert_eq!(id.parse::<SubmissionId>().unwrap().as_str(), id);
        }
    }

    #[test]
    fn any_other_text_is_refused() {
        for id in [
            "",
            "a",
            "d01c8c8b2a7f463f992b7bc5423e1dd0",
            "58d411e57278611200ee49ag",
            "../../../../etc",
            "kJ-nOos4KQaL3é",
            "kJ nOos4KQaL33",
        ] {
            assert_eq!(id.parse::<SubmissionId>(), Err(InvalidSubmissionId), "{id}");
        }
    }

    #[test]
    fn hexadecimal_digits_in_another_case_are_the_same_submission() {
        for id in ["d01c8c8b-2a7f-463f-992b-7bc5423e1dd0", "58d411e57278611200ee49a6"] {
            assert_eq!(id.parse::<SubmissionId>(), id.to_uppercase().parse());
        }
        let [lower, upper] = ["kkJ-nOos4KQaL3", "KkJ-nOos4KQaL3"].map(|id| id.parse::<SubmissionId>().unwrap());
        assert_ne!(lower.aws_safe(), upper.aws_safe());
    }

    proptest! {
        #[test]
        fn the_safe_form_is_a_valid_name_everywhere(id in "[A-Za-z0-9_-]{14}|[0-9a-fA-F]{24}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}") {
            let safe = id.parse::<SubmissionId>().unwrap().aws_safe();
            let name = safe.as_str();
            prop_assert!((24..=36).contains(&name.len()));
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
            prop_assert!(!name.starts_with('-') && !name.ends_with('-') && !name.contains("--"));
        }

        #[test]
        fn the_safe_form_names_its_submission(id in "[A-Za-z0-9_-]{14}|[0-9a-fA-F]{24}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}") {
            let id: SubmissionId = id.parse().unwrap();
            prop_assert_eq!(SubmissionId::named(id.aws_safe().as_str()), Some(id));
        }

        #[test]
        fn any_other_name_names_none(name in "[A-Za-z0-9_-]{14}|x[0-9a-fA-F]{0,30}|[0-9A-F]{24}|[a-z0-9/._-]{1,40}") {
            if let Some(id) = SubmissionId::named(&name) {
                let safe = id.aws_safe();
                prop_assert_eq!(safe.as_str(), name);
            }
        }

        #[test]
        fn the_safe_form_is_injective(ids in prop::collection::hash_set("[Aa_-]{14}|[a0]{24}|[a]{8}(-[a0]{4}){3}-[a]{12}", 2..60)) {
            let mut seen = HashMap::new();
            for id in ids {
                if let Some(other) = seen.insert(id.parse::<SubmissionId>().unwrap().aws_safe(), id.clone()) {
                    prop_assert!(false, "{} and {} share a form", id, other);
                }
            }
        }
    }
}
