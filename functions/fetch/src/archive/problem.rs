//! What can be wrong with an archive, in words that its author can act on.

use std::io;

use shared::{Failure, FailureCode};

/// Characters of an entry's name that a message shows.
const MAX_NAME_CHARS: usize = 80;

/// A name from an archive, made harmless: printable ASCII without quotes and markup, everything else escaped, up to 80
/// characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted(String);

impl Quoted {
    /// Makes a name harmless.
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

/// Why an archive is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is nothing.
    #[error("The submitted file is empty. Submit a zip archive with a Dockerfile at its root or in code/.")]
    Empty,
    /// It is something else.
    #[error("The submitted file is {what}, not a zip archive. Pack the same files as .zip and submit again.")]
    NotZip {
        /// What it looks like.
        what: &'static str,
    },
    /// The end is missing.
    #[error(
        "The zip archive is incomplete: its end is missing. Check it with `unzip -t`, pack it again and submit again."
    )]
    Truncated,
    /// The archive's table of contents contradicts itself or the file.
    #[error(
        "The zip archive's table of contents is broken ({what}). Pack it again with a common tool and submit again."
    )]
    BrokenDirectory {
        /// What is wrong with it.
        what: &'static str,
    },
    /// There are bytes that belong to no entry.
    #[error(
        "The zip archive has data {place} that belongs to no entry. Pack it again as a plain archive, not \
         self-extracting, split or signed, and submit again."
    )]
    StrayData {
        /// Where.
        place: &'static str,
    },
    /// An entry is encrypted.
    #[error("{name} in the zip archive is encrypted. Pack it without a password and submit again.")]
    Encrypted {
        /// The entry.
        name: Quoted,
    },
    /// An entry is compressed in an uncommon way.
    #[error(
        "{name} in the zip archive is compressed by method {method}, and only 0 (stored) and 8 (deflate) are \
         supported. Pack it with `zip -r` or with the default settings of another tool and submit again."
    )]
    Method {
        /// The entry.
        name: Quoted,
        /// The method's number in the zip format.
        method: u16,
    },
    /// An entry does not unpack to what it announces.
    #[error("{name} in the zip archive is damaged: {what}. Pack it again and submit again.")]
    Damaged {
        /// The entry.
        name: Quoted,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An entry's name would lead an unpacking tool astray.
    #[error(
        "The name {name} in the zip archive {what}. Use relative names with forward slashes inside the archive and \
         submit again."
    )]
    Name {
        /// The entry.
        name: Quoted,
        /// What is wrong with its name.
        what: &'static str,
    },
    /// An entry is neither file nor folder.
    #[error(
        "{name} in the zip archive is {what}. Only files and folders are accepted: replace it with a copy and submit again."
    )]
    Special {
        /// The entry.
        name: Quoted,
        /// What it is.
        what: &'static str,
    },
    /// Two entries have one path.
    #[error("The zip archive holds {name} more than once. Pack it again from a folder and submit again.")]
    Duplicate {
        /// The second entry.
        name: Quoted,
    },
    /// A file has entries below it.
    #[error(
        "The zip archive holds {name} below something that is a file. Pack it again from a folder and submit again."
    )]
    BelowFile {
        /// The entry below the file.
        name: Quoted,
    },
    /// Both headers of an entry differ.
    #[error(
        "The two headers of {name} in the zip archive disagree about its {what}. Pack it again with a common tool and \
         submit again."
    )]
    HeadersDisagree {
        /// The entry.
        name: Quoted,
        /// What about.
        what: &'static str,
    },
    /// Two entries share bytes.
    #[error("{name} in the zip archive overlaps another entry. Pack it again with a common tool and submit again.")]
    Overlap {
        /// The first of the entries.
        name: Quoted,
    },
    /// There are too many entries.
    #[error("The zip archive holds {entries} files and folders; {limit} are allowed. Leave some out and submit again.")]
    TooManyEntries {
        /// How many there are.
        entries: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// An entry is too large.
    #[error(
        "{name} in the zip archive unpacks to more than {limit} bytes, the most one file may have. Make it smaller and submit again."
    )]
    EntryTooLarge {
        /// The entry.
        name: Quoted,
        /// The limit in bytes.
        limit: u64,
    },
    /// All entries together are too large.
    #[error(
        "The zip archive unpacks to more than {limit} bytes, the most it may have. Leave some files out and submit again."
    )]
    UnpackedTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// An entry or the archive looks like a bomb.
    #[error(
        "{name} in the zip archive unpacks to more than {limit} times its compressed size, which only bombs and padding \
         do. Create such data in the Dockerfile or in training and submit again."
    )]
    Bomb {
        /// The entry at which the limit was reached.
        name: Quoted,
        /// The limit.
        limit: u64,
    },
    /// There is no usable Dockerfile.
    #[error("The zip archive has no Dockerfile at its root or in code/{}", found(.similar))]
    NoDockerfile {
        /// Names that could have been meant, three at most.
        similar: Vec<Quoted>,
    },
    /// The Dockerfile has no lines.
    #[error("{name} in the zip archive is empty. Write what builds the image into it and submit again.")]
    EmptyDockerfile {
        /// The entry.
        name: Quoted,
    },
    /// There are two usable Dockerfiles.
    #[error(
        "The zip archive has a Dockerfile at its root and another in code/, and it is not clear which one is meant. \
         Remove or rename one and submit again."
    )]
    TwoDockerfiles,
    /// The file could not be read, which is not the archive's doing.
    #[error("The downloaded archive could not be read back.")]
    Read {
        /// What happened.
        source: io::Error,
    },
}

impl Problem {
    /// The failure's stable name.
    #[must_use]
    pub fn code(&self) -> FailureCode {
        match self {
            Self::Empty
            | Self::NotZip { .. }
            | Self::Truncated
            | Self::BrokenDirectory { .. }
            | Self::StrayData { .. }
            | Self::Encrypted { .. }
            | Self::Method { .. }
            | Self::Damaged { .. } => FailureCode::ArchiveInvalid,
            Self::Name { .. }
            | Self::Special { .. }
            | Self::Duplicate { .. }
            | Self::BelowFile { .. }
            | Self::HeadersDisagree { .. }
            | Self::Overlap { .. } => FailureCode::ArchiveUnsafe,
            Self::TooManyEntries { .. }
            | Self::EntryTooLarge { .. }
            | Self::UnpackedTooLarge { .. }
            | Self::Bomb { .. } => FailureCode::ArchiveTooLarge,
            Self::NoDockerfile { .. } | Self::EmptyDockerfile { .. } | Self::TwoDockerfiles => {
                FailureCode::DockerfileMissing
            }
            Self::Read { .. } => FailureCode::Internal,
        }
    }
}

/// Reading past the end is the archive's fault: its lengths lie.
impl From<io::Error> for Problem {
    fn from(source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::UnexpectedEof {
            Self::BrokenDirectory { what: "it points beyond the end of the file" }
        } else {
            Self::Read { source }
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let failure = Self::new(problem.code(), problem.to_string());
        match problem {
            Problem::Read { source } => failure.caused_by(source),
            _ => failure,
        }
    }
}

fn found(similar: &[Quoted]) -> String {
    if similar.is_empty() {
        return ". Add a file with exactly this name to one of them and submit again.".to_owned();
    }
    let similar: Vec<&str> = similar.iter().map(|name| name.0.as_str()).collect();
    format!(
        "; it has {}. The name is exactly Dockerfile, case matters, and the folder around it must not be packed: only \
         what is inside. Pack it again and submit again.",
        similar.join(", ")
    )
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
