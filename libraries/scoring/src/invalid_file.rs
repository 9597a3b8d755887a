//! Why a CSV file was refused.
//!
//! Files come from strangers: an error escapes what it quotes from them and shortens it.

mod ids;

use std::fmt;

pub use ids::{IdProblems, SomeIds};

/// Why a file was refused: its first problem, except that all wrong ids are collected.
///
/// The texts are fragments, to be embedded in a sentence that names the file.
#[derive(Debug, thiserror::Error)]
pub enum InvalidFile {
    /// The reader failed. This is the only variant that is not caused by the file's content.
    #[error("reading the file failed")]
    Read(#[source] std::io::Error),
    /// The file starts like gzip but cannot be decompressed.
    #[error("the gzip data is damaged or cut off")]
    Gzip(#[source] std::io::Error),
    #[error("the file is larger than {limit} bytes after decompression")]
    TooLarge { limit: u64 },
    #[error("the file has more than {limit} rows")]
    TooManyRows { limit: u64 },
    #[error("line {line} has more than {limit} columns")]
    TooManyColumns { line: u64, limit: usize },
    /// A quote that is never closed also makes a row too long.
    #[error("line {line} is longer than {limit} bytes (is a closing quote missing?)")]
    RowTooLong {
        /// The line on which the limit was reached.
        line: u64,
        limit: usize,
    },
    #[error("the file is empty; it needs a header line")]
    Empty,
    #[error("the file has a header line but no rows")]
    NoRows,
    #[error("the column \"{column}\" is missing; the header has {}", .found.join(","))]
    MissingColumn {
        column: String,
        /// The first ten columns of the header.
        found: Vec<String>,
    },
    #[error("the column \"{column}\" is not allowed; the header must be {expected}")]
    UnexpectedColumn { column: String, expected: String },
    #[error("the column \"{column}\" appears twice")]
    DuplicateColumn { column: String },
    #[error("no column name contains \"feature\"")]
    NoFeatures,
    #[error("line {line}: found {found} fields, expected {expected} as in the header")]
    FieldCount { line: u64, expected: usize, found: usize },
    #[error("{location}: the field is not UTF-8 text")]
    NotUtf8 { location: Location },
    #[error("line {line} has no id")]
    NoId { line: u64 },
    #[error("{location}: \"{text}\" is not a number")]
    NotANumber { location: Location, text: String },
    /// Infinite or NaN, either as written or because the number exceeds the range of f64.
    #[error("{location}: {text} is not a finite number")]
    NotFinite { location: Location, text: String },
    #[error("{location}: {value:?} is out of range, expected {expected}")]
    OutOfRange {
        location: Location,
        value: f64,
        /// The allowed range in words.
        expected: &'static str,
    },
    #[error("{location}: the feature is missing")]
    MissingFeature { location: Location },
    #[error("{location}: \"{text}\" is not validation, test or live")]
    UnknownSplit { location: Location, text: String },
    /// The ids are not exactly the expected ones, each once.
    #[error("{0}")]
    Ids(Box<IdProblems>),
}

impl InvalidFile {
    /// The problem without text from the file, for readers who may not see what whoever wrote the file put into it.
    #[must_use]
    pub fn without_quotes(&self) -> String {
        match self {
            Self::MissingColumn { column, .. } => format!("the column \"{column}\" is missing"),
            Self::UnexpectedColumn { expected, .. } => {
                format!("a column is not allowed; the header must be {expected}")
            }
            Self::DuplicateColumn { .. } => "a column appears twice".to_owned(),
            Self::NotUtf8 { location } => format!("line {}: a field is not UTF-8 text", location.line),
            Self::NotANumber { location, .. } => format!("line {}: a field is not a number", location.line),
            Self::NotFinite { location, .. } => format!("line {}: a number is not finite", location.line),
            Self::OutOfRange { location, expected, .. } => {
                format!("line {}: a number is out of range, expected {expected}", location.line)
            }
            Self::MissingFeature { location } => format!("line {}: a feature is missing", location.line),
            Self::UnknownSplit { location, .. } => {
                format!("line {}: a field is not validation, test or live", location.line)
            }
            Self::Ids(problems) => problems.without_quotes(),
            Self::Read(_)
            | Self::Gzip(_)
            | Self::TooLarge { .. }
            | Self::TooManyRows { .. }
            | Self::TooManyColumns { .. }
            | Self::RowTooLong { .. }
            | Self::Empty
            | Self::NoRows
            | Self::NoFeatures
            | Self::FieldCount { .. }
            | Self::NoId { .. } => self.to_string(),
        }
    }
}

/// The position of a field in a file. The texts are escaped and shortened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The line on which the row ends, from 1.
    pub line: u64,
    /// The id of the row, if it is known.
    pub id: Option<String>,
    /// The name of the column.
    pub column: String,
}

impl Location {
    pub(crate) fn of_column(line: u64, column: String) -> Self {
        Self { line, id: None, column }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "line {}, id {id}, column {}", self.line, self.column),
            None => write!(f, "line {}, column {}", self.line, self.column),
        }
    }
}

/// Text from a file as an error may quote it: control characters and quotes escaped, at most 64 characters.
pub(crate) fn quoted(text: &str) -> String {
    const MAX: usize = 64;
    let mut quoted: String = text.chars().take(MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX).is_some() {
        quoted.push('…');
    }
    quoted
}
