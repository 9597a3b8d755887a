//! The points at which summaries count.
//!
//! A grid never changes once a summary uses it, and summaries of different grids are not compared. So a challenge keeps
//! all its [`Grids`], and the scored submission is counted on each of them.

mod pool;

use sha2::{Digest, Sha256};

use crate::encoding::DecodeError;
use crate::sorted::Sorted;
pub use pool::Pool;

/// The most points that a grid has.
pub const POINTS: usize = 64;

/// What identifies a grid: its version, and a digest of its points.
///
/// The digest keeps summaries apart whose grids have the same version but not the same points, such as after one of two
/// stores was restored from a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridId([u8; GridId::BYTES]);

impl GridId {
    /// Two bytes of version, and the first six bytes of the digest.
    pub(crate) const BYTES: usize = 8;

    fn of(version: u16, points: &[f64]) -> Self {
        let mut digest = Sha256::new();
        for point in points {
            digest.update(point.to_le_bytes());
        }
        let [v0, v1] = version.to_le_bytes();
        let [d0, d1, d2, d3, d4, d5, ..]: [u8; 32] = digest.finalize().into();
        Self([v0, v1, d0, d1, d2, d3, d4, d5])
    }

    pub(crate) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(self) -> [u8; Self::BYTES] {
        self.0
    }

    #[must_use]
    pub fn version(self) -> u16 {
        let [v0, v1, ..] = self.0;
        u16::from_le_bytes([v0, v1])
    }
}

/// 1 to [`POINTS`] finite numbers in strictly ascending order.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    id: GridId,
    points: Vec<f64>,
}

impl Grid {
    /// Version 0, which needs no predictions: 0, 1/64, …, 63/64.
    #[must_use]
    pub fn uniform() -> Self {
        Self::from_points(0, uniform().collect()).expect("invariant: the points ascend")
    }

    /// A grid at the quantiles of a pool of samples. Where the pool has fewer than [`POINTS`] different quantiles, evenly
    /// spaced points fill it up: no pool leaves a part of [0, 1] without points.
    #[must_use]
    pub fn of_pool(version: u16, pool: &Pool) -> Self {
        let mut points = pool.quantiles(POINTS);
        for point in bisecting() {
            if points.len() == POINTS {
                break;
            }
            if let Err(place) = points.binary_search_by(|other| other.total_cmp(&point)) {
                points.insert(place, point);
            }
        }
        Self::from_points(version, points).expect("invariant: the quantiles of samples are finite and sorted")
    }

    /// A grid at these points.
    ///
    /// # Errors
    /// When there is none or more than [`POINTS`], or they are not finite and strictly ascending.
    pub fn from_points(version: u16, points: Vec<f64>) -> Result<Self, DecodeError> {
        let ascend = points.windows(2).all(|pair| pair[0] < pair[1]);
        if points.is_empty() || points.len() > POINTS || !ascend || !points.iter().all(|point| point.is_finite()) {
            return Err(DecodeError::Grid);
        }
        Ok(Self { id: GridId::of(version, &points), points })
    }

    #[must_use]
    pub fn id(&self) -> GridId {
        self.id
    }

    #[must_use]
    pub fn points(&self) -> &[f64] {
        &self.points
    }

    /// How many values of a sample lie at or below each point.
    pub(crate) fn counts<'a>(&'a self, sample: &'a Sorted) -> impl Iterator<Item = usize> + 'a {
        let values = sample.values();
        let mut below = 0;
        self.points.iter().map(move |point| {
            below += values[below..].partition_point(|value| value <= point);
            below
        })
    }

    /// The points as little-endian f64.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.points.iter().flat_map(|point| point.to_le_bytes()).collect()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// When the bytes are not the points of a grid.
    pub fn from_bytes(version: u16, bytes: &[u8]) -> Result<Self, DecodeError> {
        let (points, remainder) = bytes.as_chunks::<8>();
        if !remainder.is_empty() {
            return Err(DecodeError::Length);
        }
        Self::from_points(version, points.iter().map(|point| f64::from_le_bytes(*point)).collect())
    }
}

/// All grids of a challenge. Version 0 is always there.
#[derive(Clone, Debug, PartialEq)]
pub struct Grids(Vec<Grid>);

impl Default for Grids {
    fn default() -> Self {
        Self(vec![Grid::uniform()])
    }
}

