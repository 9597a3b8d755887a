//! Reading every entry to its end, in the order of the file.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use crc32fast::Hasher;
use flate2::{Decompress, FlushDecompress, Status};

use super::Limits;
use super::bytes::{u16_at, u32_at};
use super::directory::read_exactly;
use super::entry::{ENCRYPTED, Entry, SIZES_FOLLOW, STORED};
use super::extra::{self, ELSEWHERE};
use super::problem::Problem;

const HEADER: u32 = 0x0403_4b50;
const HEADER_BYTES: usize = 30;
/// The longest record of sizes after an entry's data.
const MAX_SIZES_BYTES: u64 = 24;
/// Unpacked bytes that are looked at at once.
const CHUNK: usize = 64 << 10;
/// Up to this many bytes nobody minds how well they were compressed.
const RATIO_FLOOR: u64 = 1 << 20;

/// Checks that the entries fill the file up to `end` without gap and overlap, and that each unpacks to what it announces
/// within the limits; answers how many bytes all unpack to. Leaves the entries sorted by their place in the file.
pub(super) fn check<R: Read + Seek>(
    archive: &mut BufReader<R>,
    entries: &mut [Entry],
    end: u64,
    archive_bytes: u64,
    limits: &Limits,
) -> Result<u64, Problem> {
    entries.sort_by_key(|entry| entry.offset);
    if entries.first().map_or(end, |first| first.offset) != 0 {
        return Err(Problem::StrayData { place: "before its first entry" });
    }
    archive.seek(SeekFrom::Start(0))?;
    let mut unpacker = Unpacker::new(archive_bytes, limits);
    for (at, entry) in entries.iter().enumerate() {
        let next = entries.get(at + 1).map_or(end, |next| next.offset);
        check_entry(archive, entry, next, &mut unpacker)?;
    }
    Ok(unpacker.total)
}

/// Checks the entry whose local header is next in the file, up to where the one after it starts.
fn check_entry(
    archive: &mut impl BufRead,
    entry: &Entry,
    next: u64,
    unpacker: &mut Unpacker<'_>,
) -> Result<(), Problem> {
    let mut header = [0; HEADER_BYTES];
    archive.read_exact(&mut header)?;
    if u32_at(&header, 0) != HEADER {
        return Err(Problem::Damaged { name: entry.quoted(), what: "its header is missing" });
    }
    let (mut name, mut extra) = (Vec::new(), Vec::new());
    read_exactly(archive, u16_at(&header, 26), &mut name)?;
    read_exactly(archive, u16_at(&header, 28), &mut extra)?;
    compare(&header, &name, &extra, entry)?;

    let header_bytes = (HEADER_BYTES + name.len() + extra.len()) as u64;
    let data_end = entry.offset.checked_add(header_bytes).and_then(|start| start.checked_add(entry.compressed));
    let Some(rest) = data_end.and_then(|data_end| next.checked_sub(data_end)) else {
        return Err(Problem::Overlap { name: entry.quoted() });
    };
    unpacker.unpack(archive, entry)?;
    check_rest(archive, entry, rest, u16_at(&header, 6) & SIZES_FOLLOW != 0)
}

/// Refuses an entry that a tool which reads only local headers would see differently.
fn compare(header: &[u8; HEADER_BYTES], name: &[u8], extra: &[u8], entry: &Entry) -> Result<(), Problem> {
    let disagree = |what| Err(Problem::HeadersDisagree { name: entry.quoted(), what });
    let flags = u16_at(header, 6);
    if flags & ENCRYPTED != 0 {
        return Err(Problem::Encrypted { name: entry.quoted() });
    }
    if name != entry.name.as_bytes() {
        return disagree("name");
    }
    extra::check_name(extra, name)?;
    if u16_at(header, 8) != entry.method {
        return disagree("compression");
    }
    let (crc32, compressed, unpacked) = (u32_at(header, 14), u32_at(header, 18), u32_at(header, 22));
    if flags & SIZES_FOLLOW != 0 {
        let is_open = |short: u32, size: u64| matches!(short, 0 | ELSEWHERE) || u64::from(short) == size;
        if !is_open(compressed, entry.compressed) || !is_open(unpacked, entry.unpacked) {
            return disagree("size");
        }
        return Ok(());
    }
    let large = extra::large(extra, unpacked, compressed, 0)?;
    if large.compressed != entry.compressed || large.unpacked != entry.unpacked {
        return disagree("size");
    }
    if crc32 != entry.crc32 {
        return disagree("checksum");
    }
    Ok(())
}

