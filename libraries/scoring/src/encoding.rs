//! Values as bytes.
//!
//! The first 16 bytes keep the numbers after them aligned; all integers are little-endian:
//!
//! | bytes | meaning |
//! |---|---|
//! | 0..4 | magic: `KSVL` |
//! | 4..6 | version, 1 |
//! | 6..8 | kind: 0 for values in ascending order, 1 for values in ascending order of their ids |
//! | 8..16 | count |
//!
//! Values follow as `count` little-endian f64, and nothing after them.

use crate::sorted::{SampleError, Sorted};

const MAGIC: [u8; 4] = *b"KSVL";
const VERSION: u16 = 1;
const SORTED: u16 = 0;
const ALIGNED: u16 = 1;
const HEADER_BYTES: usize = 16;

/// Why bytes cannot be decoded. The texts are fragments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the bytes have another format")]
    Magic,
    #[error("version {found} is not known")]
    Version { found: u16 },
    /// The bytes hold something other than what was asked for, such as values in another order.
    #[error("the bytes are of kind {found}, expected {expected}")]
    Kind { expected: u16, found: u16 },
    #[error("there are too few or too many bytes")]
    Length,
    #[error("the counts do not ascend up to the size of the sample")]
    Count,
    #[error("the points are not a grid: 1 to {} finite numbers in strictly ascending order", crate::grid::POINTS)]
    Grid,
    #[error("the values are not usable: {0}")]
    Values(#[from] SampleError),
}

/// A sample in ascending order: 16 bytes, and 8 for each value.
#[must_use]
pub fn sorted_to_bytes(sample: &Sorted) -> Vec<u8> {
    to_bytes(sample.values(), SORTED)
}

/// Reads what [`sorted_to_bytes`] wrote.
///
/// # Errors
/// When format, version, order or length are wrong, or the values are not finite and ascending.
pub fn sorted_from_bytes(bytes: &[u8]) -> Result<Sorted, DecodeError> {
    Ok(Sorted::from_ascending(from_bytes(bytes, SORTED)?)?)
}

/// Values in ascending order of their ids: 16 bytes, and 8 for each value.
#[must_use]
pub fn aligned_to_bytes(values: &[f64]) -> Vec<u8> {
    to_bytes(values, ALIGNED)
}

/// Reads what [`aligned_to_bytes`] wrote.
///
/// # Errors
/// When format, version, order or length are wrong, or a value is not finite.
pub fn aligned_from_bytes(bytes: &[u8]) -> Result<Vec<f64>, DecodeError> {
    let values = from_bytes(bytes, ALIGNED)?;
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(SampleError::NotFinite { index }.into()),
        None => Ok(values),
    }
}

fn to_bytes(values: &[f64], kind: u16) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + values.len() * 8);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(kind.to_le_bytes());
    bytes.extend((values.len() as u64).to_le_bytes());
    for value in values {
        bytes.extend(value.to_le_bytes());
    }
    bytes
}

fn from_bytes(bytes: &[u8], expected: u16) -> Result<Vec<f64>, DecodeError> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(DecodeError::Length)?;
    let [m0, m1, m2, m3, v0, v1, k0, k1, count @ ..] = *header;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(DecodeError::Magic);
    }
    let version = u16::from_le_bytes([v0, v1]);
    if version != VERSION {
        return Err(DecodeError::Version { found: version });
    }
    let found = u16::from_le_bytes([k0, k1]);
    if found != expected {
        return Err(DecodeError::Kind { expected, found });
    }
    let (values, remainder) = rest.as_chunks::<8>();
    if values.len() as u64 != u64::from_le_bytes(count) || !remainder.is_empty() {
        return Err(DecodeError::Length);
    }
    Ok(values.iter().map(|value| f64::from_le_bytes(*value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_follow_the_documented_format() {
        let bytes = sorted_to_bytes(&Sorted::new(vec![0.5, 0.25]).unwrap());
        let mut expected = b"KSVL\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00".to_vec();
        expected.extend(0.25_f64.to_le_bytes());
        expected.extend(0.5_f64.to_le_bytes());
        assert_eq!(bytes, expected);
        assert_eq!(sorted_from_bytes(&bytes).unwrap().values(), [0.25, 0.5]);
    }

    #[test]
    fn bytes_that_were_not_written_here_are_refused() {
        let bytes = sorted_to_bytes(&Sorted::new(vec![0.5, 0.25]).unwrap());
        for end in 0..bytes.len() {
            assert_eq!(sorted_from_bytes(&bytes[..end]), Err(DecodeError::Length));
        }
        assert_eq!(aligned_from_bytes(&bytes), Err(DecodeError::Kind { expected: 1, found: 0 }));
        let mut other = bytes.clone();
        other.push(0);
        assert_eq!(sorted_from_bytes(&other), Err(DecodeError::Length));
        let mut descending = bytes.clone();
        descending[16..].rotate_left(8);
        let not_ascending = SampleError::NotAscending { index: 1 };
        assert_eq!(sorted_from_bytes(&descending), Err(DecodeError::Values(not_ascending)));
        let mut huge = bytes;
        huge[8..16].fill(0xff);
        assert_eq!(sorted_from_bytes(&huge), Err(DecodeError::Length));
        let not_finite = DecodeError::Values(SampleError::NotFinite { index: 0 });
        assert_eq!(aligned_from_bytes(&aligned_to_bytes(&[f64::NAN])), Err(not_finite));
        assert_eq!(sorted_from_bytes(&to_bytes(&[], SORTED)), Err(DecodeError::Values(SampleError::Empty)));
    }

    #[test]
    fn aligned_values_keep_their_order() {
        assert_eq!(aligned_from_bytes(&aligned_to_bytes(&[0.5, 0.25])), Ok(vec![0.5, 0.25]));
    }
}
