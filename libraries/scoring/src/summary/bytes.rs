//! Encoding and decoding a summary.

use super::{POINTS, Summary};
use crate::encoding::{DecodeError, Header};

const MAGIC: [u8; 4] = *b"KSSM";
const VERSION: u16 = 1;

impl Summary {
    /// Encodes the summary: at most 20 KiB, less than 5 KiB for 45,000 values.
    ///
    /// After the header of 16 bytes (see [`encoding`](crate::encoding); its count is the sample's size) comes one number
    /// for each of the 4097 points: how many values lie above the point before and at or below this one. Numbers are
    /// unsigned LEB128. A zero is followed by the number of further zeros, so that a run of zeros takes two numbers.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Header { magic: MAGIC, version: VERSION, kind: 0, count: u64::from(self.count()) }.to_bytes();
        let mut last = 0;
        let mut zeros = 0_u32;
        for at in &self.at_or_below {
            let rise = at - last;
            last = *at;
            if rise == 0 {
                zeros += 1;
                continue;
            }
            put_zeros(&mut bytes, &mut zeros);
            put(&mut bytes, rise);
        }
        put_zeros(&mut bytes, &mut zeros);
        bytes
    }

    /// Decodes what [`to_bytes`](Self::to_bytes) encoded, and nothing else.
    ///
    /// # Errors
    /// When format, version or length are wrong, or the numbers do not add up to the header's count.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (header, mut rest) = Header::read(bytes, MAGIC, VERSION)?;
        let mut counts = Vec::with_capacity(POINTS);
        let mut sum = 0_u64;
        while counts.len() < POINTS {
            let rise = take(&mut rest)?;
            sum += u64::from(rise);
            counts.push(rise);
            if rise == 0 {
                let further = take(&mut rest)? as usize;
                if further > POINTS - counts.len() {
                    return Err(DecodeError::Length);
                }
                counts.resize(counts.len() + further, 0);
            }
        }
        if !rest.is_empty() {
            return Err(DecodeError::Length);
        }
        if sum != header.count || sum == 0 || sum > u64::from(u32::MAX) {
            return Err(DecodeError::Count);
        }
        Ok(Self::from_counts(counts))
    }
}

fn put_zeros(bytes: &mut Vec<u8>, zeros: &mut u32) {
    if let Some(further) = zeros.checked_sub(1) {
        bytes.push(0);
        put(bytes, further);
        *zeros = 0;
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn take(bytes: &mut &[u8]) -> Result<u32, DecodeError> {
    let mut number = 0_u32;
    for shift in (0..35).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(DecodeError::Length)?;
        *bytes = rest;
        let part = u32::from(byte & 0x7f);
        if part << shift >> shift != part {
            return Err(DecodeError::Count);
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(DecodeError::Count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sorted::Sorted;

    #[test]
    fn bytes_that_were_not_encoded_here_are_refused() {
        let bytes = Summary::of(&Sorted::new(vec![0.25, 0.5, 0.5]).unwrap()).to_bytes();
        assert!(bytes.len() < 30);
        for end in 0..bytes.len() {
            assert!(Summary::from_bytes(&bytes[..end]).is_err());
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(Summary::from_bytes(&longer), Err(DecodeError::Length));
        let mut other = bytes.clone();
        other[8] = 4;
        assert_eq!(Summary::from_bytes(&other), Err(DecodeError::Count));
        other[4] = 2;
        assert_eq!(Summary::from_bytes(&other), Err(DecodeError::Version { found: 2 }));
        other[0] = 0;
        assert_eq!(Summary::from_bytes(&other), Err(DecodeError::Magic));
    }

    proptest! {
        #[test]
        fn decoding_returns_the_encoded_summary(values in prop::collection::vec(0.0..=1.0_f64, 1..300), narrow in any::<bool>()) {
            let values = if narrow { values.iter().map(|value| 0.49 + value / 50.0).collect() } else { values };
            let summary = Summary::of(&Sorted::new(values).unwrap());
            prop_assert_eq!(Summary::from_bytes(&summary.to_bytes()), Ok(summary));
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), count in any::<u8>()) {
            let mut all = Header { magic: MAGIC, version: VERSION, kind: 0, count: count.into() }.to_bytes();
            all.extend(bytes);
            let _ = Summary::from_bytes(&all);
        }
    }
}
