//! Earlier submissions in files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use scoring::originality::Provenance;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A line of a manifest.
#[derive(Debug, Deserialize)]
struct Line {
    file: PathBuf,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    created: Option<String>,
}

/// An earlier submission and its file.
#[derive(Clone, Debug)]
pub(crate) struct EarlierSubmission {
    pub(crate) provenance: Provenance,
    pub(crate) path: PathBuf,
}

#[derive(Debug)]
pub(crate) struct EarlierSubmissions(Vec<EarlierSubmission>);

impl EarlierSubmissions {
    /// Reads a folder or a manifest. In a folder, every CSV file is a submission by its own user, older than the scored one.
    /// A manifest is a CSV file with the column file and optionally user and created (RFC 3339).
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let submissions = if path.is_dir() { Self::of_folder(path) } else { Self::of_manifest(path) };
        submissions.with_context(|| format!("reading {}", path.display()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &EarlierSubmission> {
        self.0.iter()
    }

    /// Takes out the submission with this file: a submission is not compared with itself.
    pub(crate) fn take(&mut self, file: &Path) -> Option<Provenance> {
        let scored = std::fs::canonicalize(file).ok()?;
        let same = |path: &Path| std::fs::canonicalize(path).is_ok_and(|path| path == scored);
        let at = self.0.iter().position(|submission| same(&submission.path))?;
        Some(self.0.remove(at).provenance)
    }

    fn of_folder(folder: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for file in std::fs::read_dir(folder)? {
            let path = file?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_csv = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "csv");
            if is_csv(name.strip_suffix(".gz").unwrap_or(&name)) {
                files.push((name, path));
            }
        }
        files.sort();
        let lines = files.into_iter().map(|(name, path)| (name, Line { file: path, user: None, created: None }));
        Self::of_lines(Path::new(""), lines)
    }

    fn of_manifest(manifest: &Path) -> Result<Self> {
        let mut reader = csv::Reader::from_path(manifest)?;
        let lines: Vec<Line> = reader.deserialize().collect::<Result<_, _>>()?;
        let folder = manifest.parent().unwrap_or(Path::new(""));
        Self::of_lines(folder, lines.into_iter().map(|line| (line.file.display().to_string(), line)))
    }

    fn of_lines(folder: &Path, lines: impl Iterator<Item = (String, Line)>) -> Result<Self> {
        let mut submissions = BTreeMap::new();
        for (name, line) in lines {
            let created = line.created.as_deref().map_or(Ok(i128::MIN), timestamp)?;
            let user = line.user.unwrap_or_else(|| format!("the user of {name}"));
            let provenance = Provenance { submission: name.clone(), user, challenge: String::new(), created };
            let submission = EarlierSubmission { provenance, path: folder.join(line.file) };
            if submissions.insert(name.clone(), submission).is_some() {
                bail!("{name} is listed twice");
            }
        }
        if submissions.is_empty() {
            bail!("there are no submissions");
        }
        Ok(Self(submissions.into_values().collect()))
    }
}

/// A time in nanoseconds since 1970.
pub(crate) fn timestamp(text: &str) -> Result<i128> {
    match OffsetDateTime::parse(text, &Rfc3339) {
        Ok(at) => Ok(at.unix_timestamp_nanos()),
        Err(_) => bail!("{text:?} is not a time such as 2026-01-31T09:00:00Z"),
    }
}
