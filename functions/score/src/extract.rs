//! The predictions out of a training job's output.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::rc::Rc;

use aws_sdk_s3::primitives::ByteStream;
use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};
use shared::records::predictions_key;
use shared::{Failure, FailureCode};
use tar::{Archive, EntryType};

use crate::request::Extract;
use crate::{Deps, fault};

/// The file that counts; it stands at the top of the archive.
const NAME: &[u8] = b"predictions.csv";
/// Entries of the archive that are looked at.
const MAX_ENTRIES: u64 = 100_000;
/// How much larger than the predictions all of the archive may be, after decompression: what else training wrote is
/// passed over and still takes time.
const MAX_OTHER_BYTES: u64 = 16 << 30;

/// Why an archive gives no predictions.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// There is no such file.
    #[error("output.tar.gz has no predictions.csv at its top: write it to /opt/ml/output/data/predictions.csv")]
    Missing,
    /// The name belongs to a link, a folder or a device.
    #[error("predictions.csv in output.tar.gz is not a regular file")]
    NotAFile,
    /// The name is there again.
    #[error("predictions.csv is in output.tar.gz twice")]
    Twice,
    /// The file is too large.
    #[error("predictions.csv has more than {0} bytes")]
    TooLarge(u64),
    /// The archive has too many entries, or unpacks to too much.
    #[error("output.tar.gz has more than {MAX_ENTRIES} entries or unpacks to more than is allowed")]
    TooMuch,
    /// Where the predictions go to cannot be written.
    #[error("the predictions cannot be kept")]
    Write(#[source] io::Error),
    /// The archive cannot be read, or is no archive: it was not packed by the participant.
    #[error("output.tar.gz cannot be read")]
    Read(#[source] io::Error),
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        let code = match error {
            ArchiveError::Missing => FailureCode::PredictionsMissing,
            ArchiveError::NotAFile | ArchiveError::Twice | ArchiveError::TooLarge(_) | ArchiveError::TooMuch => {
                FailureCode::PredictionsInvalid
            }
            ArchiveError::Write(_) | ArchiveError::Read(_) => FailureCode::ScoringFault,
        };
        Self::new(code, format!("{error}.")).caused_by(error)
    }
}

/// Takes the predictions out of a training job's output, puts them where scoring looks for them, and registers the
/// submission.
pub(crate) async fn extract(event: &Extract, deps: &Deps) -> Result<Value, Failure> {
    let key = output_key(&event.model_uri, &deps.output_bucket)?;
    let missing = || Failure::from(ArchiveError::Missing);
    let version = deps.outputs.version(&key).await?.ok_or_else(missing)?;
    let max = deps.max_predictions_bytes;
    let extracted = deps.outputs.parse(&key, &version, move |reader| {
        let mut file = tempfile::NamedTempFile::new().map_err(ArchiveError::Write)?;
        predictions_in(reader, max, &mut file)?;
        Ok::<_, ArchiveError>(file)
    });
    let file = extracted.await??;
    let unreadable = |error| fault("The extracted predictions cannot be read.").caused_by(error);
    let body = ByteStream::from_path(file.path()).await.map_err(unreadable)?;
    let predictions = predictions_key(&event.round, &event.submission_id);
    deps.objects.write(&predictions, body).await?;
    deps.tables.register(&event.submission_id, &event.round, &event.user_id, event.created).await?;
    Ok(json!({"predictionsKey": predictions}))
}

/// The key of `output.tar.gz`, which SageMaker writes beside `model.tar.gz`.
fn output_key(model: &str, bucket: &str) -> Result<String, Failure> {
    let folder = model.strip_prefix("s3://").and_then(|uri| uri.strip_prefix(bucket)?.strip_prefix('/'));
    let folder = folder.and_then(|key| key.strip_suffix("model.tar.gz"));
    let folder = folder.ok_or_else(|| fault(format!("{model} is not a model of this stack.")))?;
    Ok(format!("{folder}output.tar.gz"))
}

/// Writes the one `predictions.csv` of a gzipped tar archive, and nothing else of it.
///
/// Nothing in the archive names a place to write to. Headers that extend others, such as long names, are passed over: the
/// name that counts is short. Memory does not depend on the archive.
///
/// # Errors
/// When the file is missing, not regular, there twice or larger than `max_bytes`, or the archive is too large or cannot be
/// read.
pub fn predictions_in(reader: impl Read, max_bytes: u64, mut to: impl Write) -> Result<u64, ArchiveError> {
    let exhausted = Rc::new(Cell::new(false));
    let limit = max_bytes.saturating_add(MAX_OTHER_BYTES);
    let bounded = Bounded { inner: MultiGzDecoder::new(reader), left: limit, exhausted: Rc::clone(&exhausted) };
    let read = |error| if exhausted.get() { ArchiveError::TooMuch } else { ArchiveError::Read(error) };
    let mut archive = Archive::new(bounded);
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

/// Whether an entry only says more about the one after it.
fn is_extension(kind: EntryType) -> bool {
    matches!(kind, EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader)
}

/// Copies, and keeps the two sides' errors apart.
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

/// A reader that fails once it has given too much.
struct Bounded<R> {
    inner: R,
    left: u64,
    exhausted: Rc<Cell<bool>>,
}

impl<R: Read> Read for Bounded<R> {
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
            // Set directly: the builder refuses names that a hostile archive may have.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            tar.append(&header, *body).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    fn extracted(archive: &[u8], max: u64) -> Result<Vec<u8>, ArchiveError> {
        let mut csv = Vec::new();
        predictions_in(archive, max, &mut csv).map(|_| csv)
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
    fn size_is_bounded_by_what_comes_out() {
        let archive = packed(&[("predictions.csv", EntryType::Regular, CSV)]);
        let max = CSV.len() as u64;
        assert_eq!(extracted(&archive, max).unwrap(), CSV);
        assert!(matches!(extracted(&archive, max - 1), Err(ArchiveError::TooLarge(_))));
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        io::copy(&mut io::repeat(0).take(1 << 20), &mut bomb).unwrap();
        let mut bounded = Bounded {
            inner: MultiGzDecoder::new(io::Cursor::new(bomb.finish().unwrap())),
            left: 1 << 16,
            exhausted: Rc::default(),
        };
        assert!(io::copy(&mut bounded, &mut io::sink()).is_err());
        assert!(bounded.exhausted.get());
    }

    #[test]
    fn a_damaged_archive_is_not_the_participants_fault() {
        let archive = packed(&[("predictions.csv", EntryType::Regular, CSV)]);
        for damaged in [&archive[..archive.len() / 2], b"no gzip"] {
            let failure = Failure::from(extracted(damaged, 1000).unwrap_err());
            assert_eq!(failure.code, FailureCode::ScoringFault);
        }
    }

    #[test]
    fn the_output_is_beside_the_model_in_our_bucket() {
        assert_eq!(
            output_key("s3://models/x/x-0-1/output/model.tar.gz", "models").unwrap(),
            "x/x-0-1/output/output.tar.gz"
        );
        for model in ["s3://other/x/model.tar.gz", "s3://models-2/x/model.tar.gz", "s3://models/x/model.zip", "x"] {
            assert_eq!(output_key(model, "models").unwrap_err().code, FailureCode::ScoringFault, "{model}");
        }
    }
}
