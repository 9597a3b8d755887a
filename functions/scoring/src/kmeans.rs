//! K-Means that gives the same clusters on every machine and for every number of threads.
//!
//! Lloyd's iterations from starts chosen by k-means++ (D. Arthur and S. Vassilvitskii, *k-means++: the advantages of
//! careful seeding*, SODA 2007; greedy, the best of 2 + ⌊ln k⌋ candidates, as scikit-learn does it). Why the result is
//! always the same: distances are sums over the features in their order, in single precision and without fused
//! multiply-add; rows are worked on in chunks of fixed size whose partial sums are added in their order; random numbers
//! come from PCG, whose streams are fixed; ties go to the lower index.

mod chunks;
mod lloyd;
mod rows;
mod seeding;

use rand_core::SeedableRng;
use rand_pcg::Pcg64Mcg;

pub use rows::Rows;

/// How to cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct KMeans {
    /// Number of clusters, at least 1; default 5.
    pub clusters: usize,
    /// Number of starts, of which the one with the least inertia wins, the first of equal ones; at least 1, the default.
    pub n_init: usize,
    /// Iterations at most for each start, at least 1; default 300.
    pub max_iter: usize,
    /// A start ends when the centers' squared shifts sum up to no more than this many mean variances of a feature;
    /// default 1e-4. With 0 it ends when no row changes its cluster.
    pub tolerance: f64,
    /// Where the random numbers begin; default 1337.
    pub seed: u64,
}

impl Default for KMeans {
    fn default() -> Self {
        Self { clusters: 5, n_init: 1, max_iter: 300, tolerance: 1e-4, seed: 1337 }
    }
}

/// What clustering found.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// The cluster of each row, from 0: that of the nearest center, the lower one of equally near ones.
    pub labels: Vec<u32>,
    /// The centers, each as many numbers as there are features.
    pub centers: Vec<Vec<f64>>,
    /// The sum of the rows' squared distances from their centers.
    pub inertia: f64,
    /// Iterations of the winning start.
    pub iterations: usize,
}

/// Why rows cannot be clustered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KMeansError {
    /// A parameter is below 1.
    #[error("{0} must be at least 1")]
    Parameter(&'static str),
    /// There are fewer rows than clusters.
    #[error("{rows} rows cannot make {clusters} clusters")]
    TooFewRows {
        /// How many rows there are.
        rows: usize,
        /// How many clusters there should be.
        clusters: usize,
    },
}

impl KMeans {
    /// Clusters rows; `threads` (0 counts as 1) changes the time it takes and nothing else.
    ///
    /// A cluster that loses all its rows takes over the row that is farthest from its center.
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
        let enough = self.tolerance * lloyd::mean_variance(rows, threads);
        let mut best: Option<Clusters> = None;
        for _ in 0..self.n_init {
            let centers = seeding::choose(rows, self.clusters, &mut random, threads);
            let found = lloyd::run(rows, centers, self.max_iter, enough, threads);
            if best.as_ref().is_none_or(|best| found.inertia < best.inertia) {
                best = Some(found);
            }
        }
        best.ok_or(KMeansError::Parameter("n_init"))
    }
}
