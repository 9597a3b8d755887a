//! The log lines of records that are not for us.

use std::io::{self, Write};

use serde::Serialize;

use crate::decide::NotForUs;
use crate::position::Position;

/// The log lines of a batch's records that are not for us, in the JSON form of all other lines. They are written at once:
/// nearly every record of a batch is one of these, and a call of the logger for each takes longer than deciding about it.
#[derive(Debug, Default)]
pub(crate) struct NotForUsLog(Vec<u8>);

#[derive(Serialize)]
struct Line<'a> {
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
    pub(crate) fn push(&mut self, position: Position<'_>, reason: NotForUs) {
        let Position { topic, partition, offset, .. } = position;
        let fields = Fields { message: "not for us", topic, partition, offset, outcome: "NotForUs", reason };
        serde_json::to_writer(&mut self.0, &Line { level: "INFO", fields })
            .expect("invariant: writing texts and numbers to memory does not fail");
        self.0.push(b'\n');
    }

    /// Writes the lines if the log's level includes INFO.
    pub(crate) fn write(&self) {
        if tracing::enabled!(tracing::Level::INFO) {
            // A failure to log has nowhere to go.
            let _ = io::stdout().write_all(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_position_and_the_reason() {
        let mut lines = NotForUsLog::default();
        let position = Position::of("t-1", Some(7));
        lines.push(position, NotForUs::OtherType);
        lines.push(Position { partition: None, offset: None, ..position }, NotForUs::Tombstone);
        assert_eq!(
            String::from_utf8(lines.0).unwrap(),
            concat!(
                r#"{"level":"INFO","fields":{"message":"not for us","topic":"t","partition":1,"offset":7,"#,
                r#""outcome":"NotForUs","reason":"OtherType"}}"#,
                "\n",
                r#"{"level":"INFO","fields":{"message":"not for us","topic":"t","outcome":"NotForUs","reason":"Tombstone"}}"#,
                "\n",
            )
        );
    }
}
