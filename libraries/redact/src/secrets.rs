//! Recognises secrets by their form or by the name before them.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

/// All forms of secrets, as one pattern of named alternatives. The leftmost match counts; among alternatives, the first.
/// Forms of AWS keys:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>; of GitHub's:
/// <https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats>.
///
/// Redacting twice must change nothing. Therefore no marker matches an alternative, and few alternatives depend on where a word
/// begins.
const FORMS: &str = r#"(?x)
    (?P<pem>-----BEGIN\x20[A-Z\x20]{0,40}PRIVATE\x20KEY-----[^-]*(?:-----END\x20[A-Z\x20]{0,40}-----)?)
  | (?P<url>://)[^\s/@\[]+@
  | (?P<webhook>hooks\.slack\.com/services/)[^\s"'\[]+
  | (?P<sas>[?&]sig=)[^\s"'&\[]+
  | (?P<flag>--(?i:passw(?:or)?d|passphrase|secret|token|api-?key|access-?key|secret-?key)\s{1,4}["']?)[^\s"'\[…-][^\s"']*
  | (?P<name>(?:(?i:
        passw(?:or)?d | passphrase | secret[\w-]* | token | api[_-]?key | access[_-]?key(?:[_-]?id)? | account[_-]?key
      | credentials? | authorization | x-amz-(?:signature|credential|security-token)
    )\\{0,2}["']? | \\{0,2}"auth\\{0,2}")
    \s{0,4}(?:=|(?P<colon>:))\s{0,4}(?:(?P<quote>b?\\{0,2}")|(?P<apostrophe>b?\\{0,2}'))?)
    (?:(?i:bearer|basic)\s)?(?P<value>[^\s"'&;,<>\[…][^\s"'&;,<>]*)
  | (?P<scheme>(?i:bearer)\s)[A-Za-z0-9._~+/=-]{16,}
  | (?P<aws_key>\w*(?:AKIA|ASIA)[A-Z0-9]{16,})
  | (?P<token>\w*(?:
        eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*
      | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,} | glpat-[\w-]{16,}
      | xox[abeoprs]-[A-Za-z0-9-]{10,}
      | AIza[\w-]{30,} | hf_[A-Za-z0-9]{30,} | sk-[\w-]{20,} | npm_[A-Za-z0-9]{30,} | pypi-[\w-]{16,}
      | (?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz)[A-Za-z0-9/+=_%-]{16,}
    ))
  | (?P<uuid>\b[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}\b)
  | (?P<number>\d+\.\d+)
  | (?P<account>\b\d{12}\b)
"#;

/// A run of the characters that AWS's secret access keys consist of, of at least their length.
const RUNS: &str = "[A-Za-z0-9/+]{40,}";
/// Characters of a secret access key: see the examples of
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html>.
const SECRET_KEY: usize = 40;

/// A shorter value after a name and a colon is part of a sentence ("unexpected token: x").
const SHORTEST_SECRET: usize = 6;

static PATTERN: LazyLock<Regex> = LazyLock::new(|| Regex::new(FORMS).expect("invariant: the pattern is valid"));
static RUN: LazyLock<Regex> = LazyLock::new(|| Regex::new(RUNS).expect("invariant: the pattern is valid"));

/// Replaces each secret by a marker in brackets.
pub(super) fn redact(text: &str) -> Cow<'_, str> {
    let mut redacted = String::new();
    let mut rest = text;
    // The value of a name in quotes ends at the next quote, which a pattern without back-references cannot say.
    while let Some(found) = PATTERN.captures(rest) {
        let whole = &found[0];
        let start = found.get(0).map_or(0, |whole| whole.start());
        let (replacement, length) = replacement(&found, &rest[start..]);
        redacted.push_str(&rest[..start]);
        redacted.push_str(&replacement);
        rest = &rest[start + length.max(whole.len())..];
    }
    redacted.push_str(rest);
    match RUN.replace_all(&redacted, |run: &Captures<'_>| secret_key(&run[0])) {
        Cow::Owned(redacted) => Cow::Owned(redacted),
        Cow::Borrowed(_) if redacted == text => Cow::Borrowed(text),
        Cow::Borrowed(_) => Cow::Owned(redacted),
    }
}

/// A secret access key has 40 characters of all kinds. Commit ids and other digests have only hexadecimal digits.
fn secret_key(run: &str) -> String {
    let has = |kind: fn(&char) -> bool| run.chars().any(|char| kind(&char));
    let is_mixed = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase) && has(char::is_ascii_digit);
    let is_hexadecimal = run.chars().all(|char| char.is_ascii_hexdigit());
    if run.len() == SECRET_KEY && is_mixed && !is_hexadecimal {
        "[redacted secret key]".to_owned()
    } else {
        run.to_owned()
    }
}

/// What replaces a match, and the bytes of `text`, which starts with the match, that it replaces.
fn replacement(found: &Captures<'_>, text: &str) -> (String, usize) {
    let group = |name: &str| found.name(name).map(|part| part.as_str());
    let whole = found[0].len();
    if let (Some(name), Some(value)) = (group("name"), group("value")) {
        let is_sentence = group("colon").is_some() && value.chars().count() < SHORTEST_SECRET;
        // A limit or a count, such as max_token=512.
        let is_count =
            name.to_ascii_lowercase().starts_with("token") && value.bytes().all(|byte| byte.is_ascii_digit());
        // Python's b'…' and an escaped quote, redacted before.
        let is_opening = value.strip_prefix('b').unwrap_or(value).bytes().all(|byte| byte == b'\\');
        let is_redacted =
            is_opening && ["'[redacted", "\"[redacted"].iter().any(|marker| text[whole..].starts_with(marker));
        if is_sentence || is_count || is_redacted {
            return (format!("{}{}", redact_name(name), &found[0][name.len()..]), whole);
        }
        let quote = if group("quote").is_some() { Some('"') } else { group("apostrophe").map(|_| '\'') };
        let end = quote.map_or(whole, |quote| text[whole..].find(quote).map_or(text.len(), |at| whole + at));
        return (format!("{}[redacted]", redact_name(name)), end);
    }
    for prefix in ["webhook", "sas", "flag"] {
        if let Some(prefix) = group(prefix) {
            return (format!("{prefix}[redacted]"), whole);
        }
    }
    if let Some(scheme) = group("scheme") {
        return (format!("{scheme}[redacted token]"), whole);
    }
    if group("account").is_some_and(is_time) {
        return (found[0].to_owned(), whole);
    }
    let markers = [
        ("pem", "[redacted private key]"),
        ("url", "://[redacted]@"),
        ("aws_key", "[redacted access key]"),
        ("token", "[redacted token]"),
        ("account", "[redacted account]"),
    ];
    let marker = markers.into_iter().find(|(name, _)| group(name).is_some());
    // A UUID and a number with a point stay; they are matched so that their digits are not taken for an account id.
    (marker.map_or(&found[0], |(_, marker)| marker).to_owned(), whole)
}

/// Redacts the name of a value. One that starts with `secret` can go on with a token.
fn redact_name(name: &str) -> String {
    // Without the sign after it, the name is not matched as one again.
    let (word, sign) = name.split_at(name.find(['=', ':']).unwrap_or(name.len()));
    format!("{}{sign}", redact(word))
}

/// Whether 12 digits are year, month, day, hour and minute.
fn is_time(digits: &str) -> bool {
    let number = |from: usize, to: usize| digits.get(from..to).and_then(|part| part.parse::<u32>().ok());
    let within =
        |from, to, range: std::ops::RangeInclusive<u32>| number(from, to).is_some_and(|part| range.contains(&part));
    within(0, 4, 1970..=2100)
        && within(4, 6, 1..=12)
        && within(6, 8, 1..=31)
        && within(8, 10, 0..=23)
        && within(10, 12, 0..=59)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_secret_is_redacted() {
        let github = format!("ghp_{}", "a1B2".repeat(9));
        for (text, redacted) in [
            ("key=AKIAIOSFODNN7EXAMPLE!", "key=[redacted access key]!"),
            ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = [redacted]"),
            (r#"{"SecretAccessKey": "wJalrXUtnFEMI/K7MDENG", "x": 1}"#, r#"{"SecretAccessKey": "[redacted]", "x": 1}"#),
            ("AWS_SESSION_TOKEN=IQoJb3JpZ2luX2VjEJr", "AWS_SESSION_TOKEN=[redacted]"),
            ("got IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3Q= here", "got [redacted token] here"),
            ("Authorization: Bearer abc.def-ghi", "Authorization: [redacted]"),
            ("bearer 0123456789abcdef", "bearer [redacted token]"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fw.", "jwt [redacted token]."),
            (&github, "[redacted token]"),
            ("xoxb-123456789012-abcdefghij", "[redacted token]"),
            ("https://me:s3cr3t@example.org/x", "https://[redacted]@example.org/x"),
            ("PASSWORD=hunter2 next", "PASSWORD=[redacted] next"),
            ("password: hunter2", "password: [redacted]"),
            (
                "?X-Amz-Credential=AKIA%2F2026&X-Amz-Signature=ab12&y=1",
                "?X-Amz-Credential=[redacted]&X-Amz-Signature=[redacted]&y=1",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY----- MIIE -----END RSA PRIVATE KEY----- after",
                "[redacted private key] after",
            ),
            ("-----BEGIN PRIVATE KEY----- MIIEcut", "[redacted private key]"),
            ("got wJalrXUtnFEMI/K7MDENG/bPxRfiCY1EXAMPLEK1 here", "got [redacted secret key] here"),
            (r#"{\"SecretAccessKey\":\"wJalrXUtnFEMI\"}"#, r#"{\"SecretAccessKey\":\"[redacted]"}"#),
            ("secret-glpat-a1B2c3D4e5F6g7H8: hunter2", "secret-[redacted token]: [redacted]"),
            ("secretAKIAIOSFODNN7EXAMPLE: x", "[redacted access key]: x"),
            (r#"secret: hunter2"[redacted]"#, r#"secret: [redacted]"[redacted]"#),
            ("token=b'abcdef012345' x", "token=b'[redacted]' x"),
            ("mysql --password hunter2 db", "mysql --password [redacted] db"),
            (r#"password: "correct horse battery" next"#, r#"password: "[redacted]" next"#),
            (r#"password="correct horse"#, r#"password="[redacted]"#),
            ("AccountKey=abc/def==;EndpointSuffix=x", "AccountKey=[redacted];EndpointSuffix=x"),
            (
                "https://x.blob.example.org/c?sv=1&sig=a%2Bb&se=2",
                "https://x.blob.example.org/c?sv=1&sig=[redacted]&se=2",
            ),
            ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "[redacted token]"),
            ("hf_abcdefghijklmnopqrstuvwxyzABCDEFGH", "[redacted token]"),
            ("sk-proj-abcdefghijklmnopqrstuvwx", "[redacted token]"),
            ("npm_abcdefghijklmnopqrstuvwxyz0123456789", "[redacted token]"),
            ("pypi-AgEIcHlwaS5vcmcCJDU", "[redacted token]"),
            ("https://hooks.slack.com/services/T000/B000/XXXX", "https://hooks.slack.com/services/[redacted]"),
            (r#"{"auths": {"r": {"auth": "dXNlcjpwYXNz"}}}"#, r#"{"auths": {"r": {"auth": "[redacted]"}}}"#),
            ("https://glpat@example.org/x", "https://[redacted]@example.org/x"),
            ("arn:aws:iam::123456789012:role/x", "arn:aws:iam::[redacted account]:role/x"),
            ("123456789012.dkr.ecr.us-east-1.amazonaws.com/x", "[redacted account].dkr.ecr.us-east-1.amazonaws.com/x"),
        ] {
            assert_eq!(redact(text), redacted);
            assert_eq!(redact(redacted), redacted);
        }
    }

    #[test]
    fn text_that_is_not_secret_stays() {
        for text in [
            "AKIA, ASIA and AKIASHORT",
            "SyntaxError: unexpected token: ')'",
            "loss 0.123456789012 after 1767225600000 ms",
            "max_tokens=512 max_token=512 tokenizer=bert-base-uncased",
            "58e0a7d7-eebc-11d8-9669-123456789012 at 202601311259",
            "commit 3f786850e387550fdab836ed7e6dc881de23001b",
            "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "GET https://pypi.org/simple/numpy/ 404",
            "RUN pip install --no-cache-dir -r requirements.txt",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
