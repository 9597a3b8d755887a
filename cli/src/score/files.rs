//! Reading files, with their progress.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use scoring::{InvalidFile, Limits, Predictions, Roster};

/// Opens a file and shows the progress of reading it, if standard error is a terminal.
fn open(path: &Path) -> Result<impl Read + use<>> {
    let file = File::open(path)?;
    let bar = ProgressBar::new(file.metadata()?.len()).with_message(path.display().to_string());
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes} of {total_bytes}")
        .expect("invariant: the template is valid");
    bar.set_style(style);
    Ok(Clearing { bar: bar.clone(), reader: bar.wrap_read(file) })
}

/// Removes the bar when the file has been read.
struct Clearing<R> {
    bar: ProgressBar,
    reader: R,
}

impl<R: Read> Read for Clearing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl<R> Drop for Clearing<R> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Reads a file. The error names it.
pub(crate) fn read<T>(path: &Path, read: impl FnOnce(&mut dyn Read) -> Result<T, InvalidFile>) -> Result<T> {
    let parse = || -> Result<T> { Ok(read(&mut open(path)?)?) };
    parse().with_context(|| format!("{}", path.display()))
}

/// The ids of tournament data.
pub(crate) fn roster(path: &Path) -> Result<Roster> {
    read(path, |file| Roster::read(file, &Limits::data()))
}

pub(crate) fn predictions(path: &Path, roster: &Roster) -> Result<Predictions> {
    read(path, |file| Predictions::read(file, roster, &Limits::predictions()))
}
