//! The log lines of the records that are not for us.

use std::io::{self, Write};

use serde::Serialize;

use crate::Place;
use crate::decide::NotForUs;

/// The log lines of a batch's records that are not for us, in the form of all other lines in JSON, written all at once:
/// nearly all records of a batch are such, and a call of the log for each takes longer than deciding about it.
#[derive(Debug, Default)]
pub(crate) struct QuietLines(Vec<u8>);

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

impl QuietLines {
    pub(crate) fn push(&mut self, place: Place<'_>, reason: NotForUs) {
        let Place { topic, partition, offset, .. } = place;
        let fields = Fields { message: "not for us", topic, partition, offset, outcome: "NotForUs", reason };
        if serde_json::to_writer(&mut self.0, &Line { level: "INFO", fields }).is_ok() {
            self.0.push(b'\n');
        }
    }

    /// Writes the lines, unless the log's level is above theirs.
    pub(crate) fn write(&self) {
        if tracing::enabled!(tracing::Level::INFO) {
            // As with all logging, there is nowhere to say that it failed.
            let _ = io::stdout().write_all(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_where_the_record_stands_and_why_it_is_let_go() {
        let mut lines = QuietLines::default();
        let place = Place { name: "t-1", topic: "t", partition: Some(1), offset: Some(7) };
        lines.push(place, NotForUs::OtherType);
        lines.push(Place { partition: None, offset: None, ..place }, NotForUs::Tombstone);
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
