//! Counts of a sample at the points of a grid, which tell most pairs of samples apart without their values.

use crate::encoding::DecodeError;
use crate::grid::{Grid, GridId};
use crate::ratio::first_reaching;
use crate::sorted::Sorted;

const FORMAT: u8 = 1;
/// Format, grid, size of the sample, number of points.
const HEADER: usize = 1 + GridId::BYTES + 4 + 1;
/// Where the size of the sample starts.
const COUNT: usize = 1 + GridId::BYTES;

/// How many values of a sample lie at or below each point of a [`Grid`].
///
/// The largest gap between the counts of two samples is a lower bound of D, whatever the grid and the samples.
///
/// A summary is kept as it is stored, 142 bytes for 45,000 values and a full grid, and is compared in this form; integers are
/// little-endian:
///
/// | bytes | meaning |
/// |---|---|
/// | 0 | format, 1 |
/// | 1..3 | version of the grid |
/// | 3..9 | first bytes of the SHA-256 of the grid's points as f64 |
/// | 9..13 | size of the sample |
/// | 13 | number of points |
/// | 14.. | a count for each point: two bytes if the size of the sample is at most 65,535, else four |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary(Box<[u8]>);

impl Summary {
    #[must_use]
    pub fn of(sample: &Sorted, grid: &Grid) -> Self {
        let mut bytes = Vec::with_capacity(HEADER + grid.points().len() * 4);
        bytes.push(FORMAT);
        bytes.extend(grid.id().bytes());
        bytes.extend(sample.count().to_le_bytes());
        bytes.push(u8::try_from(grid.points().len()).expect("invariant: a grid has at most 64 points"));
        for count in grid.counts(sample) {
            let count = u32::try_from(count).expect("invariant: a sample has at most u32::MAX values");
            bytes.extend(&count.to_le_bytes()[..width(sample.count())]);
        }
        Self(bytes.into())
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads a summary at the start of bytes. Returns it and the bytes after it.
    ///
    /// # Errors
    /// When the format is not known, there are too few bytes, or the counts do not ascend up to the size of the sample.
    pub fn read(bytes: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let header = bytes.first_chunk::<HEADER>().ok_or(DecodeError::Length)?;
        if header[0] != FORMAT {
            return Err(DecodeError::Version { found: header[0].into() });
        }
        let (count, points) = (count_of(header), usize::from(header[HEADER - 1]));
        let (summary, rest) = bytes.split_at_checked(HEADER + points * width(count)).ok_or(DecodeError::Length)?;
        let counts = &summary[HEADER..];
        let are_valid = match width(count) {
            2 => ascend_to(count, counts.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes).into())),
            _ => ascend_to(count, counts.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes))),
        };
        if count == 0 || points == 0 || !are_valid {
            return Err(DecodeError::Count);
        }
        Ok((Self(summary.into()), rest))
    }

    /// Which grid it counts on.
    #[must_use]
    pub fn grid(&self) -> GridId {
        let mut bytes = [0; GridId::BYTES];
        bytes.copy_from_slice(&self.0[1..COUNT]);
        GridId::from_bytes(bytes)
    }

    /// The size of the sample.
    #[must_use]
    pub fn count(&self) -> u32 {
        count_of(&self.0)
    }

    /// Whether the summaries alone prove that D ≥ `threshold`. If not, D may still be anything. Summaries of different grids
    /// prove nothing.
    #[must_use]
    pub fn proves_far(&self, other: &Self, threshold: f64) -> bool {
        Far::new(threshold, self.count()).is_proven(self, other)
    }

    /// The largest |c₁n₂ − c₂n₁|, if the grid is the same.
    fn largest_gap(&self, other: &Self) -> Option<u64> {
        if self.grid() != other.grid() || self.0[HEADER - 1] != other.0[HEADER - 1] {
            return None;
        }
        let (n1, n2) = (self.count(), other.count());
        let (mine, theirs) = (&self.0[HEADER..], &other.0[HEADER..]);
        if n1 == n2 && width(n1) == 2 {
            // The usual case, as all submissions of a challenge predict the same ids: 16 bits suffice.
            let (mine, theirs) = (mine.as_chunks().0.iter(), theirs.as_chunks().0.iter());
            let gaps = mine.zip(theirs).map(|(c1, c2)| u16::from_le_bytes(*c1).abs_diff(u16::from_le_bytes(*c2)));
            return Some(u64::from(gaps.fold(0, u16::max)) * u64::from(n1));
        }
        let (n1, n2) = (u64::from(n1), u64::from(n2));
        let gaps = self.counts().zip(other.counts()).map(|(c1, c2)| (c1 * n2).abs_diff(c2 * n1));
        Some(gaps.fold(0, u64::max))
    }

    fn counts(&self) -> impl Iterator<Item = u64> + '_ {
        self.0[HEADER..].chunks_exact(width(self.count())).map(|bytes| {
            let mut count = [0; 4];
            count[..bytes.len()].copy_from_slice(bytes);
            u32::from_le_bytes(count).into()
        })
    }
}

/// Decides whether summaries prove that samples are at least a threshold apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Far {
    threshold: f64,
    /// Samples of this size are the usual case,
    count: u32,
    /// for which the gap that reaches the threshold is known.
    gap: u64,
}

impl Far {
    pub(crate) fn new(threshold: f64, count: u32) -> Self {
        Self { threshold, count, gap: first_reaching(threshold, u64::from(count) * u64::from(count)) }
    }

    pub(crate) fn is_proven(&self, first: &Summary, second: &Summary) -> bool {
        let Some(gap) = first.largest_gap(second) else { return false };
        let (n1, n2) = (first.count(), second.count());
        if (n1, n2) == (self.count, self.count) {
            return gap >= self.gap;
        }
        gap >= first_reaching(self.threshold, u64::from(n1) * u64::from(n2))
    }
}

