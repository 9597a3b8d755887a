//! Redacts text from submissions and from services that quote them, before a person sees it.
//!
//! This crate promises that what comes out
//! - has no control characters, terminal escapes or invisible characters;
//! - shows no secret of a known form: `[redacted]` or `[redacted …]` replaces it;
//! - is at most as long as asked for, in linear time for any input;
//! - does not change when it is redacted again.
//!
//! It may not do any I/O.

mod secrets;

use secrets::Accounts;

/// Length limit of one line, in characters.
const LINE_CHARACTERS: usize = 500;
/// Limit for repeating the redaction of a shortened text.
const PASSES: usize = 8;

/// Redacts one line of a log and shortens it to 500 characters.
#[must_use]
pub fn line(line: &str) -> String {
    text(line, LINE_CHARACTERS)
}

/// Redacts a text and shortens it to `limit` characters. A `…` follows where text was cut off.
///
/// Secrets are AWS access keys, secret keys, session tokens and account ids, bearer and JSON web tokens, tokens of GitHub,
/// GitLab, Google, Hugging Face, npm, OpenAI, PyPI and Slack, private keys in PEM, user names and passwords in URLs, signatures of
/// presigned URLs, Docker's registry logins, and the values of names like password, token and secret.
#[must_use]
pub fn text(text: &str, limit: usize) -> String {
    redact(text, limit, Accounts::Redacted)
}

/// The same for operators, who have to know which account a name is in.
#[must_use]
pub fn for_operators(text: &str, limit: usize) -> String {
    redact(text, limit, Accounts::Shown)
}

fn redact(text: &str, limit: usize, accounts: Accounts) -> String {
    let mut redacted = redact_once(text, limit, accounts);
    // A part of a text can look like a secret although the whole does not: 12 digits of a longer number, for example.
    for _ in 0..PASSES {
        let again = redact_once(&redacted, limit, accounts);
        if again == redacted {
            break;
        }
        redacted = again;
    }
    redacted
}

fn redact_once(text: &str, limit: usize, accounts: Accounts) -> String {
    // The rest is not even read: one line of a log can hold megabytes.
    let mut characters = without_escapes(text);
    let read: String = characters.by_ref().take(limit.saturating_mul(2)).collect();
    let is_whole = characters.next().is_none();
    let redacted = secrets::redact(&read, accounts);
    match redacted.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &redacted[..end]),
        None if is_whole => redacted.into_owned(),
        // The last word can be the beginning of a secret, too short to be recognised.
        None => format!("{}…", &redacted[..redacted.rfind(' ').unwrap_or(0)]),
    }
}

fn without_escapes(text: &str) -> impl Iterator<Item = char> {
    let mut characters = text.chars().peekable();
    std::iter::from_fn(move || {
        loop {
            match characters.next()? {
                '\u{1b}' => {
                    if characters.next_if_eq(&'[').is_some() {
                        while characters.next_if(|c| !('\u{40}'..='\u{7e}').contains(c)).is_some() {}
                    }
                    characters.next();
                }
                '\t' | '\n' => return Some(' '),
                c if c.is_control() || is_invisible(c) => {}
                c => return Some(c),
            }
        }
    })
}

/// Characters that reorder text or are not displayed: <https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>
/// and the soft hyphen, the Mongolian vowel separator and the tags of <https://www.unicode.org/charts/PDF/UE0000.pdf>.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn terminal_escapes_are_removed_and_words_stay() {
        assert_eq!(line("\u{1b}[31mred\u{1b}[0m\u{7}\tbell\u{202e}"), "red bell");
        assert_eq!(line("a\u{61c}b\u{ad}c\u{180e}d\u{e0041}e"), "abcde");
        assert_eq!(line("\u{1b}]0;title\u{7}x"), "0;titlex");
    }

    #[test]
    fn a_line_of_megabytes_is_shortened() {
        let began = Instant::now();
        for piece in ["x", "eyJ", "123456789012.", "://a:", "token=", "-----BEGIN ", "\u{1b}[", "password: \""] {
            assert!(line(&piece.repeat(10_000_000 / piece.len())).chars().count() <= 501, "{piece}");
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }

    #[test]
    fn half_a_secret_at_the_end_is_redacted() {
        let token = format!("ghp_{}", "a".repeat(36));
        // The password fills most of the part that is read, and the token crosses its end.
        let long = format!("password={} {token}", "p".repeat(1000 - 9 - 1 - 10));
        assert_eq!(line(&long), "password=[redacted]…");
        // Cut after 12 of its digits, the number would look like an account id.
        let long = format!("{}1234567890123456", "word ".repeat(98));
        assert_eq!(text(&long, 490 + 12), format!("{}[redacted ac…", "word ".repeat(98)));
    }

    /// Texts of pieces that the patterns look for, in any order.
    fn tricky() -> impl Strategy<Value = String> {
        let pieces = [
            "AKIAIOSFODNN7EXAMPLE",
            "ASIA",
            "eyJhbGciOiJIUzI1NiJ9",
            ".eyJzdWIiOiIxMjM0In0",
            ".SflKxwRJSMeKKF2QT4fw",
            "ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "xoxb-123456789012-abcdefghij",
            "123456789012",
            "0.",
            "-",
            "_",
            "password",
            "token",
            "secret_access_key",
            "=",
            ": ",
            "\"",
            "'",
            "[",
            "]",
            "[redacted]",
            "[redacted account]",
            " ",
            "\n",
            "https",
            "://",
            "user",
            ":",
            "@",
            "/",
            "Bearer ",
            "-----BEGIN RSA PRIVATE KEY-----",
            "-----END RSA PRIVATE KEY-----",
            "X-Amz-Signature=",
            "&",
            "abcdef",
            "é",
            "…",
            "\u{1b}[",
            "m",
            "\u{0}",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "authorization",
            "--password ",
            "\\",
            "&sig=",
            "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH",
            "58e0a7d7-eebc-11d8-9669-",
            "202601311259",
            "\"auth\"",
            "b'",
            "IQoJb3JpZ2luX2VjEXAMPLEEXAMPLE",
        ];
        prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_result_is_bounded_and_printable(input in any::<String>(), limit in 0..300_usize) {
            let redacted = text(&input, limit);
            prop_assert!(redacted.chars().count() <= limit + 1);
            prop_assert!(!redacted.chars().any(char::is_control));
        }

        #[test]
        fn redacting_twice_changes_nothing(input in prop_oneof![tricky(), any::<String>()], limit in 0..300_usize) {
            let redacted = text(&input, limit);
            prop_assert_eq!(text(&redacted, limit), redacted);
        }
    }
}
