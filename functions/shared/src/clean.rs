//! Making hostile text fit to be read: whatever came out of a submission, or out of a service that quotes it, goes
//! through here before a person sees it.

mod secrets;

/// Characters kept of one line.
const LINE_CHARACTERS: usize = 500;
/// How often what was cut off is looked at again.
const PASSES: usize = 8;

/// One line of a log without control characters and terminal escapes, its secrets hidden, at most 500 characters.
#[must_use]
pub fn clean_line(line: &str) -> String {
    clean_text(line, LINE_CHARACTERS)
}

/// A text without control characters and terminal escapes, its secrets hidden, at most `longest` characters and a `…`
/// where more was left out. Cleaning a cleaned text changes nothing.
///
/// Hidden are AWS access keys, secret keys, session tokens and account ids, bearer and JSON web tokens, tokens of GitHub
/// and Slack, private keys in PEM, passwords in URLs, signatures of presigned URLs, and the values of what is named like a
/// password, token or secret.
#[must_use]
pub fn clean_text(text: &str, longest: usize) -> String {
    let mut cleaned = cleaned_once(text, longest);
    // Part of a text can look like a secret where the whole did not: part of a long number like an account's id.
    for _ in 0..PASSES {
        let again = cleaned_once(&cleaned, longest);
        if again == cleaned {
            break;
        }
        cleaned = again;
    }
    cleaned
}

fn cleaned_once(text: &str, longest: usize) -> String {
    // What lies far beyond the end is not even looked at: a log can hold megabytes on one line.
    let mut characters = without_escapes(text);
    let seen: String = characters.by_ref().take(longest.saturating_mul(2)).collect();
    let is_all = characters.next().is_none();
    let hidden = secrets::hide(&seen);
    match hidden.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &hidden[..end]),
        None if is_all => hidden.into_owned(),
        // The last word may be the beginning of a secret that was not recognised by it.
        None => format!("{}…", &hidden[..hidden.rfind(' ').unwrap_or(0)]),
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

/// Characters that reorder or hide text: <https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn terminal_escapes_go_and_words_stay() {
        assert_eq!(clean_line("\u{1b}[31mred\u{1b}[0m\u{7}\tbell\u{202e}"), "red bell");
        assert_eq!(clean_line("\u{1b}]0;title\u{7}x"), "0;titlex");
    }

    #[test]
    fn a_line_of_megabytes_comes_out_short() {
        let began = Instant::now();
        for piece in ["x", "eyJ", "123456789012.", "://a:", "token=", "-----BEGIN ", "\u{1b}[", "password: \""] {
            assert!(clean_line(&piece.repeat(10_000_000 / piece.len())).chars().count() <= 501, "{piece}");
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }

    #[test]
    fn half_a_secret_at_the_end_is_not_shown() {
        let token = format!("ghp_{}", "a".repeat(36));
        // A key that takes most of what is looked at, and a token across the end of it.
        let text = format!("password={} {token}", "p".repeat(1000 - 9 - 1 - 10));
        assert_eq!(clean_line(&text), "password=[hidden]…");
        let text = format!("{}1234567890123456", "word ".repeat(98));
        assert_eq!(clean_text(&text, 490 + 12), format!("{}[account]…", "word ".repeat(98)));
    }

    /// Texts made of what the rules look for, so that they meet each other in every order.
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
            "[hidden]",
            "[account]",
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
            "IQoJb3JpZ2luX2VjEXAMPLEEXAMPLE",
        ];
        prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn what_comes_out_is_bounded_and_printable(text in any::<String>(), longest in 0..300_usize) {
            let cleaned = clean_text(&text, longest);
            prop_assert!(cleaned.chars().count() <= longest + 1);
            prop_assert!(!cleaned.chars().any(char::is_control));
        }

        #[test]
        fn cleaning_twice_changes_nothing(text in prop_oneof![tricky(), any::<String>()], longest in 0..300_usize) {
            let cleaned = clean_text(&text, longest);
            prop_assert_eq!(clean_text(&cleaned, longest), cleaned);
        }
    }
}