/// The bytes of a count in a sample of this size.
fn width(count: u32) -> usize {
    if count <= u16::MAX.into() { 2 } else { 4 }
}

fn count_of(summary: &[u8]) -> u32 {
    let mut count = [0; 4];
    count.copy_from_slice(&summary[COUNT..COUNT + 4]);
    u32::from_le_bytes(count)
}

fn ascend_to(count: u32, counts: impl Iterator<Item = u32>) -> bool {
    let mut last = 0;
    // Without a branch in the loop.
    let ascend = counts.fold(true, |ascend, count| ascend & (std::mem::replace(&mut last, count) <= count));
    ascend && last <= count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn summary(values: &[f64], points: &[f64]) -> Summary {
        Summary::of(&Sorted::new(values.to_vec()).unwrap(), &Grid::from_points(1, points.to_vec()).unwrap())
    }

    #[test]
    fn values_count_at_the_points_at_or_above_them() {
        let counts = |values: &[f64]| summary(values, &[0.0, 0.25, 0.5]).counts().collect::<Vec<_>>();
        assert_eq!(counts(&[-1.0, -0.0, 0.0, 5e-324, 0.25, 0.25_f64.next_up(), 0.5, 0.9]), [3, 5, 7]);
        assert_eq!(counts(&[0.6]), [0, 0, 0]);
        assert_eq!(counts(&[-1e308]), [1, 1, 1]);
    }

    #[test]
    fn values_between_the_same_points_prove_nothing() {
        let (first, second) = (summary(&[0.1, 0.2], &[0.0, 0.5]), summary(&[0.3], &[0.0, 0.5]));
        assert!(!first.proves_far(&second, f64::MIN_POSITIVE));
        assert!(first.proves_far(&second, 0.0));
    }

    #[test]
    fn samples_at_opposite_ends_are_proven_far() {
        let (first, second) = (summary(&[0.0; 3], &[0.5]), summary(&[1.0; 2], &[0.5]));
        assert!(first.proves_far(&second, 1.0) && !first.proves_far(&second, 1.5));
        assert!(!first.proves_far(&first, f64::MIN_POSITIVE));
    }

    #[test]
    fn summaries_of_different_grids_prove_nothing() {
        let values = Sorted::new(vec![0.0; 3]).unwrap();
        let others = Sorted::new(vec![1.0; 3]).unwrap();
        let [first, second] = [0.5, 0.6].map(|point| Grid::from_points(1, vec![point]).unwrap());
        let later = Grid::from_points(2, vec![0.5]).unwrap();
        for (grid, is_far) in [(&first, true), (&second, false), (&later, false)] {
            assert_eq!(Summary::of(&values, &first).proves_far(&Summary::of(&others, grid), 0.5), is_far);
        }
    }

    #[test]
    fn the_bytes_follow_the_documented_format() {
        let grid = Grid::from_points(7, vec![0.25, 0.5]).unwrap();
        let bytes = Summary::of(&Sorted::new(vec![0.1, 0.3, 0.9]).unwrap(), &grid);
        let mut expected = vec![1, 7, 0];
        expected.extend(&grid.id().bytes()[2..]);
        expected.extend([3, 0, 0, 0, 2, 1, 0, 2, 0]);
        assert_eq!(bytes.as_bytes(), expected);
        let large = Summary::of(&Sorted::new(vec![0.3; 70_000]).unwrap(), &grid);
        assert_eq!(large.as_bytes()[HEADER..], [0, 0, 0, 0, 0x70, 0x11, 1, 0]);
        assert_eq!(Summary::of(&Sorted::new(vec![0.5; 45_000]).unwrap(), &Grid::uniform()).as_bytes().len(), 142);
    }

    #[test]
    fn bytes_that_were_not_encoded_here_are_refused() {
        let bytes = summary(&[0.25, 0.5, 0.5], &[0.3, 0.6]).as_bytes().to_vec();
        for end in 0..bytes.len() {
            assert_eq!(Summary::read(&bytes[..end]), Err(DecodeError::Length));
        }
        let changed = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            Summary::read(&bytes).map(|_| ())
        };
        assert_eq!(changed(0, 2), Err(DecodeError::Version { found: 2 }));
        assert_eq!(changed(9, 2), Err(DecodeError::Count), "a count above the size");
        assert_eq!(changed(9, 0), Err(DecodeError::Count), "an empty sample");
        assert_eq!(changed(HEADER, 4), Err(DecodeError::Count), "counts that descend");
        assert_eq!(changed(HEADER - 1, 0), Err(DecodeError::Count), "no points");
        assert_eq!(changed(HEADER - 1, 3), Err(DecodeError::Length));
    }

    proptest! {
        #[test]
        fn reading_returns_the_encoded_summary(
            values in prop::collection::vec(0.0..=1.0_f64, 1..300), points in prop::collection::btree_set(0..1000_u16, 1..60),
            rest in prop::collection::vec(any::<u8>(), 0..5),
        ) {
            let points: Vec<f64> = points.into_iter().map(|point| f64::from(point) / 1000.0).collect();
            let summary = summary(&values, &points);
            let bytes = [summary.as_bytes(), &rest].concat();
            prop_assert_eq!(Summary::read(&bytes), Ok((summary, &rest[..])));
        }

        #[test]
        fn hostile_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), points in 0..4_u8) {
            if let [format, .., _] = &mut bytes[..] {
                *format = FORMAT;
            }
            if bytes.len() > HEADER {
                bytes[HEADER - 1] = points;
            }
            let _ = Summary::read(&bytes);
        }
    }
}
