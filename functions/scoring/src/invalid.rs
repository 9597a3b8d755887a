//! What is wrong with a file.
//!
//! Files come from strangers: whatever of them an error repeats is escaped and cut to a bounded length.

mod ids;

use std::fmt;

pub use ids::{Capped, IdProblems};

/// Why a file was not accepted. The first problem is named; wrong ids are gathered to the file's end.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// The reader failed, which says nothing about the file: the only variant that is not its author's doing.
    #[error("the file cannot be read")]
    Read(#[source] std::io::Error),
    /// The file begins as gzip does, and is damaged or cut off.
    #[error("the file's gzip stream is damaged or cut off")]
    Gzip(#[source] std::io::Error),
    /// The file is longer than allowed, after decompression.
    #[error("the file has more than {limit} bytes (after decompression)")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// The file has more rows than allowed.
    #[error("the file has more than {limit} rows")]
    TooManyRows {
        /// Rows allowed.
        limit: u64,
    },
    /// A row has more columns than allowed.
    #[error("line {line}: more than {limit} columns")]
    TooManyColumns {
        /// Its line, from 1.
        line: u64,
        /// Columns allowed.
        limit: usize,
    },
    /// A row is longer than allowed; an opening quote that is never closed makes one too.
    #[error("line {line}: the row is longer than {limit} bytes (is a quote left open?)")]
    RowTooLong {
        /// The line on which the limit was reached, from 1.
        line: u64,
        /// Bytes allowed.
        limit: usize,
    },
    /// The file has neither header nor rows.
    #[error("the file is empty: expected a header line")]
    Empty,
    /// There is nothing after the header.
    #[error("the file has a header and no rows")]
    NoRows,
    /// A column that is needed is not there.
    #[error("the column {column} is missing: the header has {}", found.join(","))]
    MissingColumn {
        /// Its name.
        column: String,
        /// The first columns that are there.
        found: Vec<String>,
    },
    /// A column that must not be there.
    #[error("the column {column} is not expected: the header must be {expected}")]
    UnexpectedColumn {
        /// Its name.
        column: String,
        /// The columns that may be there.
        expected: String,
    },
    /// Two columns have the same name.
    #[error("the column {column} is there twice")]
    DuplicateColumn {
        /// Their name.
        column: String,
    },
    /// No column is a feature.
    #[error("no column's name contains `feature`")]
    NoFeatures,
    /// A row has fewer or more fields than the header.
    #[error("line {line}: {found} fields where the header has {expected}")]
    FieldCount {
        /// Its line, from 1.
        line: u64,
        /// Fields of the header.
        expected: usize,
        /// Fields of the row.
        found: usize,
    },
    /// A field is no UTF-8 text.
    #[error("{place}: no UTF-8 text")]
    NotUtf8 {
        /// Where.
        place: Place,
    },
    /// A row has no id.
    #[error("line {line}: the id is empty")]
    NoId {
        /// Its line, from 1.
        line: u64,
    },
    /// A field is no number.
    #[error("{place}: {text:?} is no number")]
    NotANumber {
        /// Where.
        place: Place,
        /// What is there.
        text: String,
    },
    /// A number is infinite or NaN, as written or because it exceeds the range of f64.
    #[error("{place}: {text} is not finite")]
    NotFinite {
        /// Where.
        place: Place,
        /// What is there.
        text: String,
    },
    /// A number is outside the range that is allowed.
    #[error("{place}: {value:e} is not in {range}")]
    OutOfRange {
        /// Where.
        place: Place,
        /// The number.
        value: f64,
        /// The range, in words.
        range: &'static str,
    },
    /// A tournament row has no value for a feature.
    #[error("{place}: the feature is missing")]
    MissingFeature {
        /// Where.
        place: Place,
    },
    /// A tournament row belongs to none of validation, test and live.
    #[error("{place}: {text:?} is none of validation, test and live")]
    UnknownSplit {
        /// Where.
        place: Place,
        /// What is there.
        text: String,
    },
    /// The ids are not exactly those that are expected, each once.
    #[error("{0}")]
    Ids(Box<IdProblems>),
}

/// Where in a file something is: for reading, so escaped and cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line on which the row ends, from 1.
    pub line: u64,
    /// The row's id, if it has one.
    pub id: Option<String>,
    /// The column's name.
    pub column: String,
}

impl Place {
    pub(crate) fn column(line: u64, column: String) -> Self {
        Self { line, id: None, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "line {}, id {id}, column {}", self.line, self.column),
            None => write!(f, "line {}, column {}", self.line, self.column),
        }
    }
}

/// Text from a file for an error: control characters and quotes escaped, at most 64 characters of it.
pub(crate) fn shown(text: &str) -> String {
    const MAX: usize = 64;
    let mut shown: String = text.chars().take(MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX).is_some() {
        shown.push('…');
    }
    shown
}
