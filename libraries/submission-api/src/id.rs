use std::convert::Infallible;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An id that the API reads and writes as a number where it is one, such as a legacy challenge or scorecard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    Number(u64),
    Text(String),
}

impl FromStr for Id {
    type Err = Infallible;

    fn from_str(id: &str) -> Result<Self, Infallible> {
        Ok(id.parse().map_or_else(|_| Self::Text(id.to_owned()), Self::Number))
    }
}
