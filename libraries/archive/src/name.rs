//! Checks that a name means the same path to every unpacking tool.

/// A longer name, below the working folder of a build, can exceed the limits of file systems.
pub(crate) const MAX_NAME_BYTES: usize = 1024;
/// Length limit of a file name on Linux.
const MAX_COMPONENT_BYTES: usize = 255;

/// Checks a name from an archive. The error completes the sentence "The name …".
pub(crate) fn check(name: &[u8]) -> Result<&str, &'static str> {
    let Ok(name) = std::str::from_utf8(name) else { return Err("is not UTF-8") };
    if name.is_empty() {
        return Err("is empty");
    }
    if name.contains('\0') {
        return Err("contains a NUL character");
    }
    if name.contains('\\') {
        return Err("contains a backslash");
    }
    if name.starts_with('/') {
        return Err("is an absolute path");
    }
    if let [b'a'..=b'z' | b'A'..=b'Z', b':', ..] = name.as_bytes() {
        return Err("starts with a drive letter");
    }
    if name.len() > MAX_NAME_BYTES {
        return Err("is too long");
    }
    // A folder may, but unzip makes a file `_` of it.
    if name.ends_with("/.") {
        return Err("ends with a single dot");
    }
    for component in name.strip_suffix('/').unwrap_or(name).split('/') {
        match component {
            "" => return Err("has an empty component"),
            ".." => return Err("points outside the archive"),
            _ if component.len() > MAX_COMPONENT_BYTES => return Err("is too long"),
            // unzip leaves control characters out, so that two names can become one. macOS names the icon of a folder so.
            _ if component != "Icon\r" && component.contains(char::is_control) => {
                return Err("contains a control character");
            }
            _ => {}
        }
    }
    Ok(name)
}

/// The path components of a checked name, without `.`.
pub(crate) fn components(name: &str) -> impl Iterator<Item = &str> {
    name.split('/').filter(|component| !matches!(*component, "" | "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_accepted() {
        for name in
            ["Dockerfile", "code/", "code/src/a b.py", "./code/./x", "naïve/日本.txt", "a..b", "...", "Icon\r", "ab:c"]
        {
            assert_eq!(check(name.as_bytes()), Ok(name));
        }
    }

    #[test]
    fn unsafe_names_are_refused() {
        for name in [
            "",
            "/",
            "/etc/passwd",
            "//server/share",
            "..",
            "../x",
            "a/../../x",
            "a/..",
            "a/../",
            "a//b",
            "a//",
            "a/.",
            "a\\b",
            "..\\x",
            "C:x",
            "c:/x",
            "a\0b",
            "Dockerfile\u{1}",
            "code\r/x",
            "a\u{85}b",
        ] {
            assert!(check(name.as_bytes()).is_err(), "{name:?}");
        }
        assert_eq!(check(b"caf\xe9"), Err("is not UTF-8"));
        assert_eq!(check(&b"a".repeat(256)), Err("is too long"));
        assert_eq!(check(&b"a/".repeat(600)), Err("is too long"));
    }

    #[test]
    fn spellings_of_one_path_have_the_same_components() {
        assert!(components("./code/./x/").eq(["code", "x"]));
        assert!(components("./").eq(std::iter::empty::<&str>()));
    }
}