impl Grids {
    /// The grid of version 0, and the later ones in the order of their versions, from [`Grid::to_bytes`].
    ///
    /// # Errors
    /// When one of them is not valid.
    pub fn from_bytes<'a>(later: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, DecodeError> {
        let mut grids = Self::default();
        for bytes in later {
            let grid = Grid::from_bytes(grids.next_version(), bytes)?;
            grids.0.push(grid);
        }
        Ok(grids)
    }

    /// These grids and one more, at the quantiles of a pool.
    #[must_use]
    pub fn with_pool(&self, pool: &Pool) -> Self {
        let mut grids = self.clone();
        grids.0.push(Grid::of_pool(self.next_version(), pool));
        grids
    }

    fn next_version(&self) -> u16 {
        u16::try_from(self.0.len()).expect("invariant: a challenge has a handful of grids")
    }

    /// In ascending order of version.
    pub fn iter(&self) -> impl Iterator<Item = &Grid> {
        self.0.iter()
    }

    /// All but the grid of version 0, which needs not be stored.
    pub fn later(&self) -> impl Iterator<Item = &Grid> {
        self.0.iter().skip(1)
    }

    #[must_use]
    pub fn newest(&self) -> &Grid {
        self.0.last().expect("invariant: version 0 is always there")
    }

    #[must_use]
    pub fn get(&self, id: GridId) -> Option<&Grid> {
        self.0.get(usize::from(id.version())).filter(|grid| grid.id == id)
    }
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn uniform() -> impl Iterator<Item = f64> {
    (0..POINTS).map(|point| point as f64 / POINTS as f64)
}

/// 0, 1/2, 1/4, 3/4, 1/8, 3/8, …: every beginning of it is spread over [0, 1]. More than [`POINTS`] numbers.
fn bisecting() -> impl Iterator<Item = f64> {
    let halves = (1..=8).flat_map(|power| {
        let parts = 1_u32 << power;
        (1..parts).step_by(2).map(move |part| f64::from(part) / f64::from(parts))
    });
    std::iter::once(0.0).chain(halves)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pool(samples: &[Vec<f64>]) -> Pool {
        let mut pool = Pool::default();
        for sample in samples {
            pool.add(&Sorted::new(sample.clone()).unwrap());
        }
        pool
    }

    #[test]
    fn points_that_are_not_a_grid_are_refused() {
        for points in [vec![], vec![0.5, 0.5], vec![0.6, 0.5], vec![f64::NAN], vec![0.0, f64::INFINITY]] {
            assert_eq!(Grid::from_points(1, points.clone()), Err(DecodeError::Grid), "{points:?}");
        }
        let many: Vec<f64> = (0..=POINTS).map(|point| f64::from(u32::try_from(point).unwrap())).collect();
        assert_eq!(Grid::from_points(1, many), Err(DecodeError::Grid));
        let bytes = Grid::uniform().to_bytes();
        assert_eq!(Grid::from_bytes(0, &bytes[1..]), Err(DecodeError::Length));
        assert_eq!(Grid::from_bytes(0, &bytes), Ok(Grid::uniform()));
    }

    #[test]
    fn grids_of_the_same_version_or_the_same_points_are_told_apart() {
        let ids = [(1, 0.5), (1, 0.6), (2, 0.5)].map(|(version, point)| {
            let id = Grid::from_points(version, vec![point]).unwrap().id();
            assert_eq!(id.version(), version);
            id
        });
        assert!(ids[0] != ids[1] && ids[0] != ids[2]);
        let grids = Grids::from_bytes([&0.5_f64.to_le_bytes()[..]]).unwrap();
        assert_eq!((grids.get(ids[0]), grids.get(ids[1]), grids.get(ids[2])), (Some(grids.newest()), None, None));
        assert_eq!(grids.get(Grid::uniform().id()), Some(&Grid::uniform()));
    }

    #[test]
    fn stored_grids_are_read_back() {
        let grids = Grids::default().with_pool(&pool(&[vec![0.4, 0.6]]));
        let grids = grids.with_pool(&pool(&[vec![0.5; 9]]));
        let stored: Vec<Vec<u8>> = grids.later().map(Grid::to_bytes).collect();
        assert_eq!(stored.len(), 2);
        assert_eq!(Grids::from_bytes(stored.iter().map(Vec::as_slice)), Ok(grids));
        assert_eq!(Grids::from_bytes([&[0; 7][..]]), Err(DecodeError::Length));
    }

    proptest! {
        #[test]
        fn every_pool_gives_a_full_grid_that_covers_the_unit_interval(
            samples in prop::collection::vec(prop::collection::vec(
                prop_oneof![Just(0.0), Just(1.0), Just(0.5), 0.0..=1.0_f64, 0.5..0.5001_f64, -1e3..1e3_f64], 1..90), 1..9),
        ) {
            let grid = Grid::of_pool(1, &pool(&samples));
            prop_assert_eq!(grid.points().len(), POINTS);
            let constant = Grid::of_pool(1, &pool(&[vec![samples[0][0]; 5]]));
            let inside: Vec<f64> = constant.points().iter().copied().filter(|point| (0.0..=1.0).contains(point)).collect();
            let widest = inside.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
            prop_assert!(widest <= 1.0 / 32.0, "{widest}");
        }
    }
}
