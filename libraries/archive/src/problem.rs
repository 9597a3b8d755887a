//! Problems of archives, in messages that a participant can act on.

use std::io;

use domain::{Coded, FailureCode, Quoted};

/// A file that could have been meant as the Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Similar {
    pub name: Quoted,
    pub is_file: bool,
    /// Whether it is called exactly `Dockerfile`.
    pub has_the_name: bool,
    /// Whether it is at the root or in `code/`.
    pub is_in_place: bool,
}

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("The submitted file is empty. Submit a zip archive with a Dockerfile at its root or in code/.")]
    Empty,
    #[error("The submitted file is {what}, not a zip archive. Pack the same files as a .zip file, then submit again.")]
    NotZip { what: &'static str },
    #[error(
        "The zip archive is incomplete: its end is missing. Check it with `unzip -t`, pack it again, then submit again."
    )]
    Truncated,
    /// The table of contents contradicts itself or the file.
    #[error(
        "The zip archive's table of contents is broken ({what}). Pack it again with a common tool, then submit again."
    )]
    BrokenDirectory { what: &'static str },
    #[error(
        "The zip archive has data {place} that belongs to no entry. Pack it again as a plain archive, not \
         self-extracting, split or signed, then submit again."
    )]
    StrayData { place: &'static str },
    #[error("{name} in the zip archive is encrypted. Pack it without a password, then submit again.")]
    Encrypted { name: Quoted },
    #[error(
        "{name} in the zip archive is compressed with method {method}. Only methods 0 (stored) and 8 (deflate) are \
         supported. Pack it with `zip -r` or with the default settings of another tool, then submit again."
    )]
    Method {
        name: Quoted,
        /// The method's number in the zip format.
        method: u16,
    },
    #[error("{name} in the zip archive is damaged: {what}. Pack it again, then submit again.")]
    Damaged { name: Quoted, what: &'static str },
    #[error(
        "The name {name} in the zip archive {what}. Use relative names with forward slashes that stay inside the archive, \
         then submit again."
    )]
    Name { name: Quoted, what: &'static str },
    /// Neither a file nor a folder.
    #[error(
        "{name} in the zip archive is {what}. Only files and folders are allowed. Replace it with a regular file, then submit again."
    )]
    Special { name: Quoted, what: &'static str },
    #[error("The zip archive contains {name} more than once. Pack it again from a folder, then submit again.")]
    Duplicate { name: Quoted },
    #[error(
        "The zip archive contains {name}, but one of its parent folders is a file in the archive. Pack it again from a folder, then submit again."
    )]
    BelowFile { name: Quoted },
    #[error(
        "The two headers of {name} in the zip archive disagree about its {what}. Pack it again with a common tool, then submit again."
    )]
    HeadersDisagree { name: Quoted, what: &'static str },
    #[error("{name} in the zip archive overlaps another entry. Pack it again with a common tool, then submit again.")]
    Overlap { name: Quoted },
    #[error(
        "The zip archive contains {entries} files and folders; the limit is {limit}. Remove some, then submit again."
    )]
    TooManyEntries { entries: u64, limit: u64 },
    #[error(
        "{name} in the zip archive unpacks to more than {limit} bytes, the limit for one file. Make it smaller, then submit again."
    )]
    EntryTooLarge { name: Quoted, limit: u64 },
    #[error(
        "The zip archive unpacks to more than {limit} bytes, the limit for all files together. Remove some files, then submit again."
    )]
    UnpackedTooLarge { limit: u64 },
    #[error(
        "{name} in the zip archive unpacks to more than {limit} times its compressed size, which indicates a zip bomb or \
         padding. Leave the file out and create its data in the Dockerfile or during training, then submit again."
    )]
    Bomb {
        /// The entry at which the limit was reached.
        name: Quoted,
        limit: u64,
    },
    #[error("The zip archive has no Dockerfile at its root or in code/{}", suggestion(.similar))]
    NoDockerfile {
        /// Three at most.
        similar: Vec<Similar>,
    },
    #[error("{name} in the zip archive is empty. Add the instructions that build the image, then submit again.")]
    EmptyDockerfile { name: Quoted },
    #[error(
        "The zip archive has a Dockerfile at its root and another one in code/, so it is not clear which one to build. \
         Remove or rename one of them, then submit again."
    )]
    TwoDockerfiles,
    #[error(
        "{name} in the zip archive is larger than {limit} bytes. Move data and scripts to files of their own, then submit again."
    )]
    DockerfileTooLarge { name: Quoted, limit: u64 },
    /// Not the fault of the archive.
    #[error(
        "The downloaded archive could not be read back from disk. The step is retried. If all retries fail, redrive the execution."
    )]
    Read { source: io::Error },
}

