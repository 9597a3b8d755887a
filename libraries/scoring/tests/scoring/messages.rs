//! Every message about an invalid file, as participants and organisers read it.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use scoring::{Features, InvalidFile, Limits, Predictions, Regions, Roster};

fn roster() -> Roster {
    Roster::read("id,data_type\na,validation\nb,test\nc,live\n".as_bytes(), &Limits::data()).unwrap()
}

fn message<T>(read: Result<T, InvalidFile>) -> String {
    read.err().unwrap().to_string()
}

#[test]
fn of_predictions() {
    let limits = Limits { max_bytes: 300, max_rows: 3, max_columns: 4, max_record_bytes: 150 };
    let read = |bytes: &[u8]| Predictions::read(bytes, &roster(), &limits).err().unwrap();
    let many: Vec<String> = (0..12).map(|row| format!("x{row},0.5")).collect();
    let gzip = {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"id,probability\na,1\nb,1\nc,1\n").unwrap();
        encoder.finish().unwrap()
    };
    let long = "y".repeat(100);
    let cases: [(&str, Vec<u8>); 22] = [
        ("gzip that is cut off", gzip[..20].to_vec()),
        ("too many bytes", "\n".repeat(301).into()),
        ("too many rows", "id,probability\na,1\nb,1\nc,1\nd,1\n".into()),
        ("too many columns", "a,b,c,d,e\n".into()),
        ("a row that is too long", format!("id,probability\n\"a,1\n{}", "x".repeat(200)).into()),
        ("an empty file", "".into()),
        ("only a header", "id,probability\n".into()),
        ("no header", "a,0.5\nb,0.5\n".into()),
        ("a missing column", "id,prediction\na,1\n".into()),
        ("another column", "id,probability,era\na,1,1\n".into()),
        ("a column without a name", ",id,probability\n0,a,1\n".into()),
        ("a repeated column", "id,probability,id\n".into()),
        ("a decimal comma", "id,probability\na,0,5\n".into()),
        ("bytes that are not UTF-8", b"id,probability\n\xff,1\n".to_vec()),
        ("a column name that is not UTF-8", b"id,\xff\n".to_vec()),
        ("a row without an id", "id,probability\n,1\n".into()),
        ("a word", "id,probability\na,high\n".into()),
        ("an empty field", "id,probability\na,\n".into()),
        ("NaN", "id,probability\na,NaN\n".into()),
        ("a number that is too large", "id,probability\na,1.5\n".into()),
        ("a hostile field", format!("id,probability\na,\"\u{1b}[31m\"\"{long}\"\n").into()),
        ("wrong ids", "id,probability\na,1\na,1\nz,1\n".into()),
    ];
    let many = format!("id,probability\n{}", many.join("\n"));
    let mut errors: Vec<(&str, InvalidFile)> = cases.iter().map(|(what, bytes)| (*what, read(bytes))).collect();
    let ids = Predictions::read(many.as_bytes(), &roster(), &Limits::predictions());
    errors.push(("many wrong ids", ids.err().unwrap()));
    errors.push(("a failing reader", Predictions::read(Fails, &roster(), &limits).err().unwrap()));
    let lines = |text: fn(&InvalidFile) -> String| -> Vec<String> {
        errors.iter().map(|(what, error)| format!("{what}: {}", text(error))).collect()
    };
    insta::assert_snapshot!(lines(InvalidFile::to_string).join("\n"));
    insta::assert_snapshot!("of_predictions_without_quotes", lines(InvalidFile::without_quotes).join("\n"));
}

struct Fails;

impl Read for Fails {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("connection closed"))
    }
}

#[test]
fn of_data_and_regions() {
    let features = |text: &str| message(Features::read_tournament(text.as_bytes(), &Limits::data()));
    let regions = |text: &str| message(Regions::read(text.as_bytes(), &roster(), &Limits::predictions()));
    let messages = [
        format!("no features: {}", features("id,data_type\na,test\n")),
        format!("a missing feature: {}", features("id,data_type,feature1\na,test,\n")),
        format!("a feature that is too large: {}", features("id,data_type,feature1\na,test,1e16\n")),
        format!("an unknown part of the data: {}", features("id,data_type,feature1\na,train,1\n")),
        format!("a repeated id: {}", features("id,data_type,feature1\na,test,1\na,live,1\n")),
        format!("a negative region: {}", regions("id,region\na,-1\n")),
        format!("a fractional region: {}", regions("id,region\na,1.5\n")),
    ];
    insta::assert_snapshot!(messages.join("\n"));
}
