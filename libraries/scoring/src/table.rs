//! CSV, plain or gzip, in bounded memory.
//!
//! `csv-core` parses quotes, CRLF and blank lines (RFC 4180, leniently). A byte order mark and white space around fields
//! are ignored. At most `max_record_bytes` of a row are held, however long the line is.

mod source;

use std::borrow::Cow;
use std::io::BufRead;
use std::ops::Range;

use csv_core::{ReadRecordResult, Reader};

use crate::invalid_file::{InvalidFile, Location, quoted};

/// Limits of a file; each is inclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes after decompression.
    pub max_bytes: u64,
    /// Rows after the header.
    pub max_rows: u64,
    pub max_columns: usize,
    /// Bytes of all fields of a row together.
    pub max_record_bytes: usize,
}

impl Limits {
    /// For predictions, regions and truth: 1 GiB, 20 million rows, 64 columns (so that an unexpected one can be named),
    /// 4 KiB a row.
    #[must_use]
    pub fn predictions() -> Self {
        Self { max_bytes: 1 << 30, max_rows: 20_000_000, max_columns: 64, max_record_bytes: 4 << 10 }
    }

    /// For training and tournament data: 16 GiB, 20 million rows, 10,000 columns, 1 MiB a row.
    #[must_use]
    pub fn data() -> Self {
        Self { max_bytes: 16 << 30, max_rows: 20_000_000, max_columns: 10_000, max_record_bytes: 1 << 20 }
    }
}

/// A CSV file whose header has been read.
pub(crate) struct Table<'a> {
    source: Box<dyn BufRead + 'a>,
    parser: Reader,
    limits: Limits,
    columns: Vec<String>,
    bytes: u64,
    rows: u64,
    record: Vec<u8>,
    ends: Vec<usize>,
}

pub(crate) struct Row<'t> {
    /// The line on which the row ends, from 1.
    line: u64,
    columns: &'t [String],
    record: &'t [u8],
    ends: &'t [usize],
}

impl<'a> Table<'a> {
    /// Reads the header.
    pub(crate) fn open(reader: impl std::io::Read + 'a, limits: &Limits) -> Result<Self, InvalidFile> {
        let mut table = Self {
            source: source::open(reader)?,
            parser: parser(),
            limits: limits.clone(),
            columns: Vec::new(),
            bytes: 0,
            rows: 0,
            // One more than allowed, to notice when there are too many.
            record: vec![0; limits.max_record_bytes + 1],
            ends: vec![0; limits.max_columns + 1],
        };
        let Some((line, fields)) = table.read()? else { return Err(InvalidFile::Empty) };
        let mut columns: Vec<String> = Vec::with_capacity(fields);
        for field in 0..fields {
            let name = std::str::from_utf8(table.record[range(&table.ends, field)].trim_ascii()).map_err(|_| {
                InvalidFile::NotUtf8 { location: Location::of_column(line, format!("number {}", field + 1)) }
            })?;
            if columns.iter().any(|column| column == name) {
                return Err(InvalidFile::DuplicateColumn { column: quoted(name) });
            }
            columns.push(name.to_owned());
        }
        table.columns = columns;
        Ok(table)
    }

    /// The names of the columns, without duplicates.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The position of a required column.
    pub(crate) fn column(&self, name: &str) -> Result<usize, InvalidFile> {
        self.columns.iter().position(|column| column == name).ok_or_else(|| InvalidFile::MissingColumn {
            column: quoted(name),
            found: self.columns.iter().take(10).map(|column| quoted(column)).collect(),
        })
    }

    pub(crate) fn allow_only(&self, names: &[&str]) -> Result<(), InvalidFile> {
        match self.columns.iter().find(|column| !names.contains(&column.as_str())) {
            Some(column) => Err(InvalidFile::UnexpectedColumn { column: quoted(column), expected: names.join(",") }),
            None => Ok(()),
        }
    }

