//! The two extra fields that change an entry: large sizes (zip64) and a second name.

use crate::problem::Problem;
use domain::Quoted;

const ZIP64: u16 = 0x0001;
const UNICODE_PATH: u16 = 0x7075;
/// Marks a size or offset that is in the zip64 extra field.
pub(crate) const ELSEWHERE: u32 = u32::MAX;

const BROKEN: Problem = Problem::BrokenDirectory { what: "an extra field is malformed" };

/// The sizes and offset of a header, including those in the zip64 extra field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) unpacked: u64,
    pub(crate) compressed: u64,
    /// Of the local header. Zero in a local header itself.
    pub(crate) offset: u64,
}

/// Reads the sizes that do not fit the header from the zip64 extra field.
pub(crate) fn sizes(extra: &[u8], unpacked: u32, compressed: u32, offset: u32) -> Result<Sizes, Problem> {
    let mut numbers = find(extra, ZIP64)?.unwrap_or_default();
    let mut next = |short: u32| -> Result<u64, Problem> {
        if short != ELSEWHERE {
            return Ok(u64::from(short));
        }
        let (number, rest) = numbers.split_first_chunk().ok_or(BROKEN)?;
        numbers = rest;
        Ok(u64::from_le_bytes(*number))
    };
    Ok(Sizes { unpacked: next(unpacked)?, compressed: next(compressed)?, offset: next(offset)? })
}

/// Refuses a second name that differs from the first: tools differ in which one they use.
pub(crate) fn check_name(extra: &[u8], name: &[u8]) -> Result<(), Problem> {
    // One version byte, four bytes of checksum of the first name, then the second name.
    match find(extra, UNICODE_PATH)? {
        Some([_, _, _, _, _, other @ ..]) if other != name => {
            Err(Problem::HeadersDisagree { name: Quoted::new(name), what: "name" })
        }
        _ => Ok(()),
    }
}

/// Finds the field of a kind. Two of one kind are ambiguous.
fn find(mut extra: &[u8], kind: u16) -> Result<Option<&[u8]>, Problem> {
    let mut found = None;
    // Some tools add up to three zeros at the end. bsdtar refuses anything else.
    while let Some((&[kind_low, kind_high, length_low, length_high], rest)) = extra.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes([length_low, length_high]));
        let (field, rest) = rest.split_at_checked(length).ok_or(BROKEN)?;
        if u16::from_le_bytes([kind_low, kind_high]) == kind && found.replace(field).is_some() {
            return Err(BROKEN);
        }
        extra = rest;
    }
    if extra.iter().any(|byte| *byte != 0) {
        return Err(BROKEN);
    }
    Ok(found)
}
