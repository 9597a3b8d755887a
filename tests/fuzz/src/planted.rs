//! What the planted bugs have in common: a few steps in valid input. Each is a branch of its own, so that fuzzing goes on from the
//! inputs that got one step further. All at once are too improbable.

/// Whether a text starts with an upper-case letter, a digit and a lower-case letter.
pub(crate) fn starts(text: &[u8]) -> bool {
    let [first, second, third, ..] = text else { return false };
    all([first.is_ascii_uppercase(), second.is_ascii_digit(), third.is_ascii_lowercase()])
}

/// Whether a text has so many characters of a kind.
pub(crate) fn has(text: &str, wanted: usize, kind: fn(&u8) -> bool) -> bool {
    let found = text.bytes().filter(kind).count();
    all([found + 2 >= wanted, found + 1 >= wanted, found >= wanted])
}

/// Whether all steps are made. The compiler must not join them.
pub(crate) fn all([first, second, third]: [bool; 3]) -> bool {
    use std::hint::black_box;

    if !(black_box(first) && black_box(second) && black_box(third)) {
        return false;
    }
    // It tells the planted bug from any other finding: `scripts/fuzz.sh` looks for it.
    eprintln!("the planted bug is reached");
    true
}
