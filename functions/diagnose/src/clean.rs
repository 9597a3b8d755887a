//! Making hostile text fit to be read.

/// Characters kept of one line.
const LINE_CHARACTERS: usize = 500;

/// One line of a log without control characters and terminal escapes, its access keys hidden, at most 500 characters.
#[must_use]
pub fn clean_line(line: &str) -> String {
    clean_text(line, LINE_CHARACTERS)
}

/// A text without control characters and terminal escapes, its access keys hidden, at most `longest` characters.
#[must_use]
pub fn clean_text(text: &str, longest: usize) -> String {
    // What lies far beyond the end is not even looked at: a log can hold megabytes on one line.
    let seen: String = without_escapes(text).take(longest.saturating_mul(2)).collect();
    let hidden = without_access_keys(&seen);
    let mut cleaned: String = hidden.chars().take(longest).collect();
    if hidden.chars().nth(longest).is_some() {
        cleaned.push('…');
    }
    cleaned
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
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Hides access key ids: 20 characters that start with one of the prefixes of
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>.
fn without_access_keys(text: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = ["AKIA", "ASIA"].iter().filter_map(|prefix| rest.find(prefix)).min() {
        hidden.push_str(&rest[..at]);
        let length = rest[at..].bytes().take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()).count();
        hidden.push_str(if length >= 20 { "[access key]" } else { &rest[at..at + length] });
        rest = &rest[at + length..];
    }
    hidden.push_str(rest);
    hidden
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn terminal_escapes_go_and_words_stay() {
        assert_eq!(clean_line("\u{1b}[31mred\u{1b}[0m\u{7}\tbell\u{202e}"), "red bell");
        assert_eq!(clean_line("\u{1b}]0;title\u{7}x"), "0;titlex");
    }

    #[test]
    fn access_keys_are_hidden_and_look_alikes_stay() {
        assert_eq!(clean_line("key=AKIAIOSFODNN7EXAMPLE!"), "key=[access key]!");
        assert_eq!(clean_line("AKIA, ASIA and AKIASHORT"), "AKIA, ASIA and AKIASHORT");
    }

    #[test]
    fn a_line_of_megabytes_comes_out_short() {
        assert_eq!(clean_line(&"x".repeat(10_000_000)).chars().count(), 501);
    }

    proptest! {
        #[test]
        fn what_comes_out_is_bounded_and_printable(text in any::<String>(), longest in 0..300_usize) {
            let cleaned = clean_text(&text, longest);
            prop_assert!(cleaned.chars().count() <= longest + 1);
            prop_assert!(!cleaned.chars().any(char::is_control));
        }
    }
}
