//! Properties of everything that reads hostile input: one module for each fuzz target, and its function `check` for any input.
//!
//! This crate promises that `check` panics if and only if a property does not hold, whatever the input is, and that it uses the
//! libraries through the same functions as the product does.
//!
//! With the feature `planted`, each module misunderstands valid inputs that take several correct guesses: fuzzing has to find
//! one.

#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "a property that does not hold panics")]

mod message;
mod pace;
#[cfg(feature = "planted")]
mod planted;

pub mod answers;
pub mod archives;
pub mod dockerfiles;
pub mod failures;
pub mod mutation;
pub mod outputs;
pub mod predictions;
pub mod records;
pub mod redaction;
pub mod references;
pub mod tournament;

/// Checks the properties of one target on one input.
pub type Check = fn(&[u8]);

/// The targets, named after their modules.
pub const TARGETS: [(&str, Check); 10] = [
    ("answers", answers::check),
    ("archives", archives::check),
    ("dockerfiles", dockerfiles::check),
    ("failures", failures::check),
    ("outputs", outputs::check),
    ("predictions", predictions::check),
    ("records", records::check),
    ("redaction", redaction::check),
    ("references", references::check),
    ("tournament", tournament::check),
];
