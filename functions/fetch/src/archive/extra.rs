//! An entry's extra fields, of which two change what the entry is: large sizes and another name.

use super::problem::{Problem, Quoted};

const ZIP64: u16 = 0x0001;
const UNICODE_PATH: u16 = 0x7075;
/// A size or offset that stands in the extra field for large ones.
pub(super) const ELSEWHERE: u32 = u32::MAX;

const BROKEN: Problem = Problem::BrokenDirectory { what: "an extra field is malformed" };

/// The sizes and offset of a header, with those that stand in the extra field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Large {
    pub(super) unpacked: u64,
    pub(super) compressed: u64,
    /// Zero for a local header, which has none.
    pub(super) offset: u64,
}

/// Reads large sizes in place of those that do not fit the header.
pub(super) fn large(extra: &[u8], unpacked: u32, compressed: u32, offset: u32) -> Result<Large, Problem> {
    let mut numbers = find(extra, ZIP64)?.unwrap_or_default();
    let mut next = |short: u32| -> Result<u64, Problem> {
        if short != ELSEWHERE {
            return Ok(u64::from(short));
        }
        let (number, rest) = numbers.split_first_chunk().ok_or(BROKEN)?;
        numbers = rest;
        Ok(u64::from_le_bytes(*number))
    };
    Ok(Large { unpacked: next(unpacked)?, compressed: next(compressed)?, offset: next(offset)? })
}

/// Refuses a second name that differs from the first: some tools take the one and some the other.
pub(super) fn check_name(extra: &[u8], name: &[u8]) -> Result<(), Problem> {
    // A version byte, a checksum of the first name, and the second name.
    match find(extra, UNICODE_PATH)? {
        Some([_, _, _, _, _, other @ ..]) if other != name => {
            Err(Problem::HeadersDisagree { name: Quoted::new(name), what: "name" })
        }
        _ => Ok(()),
    }
}

/// The field of this kind; two of one kind are ambiguous.
fn find(mut extra: &[u8], kind: u16) -> Result<Option<&[u8]>, Problem> {
    let mut found = None;
    // Up to three bytes at the end are alignment, which some tools add.
    while let Some((&[kind_low, kind_high, length_low, length_high], rest)) = extra.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes([length_low, length_high]));
        let (field, rest) = rest.split_at_checked(length).ok_or(BROKEN)?;
        if u16::from_le_bytes([kind_low, kind_high]) == kind && found.replace(field).is_some() {
            return Err(BROKEN);
        }
        extra = rest;
    }
    Ok(found)
}
