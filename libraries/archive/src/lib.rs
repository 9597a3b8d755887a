//! Verifies a submitted zip archive before it is built.
//!
//! This crate promises that an accepted archive
//! - holds only files and folders with safe names, one usable Dockerfile, and no bytes outside its entries;
//! - unpacks to exactly what it announces, within the limits, and looks the same to a second, lenient reader.
//!
//! It may not write anything, and its memory does not grow with the size of the archive: of its files, only the Dockerfile is
//! kept, up to one mebibyte. The format is specified in
//! <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>.

mod agreement;
mod contents;
mod context;
mod directory;
mod entry;
mod extra;
mod name;
mod problem;
mod records;

use std::io::{BufReader, Read, Seek, SeekFrom};

use contents::Unpacked;
pub use context::BuildContext;
pub use problem::{Problem, Similar};

/// Bytes read from the file at once.
const READ_AHEAD: usize = 256 << 10;

/// Limits of an archive, all inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Number of files and folders.
    pub entries: u64,
    /// Unpacked bytes of one entry.
    pub entry_bytes: u64,
    /// Unpacked bytes of all entries together.
    pub unpacked_bytes: u64,
    /// Unpacked size divided by compressed size, of an entry and of the archive. Applies above one mebibyte.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 10_000, entry_bytes: 2 << 30, unpacked_bytes: 4 << 30, ratio: 200 }
    }
}

/// The contents of a verified archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The folder that holds the Dockerfile.
    pub context: BuildContext,
    /// The text of the Dockerfile, whose checksum is right.
    pub dockerfile: Vec<u8>,
    /// Number of files and folders.
    pub entries: usize,
    /// Unpacked bytes of all entries.
    pub unpacked_bytes: u64,
}

/// Verifies a whole archive, reading every byte of it. Problems that show without unpacking are reported first.
pub fn verify(archive: impl Read + Seek, limits: &Limits) -> Result<Contents, Problem> {
    let mut archive = BufReader::with_capacity(READ_AHEAD, archive);
    let bytes = archive.seek(SeekFrom::End(0))?;
    let directory = directory::locate(&mut archive, bytes)?;
    let mut entries = directory::read(&mut archive, &directory, limits)?;
    entry::check_together(&mut entries, limits.entries)?;
    entries.sort_by_key(|entry| entry.offset);
    // Reported last: a Dockerfile is looked for in an archive that is sound.
    let found = context::find(&entries);
    let kept = found.as_ref().ok().map(|found| found.offset);
    let Unpacked { bytes: unpacked_bytes, kept: dockerfile } =
        contents::check(&mut archive, &entries, directory.start, bytes, limits, kept)?;
    agreement::check(&mut archive, &entries)?;
    Ok(Contents { context: found?.context, dockerfile, entries: entries.len(), unpacked_bytes })
}
