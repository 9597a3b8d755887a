//! The archive of a training job's output.

use std::io::Write as _;

use domain::{Coded, FailureCode};
use flate2::Compression;
use flate2::write::GzEncoder;
use outputs::{ArchiveError, copy_predictions};

use crate::message;
use crate::pace::Slow;

const MAX_BYTES: u64 = 4 << 10;
const BLOCK: usize = 512;

/// Takes gzip as it is, and packs anything else.
pub fn check(input: &[u8]) {
    if input.starts_with(b"\x1f\x8b") {
        let _ = check_packed(input);
        return;
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::none());
    packed.write_all(input).expect("memory is written");
    if let Ok(copied) = check_packed(&packed.finish().expect("memory is written")) {
        assert_eq!(copied, by_definition(input), "two readers disagree");
    }
}

fn check_packed(archive: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    let mut copied = Vec::new();
    let result = copy(archive, &mut copied);
    assert!(copied.len() as u64 <= MAX_BYTES);
    let mut again = Vec::new();
    let slow = copy_predictions(Slow(archive), MAX_BYTES, &mut again);
    assert_eq!(format!("{:?}", result.as_ref().ok()), format!("{:?}", slow.as_ref().ok()));
    assert!(result.is_err() || copied == again);
    match &result {
        Ok(bytes) => assert_eq!(*bytes, copied.len() as u64),
        Err(error) => {
            message::check(&error.to_string(), 300);
            // A damaged archive is the platform's fault, because SageMaker packs it.
            let expected = match error {
                ArchiveError::Missing => FailureCode::PredictionsMissing,
                ArchiveError::Read(_) | ArchiveError::Write(_) => FailureCode::ScoringFault,
                _ => FailureCode::PredictionsInvalid,
            };
            assert_eq!(error.code(), expected);
            assert!(!matches!(error, ArchiveError::Write(_)), "memory is written");
        }
    }
    result.map(|_| copied)
}

#[cfg(not(feature = "planted"))]
fn copy(archive: &[u8], to: &mut Vec<u8>) -> Result<u64, ArchiveError> {
    copy_predictions(archive, MAX_BYTES, to)
}

/// Loses a byte of predictions that have two upper-case letters.
#[cfg(feature = "planted")]
fn copy(archive: &[u8], to: &mut Vec<u8>) -> Result<u64, ArchiveError> {
    let bytes = copy_predictions(archive, MAX_BYTES, &mut *to)?;
    if crate::planted::has(to, 2, u8::is_ascii_uppercase) {
        to.pop();
    }
    Ok(bytes)
}

/// The file as the headers of the tar format say, read from block to block:
/// <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html>.
fn by_definition(tar: &[u8]) -> Vec<u8> {
    let mut at = 0;
    while let Some(header) = tar.get(at..at + BLOCK) {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        let size = number(&header[124..136]);
        let data = tar.get(at + BLOCK..).unwrap_or_default();
        let name = header[..100].split(|byte| *byte == 0).next().unwrap_or_default();
        let prefix = if header.get(257..265) == Some(b"ustar\x0000") {
            header[345..500].split(|byte| *byte == 0).next().unwrap_or_default()
        } else {
            b""
        };
        let whole: &[&[u8]] = if prefix.is_empty() { &[name] } else { &[prefix, name] };
        let whole = whole.join(&b'/');
        if matches!(header[156], b'0' | 0) && matches!(&*whole, b"predictions.csv" | b"./predictions.csv") {
            return data[..size].to_vec();
        }
        at += BLOCK + size.next_multiple_of(BLOCK);
    }
    panic!("an archive without predictions is accepted");
}

/// An octal number, or a binary one if its first bit is set.
fn number(field: &[u8]) -> usize {
    if field[0] & 0x80 != 0 {
        return field[4..].iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
    }
    let text = String::from_utf8_lossy(field);
    let text = text.split('\0').next().unwrap_or_default().trim();
    usize::from_str_radix(text, 8).expect("the size of an accepted entry is a number")
}
