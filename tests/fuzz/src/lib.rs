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

/// Whether bytes start with others, compared in two steps: a first correct half is new coverage, without which the second half
/// is as improbable as the first.
#[cfg(feature = "planted")]
pub(crate) fn starts_with(bytes: &[u8], wanted: &[u8; 8]) -> bool {
    let (halves, _) = wanted.as_chunks::<4>();
    let Some((found, _)) = bytes.split_first_chunk::<8>() else { return false };
    let (found, _) = found.as_chunks::<4>();
    let is_same = |half: usize| {
        std::hint::black_box(u32::from_ne_bytes(found[half])) == std::hint::black_box(u32::from_ne_bytes(halves[half]))
    };
    if !is_same(0) {
        return false;
    }
    std::hint::black_box(());
    is_same(1)
}
