//! The whole system on one machine: the real functions, template and definitions on an emulator of AWS, real containers,
//! a Kafka broker, and stand-ins for what the emulator lacks.
//!
//! | module | stands for |
//! |---|---|
//! | [`stack`] | everything, started and stopped together |
//! | [`emulator`], [`clients`] | AWS |
//! | [`deploy`] | `sam deploy` and what an operator prepares before it |
//! | [`broker`], [`poller`] | Kafka and Lambda's event source mapping |
//! | [`stand_in`] | the Submission API, and the two service integrations that the emulator lacks |
//! | [`challenge`] | what an organiser prepares for a challenge that is scored |
//! | [`parameters`] | CloudFormation's check of parameters |
//! | [`watch`] | the Step Functions console |
//!
//! This crate promises that everything it starts (processes, containers, ports, folders) ends with it, even when it is
//! killed. It is for rehearsals and tests: no deployed code may depend on it.

pub mod broker;
pub mod challenge;
pub mod clients;
pub mod deploy;
pub mod emulator;
pub mod engine;
pub mod pack;
pub mod parameters;
pub mod poller;
pub mod process;
pub mod stack;
pub mod stand_in;
pub mod watch;
