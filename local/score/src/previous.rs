//! Earlier submissions in files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use scoring::originality::{Entry, Evidence};
use scoring::{Roster, Sorted, Summary};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::files;

/// A line of a manifest.
#[derive(Debug, Deserialize)]
struct Line {
    file: PathBuf,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    created: Option<String>,
}

/// Earlier submissions: who made them and when, and their files.
#[derive(Debug)]
pub(crate) struct Previous {
    pub(crate) entries: Vec<Entry>,
    paths: BTreeMap<String, PathBuf>,
}

impl Previous {
    /// Those of a folder (every CSV in it, each by another user, older than the judged one) or of a manifest: CSV with
    /// the columns file, and if wanted user and created (RFC 3339).
    pub(crate) fn find(place: &Path) -> Result<Self> {
        let found = if place.is_dir() { Self::of_folder(place) } else { Self::of_manifest(place) };
        found.with_context(|| format!("{}", place.display()))
    }

    /// Takes a file out, if it is among them: a submission is not compared with itself.
    pub(crate) fn take(&mut self, file: &Path) -> Option<Entry> {
        let judged = std::fs::canonicalize(file).ok()?;
        let same = |path: &PathBuf| std::fs::canonicalize(path).is_ok_and(|path| path == judged);
        let at = self.entries.iter().position(|entry| self.paths.get(&entry.submission).is_some_and(same))?;
        Some(self.entries.remove(at))
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
        let (mut entries, mut paths) = (Vec::new(), BTreeMap::new());
        for (name, line) in lines {
            let created = line.created.as_deref().map_or(Ok(i128::MIN), moment)?;
            let user = line.user.unwrap_or_else(|| format!("the user of {name}"));
            if paths.insert(name.clone(), folder.join(line.file)).is_some() {
                bail!("{name} is there twice");
            }
            entries.push(Entry { submission: name, user, round: String::new(), created });
        }
        if entries.is_empty() {
            bail!("there is no submission in it");
        }
        Ok(Self { entries, paths })
    }
}

/// A time in nanoseconds of Unix time.
pub(crate) fn moment(text: &str) -> Result<i128> {
    let at = OffsetDateTime::parse(text, &Rfc3339)
        .with_context(|| format!("{text} is no time like 2026-01-31T09:00:00Z"))?;
    Ok(at.unix_timestamp_nanos())
}

/// Reads what a judgement asks for, and shows how far it is.
pub(crate) struct Files<'a> {
    pub(crate) previous: &'a Previous,
    pub(crate) roster: &'a Roster,
    pub(crate) progress: ProgressBar,
}

/// Why a file could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub(crate) struct Unusable(anyhow::Error);

impl Files<'_> {
    fn values(&self, submission: &str) -> Result<Vec<f64>, Unusable> {
        let path = self.previous.paths.get(submission).map_or_else(|| Path::new(submission), PathBuf::as_path);
        Ok(files::predictions(path, self.roster).map_err(Unusable)?.values().to_vec())
    }
}

impl Evidence for Files<'_> {
    type Error = Unusable;

    fn summary(&mut self, _: &str) -> Result<Option<Summary>, Unusable> {
        self.progress.inc(1);
        Ok(None)
    }

    fn sorted(&mut self, submission: &str) -> Result<Sorted, Unusable> {
        Sorted::new(self.values(submission)?).map_err(|error| Unusable(error.into()))
    }

    fn aligned(&mut self, submission: &str) -> Result<Vec<f64>, Unusable> {
        self.values(submission)
    }
}