    /// The next row. It has as many fields as the header.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>, InvalidFile> {
        let Some((line, found)) = self.read()? else { return Ok(None) };
        let expected = self.columns.len();
        if found != expected {
            return Err(InvalidFile::FieldCount { line, expected, found });
        }
        self.rows += 1;
        if self.rows > self.limits.max_rows {
            return Err(InvalidFile::TooManyRows { limit: self.limits.max_rows });
        }
        Ok(Some(Row { line, columns: &self.columns, record: &self.record, ends: &self.ends }))
    }

    /// Reads a record into the buffers. Returns the line on which it ends and the number of its fields.
    fn read(&mut self) -> Result<Option<(u64, usize)>, InvalidFile> {
        let (mut length, mut fields) = (0, 0);
        loop {
            let input = self.source.fill_buf().map_err(source::cause)?;
            let (result, read, wrote, ended) =
                self.parser.read_record(input, &mut self.record[length..], &mut self.ends[fields..]);
            let ended_by_newline = matches!(result, ReadRecordResult::Record)
                && read.checked_sub(1).is_some_and(|last| input[last] == b'\n');
            self.source.consume(read);
            self.bytes += read as u64;
            if self.bytes > self.limits.max_bytes {
                return Err(InvalidFile::TooLarge { limit: self.limits.max_bytes });
            }
            (length, fields) = (length + wrote, fields + ended);
            let line = self.parser.line() - u64::from(ended_by_newline);
            if fields > self.limits.max_columns || matches!(result, ReadRecordResult::OutputEndsFull) {
                return Err(InvalidFile::TooManyColumns { line, limit: self.limits.max_columns });
            }
            match result {
                ReadRecordResult::Record => return Ok(Some((line, fields))),
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::InputEmpty | ReadRecordResult::OutputEndsFull => {}
                ReadRecordResult::OutputFull => {
                    return Err(InvalidFile::RowTooLong { line, limit: self.limits.max_record_bytes });
                }
            }
        }
    }
}

impl Row<'_> {
    /// A field without the white space around it.
    pub(crate) fn text(&self, column: usize) -> Result<&str, InvalidFile> {
        std::str::from_utf8(self.bytes(column)).map_err(|_| InvalidFile::NotUtf8 {
            location: Location::of_column(self.line, quoted(&self.columns[column])),
        })
    }

    /// A field that must not be empty.
    pub(crate) fn id(&self, column: usize) -> Result<&str, InvalidFile> {
        match self.text(column)? {
            "" => Err(InvalidFile::NoId { line: self.line }),
            id => Ok(id),
        }
    }

    /// A field as a finite number. `id_column` is where the error finds the id of the row.
    pub(crate) fn number(&self, column: usize, id_column: Option<usize>) -> Result<f64, InvalidFile> {
        let text = self.text(column)?;
        let number = text
            .parse::<f64>()
            .map_err(|_| InvalidFile::NotANumber { location: self.location(column, id_column), text: quoted(text) })?;
        if number.is_finite() {
            return Ok(number);
        }
        Err(InvalidFile::NotFinite { location: self.location(column, id_column), text: quoted(text) })
    }

    /// The location of a field for an error.
    pub(crate) fn location(&self, column: usize, id_column: Option<usize>) -> Location {
        let id = id_column.map(|id| quoted(&String::from_utf8_lossy(self.bytes(id))));
        Location { line: self.line, id, column: quoted(&self.columns[column]) }
    }

    fn bytes(&self, column: usize) -> &[u8] {
        self.record[range(self.ends, column)].trim_ascii()
    }
}

/// A text as a CSV field, in quotes if it needs them.
pub(crate) fn field(text: &str) -> Cow<'_, str> {
    if text.contains(['"', ',', '\r', '\n']) {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(text)
    }
}

/// A parser that drops no byte order mark, which the source does. It would drop a second one, if it got it in one piece.
fn parser() -> Reader {
    let mut parser = Reader::new();
    // It looks for a mark in its first input only. Blank lines are ignored.
    parser.read_record(b"\n", &mut [0], &mut [0]);
    parser.set_line(1);
    parser
}

fn range(ends: &[usize], field: usize) -> Range<usize> {
    field.checked_sub(1).map_or(0, |before| ends[before])..ends[field]
}
