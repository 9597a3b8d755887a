//! Stand-ins for what the emulator lacks. Each takes the same requests and gives the same answers, failures included.

pub mod activity;
pub mod aws;
mod buildspec;
pub mod code_build;
mod job_log;
pub mod jobs;
pub(crate) mod output_archive;
pub mod sage_maker;
pub mod submission_api;
