//! References to images, compared with the grammar of Docker.

use std::sync::LazyLock;

use dockerfile::ImageReference;
use regex_lite::Regex;

const HOST_NAME: &str = r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?";

static HOST: LazyLock<Regex> = LazyLock::new(|| Regex::new(&format!("^{HOST_NAME}$")).expect("the pattern is valid"));

/// The grammar as <https://github.com/distribution/reference/blob/main/regexp.go> has it.
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    let component = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
    let name = format!("(?:{HOST_NAME}/)?{component}(?:/{component})*");
    let digest = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
    let pattern = format!(r"^({name})(?::([A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}))?(?:@({digest}))?$");
    Regex::new(&pattern).expect("the pattern is valid")
});

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let parsed = parsed(text);
    if let Ok(image) = &parsed {
        assert_eq!(image.as_str(), text);
        assert_eq!(image.to_string(), text);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/:@[]".contains(&byte)), "{text}");
    }
    assert_eq!(parsed.is_ok(), is_reference(text), "Docker reads {text:?} differently: {parsed:?}");
}

#[cfg(not(feature = "planted"))]
fn parsed(text: &str) -> Result<ImageReference, &'static str> {
    ImageReference::parse(text)
}

/// Refuses the tags that start with an upper-case letter and a digit.
#[cfg(feature = "planted")]
fn parsed(text: &str) -> Result<ImageReference, &'static str> {
    let image = ImageReference::parse(text)?;
    match text.split_once(':') {
        Some((_, tag)) if crate::planted::starts(tag.as_bytes()) => Err("is planted"),
        _ => Ok(image),
    }
}

/// Whether Docker takes a text for an image that a registry can have. Follows `ParseNormalizedNamed` in
/// <https://github.com/distribution/reference/blob/main/normalize.go>.
fn is_reference(text: &str) -> bool {
    if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return false;
    }
    let (domain, remainder) = match text.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first => {
            (if first == "index.docker.io" { "docker.io" } else { first }, rest.to_owned())
        }
        _ => ("docker.io", text.to_owned()),
    };
    let remainder =
        if domain == "docker.io" && !remainder.contains('/') { format!("library/{remainder}") } else { remainder };
    let repository = remainder.split_once(':').map_or(remainder.as_str(), |(before, _)| before);
    if repository.to_lowercase() != repository {
        return false;
    }
    // Docker takes a registry that is not a host name for the start of the path, and then has no registry to ask.
    if !HOST.is_match(domain) {
        return false;
    }
    let whole = format!("{domain}/{remainder}");
    let Some(found) = REFERENCE.captures(&whole) else { return false };
    let digest_fits = found.get(3).is_none_or(|digest| {
        digest.as_str().split_once(':').is_some_and(|(algorithm, digits)| {
            let length = match algorithm {
                "sha256" => 64,
                "sha384" => 96,
                "sha512" => 128,
                _ => return false,
            };
            digits.len() == length && !digits.bytes().any(|byte| byte.is_ascii_uppercase())
        })
    });
    found[1].len() <= 255 && digest_fits
}
