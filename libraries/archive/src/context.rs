//! The folder that the image is built from.

use serde::Serialize;

use crate::entry::Entry;
use crate::name;
use crate::problem::{Problem, Quoted};

/// Limit for the similar file names in a message.
const MAX_SIMILAR: usize = 3;

/// The folder that holds the Dockerfile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum BuildContext {
    #[serde(rename = ".")]
    Root,
    #[serde(rename = "code")]
    Code,
}

/// Finds the single usable Dockerfile, at the root or in `code/`.
pub(crate) fn find(entries: &[Entry]) -> Result<BuildContext, Problem> {
    let at =
        |path: &[&str]| entries.iter().find(|entry| !entry.is_folder() && entry.components().eq(path.iter().copied()));
    let (root, code) = (at(&["Dockerfile"]), at(&["code", "Dockerfile"]));
    let usable = |entry: Option<&Entry>| entry.is_some_and(|entry| entry.unpacked > 0);
    match (usable(root), usable(code)) {
        (true, true) => Err(Problem::TwoDockerfiles),
        (true, false) => Ok(BuildContext::Root),
        (false, true) => Ok(BuildContext::Code),
        (false, false) => Err(match root.or(code) {
            Some(empty) => Problem::EmptyDockerfile { name: empty.quoted() },
            None => Problem::NoDockerfile { similar: similar(entries) },
        }),
    }
}

fn similar(entries: &[Entry]) -> Vec<Quoted> {
    let is_similar = |entry: &&Entry| {
        name::components(&entry.name).last().is_some_and(|name| {
            let name = name.to_ascii_lowercase();
            name == "dockerfile" || name.starts_with("dockerfile.") || name.ends_with(".dockerfile")
        })
    };
    entries.iter().filter(is_similar).take(MAX_SIMILAR).map(Entry::quoted).collect()
}
