//! What every message to a person has to be.

use domain::{Coded, Fault};

/// Checks that a message is short and shows no control characters.
pub(crate) fn check(message: &str, characters: usize) {
    assert!(
        message.chars().count() <= characters,
        "a message of {} characters: {message:.200}",
        message.chars().count()
    );
    assert!(!message.chars().any(char::is_control), "a control character in {message:?}");
}

/// Checks the message of a problem that only a participant can have caused.
pub(crate) fn check_problem(problem: &impl Coded, characters: usize) {
    check(&problem.to_string(), characters);
    assert_eq!(problem.code().fault(), Fault::Participant, "{problem:?}");
}
