//! The log lines of records that are not for us.

use std::io::{self, Write};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::decide::NotForUs;
use crate::position::Position;

/// The log lines of a batch's records that are not for us, in the JSON form of all other lines. They are written at once:
/// nearly every record of a batch is one of these, and a call of the logger for each takes longer than deciding about it.
#[derive(Debug)]
pub(crate) struct NotForUsLog {
    /// The time of every line, RFC 3339.
    timestamp: String,
    lines: Vec<u8>,
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: &'a str,
    level: &'static str,
    fields: Fields<'a>,
}

#[derive(Serialize)]
struct Fields<'a> {
    message: &'static str,
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    outcome: &'static str,
    reason: NotForUs,
}

impl NotForUsLog {
    /// Without lines yet.
    pub(crate) fn at(time: OffsetDateTime) -> Self {
        let timestamp = time.format(&Rfc3339).expect("invariant: years up to 9999 have this form");
        Self { timestamp, lines: Vec::new() }
    }

    pub(crate) fn push(&mut self, position: Position<'_>, reason: NotForUs) {
        let Position { topic, partition, offset, .. } = position;
        let fields = Fields { message: "not for us", topic, partition, offset, outcome: "NotForUs", reason };
        serde_json::to_writer(&mut self.lines, &Line { timestamp: &self.timestamp, level: "INFO", fields })
            .expect("invariant: writing texts and numbers to memory does not fail");
        self.lines.push(b'\n');
    }

    /// Writes the lines if the log's level includes INFO.
    pub(crate) fn write(&self) {
        if tracing::enabled!(tracing::Level::INFO) {
            // A failure to log has nowhere to go.
            let _ = io::stdout().write_all(&self.lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_position_and_the_reason() {
        let mut lines = NotForUsLog::at(OffsetDateTime::UNIX_EPOCH);
        let position = Position::of("t-1", Some(7));
        lines.push(position, NotForUs::OtherType);
        lines.push(Position { partition: None, offset: None, ..position }, NotForUs::Tombstone);
        assert_eq!(
            String::from_utf8(lines.lines).unwrap(),
            concat!(
                r#"{"timestamp":"1970-01-01T00:00:00Z","level":"INFO","fields":{"message":"not for us","topic":"t","partition":1,"offset":7,"#,
                r#""outcome":"NotForUs","reason":"OtherType"}}"#,
                "\n",
                r#"{"timestamp":"1970-01-01T00:00:00Z","level":"INFO","fields":{"message":"not for us","topic":"t","outcome":"NotForUs","reason":"Tombstone"}}"#,
                "\n",
            )
        );
    }
}
