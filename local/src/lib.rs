//! The whole system on one machine: the real functions, template and definitions on an emulator of AWS, real containers,
//! a Kafka broker, and stand-ins for what is not AWS.
//!
//! | module | stands for |
//! |---|---|
//! | [`stack`] | everything, started and stopped together |
//! | [`emulator`] | AWS |
//! | [`deploy`] | `sam deploy` and what an operator prepares before it |
//! | [`broker`], [`poller`] | Kafka and Lambda's event source mapping |
//! | [`submission_api`] | the Submission API and its token endpoint |
//! | [`codebuild`], [`sagemaker`] | the two task resources that the emulator lacks, as workers of activities |
//! | [`competition`] | what an operator sets up for a round that is scored |
//! | [`watch`], [`screen`] | the Step Functions console |
//!
//! And [`replay`], for any stack: it feeds records back that were put aside.

pub mod activity;
pub mod archive;
pub mod broker;
pub mod buildspec;
pub mod codebuild;
pub mod competition;
pub mod deploy;
pub mod emulator;
pub mod engine;
pub mod joblog;
pub mod poller;
pub mod process;
pub mod replay;
pub mod sagemaker;
pub mod screen;
pub mod stack;
pub mod submission_api;
pub mod watch;
