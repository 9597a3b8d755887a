//! Runs the state machines on virtual time: the definitions as they are deployed, the functions' own decisions, and models of
//! the services with their quotas.
//!
//! This crate promises:
//! - it reads the definitions themselves, refuses what it does not model, and evaluates JSONata with the reference
//!   implementation;
//! - the same plan and definitions give the same result;
//! - a submission that is lost, reported twice, blamed wrongly or failed is found.
//!
//! It may not decide what the deployed code decides, and assumptions about services are named as such.

mod account;
pub mod definition;
pub mod evening;
mod functions;
pub mod json;
pub mod jsonata;
pub mod ledger;
pub mod plan;
mod quota;
mod random;
pub mod result;
mod services;
mod stack;
pub mod step_functions;
mod submissions;
pub mod table;
pub mod time;
mod topic;
pub mod wait;
