//! Takes `predictions.csv` out of `output.tar.gz`, the archive that a training job's output is packed in.
//!
//! This crate promises that an archive, which the submission's program decides, chooses neither where anything is written
//! nor how much memory, time or disk is used. It may not write to a path: the caller names the writer.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::rc::Rc;

use domain::{Coded, FailureCode};
use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

/// The file at the top level of the archive.
const NAME: &[u8] = b"predictions.csv";
/// An archive with more entries is refused.
const MAX_ENTRIES: u64 = 100_000;
/// How many bytes other files of the archive may take after decompression. They are skipped, but skipping takes time.
const MAX_OTHER_BYTES: u64 = 16 << 30;

/// Why an archive gives no predictions.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error(
        "Training did not write predictions.csv. Write the predictions to /opt/ml/output/data/predictions.csv, then submit again."
    )]
    Missing,
    #[error(
        "predictions.csv in the output of training is a link, a folder or a device. Write a regular file, then submit again."
    )]
    NotAFile,
    #[error("The output of training has predictions.csv twice. Write it once, then submit again.")]
    Twice,
    #[error("predictions.csv has more than {0} bytes. Write a smaller file, then submit again.")]
    TooLarge(u64),
    #[error(
        "The output of training has more than {MAX_ENTRIES} files, or is too large after decompression. Write less to /opt/ml/output/data, then submit again."
    )]
    TooMuch,
    #[error(
        "The predictions could not be written to a temporary file. The step is retried. If all retries fail, redrive the execution."
    )]
    Write(#[source] io::Error),
    /// SageMaker packs the archive, so this is not the participant's fault.
    #[error("output.tar.gz could not be read. The step is retried. If all retries fail, redrive the execution.")]
    Read(#[source] io::Error),
}

impl Coded for ArchiveError {
    fn code(&self) -> FailureCode {
        match self {
            Self::Missing => FailureCode::PredictionsMissing,
            Self::NotAFile | Self::Twice | Self::TooLarge(_) | Self::TooMuch => FailureCode::PredictionsInvalid,
            Self::Write(_) | Self::Read(_) => FailureCode::ScoringFault,
        }
    }
}

/// Copies `predictions.csv` out of a gzipped tar archive. Returns its size in bytes.
///
/// The archive decides neither where anything is written nor how much memory is used. Extension headers, such as those for
/// long names, are skipped, because the name of this file is short.
///
/// # Errors
///
/// When the file is missing, not regular, repeated or larger than `max_bytes`, or the archive is too large or damaged.
pub fn copy_predictions(reader: impl Read, max_bytes: u64, mut to: impl Write) -> Result<u64, ArchiveError> {
    let exhausted = Rc::new(Cell::new(false));
    let limit = max_bytes.saturating_add(MAX_OTHER_BYTES);
    let limited = Limited { inner: MultiGzDecoder::new(reader), left: limit, exhausted: Rc::clone(&exhausted) };
    let read = |error| if exhausted.get() { ArchiveError::TooMuch } else { ArchiveError::Read(error) };
    let mut archive = Archive::new(limited);
    let mut found = None;
    let mut entries = 0;
    for entry in archive.entries().map_err(ArchiveError::Read)?.raw(true) {
        let mut entry = entry.map_err(read)?;
        entries += 1;
        if entries > MAX_ENTRIES {
            return Err(ArchiveError::TooMuch);
        }
        let name = entry.path_bytes();
        if name.strip_prefix(b"./").unwrap_or(&name) != NAME || is_extension(entry.header().entry_type()) {
            continue;
        }
        if found.is_some() {
            return Err(ArchiveError::Twice);
        }
        if entry.header().entry_type() != EntryType::Regular {
            return Err(ArchiveError::NotAFile);
        }
        if entry.size() > max_bytes {
            return Err(ArchiveError::TooLarge(max_bytes));
        }
        let size = entry.size();
        let copied = copy(&mut entry, &mut to, read)?;
        if copied != size {
            return Err(ArchiveError::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        found = Some(copied);
    }
    to.flush().map_err(ArchiveError::Write)?;
    found.ok_or(ArchiveError::Missing)
}

/// Whether an entry only describes the one after it.
fn is_extension(kind: EntryType) -> bool {
    matches!(kind, EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader)
}

/// Copies, and distinguishes errors of reading from errors of writing.
fn copy(
    from: &mut impl Read,
    to: &mut impl Write,
    read: impl Fn(io::Error) -> ArchiveError,
) -> Result<u64, ArchiveError> {
    let mut buffer = vec![0; 64 << 10];
    let mut copied = 0;
    loop {
        match from.read(&mut buffer).map_err(&read)? {
            0 => return Ok(copied),
            count => {
                to.write_all(&buffer[..count]).map_err(ArchiveError::Write)?;
                copied += count as u64;
            }
        }
    }
}

/// A reader that fails after `left` bytes.
struct Limited<R> {
    inner: R,
    left: u64,
    exhausted: Rc<Cell<bool>>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Some(left) = self.left.checked_sub(count as u64) {
            self.left = left;
            return Ok(count);
        }
        self.exhausted.set(true);
        Err(io::Error::other("the archive unpacks to too much"))
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{Builder, Header};

    use super::*;

    const CSV: &[u8] = b"id,probability\na,0.5\n";

    fn header(kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header
    }

    fn packed(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, kind, body) in entries {
            let mut header = header(*kind, body.len() as u64);
            // Set directly, because the builder refuses hostile names.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            tar.append(&header, *body).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    fn extracted(archive: &[u8], max: u64) -> Result<Vec<u8>, ArchiveError> {
        let mut csv = Vec::new();
        copy_predictions(archive, max, &mut csv).map(|_| csv)
    }

    #[test]
    fn the_predictions_are_found_among_other_files() {
        for name in ["predictions.csv", "./predictions.csv"] {
            let archive = packed(&[
                ("./", EntryType::Directory, b""),
                ("../../etc/passwd", EntryType::Regular, b"x"),
                ("sub/predictions.csv", EntryType::Regular, b"another"),
                ("predictions.csv", EntryType::XHeader, b"18 mtime=12345.67\n"),
                (name, EntryType::Regular, CSV),
            ]);
            assert_eq!(extracted(&archive, 1000).unwrap(), CSV);
        }
    }

    #[test]
    fn anything_but_one_regular_file_is_refused() {
        let error = |entries: &[(&str, EntryType, &[u8])]| extracted(&packed(entries), 1000).unwrap_err();
        assert!(matches!(error(&[]), ArchiveError::Missing));
        assert!(matches!(error(&[("sub/predictions.csv", EntryType::Regular, CSV)]), ArchiveError::Missing));
        for kind in [EntryType::Symlink, EntryType::Link, EntryType::Fifo, EntryType::Directory, EntryType::GNUSparse] {
            assert!(matches!(error(&[("predictions.csv", kind, b"")]), ArchiveError::NotAFile), "{kind:?}");
        }
        let twice = [("predictions.csv", EntryType::Regular, CSV), ("./predictions.csv", EntryType::Regular, CSV)];
        assert!(matches!(error(&twice), ArchiveError::Twice));
    }

    #[test]
    fn the_decompressed_size_is_limited() {
        let archive = packed(&[("predictions.csv", EntryType::Regular, CSV)]);
        let max = CSV.len() as u64;
        assert_eq!(extracted(&archive, max).unwrap(), CSV);
        assert!(matches!(extracted(&archive, max - 1), Err(ArchiveError::TooLarge(_))));
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        io::copy(&mut io::repeat(0).take(1 << 20), &mut bomb).unwrap();
        let mut limited = Limited {
            inner: MultiGzDecoder::new(io::Cursor::new(bomb.finish().unwrap())),
            left: 1 << 16,
            exhausted: Rc::default(),
        };
        assert!(io::copy(&mut limited, &mut io::sink()).is_err());
        assert!(limited.exhausted.get());
    }

    #[test]
    fn a_damaged_archive_is_the_platforms_fault() {
        let archive = packed(&[("predictions.csv", EntryType::Regular, CSV)]);
        for damaged in [&archive[..archive.len() / 2], b"not gzip"] {
            assert_eq!(extracted(damaged, 1000).unwrap_err().code(), FailureCode::ScoringFault);
        }
    }
}
