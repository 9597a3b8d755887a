//! Every defect of a predictions file, and its error.

use std::fmt::Write as _;
use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use scoring::{InvalidFile, Limits, Predictions, Roster};

fn roster() -> Roster {
    Roster::read("id,data_type\nc,live\na,validation\nb,test\n".as_bytes(), &Limits::data()).unwrap()
}

fn read(text: impl AsRef<[u8]>) -> Result<Predictions, InvalidFile> {
    Predictions::read(text.as_ref(), &roster(), &Limits::predictions())
}

fn refused(text: impl AsRef<[u8]>) -> String {
    read(text).unwrap_err().to_string()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_way_of_writing_the_same_file_is_accepted() {
    let expected = [0.125, 0.25, 1.0];
    for text in [
        "id,probability\na,0.125\nb,0.25\nc,1\n",
        "id,probability\nc,1\na,0.125\nb,0.25",
        "\u{feff}id,probability\r\nb,0.25\r\nc,1.0\r\na,0.125\r\n",
        "\u{feff}\"id\",\"probability\"\n\"a\",\"0.125\"\nb,.25\nc,1e0\n",
        "probability,id\n0.125,a\n0.25,b\n1,c\n",
        " id , probability \n a , 0.125 \n\n\nb,\t25e-2\nc,1\n\n",
        "id,probability\ra,0.125\rb,0.25\rc,1\r",
    ] {
        assert_eq!(read(text).unwrap().values(), expected, "{text:?}");
        assert_eq!(read(gzip(text.as_bytes())).unwrap().values(), expected, "{text:?}");
    }
    let (first, second) = ("id,probability\na,0.125\nb,", "0.25\nc,1\n");
    assert_eq!(read([gzip(first.as_bytes()), gzip(second.as_bytes())].concat()).unwrap().values(), expected);
}

#[test]
fn subnormal_numbers_count_and_negative_zero_is_zero() {
    let predictions = read("id,probability\na,5e-324\nb,-0.0\nc,1e-400\n").unwrap();
    assert_eq!(predictions.values()[0], 5e-324);
    assert!(predictions.values()[1].is_sign_positive() && predictions.values()[2] == 0.0);
    assert_eq!(predictions.sorted().unwrap().values(), [0.0, 0.0, 5e-324]);
}

#[test]
fn empty_files_and_files_without_rows_are_distinguished() {
    assert!(matches!(read(""), Err(InvalidFile::Empty)));
    assert!(matches!(read("\u{feff}"), Err(InvalidFile::Empty)));
    assert!(matches!(read("\n\r\n\n"), Err(InvalidFile::Empty)));
    assert!(matches!(read(gzip(b"")), Err(InvalidFile::Empty)));
    assert!(matches!(read("id,probability\n"), Err(InvalidFile::NoRows)));
    assert!(matches!(read("id,probability"), Err(InvalidFile::NoRows)));
}

#[test]
fn an_error_names_the_column() {
    assert_eq!(refused("id,prob\na,1\n"), "the column \"probability\" is missing; the header has id,prob");
    assert_eq!(refused("a,0.5\nb,0.5\n"), "the column \"id\" is missing; the header has a,0.5");
    assert_eq!(
        refused("id,probability,era\na,1,1\n"),
        "the column \"era\" is not allowed; the header must be id,probability"
    );
    assert_eq!(
        refused(",id,probability\n0,a,1\n"),
        "the column \"\" is not allowed; the header must be id,probability"
    );
    assert_eq!(refused("id,probability,id\n"), "the column \"id\" appears twice");
    assert!(matches!(read(format!("id{}", ",".repeat(64))), Err(InvalidFile::TooManyColumns { line: 1, limit: 64 })));
}

#[test]
fn an_error_names_line_id_and_column_of_a_value() {
    let value = |value: &str| refused(format!("id,probability\na,1\nb,{value}\nc,1\n"));
    let location = "line 3, id b, column probability";
    assert_eq!(value("NaN"), format!("{location}: NaN is not a finite number"));
    assert_eq!(value("-inf"), format!("{location}: -inf is not a finite number"));
    assert_eq!(value("1e309"), format!("{location}: 1e309 is not a finite number"));
    assert_eq!(value("1e308"), format!("{location}: 1e308 is out of range, expected a number from 0 to 1"));
    assert_eq!(
        value("1.0000000000000002"),
        format!("{location}: 1.0000000000000002 is out of range, expected a number from 0 to 1")
    );
    assert_eq!(value("-5e-324"), format!("{location}: -5e-324 is out of range, expected a number from 0 to 1"));
    assert_eq!(value(""), format!("{location}: \"\" is not a number"));
    assert_eq!(value("0,5"), "line 3: found 3 fields, expected 2 as in the header");
    assert_eq!(value("0x1"), format!("{location}: \"0x1\" is not a number"));
    assert_eq!(refused("id,probability\r\na,1\r\nb,x\r\n"), format!("{location}: \"x\" is not a number"));
    assert_eq!(refused("id,probability\na\n"), "line 2: found 1 fields, expected 2 as in the header");
    assert_eq!(refused("id,probability\n\n ,1\n"), "line 3 has no id");
}

#[test]
fn all_wrong_ids_are_counted_and_the_first_ten_named() {
    assert_eq!(
        refused("id,probability\na,1\na,1\nz,1\n"),
        "every id must appear exactly once; 2 missing: b, c; 1 unknown: z; 1 duplicate: a"
    );
    let mut text = "id,probability\n".to_owned();
    for row in 0..1000 {
        writeln!(text, "x{row},0.5").unwrap();
    }
    let Err(InvalidFile::Ids(problems)) = read(&text) else { panic!("expected wrong ids") };
    assert_eq!((problems.unknown.total, problems.unknown.first.len()), (1000, 10));
    assert!(problems.to_string().contains("1000 unknown: x0, x1,") && problems.to_string().ends_with(", …"));
}

#[test]
fn hostile_text_is_escaped_and_shortened() {
    let error = refused(format!("id,probability\n\"\u{1b}[31m\n{}\",oops\n", "y".repeat(500)));
    assert!(error.starts_with("line 3, id \\u{1b}[31m\\nyyy") && error.len() < 200, "{error}");
    assert!(matches!(read(b"id,probability\n\xff,1\n"), Err(InvalidFile::NotUtf8 { .. })));
    assert!(matches!(read(b"id,\xff\na,1\n"), Err(InvalidFile::NotUtf8 { .. })));
    assert!(matches!(read(b"id,probability\na,1\0\n"), Err(InvalidFile::NotANumber { .. })));
}

/// Repeats a byte without end and counts how many were read.
struct Endless<'a>(u8, &'a mut u64);

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(self.0);
        *self.1 += buffer.len() as u64;
        Ok(buffer.len())
    }
}

