//! Files of predictions, and values as they are stored.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use scoring::{InvalidFile, Limits, Predictions, Roster, encoding};

use crate::message;
use crate::pace::Slow;

static ROSTER: LazyLock<Roster> = LazyLock::new(|| {
    let roster = "id,data_type\na,validation\nb,test\n\"c,d\",live\n\u{e9},live\n";
    Roster::read(roster.as_bytes(), &limits()).expect("the roster is valid")
});
/// Length limit of the text about a file.
pub(crate) const MAX_MESSAGE: usize = 12_000;
const GZIP: &[u8] = b"\x1f\x8b";

/// Small enough to be reached.
pub(crate) fn limits() -> Limits {
    Limits { max_bytes: 64 << 10, max_rows: 1000, max_columns: 16, max_record_bytes: 1 << 10 }
}

pub fn check(input: &[u8]) {
    check_stored(input);
    let roster = &*ROSTER;
    let found = read(input, roster);
    check_alike(input, &found, &Predictions::read(Slow(input), roster, &limits()));
    // Compressing takes longer than all the rest, so that only some inputs are compressed.
    if !input.starts_with(GZIP) && input.len().is_multiple_of(4) {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(input).expect("memory is written");
        let packed = Predictions::read(&*packed.finish().expect("memory is written"), roster, &limits());
        assert_eq!(format!("{found:?}"), format!("{packed:?}"), "compressed input is read differently");
    }
    if !input.starts_with(GZIP)
        && let Ok(found) = &found
        && let Some(expected) = by_definition(input, roster)
    {
        assert_eq!(found.values(), expected, "two readers disagree");
    }
    let found = match found {
        Ok(found) => found,
        Err(problem) => return check_problem(&problem),
    };
    assert_eq!(found.values().len(), roster.count());
    assert!(found.values().iter().all(|value| (0.0..=1.0).contains(value) && value.is_sign_positive()));
    let mut text = "probability,id\n".to_owned();
    for ((id, _), value) in roster.iter().zip(found.values()) {
        writeln!(text, "{value:?},\"{id}\"").expect("memory is written");
    }
    let written = Predictions::read(text.as_bytes(), roster, &limits()).expect("what was written can be read");
    assert_eq!(written, found);
    let stored = encoding::aligned_to_bytes(found.values());
    assert_eq!(encoding::aligned_from_bytes(&stored).as_deref(), Ok(found.values()));
    let sorted = found.sorted().expect("values from 0 to 1 are a sample");
    assert!(sorted.values().is_sorted());
    assert_eq!(encoding::sorted_from_bytes(&encoding::sorted_to_bytes(&sorted)), Ok(sorted));
}

#[cfg(not(feature = "planted"))]
fn read(input: &[u8], roster: &Roster) -> Result<Predictions, InvalidFile> {
    Predictions::read(input, roster, &limits())
}

/// Loses the first value if the first two are large.
#[cfg(feature = "planted")]
fn read(input: &[u8], roster: &Roster) -> Result<Predictions, InvalidFile> {
    let found = Predictions::read(input, roster, &limits())?;
    let mut values = found.values().to_vec();
    if crate::planted::both([values[0] > 0.5, values[1] > 0.5]) {
        values[0] = 0.0;
    }
    Ok(Predictions::from_aligned(values, roster).expect("a value from 0 to 1"))
}

/// Checks that input in pieces is read like the whole. How much a damaged gzip file gives before its damage shows depends on the
/// pieces, and with it the problem that is found first.
pub(crate) fn check_alike<T: std::fmt::Debug>(
    input: &[u8],
    whole: &Result<T, InvalidFile>,
    pieces: &Result<T, InvalidFile>,
) {
    if !(input.starts_with(GZIP) && whole.is_err() && pieces.is_err()) {
        assert_eq!(format!("{whole:?}"), format!("{pieces:?}"), "input in pieces is read differently");
    }
}

/// Any content is the fault of the file, and its message is short and printable.
pub(crate) fn check_problem(problem: &InvalidFile) {
    assert!(!matches!(problem, InvalidFile::Read(_)), "{problem:?}");
    message::check(&problem.to_string(), MAX_MESSAGE);
}

/// The values as another reader finds them, in the order of the roster. `None` if it finds something else than numbers.
fn by_definition(input: &[u8], roster: &Roster) -> Option<Vec<f64>> {
    let text = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::None).from_reader(text);
    let trimmed = |record: &csv::ByteRecord, column: usize| {
        record.get(column).map(|field| String::from_utf8_lossy(field.trim_ascii()).into_owned())
    };
    let header = reader.byte_headers().ok()?.clone();
    let column = |name: &str| (0..header.len()).find(|column| trimmed(&header, *column).as_deref() == Some(name));
    let (id, probability) = (column("id")?, column("probability")?);
    let mut values = std::collections::BTreeMap::new();
    for record in reader.byte_records() {
        let record = record.ok()?;
        let value: f64 = trimmed(&record, probability)?.parse().ok()?;
        assert!(values.insert(trimmed(&record, id)?, value).is_none(), "an id is accepted twice");
    }
    roster.iter().map(|(id, _)| values.remove(id)).collect()
}

/// Stored values are read as they were written, or refused.
fn check_stored(bytes: &[u8]) {
    if let Ok(values) = encoding::aligned_from_bytes(bytes) {
        assert_eq!(encoding::aligned_to_bytes(&values), bytes);
    }
    if let Ok(sorted) = encoding::sorted_from_bytes(bytes) {
        assert!(sorted.values().is_sorted());
        assert_eq!(encoding::sorted_from_bytes(&encoding::sorted_to_bytes(&sorted)), Ok(sorted));
    }
    if let Ok((summary, rest)) = scoring::Summary::read(bytes) {
        assert!(bytes.ends_with(rest) && bytes.starts_with(summary.as_bytes()));
        assert!(!summary.proves_far(&summary, 0.01), "a sample is far from itself");
    }
    if let Ok(grid) = scoring::Grid::from_bytes(3, bytes) {
        assert!(grid.points().is_sorted());
        assert_eq!(grid.to_bytes(), bytes);
    }
}
