//! Reads every entry to its end, in the order of the file.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use crc32fast::Hasher;
use flate2::{Decompress, FlushDecompress, Status};

use crate::Limits;
use crate::directory::read_exactly;
use crate::entry::{ENCRYPTED, Entry, SIZES_FOLLOW, STORED};
use crate::extra::{self, ELSEWHERE};
use crate::problem::Problem;
use crate::records::{DataDescriptor, LocalHeader};

/// Unpacked bytes that are checked at once.
const CHUNK: usize = 64 << 10;
/// The compression ratio is not limited up to this many unpacked bytes.
const RATIO_FLOOR: u64 = 1 << 20;

/// What the entries unpack to.
pub(crate) struct Unpacked {
    /// The size of all entries.
    pub(crate) bytes: u64,
    /// The data of the entry to keep.
    pub(crate) kept: Vec<u8>,
}

/// Checks that the entries fill the file up to `end` without gaps and overlaps, and that each unpacks to the announced
/// size within the limits. The entries have to be sorted by their position in the file. The data of the entry at the offset
/// `kept` is returned, all other data is discarded.
pub(crate) fn check<R: Read + Seek>(
    archive: &mut BufReader<R>,
    entries: &[Entry],
    end: u64,
    archive_bytes: u64,
    limits: &Limits,
    kept: Option<u64>,
) -> Result<Unpacked, Problem> {
    if entries.first().map_or(end, |first| first.offset) != 0 {
        return Err(Problem::StrayData { place: "before its first entry" });
    }
    archive.seek(SeekFrom::Start(0))?;
    let mut unpacker = Unpacker::new(archive_bytes, limits, kept);
    for (at, entry) in entries.iter().enumerate() {
        let next = entries.get(at + 1).map_or(end, |next| next.offset);
        check_entry(archive, entry, next, &mut unpacker)?;
    }
    Ok(Unpacked { bytes: unpacker.total, kept: unpacker.kept })
}

/// Checks the entry whose local header is next in the file, up to the start of the following entry.
fn check_entry(
    archive: &mut impl BufRead,
    entry: &Entry,
    next: u64,
    unpacker: &mut Unpacker<'_>,
) -> Result<(), Problem> {
    let mut record = [0; LocalHeader::BYTES];
    archive.read_exact(&mut record)?;
    let header = LocalHeader::parse(&record);
    if header.signature != LocalHeader::SIGNATURE {
        return Err(Problem::Damaged { name: entry.quoted(), what: "its header is missing" });
    }
    let (mut name, mut extra) = (Vec::new(), Vec::new());
    read_exactly(archive, header.name_length, &mut name)?;
    read_exactly(archive, header.extra_length, &mut extra)?;
    compare(&header, &name, &extra, entry)?;

    let header_bytes = (LocalHeader::BYTES + name.len() + extra.len()) as u64;
    let data_end = entry.offset.checked_add(header_bytes).and_then(|start| start.checked_add(entry.compressed));
    let Some(rest) = data_end.and_then(|data_end| next.checked_sub(data_end)) else {
        return Err(Problem::Overlap { name: entry.quoted() });
    };
    unpacker.unpack(archive, entry)?;
    check_rest(archive, entry, rest, header.flags & SIZES_FOLLOW != 0)
}

/// Refuses an entry that looks different to a tool that reads only local headers.
fn compare(header: &LocalHeader, name: &[u8], extra: &[u8], entry: &Entry) -> Result<(), Problem> {
    let disagree = |what| Err(Problem::HeadersDisagree { name: entry.quoted(), what });
    if header.flags & ENCRYPTED != 0 {
        return Err(Problem::Encrypted { name: entry.quoted() });
    }
    if name != entry.name.as_bytes() {
        return disagree("name");
    }
    extra::check_name(extra, name)?;
    if header.method != entry.method {
        return disagree("compression");
    }
    if header.flags & SIZES_FOLLOW != 0 {
        let is_open = |short: u32, size: u64| matches!(short, 0 | ELSEWHERE) || u64::from(short) == size;
        if !is_open(header.compressed_size, entry.compressed) || !is_open(header.uncompressed_size, entry.unpacked) {
            return disagree("size");
        }
        return Ok(());
    }
    let sizes = extra::sizes(extra, header.uncompressed_size, header.compressed_size, 0)?;
    if sizes.compressed != entry.compressed || sizes.unpacked != entry.unpacked {
        return disagree("size");
    }
    if header.crc32 != entry.crc32 {
        return disagree("checksum");
    }
    Ok(())
}