#[test]
fn reading_an_endless_line_stops_early() {
    for (start, byte) in
        [("", b'x'), ("id,probability\n", b'x'), ("id,probability\n\"", b'\n'), ("id,probability\na,0.", b'1')]
    {
        let mut taken = 0;
        let endless = start.as_bytes().chain(Endless(byte, &mut taken));
        let error = Predictions::read(endless, &roster(), &Limits::predictions()).unwrap_err();
        assert!(matches!(error, InvalidFile::RowTooLong { limit: 4096, .. }), "{error}");
        assert!(taken < 1 << 18);
    }
    let limits = Limits { max_bytes: 1 << 20, ..Limits::predictions() };
    for byte in [b'\n', b'\r'] {
        let mut taken = 0;
        let error = Predictions::read(Endless(byte, &mut taken), &roster(), &limits).unwrap_err();
        assert!(matches!(error, InvalidFile::TooLarge { limit: 1_048_576 }), "{error}");
        assert!(taken < 1 << 21);
    }
    let mut taken = 0;
    let error = Predictions::read(Endless(b',', &mut taken), &roster(), &limits).unwrap_err();
    assert!(matches!(error, InvalidFile::TooManyColumns { line: 1, limit: 64 }), "{error}");
}

#[test]
fn limits_are_inclusive() {
    let text = "id,probability\na,0.125\nb,0.25\nc,1\n";
    // The fields of the header are the longest row.
    let limits = Limits { max_bytes: text.len() as u64, max_rows: 3, max_columns: 2, max_record_bytes: 13 };
    let read = |limits: &Limits| Predictions::read(text.as_bytes(), &roster(), limits);
    assert!(read(&limits).is_ok());
    let max_bytes = limits.max_bytes - 1;
    assert!(matches!(read(&Limits { max_bytes, ..limits.clone() }), Err(InvalidFile::TooLarge { .. })));
    assert!(matches!(read(&Limits { max_rows: 2, ..limits.clone() }), Err(InvalidFile::TooManyRows { limit: 2 })));
    assert!(matches!(read(&Limits { max_columns: 1, ..limits.clone() }), Err(InvalidFile::TooManyColumns { .. })));
    assert!(matches!(read(&Limits { max_record_bytes: 12, ..limits }), Err(InvalidFile::RowTooLong { line: 1, .. })));
}

