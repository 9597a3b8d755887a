//! Recognising secrets by their form or by what they are called.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

/// Every form of secret, as one pattern of named alternatives: the leftmost match counts, and among alternatives the
/// first. Forms of AWS' keys:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>; of GitHub's:
/// <https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats>.
///
/// What follows must hold for hiding twice to change nothing: what is put in a secret's place matches no alternative, and
/// no alternative but the last depends on where a word begins.
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

/// Shorter than this, what follows such a name and a colon is part of a sentence ("unexpected token: x").
const SHORTEST_SECRET: usize = 6;

static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(FORMS).ok());

/// The text with a word in brackets in the place of each secret.
pub(super) fn hide(text: &str) -> Cow<'_, str> {
    match &*PATTERN {
        Some(pattern) => pattern.replace_all(text, |found: &Captures<'_>| put_in_place(found)),
        // A text that cannot be searched is not shown. The tests show that the pattern is one.
        None => Cow::Borrowed("[hidden]"),
    }
}

fn put_in_place(found: &Captures<'_>) -> String {
    let group = |name: &str| found.name(name).map(|part| part.as_str());
    if let Some(name) = group("name") {
        let is_sentence = group("colon").is_some() && found[0][name.len()..].chars().count() < SHORTEST_SECRET;
        return if is_sentence { found[0].to_owned() } else { format!("{name}[hidden]") };
    }
    if let Some(scheme) = group("scheme") {
        return format!("{scheme}[token]");
    }
    let kinds = [
        ("pem", "[private key]"),
        ("url", "://[hidden]@"),
        ("aws_key", "[access key]"),
        ("token", "[token]"),
        ("account", "[account]"),
    ];
    let kind = kinds.into_iter().find(|(name, _)| group(name).is_some());
    // A number with a point stays; matching it keeps its digits from being taken for an account's id.
    kind.map_or(&found[0], |(_, word)| word).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_secret_is_hidden() {
        let github = format!("ghp_{}", "a1B2".repeat(9));
        for (text, hidden) in [
            ("key=AKIAIOSFODNN7EXAMPLE!", "key=[access key]!"),
            ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = [hidden]"),
            (r#"{"SecretAccessKey": "wJalrXUtnFEMI/K7MDENG", "x": 1}"#, r#"{"SecretAccessKey": "[hidden]", "x": 1}"#),
            ("AWS_SESSION_TOKEN=IQoJb3JpZ2luX2VjEJr", "AWS_SESSION_TOKEN=[hidden]"),
            ("got IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3Q= here", "got [token] here"),
            ("Authorization: Bearer abc.def-ghi", "Authorization: [hidden]"),
            ("bearer 0123456789abcdef", "bearer [token]"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fw.", "jwt [token]."),
            (&github, "[token]"),
            ("xoxb-123456789012-abcdefghij", "[token]"),
            ("https://me:s3cr3t@example.org/x", "https://[hidden]@example.org/x"),
            ("PASSWORD=hunter2 next", "PASSWORD=[hidden] next"),
            ("password: hunter2", "password: [hidden]"),
            (
                "?X-Amz-Credential=AKIA%2F2026&X-Amz-Signature=ab12&y=1",
                "?X-Amz-Credential=[hidden]&X-Amz-Signature=[hidden]&y=1",
            ),
            ("-----BEGIN RSA PRIVATE KEY----- MIIE -----END RSA PRIVATE KEY----- after", "[private key] after"),
            ("-----BEGIN PRIVATE KEY----- MIIEcut", "[private key]"),
            ("arn:aws:iam::123456789012:role/x", "arn:aws:iam::[account]:role/x"),
            ("123456789012.dkr.ecr.us-east-1.amazonaws.com/x", "[account].dkr.ecr.us-east-1.amazonaws.com/x"),
        ] {
            assert_eq!(hide(text), hidden);
            assert_eq!(hide(hidden), hidden);
        }
    }

    #[test]
    fn what_participants_need_to_read_stays() {
        for text in [
            "AKIA, ASIA and AKIASHORT",
            "SyntaxError: unexpected token: ')'",
            "loss 0.123456789012 after 1767225600000 ms",
            "max_tokens=512 tokenizer=bert-base-uncased",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "GET https://pypi.org/simple/numpy/ 404",
            "RUN pip install --no-cache-dir -r requirements.txt",
        ] {
            assert_eq!(hide(text), text);
        }
    }
}
