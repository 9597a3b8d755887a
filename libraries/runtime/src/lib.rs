//! The parts that all Lambda functions share: start, settings, AWS configuration, errors and metrics.
//!
//! This crate promises:
//! - a missing or malformed setting stops the function with an error that names the variable, never its value;
//! - every AWS call has a connect and a read timeout and at most three attempts;
//! - the state machine gets an error's failure code and message; the log gets its whole chain of causes;
//! - a metric is one line on standard output and never delays or fails an invocation.
//!
//! It may not know any single function and may not depend on the SDK crate of any service.

pub mod aws;
mod call;
pub mod failure;
mod logging;
pub mod metrics;
pub mod settings;
mod start;

pub use call::CallFailed;
pub use failure::Raised;
pub use start::{answer, run, serve};
