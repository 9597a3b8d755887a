//! Hostile text in messages.

/// Characters of a name that a message shows.
const MAX_NAME_CHARS: usize = 80;

/// A name out of a submission, safe to show: printable ASCII without quotes and markup, other characters escaped, up to 80
/// characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted(String);

impl Quoted {
    #[must_use]
    pub fn new(name: &[u8]) -> Self {
        let mut quoted = String::from("\"");
        let mut chars = String::from_utf8_lossy(name).into_owned();
        chars.truncate(chars.char_indices().nth(MAX_NAME_CHARS + 1).map_or(chars.len(), |(at, _)| at));
        for char in chars.chars() {
            let harmless = (char.is_ascii_graphic() || char == ' ') && !"\"'`\\<>&".contains(char);
            let escaped = if harmless { char.to_string() } else { char.escape_unicode().to_string() };
            if quoted.len() + escaped.len() > MAX_NAME_CHARS {
                quoted.push_str("...");
                break;
            }
            quoted.push_str(&escaped);
        }
        quoted.push('"');
        Self(quoted)
    }
}

impl std::fmt::Display for Quoted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_harmless_and_short() {
        assert_eq!(Quoted::new(b"code/a b.py").to_string(), r#""code/a b.py""#);
        assert_eq!(Quoted::new(b"\x1b[2J<b>").to_string(), r#""\u{1b}[2J\u{3c}b\u{3e}""#);
        assert_eq!(Quoted::new("\u{202e}\n".as_bytes()).to_string(), r#""\u{202e}\u{a}""#);
        for name in [&b"x".repeat(70_000), &b"\xff".repeat(70_000)] {
            let quoted = Quoted::new(name).to_string();
            assert!(quoted.ends_with("...\"") && quoted.chars().count() <= MAX_NAME_CHARS + 4, "{quoted}");
        }
    }
}
