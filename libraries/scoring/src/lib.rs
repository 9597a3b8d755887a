//! Scores a submission of predictions: [originality], [concordance] and a [`Metric`] against the hidden [`Truth`].
//!
//! This crate promises:
//! - the same arguments give the same result, to the last bit, on every machine and for every number of threads;
//! - files are read in bounded memory, and an error quotes only an escaped and shortened part of them;
//! - originality reads the values of an earlier submission only where the two summaries cannot decide the pair.
//!
//! It may not read the environment, the clock or any file: the caller passes in every [`Read`](std::io::Read).

pub mod concordance;
mod correlation;
pub mod encoding;
mod features;
mod grid;
mod invalid_file;
pub mod kmeans;
pub mod ks;
pub mod metrics;
pub mod originality;
mod predictions;
mod radix;
mod ratio;
mod regions;
mod roster;
mod sorted;
mod summary;
mod table;
mod truth;

pub use correlation::pearson;
pub use encoding::DecodeError;
pub use features::Features;
pub use grid::{Grid, GridId, Grids, POINTS, Pool};
pub use invalid_file::{IdProblems, InvalidFile, Location, SomeIds};
pub use metrics::Metric;
pub use predictions::{NotAligned, Predictions};
pub use regions::Regions;
pub use roster::{Roster, Split};
pub use sorted::{SampleError, Sorted};
pub use summary::Summary;
pub use table::Limits;
pub use truth::Truth;
