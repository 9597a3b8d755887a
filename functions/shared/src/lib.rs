//! What more than one function of the Marathon Match Processor needs.
//!
//! Nothing in here calls AWS, but for the secret of the Submission API's client: the SDK's crates stay in the functions
//! that use them.

pub mod failure;
pub mod id;
pub mod metrics;
pub mod outcome;
pub mod settings;
pub mod start;
#[cfg(feature = "submission-api")]
pub mod submission_api;

pub use failure::{Failure, FailureCode, Fault};
pub use id::{AwsSafeId, SubmissionId};
