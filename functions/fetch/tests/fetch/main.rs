//! The function as a whole: hostile archives, its calls to AWS, and its way from an event to an answer.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod archives;
mod aws;
mod flow;
mod random;
// Written for the client's own tests, which use more of it.
#[allow(dead_code)]
#[path = "../../../shared/tests/submission_api/server.rs"]
mod server;
mod zips;
