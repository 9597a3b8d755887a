//! How a tournament submission is judged.
//!
//! A submission of predictions is [original](originality) if it is no near copy of an earlier one, and
//! [concordant](concordance) if its predictions behave alike on validation, test and live data, [region](Regions) by
//! region of feature space. Both compare samples by the two-sample Kolmogorov-Smirnov [statistic](ks). Against a hidden
//! [truth](Truth) it gets a [score](Metric).
//!
//! The library is pure: what it answers depends on its arguments alone, to the last bit and on every machine. It reads
//! no environment and no clock, and knows nothing of where files come from: they are any [`Read`](std::io::Read).

pub mod concordance;
mod correlation;
mod features;
mod invalid;
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
pub mod stored;
mod summary;
mod table;
mod truth;

pub use correlation::pearson;
pub use features::Features;
pub use invalid::{Capped, IdProblems, Invalid, Place};
pub use metrics::Metric;
pub use predictions::{NotAligned, Predictions};
pub use regions::Regions;
pub use roster::{Roster, Split};
pub use sorted::{SampleError, Sorted};
pub use stored::FormatError;
pub use summary::{Bounds, GRID, Summary};
pub use table::Limits;
pub use truth::Truth;