#[test]
fn decompressing_stops_at_the_limit() {
    let bomb = gzip(&vec![b'\n'; 4 << 20]);
    let limits = Limits { max_bytes: 1 << 20, ..Limits::predictions() };
    assert!(matches!(Predictions::read(&bomb[..], &roster(), &limits), Err(InvalidFile::TooLarge { .. })));
}

#[test]
fn damaged_gzip_is_refused() {
    let whole = gzip(b"id,probability\na,0.125\nb,0.25\nc,1\n");
    for end in 2..whole.len() {
        assert!(matches!(read(&whole[..end]), Err(InvalidFile::Gzip(_))), "cut at {end}");
    }
    let mut damaged = whole.clone();
    damaged[whole.len() - 6] ^= 1;
    assert!(matches!(read(&damaged), Err(InvalidFile::Gzip(_))));
}

#[test]
fn a_failing_reader_is_not_the_fault_of_the_file() {
    struct Fails<'a>(&'a [u8]);
    impl Read for Fails<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "connection closed")),
                count => Ok(count),
            }
        }
    }
    let text = b"id,probability\na,0.125\nb,0.25\nc,1\n";
    for bytes in [text.to_vec(), gzip(text)] {
        for end in [0, 1, 2, 20] {
            let error = Predictions::read(Fails(&bytes[..end]), &roster(), &Limits::predictions()).unwrap_err();
            let InvalidFile::Read(cause) = error else { panic!("{error}") };
            assert_eq!(cause.to_string(), "connection closed");
        }
    }
}

#[test]
fn a_file_may_arrive_in_pieces_of_any_size() {
    struct Trickle<'a>(&'a [u8]);
    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(1);
            self.0.read(&mut buffer[..count])
        }
    }
    let text = "\u{feff}\"id\",probability\r\n\"a\",0.125\r\nb,0.25\r\nc,1\r\n";
    for bytes in [text.as_bytes().to_vec(), gzip(text.as_bytes())] {
        let predictions = Predictions::read(Trickle(&bytes), &roster(), &Limits::predictions()).unwrap();
        assert_eq!(predictions.values(), [0.125, 0.25, 1.0]);
    }
    // The row gets too long with a new line in quotes.
    let limits = Limits { max_record_bytes: "idprobability".len(), ..Limits::predictions() };
    let long = b"id,probability\n\"abcdefghijklm\nx\",1\n";
    for problem in [
        Predictions::read(&long[..], &roster(), &limits).unwrap_err(),
        Predictions::read(Trickle(long), &roster(), &limits).unwrap_err(),
    ] {
        assert!(matches!(problem, InvalidFile::RowTooLong { line: 3, limit: 13 }), "{problem}");
    }
    // Only the first byte order mark is one.
    let twice = format!("\u{feff}{text}");
    for problem in [
        Predictions::read(twice.as_bytes(), &roster(), &Limits::predictions()).unwrap_err(),
        Predictions::read(Trickle(twice.as_bytes()), &roster(), &Limits::predictions()).unwrap_err(),
    ] {
        assert!(matches!(problem, InvalidFile::MissingColumn { .. }), "{problem}");
    }
}
