//! What the planted bugs have in common: two steps in valid input. Each is a branch of its own, so that fuzzing goes on from the
//! inputs that made the first. Both at once are too improbable.

/// Whether a text starts with an upper-case letter and a digit.
pub(crate) fn starts(text: &[u8]) -> bool {
    let [first, second, ..] = text else { return false };
    both([first.is_ascii_uppercase(), second.is_ascii_digit()])
}

/// Whether a text has so many characters of a kind.
pub(crate) fn has(text: &[u8], wanted: usize, kind: fn(&u8) -> bool) -> bool {
    let found = text.iter().filter(|byte| kind(byte)).count();
    both([found + 1 >= wanted, found >= wanted])
}

/// Whether both steps are made. The compiler must not join them.
pub(crate) fn both([first, second]: [bool; 2]) -> bool {
    use std::hint::black_box;

    if !(black_box(first) && black_box(second)) {
        return false;
    }
    // It tells the planted bug from any other finding: `scripts/fuzz.sh` looks for it.
    eprintln!("the planted bug is reached");
    true
}
