//! Redaction of hostile text.

/// A secret of each form whose beginning is fixed: whatever stands before and after it, it must not be shown.
const SECRETS: [&str; 4] = [
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2",
    "glpat-a1B2c3D4e5F6g7H8i9J0",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fw",
];

pub fn check(input: &[u8]) {
    let [selector, rest @ ..] = input else { return };
    let text = String::from_utf8_lossy(rest);
    let limit = match selector % 4 {
        0 => 500,
        1 => 1024,
        2 => 2000,
        _ => usize::from(*selector),
    };
    let redacted = redacted(&text, limit);
    assert!(redacted.chars().count() <= limit + 1);
    for char in redacted.chars() {
        let is_invisible = matches!(char, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!char.is_control() && !is_invisible, "{char:?} in {redacted:?}");
    }
    assert_eq!(redact::text(&redacted, limit), redacted, "redacting twice changes the text");
    if limit == 500 {
        assert_eq!(redacted, redact::line(&text));
    }
    for secret in SECRETS {
        assert!(!redacted.contains(secret), "{secret} is shown: {redacted}");
    }
}

#[cfg(not(feature = "planted"))]
fn redacted(text: &str, limit: usize) -> String {
    redact::text(text, limit)
}

/// Adds an escape after a redacted private key if two digits follow.
#[cfg(feature = "planted")]
fn redacted(text: &str, limit: usize) -> String {
    let redacted = redact::text(text, limit);
    match redacted.split_once("[redacted private key]") {
        Some((before, after)) if crate::planted::has(after.as_bytes(), 2, u8::is_ascii_digit) => {
            format!("{before}\u{1b}[0m")
        }
        _ => redacted,
    }
}
