//! The archive's table of contents, which is located from the end of the file.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use crate::Limits;
use crate::entry::Entry;
use crate::name::MAX_NAME_BYTES;
use crate::problem::Problem;
use crate::records::{CentralHeader, EndOfDirectory, Zip64EndOfDirectory, Zip64Locator};
use domain::Quoted;

const SPLIT: Problem = Problem::BrokenDirectory { what: "it is part of a split archive" };

/// The position of the table of contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    /// Where it starts, and the data of the entries ends.
    pub(crate) start: u64,
    end: u64,
    /// The number of entries that it announces.
    entries: u64,
}

/// The end record of an archive with large numbers.
struct Zip64End {
    start: u64,
    record: Zip64EndOfDirectory,
}

/// Finds the table of contents in a file of `bytes` bytes.
pub(crate) fn locate<R: Read + Seek>(archive: &mut BufReader<R>, bytes: u64) -> Result<Directory, Problem> {
    // A comment of up to 65,535 bytes can follow the end record, so it has to be searched for.
    let tail_start = bytes.saturating_sub((EndOfDirectory::BYTES + usize::from(u16::MAX)) as u64);
    let mut tail = Vec::new();
    archive.seek(SeekFrom::Start(tail_start))?;
    archive.take(bytes - tail_start).read_to_end(&mut tail)?;
    let signature = EndOfDirectory::SIGNATURE;
    let candidates = tail.len().saturating_sub(EndOfDirectory::BYTES - signature.len());
    // The last match counts. A tool that would take an earlier one sees another archive, which is refused below.
    let Some(at) = tail[..candidates].windows(signature.len()).rposition(|window| window == signature) else {
        return Err(identify(archive, bytes)?);
    };
    let Some((record, comment)) = tail[at..].split_first_chunk() else { return Err(Problem::Truncated) };
    let (end, end_start) = (EndOfDirectory::parse(record), tail_start + at as u64);
    let comment_length = usize::from(end.comment_length);
    if comment.len() < comment_length {
        return Err(Problem::Truncated);
    }
    if comment.len() > comment_length {
        return Err(Problem::StrayData { place: "after its end" });
    }
    // Python takes the last signature even if no whole record follows.
    if comment.windows(signature.len()).any(|window| window == signature) {
        return Err(Problem::StrayData { place: "in its comment" });
    }
    if end.disk != end.directory_disk || end.disk_entries != end.entries {
        return Err(SPLIT);
    }

    let (entries, length, start, after) = match read_zip64_end(archive, end_start)? {
        Some(Zip64End { start: zip64_start, record: large }) => {
            let agrees = |short: u64, large: u64, elsewhere: u64| short == large || short == elsewhere;
            if !agrees(end.entries.into(), large.entries, u16::MAX.into())
                || !agrees(end.directory_size.into(), large.directory_size, u32::MAX.into())
                || !agrees(end.directory_offset.into(), large.directory_offset, u32::MAX.into())
            {
                return Err(Problem::BrokenDirectory { what: "its two end records disagree" });
            }
            (large.entries, large.directory_size, large.directory_offset, zip64_start)
        }
        None if end.disk != 0 => return Err(SPLIT),
        None => (end.entries.into(), end.directory_size.into(), end.directory_offset.into(), end_start),
    };
    match start.checked_add(length) {
        Some(end) if end == after => Ok(Directory { start, end, entries }),
        Some(end) if end < after => Err(Problem::StrayData { place: "before its first entry or between its parts" }),
        _ => Err(Problem::BrokenDirectory { what: "it points beyond the end of the file" }),
    }
}

fn read_zip64_end<R: Read + Seek>(archive: &mut BufReader<R>, end_start: u64) -> Result<Option<Zip64End>, Problem> {
    let Some(locator_start) = end_start.checked_sub(Zip64Locator::BYTES as u64) else { return Ok(None) };
    let locator = Zip64Locator::parse(&read_at(archive, locator_start)?);
    if locator.signature != Zip64Locator::SIGNATURE {
        return Ok(None);
    }
    let start = locator.end_offset;
    if start.checked_add(Zip64EndOfDirectory::BYTES as u64) != Some(locator_start) {
        return Err(Problem::BrokenDirectory { what: "its zip64 end record is in the wrong place" });
    }
    let record = Zip64EndOfDirectory::parse(&read_at(archive, start)?);
    if record.signature != Zip64EndOfDirectory::SIGNATURE
        || record.remaining_size != Zip64EndOfDirectory::REMAINING_SIZE
    {
        return Err(Problem::BrokenDirectory { what: "its zip64 end record is malformed" });
    }
    if locator.end_disk != 0 || locator.disks > 1 || record.disk != 0 || record.directory_disk != 0 {
        return Err(SPLIT);
    }
    if record.disk_entries != record.entries {
        return Err(SPLIT);
    }
    Ok(Some(Zip64End { start, record }))
}

/// Reads the whole table of contents.
pub(crate) fn read<R: Read + Seek>(
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
            return Err(Problem::BrokenDirectory { what: "it has more entries than it announces" });
        }
        let mut record = [0; CentralHeader::BYTES];
        records.read_exact(&mut record)?;
        let header = CentralHeader::parse(&record);
        if header.signature != CentralHeader::SIGNATURE {
            return Err(Problem::BrokenDirectory { what: "a record is malformed" });
        }
        read_exactly(&mut records, header.name_length, &mut name)?;
        if name.len() > MAX_NAME_BYTES {
            return Err(Problem::Name { name: Quoted::new(&name), what: "is too long" });
        }
        read_exactly(&mut records, header.extra_length, &mut extra)?;
        entries.push(Entry::new(&header, &name, &extra)?);
        let comment_length = u64::from(header.comment_length);
        if io::copy(&mut records.by_ref().take(comment_length), &mut io::sink())? != comment_length {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
    if (entries.len() as u64) < directory.entries {
        return Err(Problem::BrokenDirectory { what: "it has fewer entries than it announces" });
    }
    Ok(entries)
}

/// Reads a field of variable length into a reused buffer.
pub(crate) fn read_exactly(from: &mut impl Read, length: u16, into: &mut Vec<u8>) -> io::Result<()> {
    into.resize(usize::from(length), 0);
    from.read_exact(into)
}

fn read_at<R: Read + Seek, const N: usize>(archive: &mut BufReader<R>, at: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    archive.seek(SeekFrom::Start(at))?;
    archive.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Guesses the type of a file that has no end record.
fn identify<R: Read + Seek>(archive: &mut BufReader<R>, bytes: u64) -> io::Result<Problem> {
    const KINDS: [(&[u8], &str); 8] = [
        (b"\x1f\x8b", "a gzip or tar.gz archive"),
        (b"7z\xbc\xaf", "a 7z archive"),
        (b"Rar!", "a RAR archive"),
        (b"BZh", "a bzip2 archive"),
        (b"\xfd7zXZ", "an xz archive"),
        (b"\x28\xb5\x2f\xfd", "a zstd archive"),
        (b"%PDF", "a PDF document"),
        (b"<", "a web page or other text"),
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
        Problem::NotZip { what: known.map_or("a file of another type", |(_, what)| what) }
    })
}
