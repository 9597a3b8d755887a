//! Lists that services give page by page.

use serde::{Deserialize, Serialize};

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// The token of the next page.
    pub(crate) next: Option<String>,
}

/// Why there is no page. It has been logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListError {
    /// The token of the page is not valid any more: the list begins anew.
    TokenExpired,
    Failed,
}

/// A place in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Place {
    Start,
    /// Before the page with this token.
    Page(String),
    End,
}

impl Place {
    /// The token of the next page.
    pub(crate) fn token(&self) -> Option<&str> {
        match self {
            Self::Page(token) => Some(token),
            Self::Start | Self::End => None,
        }
    }

    /// Before the page with this token, or at the end.
    pub(crate) fn before(token: Option<String>) -> Self {
        token.map_or(Self::End, Self::Page)
    }
}