impl Coded for Problem {
    fn code(&self) -> FailureCode {
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
            Self::DockerfileTooLarge { .. } => FailureCode::BuildFailed,
            Self::Read { .. } => FailureCode::Internal,
        }
    }
}

/// Reading beyond the end of the file is the fault of the archive, whose lengths are wrong.
impl From<io::Error> for Problem {
    fn from(source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::UnexpectedEof {
            Self::BrokenDirectory { what: "it points beyond the end of the file" }
        } else {
            Self::Read { source }
        }
    }
}

fn suggestion(similar: &[Similar]) -> String {
    if similar.is_empty() {
        return ". Add a file with exactly this name, then submit again.".to_owned();
    }
    let names: Vec<String> = similar.iter().map(|file| file.name.to_string()).collect();
    let mut text = format!(", but it has {}.", names.join(", "));
    if similar.iter().any(|file| !file.is_file) {
        text.push_str(" It has to be a file, not a folder.");
    }
    if similar.iter().any(|file| !file.has_the_name) {
        text.push_str(" The name has to be exactly Dockerfile, including the capital D.");
    }
    if similar.iter().any(|file| !file.is_in_place) {
        text.push_str(" Pack the files themselves, not the folder around them.");
    }
    text + " Then submit again."
}

#[cfg(test)]
mod tests {
    use super::*;

    fn similar(name: &str, has_the_name: bool, is_in_place: bool) -> Similar {
        Similar { name: Quoted::new(name.as_bytes()), is_file: !name.ends_with('/'), has_the_name, is_in_place }
    }

    #[test]
    fn each_message_says_what_happened_and_what_to_do() {
        let name = || Quoted::new(b"code/train.py");
        let problems = [
            Problem::Empty,
            Problem::NotZip { what: "a gzip or tar.gz archive" },
            Problem::Truncated,
            Problem::BrokenDirectory { what: "it points beyond the end of the file" },
            Problem::StrayData { place: "after its end" },
            Problem::Encrypted { name: name() },
            Problem::Method { name: name(), method: 12 },
            Problem::Damaged { name: name(), what: "its checksum is wrong" },
            Problem::Name { name: Quoted::new(b"../train.py"), what: "points outside the archive" },
            Problem::Special { name: name(), what: "a symbolic link" },
            Problem::Duplicate { name: name() },
            Problem::BelowFile { name: name() },
            Problem::HeadersDisagree { name: name(), what: "size" },
            Problem::Overlap { name: name() },
            Problem::TooManyEntries { entries: 10_001, limit: 10_000 },
            Problem::EntryTooLarge { name: name(), limit: 2_147_483_648 },
            Problem::UnpackedTooLarge { limit: 4_294_967_296 },
            Problem::Bomb { name: name(), limit: 200 },
            Problem::NoDockerfile { similar: Vec::new() },
            Problem::NoDockerfile { similar: vec![similar("dockerfile", false, true)] },
            Problem::NoDockerfile { similar: vec![similar("Dockerfile/", true, true)] },
            Problem::NoDockerfile { similar: vec![similar("my-solution/Dockerfile", true, false)] },
            Problem::NoDockerfile { similar: vec![similar("my-solution/Dockerfile.txt", false, false)] },
            Problem::EmptyDockerfile { name: Quoted::new(b"Dockerfile") },
            Problem::TwoDockerfiles,
            Problem::DockerfileTooLarge { name: Quoted::new(b"Dockerfile"), limit: 1_048_576 },
            Problem::Read { source: io::ErrorKind::StorageFull.into() },
        ];
        let texts: Vec<String> = problems.iter().map(|problem| format!("{}: {problem}", problem.code())).collect();
        insta::assert_snapshot!(texts.join("\n\n"));
    }
}
