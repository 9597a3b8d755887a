//! The grammar of image references: <https://github.com/distribution/reference/blob/main/reference.go>.

use serde::{Serialize, Serializer};

const DEFAULT_HOST: &str = "docker.io";
const MAX_NAME_BYTES: usize = 255;
const MAX_TAG_BYTES: usize = 128;

/// Endings of names that only a private network knows.
const PRIVATE_NAMES: [&str; 6] = [".localhost", ".local", ".localdomain", ".internal", ".lan", ".home.arpa"];

/// A well-formed reference to an image: letters, digits and `. _ - / : @ [ ]`, nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageReference {
    as_written: String,
    host: String,
    repository: String,
}

impl ImageReference {
    /// The error completes the sentence "The image …".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err("has a digest that is not sha256, sha384 or sha512 with lower-case hexadecimal digits");
        }
        let (host, rest) = match name.split_once('/') {
            Some((first, rest)) if is_host(first) => (first, rest),
            _ => (DEFAULT_HOST, name),
        };
        let host = if host == "index.docker.io" { DEFAULT_HOST } else { host };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err("has a tag that is empty, too long or has other characters than letters, digits and _ - .");
        }
        if path.is_empty() {
            return Err("has an empty name");
        }
        if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err("has an upper-case letter in its name");
        }
        if !path.split('/').all(is_component) {
            return Err("has a name that is not lower-case letters and digits separated by . _ - and /");
        }
        if !is_domain(host) {
            return Err("names a registry that is not a host name");
        }
        let is_id = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id(text) {
            return Err("is the id of an image, which no registry knows");
        }
        let in_library = host == DEFAULT_HOST && !path.contains('/');
        let repository = format!("{host}/{}{path}", if in_library { "library/" } else { "" });
        if repository.len() > MAX_NAME_BYTES {
            return Err("has a name that is too long");
        }
        Ok(Self { as_written: text.to_owned(), host: host.to_owned(), repository })
    }

    /// As the Dockerfile has it, with variables replaced.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.as_written
    }

    /// The registry, with its port if it has one.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The registry and the whole name, without tag and digest.
    pub(crate) fn repository(&self) -> &str {
        &self.repository
    }

    /// Whether the registry has a name of the public internet. An address is not one, in whatever way it is written: some
    /// programs take a name for an address if its last part starts with a digit.
    pub(crate) fn is_public(&self) -> bool {
        let host = self.host.to_ascii_lowercase();
        let host = host.split_once(':').map_or(host.as_str(), |(name, _)| name);
        let last = host.rsplit_once('.').map(|(_, last)| last);
        last.is_some_and(|last| !last.starts_with(|char: char| char.is_ascii_digit()))
            && !PRIVATE_NAMES.iter().any(|name| host.ends_with(name))
    }
}

impl std::fmt::Display for ImageReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.as_written)
    }
}

impl Serialize for ImageReference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.as_written)
    }
}

/// Whether the part before the first slash is a registry and not part of the name.
fn is_host(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost" || text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_domain(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !text.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_label = |label: &str| {
        let is_valid = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        is_valid && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let is_name = match address {
        Some(address) => address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':') && !address.is_empty(),
        None => name.split('.').all(is_label),
    };
    is_name && port.is_none_or(is_port)
}

/// Letters and digits, separated by one dot, one or two underscores, or hyphens.
fn is_component(text: &str) -> bool {
    let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_well = |byte: Option<&u8>| byte.is_some_and(is_alphanumeric);
    let separators = text.split(|char: char| char.is_ascii_lowercase() || char.is_ascii_digit());
    let is_separator = |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    ends_well(text.as_bytes().first()) && ends_well(text.as_bytes().last()) && separators.into_iter().all(is_separator)
}

fn is_tag(text: &str) -> bool {
    let is_valid = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    is_valid && !text.starts_with(['-', '.']) && (1..=MAX_TAG_BYTES).contains(&text.len())
}

