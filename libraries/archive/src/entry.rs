//! One entry of the archive's table of contents.

use crate::extra;
use crate::name;
use crate::problem::Problem;
use crate::records::CentralHeader;
use domain::Quoted;

/// Encrypted, strongly encrypted, or with masked headers.
pub(crate) const ENCRYPTED: u16 = 1 << 0 | 1 << 6 | 1 << 13;
/// The data is a patch to other data.
const PATCH: u16 = 1 << 5;
/// The sizes follow the data.
pub(crate) const SIZES_FOLLOW: u16 = 1 << 3;

pub(crate) const STORED: u16 = 0;
pub(crate) const DEFLATED: u16 = 8;

/// Version 6.3 of the format, the newest one. Tools leave out entries that need a newer version than they know.
const NEWEST_VERSION: u16 = 63;

const FILE_TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

/// A file or folder in the archive.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) method: u16,
    pub(crate) crc32: u32,
    pub(crate) compressed: u64,
    pub(crate) unpacked: u64,
    /// Where its local header starts.
    pub(crate) offset: u64,
}

impl Entry {
    /// Checks everything that one record of the table of contents shows by itself.
    pub(crate) fn new(header: &CentralHeader, name: &[u8], extra: &[u8]) -> Result<Self, Problem> {
        let quoted = || Quoted::new(name);
        let name = name::check(name).map_err(|what| Problem::Name { name: quoted(), what })?;
        extra::check_name(extra, name.as_bytes())?;
        if header.flags & ENCRYPTED != 0 {
            return Err(Problem::Encrypted { name: quoted() });
        }
        if header.flags & PATCH != 0 || !matches!(header.method, STORED | DEFLATED) {
            return Err(Problem::Method { name: quoted(), method: header.method });
        }
        if header.version_needed & 0xff > NEWEST_VERSION {
            return Err(Problem::BrokenDirectory { what: "an entry needs a newer version of the format" });
        }
        if header.disk_start != 0 {
            return Err(Problem::BrokenDirectory { what: "it is part of a split archive" });
        }
        let sizes = extra::sizes(extra, header.uncompressed_size, header.compressed_size, header.local_header_offset)?;
        let entry = Self {
            name: name.to_owned(),
            method: header.method,
            crc32: header.crc32,
            compressed: sizes.compressed,
            unpacked: sizes.unpacked,
            offset: sizes.offset,
        };
        entry.check_kind(header.unix_mode())?;
        if header.is_dos_folder() && !entry.is_folder() {
            let what = "a folder by its attributes but a file by its name";
            return Err(Problem::Special { name: entry.quoted(), what });
        }
        Ok(entry)
    }

    /// Refuses links, devices and contradictions. The mode counts for any operating system in the header, because some
    /// tools use it that way.
    fn check_kind(&self, mode: u32) -> Result<(), Problem> {
        let special = |what| Err(Problem::Special { name: self.quoted(), what });
        match mode & FILE_TYPE {
            0 | REGULAR => {}
            FOLDER if self.is_folder() => {}
            FOLDER => return special("a folder by its mode but a file by its name"),
            0o120_000 => return special("a symbolic link"),
            0o010_000 => return special("a named pipe"),
            0o140_000 => return special("a socket"),
            0o020_000 | 0o060_000 => return special("a device"),
            _ => return special("of an unknown type"),
        }
        if self.is_folder() && self.unpacked != 0 {
            return special("a folder that has data");
        }
        if !self.is_folder() && self.components().next().is_none() {
            return special("a file with the name of a folder");
        }
        Ok(())
    }

    pub(crate) fn is_folder(&self) -> bool {
        self.name.ends_with('/')
    }

    pub(crate) fn components(&self) -> impl Iterator<Item = &str> {
        name::components(&self.name)
    }

    pub(crate) fn quoted(&self) -> Quoted {
        Quoted::new(self.name.as_bytes())
    }
}

/// Checks that no two entries have the same path and that no entry is below a file. Sorts the entries by path.
pub(crate) fn check_together(entries: &mut [Entry], limit: u64) -> Result<(), Problem> {
    // In this order, an entry directly follows the path that it is below.
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
    match paths(entries) {
        paths if paths > limit => Err(Problem::TooManyEntries { entries: paths, limit }),
        _ => Ok(()),
    }
}

/// The files and folders that unpacking makes, with the folders that are only part of other names. The entries have to be
/// sorted by their components.
fn paths(entries: &[Entry]) -> u64 {
    let new = |(at, entry): (usize, &Entry)| {
        let before = at.checked_sub(1).map(|before| &entries[before]);
        let shared = before.map_or(0, |before| {
            before.components().zip(entry.components()).take_while(|(one, other)| one == other).count()
        });
        (entry.components().count() - shared) as u64
    };
    entries.iter().enumerate().map(new).sum()
}
