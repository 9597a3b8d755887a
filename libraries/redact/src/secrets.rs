//! Recognises secrets by their form or by the name before them.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

/// All forms of secrets, as one pattern of named alternatives. The leftmost match counts; among alternatives, the first.
/// Forms of AWS keys:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>; of GitHub's:
/// <https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats>.
///
/// Redacting twice must change nothing. Therefore no marker matches an alternative, and no alternative except the last
/// depends on where a word begins.
const FORMS: &str = r#"(?x)
    (?P<pem>-----BEGIN\x20[A-Z\x20]{0,40}PRIVATE\x20KEY-----[^-]*(?:-----END\x20[A-Z\x20]{0,40}-----)?)
  | (?P<url>://)[^\s/@:\[]*:[^\s/@]+@
  | (?P<name>(?i:
        passw(?:or)?d | passphrase | secret[\w-]* | token | api[_-]?key | access[_-]?key(?:[_-]?id)? | credentials?
      | authorization | x-amz-(?:signature|credential|security-token)
    )["']?\s{0,4}(?:=|(?P<colon>:))\s{0,4}["']?)(?:(?i:bearer|basic)\s)?[^\s"'&;,<>\[…][^\s"'&;,<>]*
  | (?P<scheme>(?i:bearer)\s)[A-Za-z0-9._~+/=-]{16,}
  | (?P<aws_key>\w*(?:AKIA|ASIA)[A-Z0-9]{16,})
  | (?P<token>\w*(?:
        eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*
      | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,} | glpat-[\w-]{16,}
      | xox[abeoprs]-[A-Za-z0-9-]{10,}
      | (?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz)[A-Za-z0-9/+=_%-]{16,}
    ))
  | (?P<number>\d+\.\d+)
  | (?P<account>\b\d{12}\b)
"#;

/// A shorter value after a name and a colon is part of a sentence ("unexpected token: x").
const SHORTEST_SECRET: usize = 6;

static PATTERN: LazyLock<Regex> = LazyLock::new(|| Regex::new(FORMS).expect("invariant: the pattern is valid"));

/// Replaces each secret by a marker in brackets.
pub(super) fn redact(text: &str) -> Cow<'_, str> {
    PATTERN.replace_all(text, |found: &Captures<'_>| replacement(found))
}

fn replacement(found: &Captures<'_>) -> String {
    let group = |name: &str| found.name(name).map(|part| part.as_str());
    if let Some(name) = group("name") {
        let is_sentence = group("colon").is_some() && found[0][name.len()..].chars().count() < SHORTEST_SECRET;
        return if is_sentence { found[0].to_owned() } else { format!("{name}[redacted]") };
    }
    if let Some(scheme) = group("scheme") {
        return format!("{scheme}[redacted token]");
    }
    let markers = [
        ("pem", "[redacted private key]"),
        ("url", "://[redacted]@"),
        ("aws_key", "[redacted access key]"),
        ("token", "[redacted token]"),
        ("account", "[redacted account]"),
    ];
    let marker = markers.into_iter().find(|(name, _)| group(name).is_some());
    // A number with a point stays; it is matched so that its digits are not taken for an account id.
    marker.map_or(&found[0], |(_, marker)| marker).to_owned()
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
            "max_tokens=512 tokenizer=bert-base-uncased",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "GET https://pypi.org/simple/numpy/ 404",
            "RUN pip install --no-cache-dir -r requirements.txt",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
