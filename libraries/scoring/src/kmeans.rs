//! K-Means that gives the same clusters on every machine and for every number of threads.
//!
//! Lloyd's iterations from starts chosen by k-means++ (D. Arthur and S. Vassilvitskii, *k-means++: the advantages of
//! careful seeding*, SODA 2007; greedy, the best of 2 + ⌊ln k⌋ candidates, as in scikit-learn). The result is always the
//! same because distances are summed over the features in order, in single precision and without fused multiply-add; rows
//! are processed in chunks of fixed size, whose partial sums are added in order; random numbers come from PCG, whose
//! streams are fixed; and ties go to the lower index.

mod chunks;
mod lloyd;
mod rows;
mod seeding;

use rand_core::SeedableRng;
use rand_pcg::Pcg64Mcg;

pub use rows::Rows;

/// The parameters of clustering.
#[derive(Clone, Debug, PartialEq)]
pub struct KMeans {
    /// Number of clusters, at least 1; default 5.
    pub clusters: usize,
    /// Number of starts, at least 1; default 1. The start with the least inertia wins, the first one if several tie.
    pub n_init: usize,
    /// Maximum number of iterations of each start, at least 1; default 300.
    pub max_iter: usize,
    /// A start ends when the centers' squared shifts add up to at most this multiple of the features' mean variance;
    /// default 1e-4. With 0 it ends when no row changes its cluster.
    pub tolerance: f64,
    /// Seed of the random numbers; default 1337.
    pub seed: u64,
}

impl Default for KMeans {
    fn default() -> Self {
        Self { clusters: 5, n_init: 1, max_iter: 300, tolerance: 1e-4, seed: 1337 }
    }
}

/// The result of clustering.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// The cluster of each row, from 0: the one with the nearest center, the lower one if two are equally near.
    pub labels: Vec<u32>,
    /// One number for each feature of each center.
    pub centers: Vec<Vec<f64>>,
    /// The sum of the squared distances of all rows from their centers.
    pub inertia: f64,
    /// Iterations of the winning start.
    pub iterations: usize,
}

/// Why rows cannot be clustered. The texts are fragments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KMeansError {
    #[error("{0} must be at least 1")]
    Parameter(&'static str),
    #[error("{rows} rows are too few for {clusters} clusters")]
    TooFewRows { rows: usize, clusters: usize },
    /// The features and the roster come from different files.
    #[error("there are {rows} rows of features for {ids} ids")]
    FewerRowsThanIds { rows: usize, ids: usize },
}

impl KMeans {
    /// Clusters rows. `threads` (0 counts as 1) changes only the time it takes.
    ///
    /// A cluster that loses all its rows gets the row that is farthest from its center.
    ///
    /// # Errors
    /// When a parameter is out of range, or there are fewer rows than clusters.
    pub fn fit(&self, rows: &Rows, threads: usize) -> Result<Clusters, KMeansError> {
        let parameters = [("clusters", self.clusters), ("n_init", self.n_init), ("max_iter", self.max_iter)];
        if let Some((name, _)) = parameters.into_iter().find(|(_, value)| *value == 0) {
            return Err(KMeansError::Parameter(name));
        }
        if rows.count() < self.clusters || u32::try_from(self.clusters).is_err() {
            return Err(KMeansError::TooFewRows { rows: rows.count(), clusters: self.clusters });
        }
        let threads = threads.max(1);
        let mut random = Pcg64Mcg::seed_from_u64(self.seed);
        let max_shift = self.tolerance * lloyd::mean_variance(rows, threads);
        let mut start = || {
            let centers = seeding::choose(rows, self.clusters, &mut random, threads);
            lloyd::run(rows, centers, self.max_iter, max_shift, threads)
        };
        let mut best = start();
        for _ in 1..self.n_init {
            let found = start();
            if found.inertia < best.inertia {
                best = found;
            }
        }
        Ok(best)
    }
}
