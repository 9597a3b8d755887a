//! Reading a function's settings from its environment, once, at start.

mod aws_names;

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

pub use aws_names::{BucketName, SecretArn, StateMachineArn, TableName};

/// Environment variables.
#[derive(Debug, Clone, Default)]
pub struct Variables(HashMap<String, String>);

/// Why a function cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Absent or empty, and without a default.
    #[error("the environment variable {name} is not set")]
    Missing { name: &'static str },
    #[error("the environment variable {name} is malformed: {reason}")]
    Malformed {
        name: &'static str,
        /// Never holds the value, which could be a secret.
        reason: String,
    },
}

impl Variables {
    /// The variables of this process. Values that are not UTF-8 count as absent.
    #[must_use]
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    pub fn required<T>(&self, name: &'static str) -> Result<T, SettingError>
    where
        T: FromStr<Err: Display>,
    {
        self.optional(name)?.ok_or(SettingError::Missing { name })
    }

    /// An empty value counts as absent: a CloudFormation parameter can be empty, but it cannot remove a variable.
    pub fn optional<T>(&self, name: &'static str) -> Result<Option<T>, SettingError>
    where
        T: FromStr<Err: Display>,
    {
        match self.0.get(name).map(|value| value.trim()) {
            None | Some("") => Ok(None),
            Some(value) => match value.parse() {
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(SettingError::Malformed { name, reason: error.to_string() }),
            },
        }
    }

    pub fn or_default<T>(&self, name: &'static str, default: T) -> Result<T, SettingError>
    where
        T: FromStr<Err: Display>,
    {
        Ok(self.optional(name)?.unwrap_or(default))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_or_empty_value_is_named() {
        let variables = Variables::from_iter([("EMPTY", "")]);
        for name in ["EMPTY", "ABSENT"] {
            let error = variables.required::<String>(name).unwrap_err();
            assert_eq!(error.to_string(), format!("the environment variable {name} is not set"));
        }
    }

    #[test]
    fn a_malformed_value_is_named_and_not_shown() {
        let variables = Variables::from_iter([("SIZE", "hunter2")]);
        let error = variables.or_default::<u64>("SIZE", 1).unwrap_err();
        assert_eq!(error.to_string(), "the environment variable SIZE is malformed: invalid digit found in string");
    }

    #[test]
    fn only_an_absent_value_gets_the_default() {
        let variables = Variables::from_iter([("SIZE", " 7 ")]);
        assert_eq!(variables.or_default("SIZE", 1), Ok(7));
        assert_eq!(variables.or_default("OTHER", 1), Ok(1));
    }
}
