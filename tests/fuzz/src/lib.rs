//! Properties of everything that reads hostile input: one module for each fuzz target, and its function `check` for any input.
//!
//! This crate promises that `check` panics if and only if a property does not hold, whatever the input is, and that it uses the
//! libraries through the same functions as the product does.
//!
//! With the feature `planted`, each module misunderstands one valid input that takes several correct guesses: fuzzing has to
//! find it.

#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "a property that does not hold panics")]

mod message;
mod pace;

pub mod answers;
pub mod archives;
pub mod dockerfiles;
pub mod failures;
pub mod outputs;
pub mod predictions;
pub mod records;
pub mod redaction;
pub mod references;
pub mod tournament;

/// The targets, named after their modules.
pub const TARGETS: [(&str, fn(&[u8])); 10] = [
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

/// Whether bytes start with others, compared one by one: each correct byte is new coverage.
#[cfg(feature = "planted")]
pub(crate) fn starts_with(bytes: &[u8], wanted: &[u8]) -> bool {
    let mut reached = 0;
    for (byte, wanted) in bytes.iter().zip(wanted) {
        if std::hint::black_box(byte != wanted) {
            return false;
        }
        reached += 1;
    }
    reached == wanted.len()
}
