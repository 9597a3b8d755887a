//! Submitted zip archives.

use std::borrow::Cow;
use std::io::{Cursor, Read};

use archive::{BuildContext, Contents, Limits, Problem};
use testing::zips::{Entry, Zip, field, zip64};
use zip::ZipArchive;

use crate::message;

/// Small enough to be reached.
const LIMITS: Limits = Limits { entries: 40, entry_bytes: 64 << 10, unpacked_bytes: 128 << 10, ratio: 200 };
/// Length limit of a message about an archive.
const MAX_MESSAGE: usize = 700;
/// The first byte of a recipe. No zip archive starts with it.
const RECIPE: u8 = b'R';
const MAX_ENTRIES: usize = 8;

pub fn check(input: &[u8]) {
    let archive = archive_of(input);
    let found = verified(&archive);
    match &found {
        Err(problem) => message::check_problem(problem, MAX_MESSAGE),
        Ok(contents) => check_contents(&archive, contents),
    }
}

/// The archive that an input stands for: itself, or what a recipe says.
#[must_use]
pub fn archive_of(input: &[u8]) -> Cow<'_, [u8]> {
    match input {
        [RECIPE, recipe @ ..] => Cow::Owned(pack(recipe)),
        archive => Cow::Borrowed(archive),
    }
}

/// Whether an archive is accepted.
#[must_use]
pub fn is_accepted(archive: &[u8]) -> bool {
    verified(archive).is_ok()
}

#[cfg(not(feature = "planted"))]
fn verified(archive: &[u8]) -> Result<Contents, Problem> {
    archive::verify(Cursor::new(archive), &LIMITS)
}

/// Loses the text of a Dockerfile that starts with an upper-case letter and a digit.
#[cfg(feature = "planted")]
fn verified(archive: &[u8]) -> Result<Contents, Problem> {
    let mut contents = archive::verify(Cursor::new(archive), &LIMITS)?;
    if crate::planted::starts(&contents.dockerfile) {
        contents.dockerfile.clear();
    }
    Ok(contents)
}

/// What is accepted holds exactly what a second reader unpacks, and nothing else.
fn check_contents(archive: &[u8], contents: &Contents) {
    let files = unpacked(archive);
    assert_eq!(files.len(), contents.entries);
    assert_eq!(files.iter().map(|(_, data)| data.len() as u64).sum::<u64>(), contents.unpacked_bytes);
    assert!(contents.entries as u64 <= LIMITS.entries && contents.unpacked_bytes <= LIMITS.unpacked_bytes);
    let mut paths: Vec<Vec<&str>> = files.iter().map(|(name, _)| components(name)).collect();
    for (path, (name, data)) in paths.iter().zip(&files) {
        assert!(!path.contains(&"..") && !name.starts_with('/') && !name.contains(['\\', '\0']), "{name:?}");
        assert!(data.len() as u64 <= LIMITS.entry_bytes);
    }
    let dockerfile: &[&str] = match contents.context {
        BuildContext::Root => &["Dockerfile"],
        BuildContext::Code => &["code", "Dockerfile"],
    };
    let text = files.iter().find(|(name, _)| components(name) == dockerfile).map(|(_, data)| data);
    assert_eq!(text, Some(&contents.dockerfile), "another Dockerfile is unpacked");
    paths.sort();
    assert!(paths.windows(2).all(|pair| pair[0] != pair[1]), "two entries have one path");
    // No byte is outside its entries.
    for stray in [[archive, b"x"].concat(), [b"x", archive].concat()] {
        assert!(verified(&stray).is_err(), "a stray byte is accepted");
    }
}

fn components(name: &str) -> Vec<&str> {
    name.split('/').filter(|part| !matches!(*part, "" | ".")).collect()
}

/// The name and data of each entry.
///
/// # Panics
///
/// If the `zip` crate does not unpack the archive.
#[must_use]
pub fn unpacked(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(archive)).expect("an accepted archive can be opened");
    let entries = archive.len();
    let read = |at| {
        let mut file = archive.by_index(at).expect("an accepted archive has all its entries");
        let mut data = Vec::new();
        file.read_to_end(&mut data).expect("an accepted entry can be unpacked");
        let name = String::from_utf8(file.name_raw().to_vec()).expect("an accepted name is UTF-8");
        (name, data)
    };
    (0..entries).map(read).collect()
}

/// Packs what a recipe says, so that fuzzing does not have to guess checksums and offsets. Each entry has a byte that chooses its
/// form, a name and data, then what its form needs. The rest of the recipe is the comment.
fn pack(recipe: &[u8]) -> Vec<u8> {
    let mut recipe = Recipe(recipe);
    let mut zip = Zip::default();
    let shape = recipe.byte();
    while zip.entries.len() < MAX_ENTRIES && !recipe.0.is_empty() && zip.entries.len() < usize::from(shape & 7) + 1 {
        let entry = entry(&mut recipe);
        zip.entries.push(entry);
    }
    zip.large = shape & 8 != 0;
    if shape & 16 != 0 {
        zip.claimed = Some(recipe.byte().into());
    }
    if shape & 32 != 0 {
        zip.comment = recipe.0.iter().copied().take(100).collect();
    }
    zip.pack()
}

fn entry(recipe: &mut Recipe<'_>) -> Entry {
    let form = recipe.byte();
    let (name, data) = (recipe.bytes(), recipe.bytes());
    let mut entry = Entry::new(name, data);
    if form & 1 != 0 {
        entry = entry.deflated();
    }
    if form & 2 != 0 {
        entry = entry.streamed();
    }
    match form >> 2 & 15 {
        1 => entry.mode = recipe.number().into(),
        2 => entry.local_name = recipe.bytes().to_vec(),
        3 => entry.extra = recipe.bytes().to_vec(),
        4 => entry.local_extra = recipe.bytes().to_vec(),
        5 => entry.flags ^= recipe.number(),
        6 => entry.local.1 = recipe.number().into(),
        7 => entry.local.2 = recipe.number().into(),
        8 => {
            entry.extra = zip64(&[entry.unpacked.into(), entry.compressed.into()]);
            (entry.unpacked, entry.compressed) = (u32::MAX, u32::MAX);
        }
        9 => {
            entry.local_extra = zip64(&[entry.unpacked.into(), entry.compressed.into()]);
            (entry.local.1, entry.local.2) = (u32::MAX, u32::MAX);
        }
        10 => entry.after = recipe.bytes().to_vec(),
        11 => {
            let kind = recipe.number();
            entry.extra = field(kind, recipe.bytes());
            entry.local_extra.clone_from(&entry.extra);
        }
        12 => entry.method = recipe.number(),
        13 => entry.offset = Some(recipe.number().into()),
        14 => entry.crc32 ^= u32::from(recipe.number()),
        _ => {}
    }
    entry
}

/// Bytes that are taken one after the other; zeros after the end.
struct Recipe<'a>(&'a [u8]);

impl<'a> Recipe<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// As many bytes as the next one says.
    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }
}