/// Checks the bytes between an entry's data and the next entry: none, or a record of the entry's sizes.
fn check_rest(archive: &mut impl BufRead, entry: &Entry, rest: u64, sizes_follow: bool) -> Result<(), Problem> {
    const STRAY: Problem = Problem::StrayData { place: "between its entries" };
    if rest == 0 {
        return Ok(());
    }
    if !sizes_follow || rest > MAX_SIZES_BYTES {
        return Err(STRAY);
    }
    let mut record = Vec::new();
    archive.take(rest).read_to_end(&mut record)?;
    // The signature is optional, and sizes take four or eight bytes.
    let record = if rest.is_multiple_of(8) { record.strip_prefix(b"PK\x07\x08") } else { Some(record.as_slice()) };
    let crc32 = entry.crc32.to_le_bytes();
    let (compressed, unpacked) = (entry.compressed.to_le_bytes(), entry.unpacked.to_le_bytes());
    let fits = u32::try_from(entry.compressed.max(entry.unpacked)).is_ok();
    let short = [&crc32[..], &compressed[..4], &unpacked[..4]].concat();
    let long = [&crc32[..], &compressed[..], &unpacked[..]].concat();
    match record {
        Some(record) if (fits && record == short) || record == long => Ok(()),
        _ => Err(STRAY),
    }
}

/// Unpacks one entry after the other to nowhere, within the limits.
struct Unpacker<'a> {
    limits: &'a Limits,
    archive_bytes: u64,
    total: u64,
    inflate: Decompress,
    chunk: Vec<u8>,
}

impl<'a> Unpacker<'a> {
    fn new(archive_bytes: u64, limits: &'a Limits) -> Self {
        Self { limits, archive_bytes, total: 0, inflate: Decompress::new(false), chunk: vec![0; CHUNK] }
    }

    /// Reads exactly the entry's data. What comes out of it is counted, whatever the headers say.
    fn unpack(&mut self, archive: &mut impl BufRead, entry: &Entry) -> Result<(), Problem> {
        let damaged = |what| Problem::Damaged { name: entry.quoted(), what };
        let mut checksum = Hasher::new();
        let (mut left, mut unpacked, mut ended) = (entry.compressed, 0, entry.method == STORED);
        self.inflate.reset(false);
        loop {
            let input = archive.fill_buf()?;
            let input = &input[..input.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            let (used, produced);
            if entry.method == STORED {
                (used, produced) = (input.len(), input.len());
                checksum.update(input);
            } else {
                let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
                let status = self.inflate.decompress(input, &mut self.chunk, FlushDecompress::None);
                ended = match status {
                    Ok(Status::StreamEnd) => true,
                    Ok(_) => false,
                    Err(_) => return Err(damaged("its compressed data is broken")),
                };
                // Both fit: neither exceeds the length of a buffer.
                used = usize::try_from(self.inflate.total_in() - before_in).unwrap_or(usize::MAX);
                produced = usize::try_from(self.inflate.total_out() - before_out).unwrap_or(usize::MAX);
                checksum.update(&self.chunk[..produced]);
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
                return Err(damaged("its data ends too soon"));
            }
        }
        if left != 0 {
            return Err(damaged("there is more after its compressed data"));
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
