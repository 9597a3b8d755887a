//! The archive's table of contents, found from the end of the file.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::Limits;
use super::bytes::{u16_at, u32_at, u64_at};
use super::entry::{Entry, RECORD_BYTES};
use super::name::MAX_NAME_BYTES;
use super::problem::{Problem, Quoted};

const END: &[u8] = b"PK\x05\x06";
const END_BYTES: usize = 22;
const LARGE_END: u32 = 0x0606_4b50;
const LARGE_END_BYTES: usize = 56;
const LARGE_LOCATOR: u32 = 0x0706_4b50;
const LARGE_LOCATOR_BYTES: usize = 20;
const RECORD: u32 = 0x0201_4b50;

const SPLIT: Problem = Problem::BrokenDirectory { what: "it is a part of a split archive" };

/// Where the table of contents is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Directory {
    /// Where it starts; the entries' data ends there.
    pub(super) start: u64,
    /// Where it ends.
    end: u64,
    /// How many records it says it has.
    entries: u64,
}

/// Finds the table of contents in a file of this many bytes.
pub(super) fn locate<R: Read + Seek>(archive: &mut BufReader<R>, bytes: u64) -> Result<Directory, Problem> {
    // The last record can be followed by a comment of up to 65,535 bytes, so the end has to be searched for.
    let tail_start = bytes.saturating_sub((END_BYTES + usize::from(u16::MAX)) as u64);
    let mut tail = Vec::new();
    archive.seek(SeekFrom::Start(tail_start))?;
    archive.take(bytes - tail_start).read_to_end(&mut tail)?;
    let candidates = tail.len().saturating_sub(END_BYTES - END.len());
    // The last one found counts: tools that would take an earlier one see another archive, which is then refused below.
    let Some(at) = tail[..candidates].windows(END.len()).rposition(|window| window == END) else {
        return Err(identify(archive, bytes)?);
    };
    let (Some((end, comment)), end_start) = (tail[at..].split_first_chunk::<END_BYTES>(), tail_start + at as u64)
    else {
        return Err(Problem::Truncated);
    };
    let comment_bytes = usize::from(u16_at(end, 20));
    if comment.len() < comment_bytes {
        return Err(Problem::Truncated);
    }
    if comment.len() > comment_bytes {
        return Err(Problem::StrayData { place: "after its end" });
    }
    if u16_at(end, 4) != u16_at(end, 6) || u16_at(end, 8) != u16_at(end, 10) {
        return Err(SPLIT);
    }

    let short = (u64::from(u16_at(end, 10)), u64::from(u32_at(end, 12)), u64::from(u32_at(end, 16)));
    let (entries, length, start, after) = match read_large(archive, end_start)? {
        Some((large_start, entries, length, start)) => {
            let agrees = |short: u64, large: u64, elsewhere: u64| short == large || short == elsewhere;
            if !agrees(short.0, entries, u16::MAX.into())
                || !agrees(short.1, length, u32::MAX.into())
                || !agrees(short.2, start, u32::MAX.into())
            {
                return Err(Problem::BrokenDirectory { what: "its two ends disagree" });
            }
            (entries, length, start, large_start)
        }
        None if u16_at(end, 4) != 0 => return Err(SPLIT),
        None => (short.0, short.1, short.2, end_start),
    };
    match start.checked_add(length) {
        Some(end) if end == after => Ok(Directory { start, end, entries }),
        Some(end) if end < after => Err(Problem::StrayData { place: "before its first entry or in its middle" }),
        _ => Err(Problem::BrokenDirectory { what: "it points beyond the end of the file" }),
    }
}

