//! Zips of folders, so that a submission can be rehearsed before it is packed.

use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt;
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
        let kind = entry.file_type()?;
        if kind.is_dir() {
            add_folder(zip, root, &path)?;
            continue;
        }
        let name = path.strip_prefix(root)?.to_str().context("a file's name is not UTF-8")?;
        // Following a link would pack a file of this machine that the folder does not hold.
        if kind.is_symlink() {
            bail!("{name} is a symbolic link, which submissions may not contain: replace it with a regular file");
        }
        if !kind.is_file() {
            bail!("{name} is neither a file nor a folder");
        }
        let mut file = File::open(&path)?;
        // Only whether it is executable, and a fixed date: the same folder is packed to the same bytes, whatever the umask.
        let is_executable = file.metadata()?.permissions().mode() & 0o111 != 0;
        let options = SimpleFileOptions::default().unix_permissions(if is_executable { 0o755 } else { 0o644 });
        zip.start_file(name, options)?;
        io::copy(&mut file, zip)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_refused_and_not_followed() {
        let (folder, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink("/etc/hostname", folder.path().join("data.csv")).unwrap();
        let error = archive_of(folder.path(), work.path()).unwrap_err();
        assert!(format!("{error:#}").contains("data.csv is a symbolic link"), "{error:#}");
    }

    #[test]
    fn a_packed_file_stays_executable_if_it_was() {
        let (folder, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let code = folder.path().join("code");
        std::fs::create_dir(&code).unwrap();
        for (name, mode) in [("train", 0o700), ("run.sh", 0o755), ("Dockerfile", 0o600), ("train.txt", 0o664)] {
            std::fs::write(code.join(name), name).unwrap();
            std::fs::set_permissions(code.join(name), PermissionsExt::from_mode(mode)).unwrap();
        }
        let packed = archive_of(folder.path(), work.path()).unwrap();
        let mut zip = zip::ZipArchive::new(File::open(packed).unwrap()).unwrap();
        let modes: Vec<(String, u32)> = (0..zip.len())
            .map(|at| {
                let file = zip.by_index(at).unwrap();
                (file.name().unwrap().into_owned(), file.unix_mode().unwrap() & 0o777)
            })
            .collect();
        let expected =
            [("code/Dockerfile", 0o644), ("code/run.sh", 0o755), ("code/train", 0o755), ("code/train.txt", 0o644)];
        assert_eq!(modes, expected.map(|(name, mode)| (name.to_owned(), mode)));
    }
}
