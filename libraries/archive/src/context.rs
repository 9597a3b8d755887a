//! The folder that the image is built from.

use serde::Serialize;

use crate::entry::Entry;
use crate::name;
use crate::problem::{Problem, Similar};

/// Limit for the similar file names in a message.
const MAX_SIMILAR: usize = 3;
/// Limit for a Dockerfile, which is kept in memory.
const MAX_DOCKERFILE_BYTES: u64 = 1 << 20;

/// The folder that holds the Dockerfile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum BuildContext {
    #[serde(rename = ".")]
    Root,
    #[serde(rename = "code")]
    Code,
}

/// The single usable Dockerfile.
pub(crate) struct Found {
    pub(crate) context: BuildContext,
    /// Where its local header starts.
    pub(crate) offset: u64,
}

/// Finds the single usable Dockerfile, at the root or in `code/`.
pub(crate) fn find(entries: &[Entry]) -> Result<Found, Problem> {
    let at =
        |path: &[&str]| entries.iter().find(|entry| !entry.is_folder() && entry.components().eq(path.iter().copied()));
    let (root, code) = (at(&["Dockerfile"]), at(&["code", "Dockerfile"]));
    let usable = |entry: &&Entry| entry.unpacked > 0;
    let found = |context, dockerfile: &Entry| {
        if dockerfile.unpacked > MAX_DOCKERFILE_BYTES {
            return Err(Problem::DockerfileTooLarge { name: dockerfile.quoted(), limit: MAX_DOCKERFILE_BYTES });
        }
        Ok(Found { context, offset: dockerfile.offset })
    };
    match (root.filter(usable), code.filter(usable)) {
        (Some(_), Some(_)) => Err(Problem::TwoDockerfiles),
        (Some(root), None) => found(BuildContext::Root, root),
        (None, Some(code)) => found(BuildContext::Code, code),
        (None, None) => Err(match root.or(code) {
            Some(empty) => Problem::EmptyDockerfile { name: empty.quoted() },
            None => Problem::NoDockerfile { similar: similar(entries) },
        }),
    }
}

fn similar(entries: &[Entry]) -> Vec<Similar> {
    let similar = entries.iter().filter_map(|entry| {
        let components: Vec<&str> = name::components(&entry.name).collect();
        let (file, folders) = components.split_last()?;
        let lower = file.to_ascii_lowercase();
        let is_similar = lower == "dockerfile" || lower.starts_with("dockerfile.") || lower.ends_with(".dockerfile");
        is_similar.then(|| Similar {
            name: entry.quoted(),
            is_file: !entry.is_folder(),
            has_the_name: *file == "Dockerfile",
            is_in_place: matches!(folders, [] | ["code"]),
        })
    });
    similar.take(MAX_SIMILAR).collect()
}
