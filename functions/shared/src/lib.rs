//! What more than one function of the Marathon Match Processor needs.
//!
//! The SDK's crates for single services stay in the functions that use them, but for what several of them read the same
//! way: the secret of the Submission API's client and the table of submissions.

pub mod aws;
pub mod clean;
pub mod console;
pub mod execution;
pub mod failure;
pub mod id;
pub mod metrics;
pub mod outcome;
#[cfg(feature = "records")]
pub mod records;
pub mod round;
pub mod settings;
pub mod start;
#[cfg(feature = "submission-api")]
pub mod submission_api;

pub use failure::{Failure, FailureCode, Fault};
pub use id::{AwsSafeId, SubmissionId};
pub use round::Round;
