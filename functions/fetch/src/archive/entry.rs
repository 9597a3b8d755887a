//! One entry of the archive's table of contents.

use super::bytes::{u16_at, u32_at};
use super::extra;
use super::name;
use super::problem::{Problem, Quoted};

/// Length of a record in the table of contents, without its name, extra fields and comment.
pub(super) const RECORD_BYTES: usize = 46;

/// Encrypted, strongly encrypted, or with masked headers.
pub(super) const ENCRYPTED: u16 = 1 << 0 | 1 << 6 | 1 << 13;
/// Not the data but a patch to other data.
const PATCH: u16 = 1 << 5;
/// The sizes follow the data instead of preceding it.
pub(super) const SIZES_FOLLOW: u16 = 1 << 3;

pub(super) const STORED: u16 = 0;
pub(super) const DEFLATED: u16 = 8;

const FILE_TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

/// A file or folder.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) method: u16,
    pub(super) crc32: u32,
    pub(super) compressed: u64,
    pub(super) unpacked: u64,
    /// Where its local header starts.
    pub(super) offset: u64,
}

impl Entry {
    /// Reads a record of the table of contents and checks what can be checked of it alone.
    pub(super) fn parse(record: &[u8; RECORD_BYTES], name: &[u8], extra: &[u8]) -> Result<Self, Problem> {
        let quoted = || Quoted::new(name);
        let name = name::check(name).map_err(|what| Problem::Name { name: quoted(), what })?;
        extra::check_name(extra, name.as_bytes())?;
        let (flags, method) = (u16_at(record, 8), u16_at(record, 10));
        if flags & ENCRYPTED != 0 {
            return Err(Problem::Encrypted { name: quoted() });
        }
        if flags & PATCH != 0 || !matches!(method, STORED | DEFLATED) {
            return Err(Problem::Method { name: quoted(), method });
        }
        if u16_at(record, 34) != 0 {
            return Err(Problem::BrokenDirectory { what: "it is a part of a split archive" });
        }
        let large = extra::large(extra, u32_at(record, 24), u32_at(record, 20), u32_at(record, 42))?;
        let entry = Self {
            name: name.to_owned(),
            method,
            crc32: u32_at(record, 16),
            compressed: large.compressed,
            unpacked: large.unpacked,
            offset: large.offset,
        };
        entry.check_kind(u32_at(record, 38) >> 16)?;
        Ok(entry)
    }

    /// Refuses links, devices and contradictions. The mode is looked at whatever system the header names: some tools do.
    fn check_kind(&self, mode: u32) -> Result<(), Problem> {
        let special = |what| Err(Problem::Special { name: self.quoted(), what });
        match mode & FILE_TYPE {
            0 | REGULAR => {}
            FOLDER if self.is_folder() => {}
            FOLDER => return special("a folder by its mode and a file by its name"),
            0o120_000 => return special("a symbolic link"),
            0o010_000 => return special("a named pipe"),
            0o140_000 => return special("a socket"),
            0o020_000 | 0o060_000 => return special("a device"),
            _ => return special("of an unknown kind"),
        }
        if self.is_folder() && self.unpacked != 0 {
            return special("a folder with contents of its own");
        }
        if !self.is_folder() && self.components().next().is_none() {
            return special("a file with the name of a folder");
        }
        Ok(())
    }

    pub(super) fn is_folder(&self) -> bool {
        self.name.ends_with('/')
    }

    pub(super) fn components(&self) -> impl Iterator<Item = &str> {
        name::components(&self.name)
    }

    pub(super) fn quoted(&self) -> Quoted {
        Quoted::new(self.name.as_bytes())
    }
}

/// Checks that no two entries have one path and that nothing is below a file. Leaves the entries sorted by path.
pub(super) fn check_together(entries: &mut [Entry]) -> Result<(), Problem> {
    // In this order whatever is below a path comes right after it.
    entries.sort_by(|one, other| one.components().cmp(other.components()));
    for pair in entries.windows(2) {
        let [one, other] = pair else { continue };
        if one.components().eq(other.components()) {
            return Err(Problem::Duplicate { name: other.quoted() });
        }
        let mut below = other.components();
        if !one.is_folder() && one.components().all(|component| below.next() == Some(component)) {
            return Err(Problem::BelowFile { name: other.quoted() });
        }
    }
    Ok(())
}
