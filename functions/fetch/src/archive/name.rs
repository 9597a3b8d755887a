//! Names that mean the same path to every unpacking tool.

/// Longer names do not fit every file system below a build's working folder.
pub(super) const MAX_NAME_BYTES: usize = 1024;
/// The longest file name of Linux's file systems.
const MAX_COMPONENT_BYTES: usize = 255;

/// Checks a name as it stands in the archive; says what is wrong with it.
pub(super) fn check(name: &[u8]) -> Result<&str, &'static str> {
    let Ok(name) = std::str::from_utf8(name) else { return Err("is not UTF-8") };
    if name.is_empty() {
        return Err("is empty");
    }
    if name.contains('\0') {
        return Err("holds a NUL character");
    }
    if name.contains('\\') {
        return Err("holds a backslash");
    }
    if name.starts_with('/') {
        return Err("is absolute");
    }
    if let [b'a'..=b'z' | b'A'..=b'Z', b':', ..] = name.as_bytes() {
        return Err("starts with a drive letter");
    }
    if name.len() > MAX_NAME_BYTES {
        return Err("is too long");
    }
    for component in name.strip_suffix('/').unwrap_or(name).split('/') {
        match component {
            "" => return Err("has an empty part"),
            ".." => return Err("leads out of its folder"),
            _ if component.len() > MAX_COMPONENT_BYTES => return Err("is too long"),
            _ => {}
        }
    }
    Ok(name)
}

/// The parts of a checked name, without `.`: what is left is the path.
pub(super) fn components(name: &str) -> impl Iterator<Item = &str> {
    name.split('/').filter(|component| !matches!(*component, "" | "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_pass() {
        for name in
            ["Dockerfile", "code/", "code/src/a b.py", "./code/./x", "naïve/日本.txt", "a..b", "...", "Icon\r", "ab:c"]
        {
            assert_eq!(check(name.as_bytes()), Ok(name));
        }
    }

    #[test]
    fn everything_that_leads_elsewhere_is_refused() {
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
            "a\\b",
            "..\\x",
            "C:x",
            "c:/x",
            "a\0b",
        ] {
            assert!(check(name.as_bytes()).is_err(), "{name:?}");
        }
        assert_eq!(check(b"caf\xe9"), Err("is not UTF-8"));
        assert_eq!(check(&b"a".repeat(256)), Err("is too long"));
        assert_eq!(check(&b"a/".repeat(600)), Err("is too long"));
    }

    #[test]
    fn a_path_does_not_depend_on_how_it_is_written() {
        assert!(components("./code/./x/").eq(["code", "x"]));
        assert!(components("./").eq(std::iter::empty::<&str>()));
    }
}