fn is_digest(text: &str) -> bool {
    let digits = match text.split_once(':') {
        Some(("sha256", digits)) if digits.len() == 64 => digits,
        Some(("sha384", digits)) if digits.len() == 96 => digits,
        Some(("sha512", digits)) if digits.len() == 128 => digits,
        _ => return false,
    };
    digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_as_docker_reads_it() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, repository) in [
            ("python", "docker.io/library/python"),
            ("python:3.11-slim", "docker.io/library/python"),
            ("me/x", "docker.io/me/x"),
            ("docker.io/python", "docker.io/library/python"),
            ("index.docker.io/me/x:1", "docker.io/me/x"),
            ("public.ecr.aws/docker/library/busybox:1.37", "public.ecr.aws/docker/library/busybox"),
            ("registry:5000/x", "registry:5000/x"),
            ("localhost/x", "localhost/x"),
            ("Registry/x", "Registry/x"),
            ("[::1]:5000/x", "[::1]:5000/x"),
            ("a__b/c---d/e.f_g:_A", "docker.io/a__b/c---d/e.f_g"),
            (&format!("x:1@{digest}"), "docker.io/library/x"),
            (&format!("x@{digest}"), "docker.io/library/x"),
            (&format!("{}@{digest}", "a".repeat(64)), &format!("docker.io/library/{}", "a".repeat(64))),
            (&format!("x@sha384:{}", "a".repeat(96)), "docker.io/library/x"),
            (&format!("x@sha512:{}", "a".repeat(128)), "docker.io/library/x"),
        ] {
            let reference = ImageReference::parse(text).unwrap_or_else(|problem| panic!("{text} {problem}"));
            assert_eq!((reference.as_str(), reference.repository()), (text, repository));
        }
    }

    #[test]
    fn a_malformed_reference_is_refused() {
        let long = format!("x/{}", "a".repeat(255));
        let id = "a".repeat(64);
        for text in [
            "",
            " ",
            "x y",
            "x:",
            "x:-1",
            "x:a/b",
            ":1",
            "x@",
            "x@sha256:aa",
            "x@sha384:aa",
            "x@md5:aa",
            "Python",
            "x/Y",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "a//b",
            "/a",
            "a/",
            "a.-b",
            "http://x/y",
            "x.y:/z",
            "x.y:a/z",
            "-x.y/z",
            "x..y/z",
            "[::1/x",
            "[]/x",
            "[g]/x",
            "x:1@x:2",
            "$X",
            "x\u{e9}",
            "x:\u{e9}",
            "a\u{0}",
            "scratch:",
            &long,
            &id,
            &format!("x:{}", "a".repeat(129)),
            &format!("x@sha256:{}", "A".repeat(64)),
            &format!("x@sha256:{}@sha256:{}", "a".repeat(64), "a".repeat(64)),
        ] {
            assert!(ImageReference::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_names_of_the_public_internet_are_public() {
        for host in ["docker.io", "public.ecr.aws", "ghcr.io:443", "a-1.example.com", "1.2.3.com"] {
            assert!(ImageReference::parse(&format!("{host}/x")).unwrap().is_public(), "{host}");
        }
        for host in [
            "localhost",
            "localhost:5000",
            "LOCALHOST",
            "registry:5000",
            "Registry",
            "a.localhost",
            "a.local:80",
            "host.docker.internal",
            "ip-10-0-0-1.ec2.internal",
            "127.0.0.1",
            "127.1",
            "127.0.0.1:5000",
            "10.0.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "8.8.8.8",
            "0x7f.1",
            "0x7f.0x1",
            "1.0x1",
            "2130706433:80",
            "[::1]",
            "[::1]:5000",
            "[fe80::1]",
            "[::ffff:10.0.0.1]",
        ] {
            let is_public = ImageReference::parse(&format!("{host}/x")).is_ok_and(|image| image.is_public());
            assert!(!is_public, "{host}");
        }
    }
}
