//! Zips of folders, so that a submission can be rehearsed before it is packed.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The archive of a submission: `path` itself if it is a file, otherwise a zip of the folder, written to `work`.
pub fn archive_of(path: &Path, work: &Path) -> Result<PathBuf> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    if !path.is_dir() {
        bail!("{} is neither a zip archive nor a folder", path.display());
    }
    let target = work.join(format!("{}.zip", uuid::Uuid::new_v4()));
    let mut zip = ZipWriter::new(File::create(&target)?);
    add_folder(&mut zip, path, path).with_context(|| format!("packing {}", path.display()))?;
    zip.finish()?;
    Ok(target)
}

fn add_folder(zip: &mut ZipWriter<File>, root: &Path, folder: &Path) -> Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            add_folder(zip, root, &path)?;
            continue;
        }
        let name = path.strip_prefix(root)?.to_str().context("a file's name is not UTF-8")?;
        // A fixed date and mode: the same folder is packed to the same bytes.
        let executable = name.ends_with("/train");
        let options = SimpleFileOptions::default().unix_permissions(if executable { 0o755 } else { 0o644 });
        zip.start_file(name, options)?;
        io::copy(&mut File::open(&path)?, zip)?;
    }
    Ok(())
}
