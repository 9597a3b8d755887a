//! Servers, AWS clients and archives for tests.
//!
//! This crate promises:
//! - [`server`]: an HTTP server on a free port; the test decides each answer, including failures;
//! - [`aws`]: AWS clients that send to such a server or replay answers, without retries, so that tests see each request;
//! - [`zips`]: zip archives whose every field can be wrong;
//! - no sleeps except those that a test asks for.
//!
//! Only tests may depend on it.

#![allow(clippy::must_use_candidate, reason = "a test fails by panicking")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

pub mod aws;
pub mod server;
pub mod zips;
