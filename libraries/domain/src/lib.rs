//! The terms that all parts of the product share: submission and challenge ids, failures, steps and outcomes.
//!
//! This crate promises:
//! - submission ids become AWS names in one place only ([`SubmissionId::aws_safe`]), and no two ids share a name;
//! - every [`FailureCode`] has exactly one [`Fault`];
//! - one part writes JSON (outcomes, scores, step errors) as the type that the other parts read.
//!
//! It may not read the environment or the clock and may not call a service: it is data, and rules on data.

mod challenge;
pub mod console;
mod decimals;
pub mod execution;
pub mod failure;
pub mod id;
pub mod outcome;
mod quoted;
mod reporting;
mod role;
mod scores;
mod step_error;
pub mod tags;

pub use challenge::{ChallengeId, InvalidChallengeId};
pub use decimals::{Decimals, InvalidDecimals};
pub use failure::{Coded, FailureCode, Fault};
pub use id::{AwsSafeId, SubmissionId};
pub use quoted::Quoted;
pub use reporting::{Logs, Reporting};
pub use role::Role;
pub use scores::{MetricResult, OriginalityResult, Scores};
pub use step_error::StepError;