/// The end record of an archive with large numbers: where it starts, and the number, length and start of the records.
fn read_large<R: Read + Seek>(
    archive: &mut BufReader<R>,
    end_start: u64,
) -> Result<Option<(u64, u64, u64, u64)>, Problem> {
    let Some(locator_start) = end_start.checked_sub(LARGE_LOCATOR_BYTES as u64) else { return Ok(None) };
    let locator: [u8; LARGE_LOCATOR_BYTES] = read_at(archive, locator_start)?;
    if u32_at(&locator, 0) != LARGE_LOCATOR {
        return Ok(None);
    }
    let start = u64_at(&locator, 8);
    if start.checked_add(LARGE_END_BYTES as u64) != Some(locator_start) {
        return Err(Problem::BrokenDirectory { what: "its large end is not where it should be" });
    }
    let end: [u8; LARGE_END_BYTES] = read_at(archive, start)?;
    if u32_at(&end, 0) != LARGE_END || u64_at(&end, 4) != LARGE_END_BYTES as u64 - 12 {
        return Err(Problem::BrokenDirectory { what: "its large end is malformed" });
    }
    if u32_at(&locator, 4) != 0 || u32_at(&locator, 16) > 1 || u32_at(&end, 16) != 0 || u32_at(&end, 20) != 0 {
        return Err(SPLIT);
    }
    if u64_at(&end, 24) != u64_at(&end, 32) {
        return Err(SPLIT);
    }
    Ok(Some((start, u64_at(&end, 32), u64_at(&end, 40), u64_at(&end, 48))))
}

/// Reads the whole table of contents.
pub(super) fn read<R: Read + Seek>(
    archive: &mut BufReader<R>,
    directory: &Directory,
    limits: &Limits,
) -> Result<Vec<Entry>, Problem> {
    if directory.entries > limits.entries {
        return Err(Problem::TooManyEntries { entries: directory.entries, limit: limits.entries });
    }
    archive.seek(SeekFrom::Start(directory.start))?;
    let mut records = archive.take(directory.end - directory.start);
    let (mut entries, mut name, mut extra) = (Vec::new(), Vec::new(), Vec::new());
    while records.limit() > 0 {
        if entries.len() as u64 == directory.entries {
            return Err(Problem::BrokenDirectory { what: "it holds more entries than it says" });
        }
        let mut record = [0; RECORD_BYTES];
        records.read_exact(&mut record)?;
        if u32_at(&record, 0) != RECORD {
            return Err(Problem::BrokenDirectory { what: "a record is malformed" });
        }
        read_exactly(&mut records, u16_at(&record, 28), &mut name)?;
        if name.len() > MAX_NAME_BYTES {
            return Err(Problem::Name { name: Quoted::new(&name), what: "is too long" });
        }
        read_exactly(&mut records, u16_at(&record, 30), &mut extra)?;
        entries.push(Entry::parse(&record, &name, &extra)?);
        let comment = u64::from(u16_at(&record, 32));
        if io::copy(&mut records.by_ref().take(comment), &mut io::sink())? != comment {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
    if (entries.len() as u64) < directory.entries {
        return Err(Problem::BrokenDirectory { what: "it holds fewer entries than it says" });
    }
    Ok(entries)
}

/// Reads a part of variable length into a buffer that is used again and again.
pub(super) fn read_exactly(from: &mut impl Read, length: u16, into: &mut Vec<u8>) -> io::Result<()> {
    into.resize(usize::from(length), 0);
    from.read_exact(into)
}

fn read_at<R: Read + Seek, const N: usize>(archive: &mut BufReader<R>, at: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    archive.seek(SeekFrom::Start(at))?;
    archive.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// What a file without the end of a zip archive seems to be.
fn identify<R: Read + Seek>(archive: &mut BufReader<R>, bytes: u64) -> io::Result<Problem> {
    const KINDS: [(&[u8], &str); 8] = [
        (b"\x1f\x8b", "a gzip or tar.gz archive"),
        (b"7z\xbc\xaf", "a 7z archive"),
        (b"Rar!", "a RAR archive"),
        (b"BZh", "a bzip2 archive"),
        (b"\xfd7zXZ", "an xz archive"),
        (b"\x28\xb5\x2f\xfd", "a zstd archive"),
        (b"%PDF", "a PDF document"),
        (b"<", "a web page or another text"),
    ];
    const TAR: (usize, &[u8]) = (257, b"ustar");
    let mut head = Vec::new();
    archive.seek(SeekFrom::Start(0))?;
    archive.take(512).read_to_end(&mut head)?;
    Ok(if bytes == 0 {
        Problem::Empty
    } else if head.starts_with(b"PK") {
        Problem::Truncated
    } else if head.get(TAR.0..).is_some_and(|head| head.starts_with(TAR.1)) {
        Problem::NotZip { what: "a tar archive" }
    } else {
        let known = KINDS.iter().find(|(magic, _)| head.starts_with(magic));
        Problem::NotZip { what: known.map_or("of another kind", |(_, what)| what) }
    })
}
