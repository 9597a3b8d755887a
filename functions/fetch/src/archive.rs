//! Verifying a submitted archive before anything unpacks it.
//!
//! The reader here is stricter than any unpacking tool, so that whatever passes means the same to all of them: every
//! byte of the file belongs to exactly one part of the archive, both headers of an entry agree, and all entries unpack
//! to what they announce. The `zip` crate, a lenient reader, has to have seen the same. Nothing is written, and memory
//! does not grow with the archive's size. The format is specified in
//! <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>.

mod agreement;
mod bytes;
mod contents;
mod context;
mod directory;
mod entry;
mod extra;
mod name;
mod problem;

use std::io::{BufReader, Read, Seek, SeekFrom};

pub use context::BuildContext;
pub use problem::Problem;

/// Bytes that are read from the file at once.
const READ_AHEAD: usize = 256 << 10;

/// What an archive may hold. All limits are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files and folders.
    pub entries: u64,
    /// Bytes that one entry unpacks to.
    pub entry_bytes: u64,
    /// Bytes that all entries together unpack to.
    pub unpacked_bytes: u64,
    /// How many times its compressed size an entry, or the whole archive, unpacks to. Up to a mebibyte counts as none.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 10_000, entry_bytes: 2 << 30, unpacked_bytes: 4 << 30, ratio: 200 }
    }
}

/// What a verified archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The folder that holds the Dockerfile.
    pub context: BuildContext,
    /// How many files and folders there are.
    pub entries: usize,
    /// Bytes that they unpack to.
    pub unpacked_bytes: u64,
}

/// Verifies a whole archive, reading every byte of it.
///
/// # Errors
///
/// The first problem found, beginning with those that do not take unpacking to find.
pub fn verify(archive: impl Read + Seek, limits: &Limits) -> Result<Contents, Problem> {
    let mut archive = BufReader::with_capacity(READ_AHEAD, archive);
    let bytes = archive.seek(SeekFrom::End(0))?;
    let directory = directory::locate(&mut archive, bytes)?;
    let mut entries = directory::read(&mut archive, &directory, limits)?;
    entry::check_together(&mut entries)?;
    let unpacked_bytes = contents::check(&mut archive, &mut entries, directory.start, bytes, limits)?;
    agreement::check(&mut archive, &entries)?;
    Ok(Contents { context: context::find(&entries)?, entries: entries.len(), unpacked_bytes })
}