/// Checks the bytes between an entry's data and the next entry: none, or the entry's data descriptor if it announces one.
fn check_rest(archive: &mut impl BufRead, entry: &Entry, rest: u64, sizes_follow: bool) -> Result<(), Problem> {
    const STRAY: Problem = Problem::StrayData { place: "between its entries" };
    if rest == 0 {
        // unzip and Go refuse an entry that announces a data descriptor and has none.
        let missing = Problem::Damaged { name: entry.quoted(), what: "its sizes do not follow its data" };
        return if sizes_follow { Err(missing) } else { Ok(()) };
    }
    if !sizes_follow || rest > DataDescriptor::MAX_BYTES {
        return Err(STRAY);
    }
    let mut record = Vec::new();
    archive.take(rest).read_to_end(&mut record)?;
    let is_of_entry = DataDescriptor::parse(&record).is_some_and(|descriptor| {
        (descriptor.crc32, descriptor.compressed_size, descriptor.uncompressed_size)
            == (entry.crc32, entry.compressed, entry.unpacked)
    });
    if is_of_entry { Ok(()) } else { Err(STRAY) }
}

/// Unpacks entries within the limits and discards the data, except that of one entry.
struct Unpacker<'a> {
    limits: &'a Limits,
    keeps: Option<u64>,
    kept: Vec<u8>,
    archive_bytes: u64,
    total: u64,
    inflate: Decompress,
    chunk: Vec<u8>,
}

impl<'a> Unpacker<'a> {
    fn new(archive_bytes: u64, limits: &'a Limits, keeps: Option<u64>) -> Self {
        let (inflate, chunk) = (Decompress::new(false), vec![0; CHUNK]);
        Self { limits, keeps, kept: Vec::new(), archive_bytes, total: 0, inflate, chunk }
    }

    /// Reads exactly the entry's data and counts the bytes that it really unpacks to.
    fn unpack(&mut self, archive: &mut impl BufRead, entry: &Entry) -> Result<(), Problem> {
        let damaged = |what| Problem::Damaged { name: entry.quoted(), what };
        let mut checksum = Hasher::new();
        let is_kept = self.keeps == Some(entry.offset);
        let (mut left, mut unpacked, mut ended) = (entry.compressed, 0, entry.method == STORED);
        self.inflate.reset(false);
        loop {
            let input = archive.fill_buf()?;
            let input = &input[..input.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            let (used, produced);
            if entry.method == STORED {
                (used, produced) = (input.len(), input.len());
                checksum.update(input);
                if is_kept {
                    self.kept.extend_from_slice(input);
                }
            } else {
                let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
                let status = self.inflate.decompress(input, &mut self.chunk, FlushDecompress::None);
                ended = match status {
                    Ok(Status::StreamEnd) => true,
                    Ok(_) => false,
                    Err(_) => return Err(damaged("its compressed data is not valid")),
                };
                used = buffered(self.inflate.total_in() - before_in);
                produced = buffered(self.inflate.total_out() - before_out);
                checksum.update(&self.chunk[..produced]);
                if is_kept {
                    self.kept.extend_from_slice(&self.chunk[..produced]);
                }
            }
            archive.consume(used);
            left -= used as u64;
            unpacked += produced as u64;
            self.count(entry, unpacked, produced as u64)?;
            if unpacked > entry.unpacked {
                return Err(damaged("it unpacks to more than it announces"));
            }
            if ended && (left == 0 || entry.method != STORED) {
                break;
            }
            if used == 0 && produced == 0 {
                return Err(damaged("its data ends too early"));
            }
        }
        if left != 0 {
            return Err(damaged("its compressed data has extra bytes at the end"));
        }
        if unpacked != entry.unpacked {
            return Err(damaged("it unpacks to less than it announces"));
        }
        if checksum.finalize() != entry.crc32 {
            return Err(damaged("its checksum is wrong"));
        }
        Ok(())
    }

    fn count(&mut self, entry: &Entry, unpacked: u64, more: u64) -> Result<(), Problem> {
        self.total += more;
        let Limits { entry_bytes, unpacked_bytes, ratio, .. } = *self.limits;
        let is_bomb =
            |unpacked: u64, compressed: u64| unpacked > RATIO_FLOOR && unpacked > compressed.saturating_mul(ratio);
        if is_bomb(unpacked, entry.compressed) || is_bomb(self.total, self.archive_bytes) {
            return Err(Problem::Bomb { name: entry.quoted(), limit: ratio });
        }
        if unpacked > entry_bytes {
            return Err(Problem::EntryTooLarge { name: entry.quoted(), limit: entry_bytes });
        }
        if self.total > unpacked_bytes {
            return Err(Problem::UnpackedTooLarge { limit: unpacked_bytes });
        }
        Ok(())
    }
}

/// The number of bytes that inflating read from or wrote to a buffer.
fn buffered(bytes: u64) -> usize {
    usize::try_from(bytes).expect("invariant: not more than the length of the buffer")
}
