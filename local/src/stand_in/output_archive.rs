//! Archives of what a container has left. The container can bend every path below its folder, so each step goes by descriptor
//! and follows no link.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2, readlinkat, statat};
use rustix::io::Errno;
use tar::{Builder, EntryType, Header};

/// Folders inside each other. Each keeps a descriptor open while it is packed.
const DEPTH: usize = 100;
const ENTRIES: usize = 200_000;

/// Why a folder could not be packed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackError {
    /// What the container has left cannot be packed.
    #[error("/opt/ml/{folder} {problem}")]
    Refused { folder: String, problem: &'static str },
    #[error("packing the output: {0}")]
    Io(#[from] io::Error),
}

/// Packs a folder below `root` into a gzipped tar archive, as far as it exists. Regular files count with their full length,
/// holes included. Links and FIFOs are packed as such; sockets and devices are left out, as GNU tar leaves out sockets.
pub(crate) fn pack(root: BorrowedFd<'_>, folder: &str, limit: u64, target: File) -> Result<(), PackError> {
    let mut packer = Packer {
        tar: Builder::new(GzEncoder::new(target, Compression::fast())),
        folder: folder.to_owned(),
        bytes_left: limit,
        entries_left: ENTRIES,
    };
    match open(root, folder, OFlags::DIRECTORY) {
        Ok(opened) => packer.folder(&opened, Path::new("."), DEPTH)?,
        Err(Errno::NOENT) => {}
        Err(Errno::LOOP | Errno::NOTDIR) => return Err(packer.refused("is not a folder")),
        Err(error) => return Err(io::Error::from(error).into()),
    }
    packer.tar.into_inner()?.finish()?;
    Ok(())
}

/// Whether a folder below `root` exists and has entries.
pub(crate) fn has_entries(root: BorrowedFd<'_>, folder: &str) -> io::Result<bool> {
    match open(root, folder, OFlags::DIRECTORY) {
        Ok(opened) => Ok(Dir::read_from(&opened)?.any(|entry| entry.is_ok_and(|entry| !is_dots(entry.file_name())))),
        Err(Errno::NOENT) => Ok(false),
        // It is something else, which packing refuses.
        Err(Errno::LOOP | Errno::NOTDIR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// The start of a regular file below `root`. Empty if there is none.
pub(crate) fn start_of(root: BorrowedFd<'_>, path: &str, bytes: u64) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    // A FIFO would not open before someone writes to it.
    if let Ok(opened) = open(root, path, OFlags::NONBLOCK)
        && FileType::from_raw_mode(fstat(&opened)?.st_mode).is_file()
    {
        File::from(opened).take(bytes).read_to_end(&mut start)?;
    }
    Ok(start)
}

fn open(root: BorrowedFd<'_>, path: impl rustix::path::Arg, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, flags, Mode::empty(), resolve)
}

fn is_dots(name: &std::ffi::CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

struct Packer {
    tar: Builder<GzEncoder<File>>,
    folder: String,
    bytes_left: u64,
    entries_left: usize,
}

impl Packer {
    fn refused(&self, problem: &'static str) -> PackError {
        PackError::Refused { folder: self.folder.clone(), problem }
    }

    fn folder(&mut self, folder: &OwnedFd, path: &Path, depth: usize) -> Result<(), PackError> {
        if depth == 0 {
            return Err(self.refused("has folders nested too deeply"));
        }
        let mut names = Vec::new();
        for entry in Dir::read_from(folder).map_err(io::Error::from)? {
            let entry = entry.map_err(io::Error::from)?;
            if !is_dots(entry.file_name()) {
                names.push(PathBuf::from(std::ffi::OsStr::from_bytes(entry.file_name().to_bytes())));
                if names.len() > self.entries_left {
                    return Err(self.refused("has too many files"));
                }
            }
        }
        self.entries_left -= names.len();
        self.append(&header(EntryType::Directory, &fstat(folder).map_err(io::Error::from)?), path)?;
        names.sort();
        for name in names {
            self.entry(folder, &name, &path.join(&name), depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, folder: &OwnedFd, name: &Path, path: &Path, depth: usize) -> Result<(), PackError> {
        let stat = statat(folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).map_err(io::Error::from)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let opened = open(folder.as_fd(), name, OFlags::DIRECTORY).map_err(io::Error::from)?;
                self.folder(&opened, path, depth - 1)
            }
            FileType::RegularFile => {
                let opened = open(folder.as_fd(), name, OFlags::NONBLOCK).map_err(io::Error::from)?;
                let mut header = header(EntryType::Regular, &stat);
                let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
                let left = self.bytes_left.checked_sub(size);
                self.bytes_left = left.ok_or_else(|| self.refused("is larger than the disk of the job"))?;
                header.set_size(size);
                Ok(self.tar.append_data(&mut header, path, File::from(opened).take(size))?)
            }
            FileType::Symlink => {
                let target = readlinkat(folder, name, Vec::new()).map_err(io::Error::from)?;
                let target = Path::new(std::ffi::OsStr::from_bytes(target.to_bytes())).to_owned();
                Ok(self.tar.append_link(&mut header(EntryType::Symlink, &stat), path, target)?)
            }
            FileType::Fifo => self.append(&header(EntryType::Fifo, &stat), path),
            _ => Ok(()),
        }
    }

    /// Appends an entry without data.
    fn append(&mut self, header: &Header, path: &Path) -> Result<(), PackError> {
        Ok(self.tar.append_data(&mut header.clone(), path, io::empty())?)
    }
}

fn header(kind: EntryType, stat: &Stat) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(stat.st_mode & 0o777);
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header.set_size(0);
    header
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;

    fn root(folder: &Path) -> OwnedFd {
        rustix::fs::open(folder, OFlags::DIRECTORY | OFlags::PATH, Mode::empty()).unwrap()
    }

    /// The kinds and the contents or targets of the entries of `model`.
    fn packed(folder: &Path, limit: u64) -> Result<BTreeMap<String, (EntryType, String)>, PackError> {
        let target = folder.join("model.tar.gz");
        pack(root(folder).as_fd(), "model", limit, File::create(&target).unwrap())?;
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(File::open(target).unwrap()));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let kind = entry.header().entry_type();
            let mut text = String::new();
            match entry.link_name().unwrap() {
                Some(target) => text = target.to_string_lossy().into_owned(),
                None => drop(entry.read_to_string(&mut text).unwrap()),
            }
            (path, (kind, text))
        });
        Ok(entries.collect())
    }

    #[test]
    fn files_are_packed_and_nothing_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model");
        std::fs::create_dir_all(model.join("a/b")).unwrap();
        std::fs::write(model.join("a/b/weights"), "1 2 3").unwrap();
        std::fs::write(folder.path().join("secret"), "of this machine").unwrap();
        symlink("../secret", model.join("link")).unwrap();
        symlink("/etc", model.join("host")).unwrap();
        mknodat(CWD, model.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(model.join("socket")).unwrap();
        let expected = [
            (".", EntryType::Directory, ""),
            ("a", EntryType::Directory, ""),
            ("a/b", EntryType::Directory, ""),
            ("a/b/weights", EntryType::Regular, "1 2 3"),
            ("fifo", EntryType::Fifo, ""),
            ("host", EntryType::Symlink, "/etc"),
            ("link", EntryType::Symlink, "../secret"),
        ];
        let expected =
            expected.map(|(path, kind, text)| (path.to_owned(), (kind, text.to_owned()))).into_iter().collect();
        assert_eq!(packed(folder.path(), 1000).unwrap(), expected);
    }

    #[test]
    fn a_folder_that_is_a_link_is_refused_and_one_that_is_missing_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(packed(folder.path(), 1000).unwrap().len(), 0);
        symlink("/etc", folder.path().join("model")).unwrap();
        let error = packed(folder.path(), 1000).unwrap_err();
        assert_eq!(error.to_string(), "/opt/ml/model is not a folder");
        assert!(has_entries(root(folder.path()).as_fd(), "model").unwrap());
    }

    #[test]
    fn what_has_no_bounds_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model");
        std::fs::create_dir(&model).unwrap();
        File::create(model.join("sparse")).unwrap().set_len(1 << 40).unwrap();
        let error = packed(folder.path(), 1 << 20).unwrap_err();
        assert_eq!(error.to_string(), "/opt/ml/model is larger than the disk of the job");
        std::fs::remove_file(model.join("sparse")).unwrap();
        std::fs::create_dir_all(model.join("d/".repeat(DEPTH))).unwrap();
        let error = packed(folder.path(), 1 << 20).unwrap_err();
        assert_eq!(error.to_string(), "/opt/ml/model has folders nested too deeply");
    }

    #[test]
    fn only_the_start_of_a_regular_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let start = |name: &str| start_of(root(folder.path()).as_fd(), name, 3).unwrap();
        std::fs::write(folder.path().join("file"), "failure").unwrap();
        symlink("file", folder.path().join("link")).unwrap();
        symlink(".", folder.path().join("here")).unwrap();
        mknodat(CWD, folder.path().join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert_eq!(start("file"), b"fai");
        for name in ["link", "here/file", "fifo", "missing"] {
            assert_eq!(start(name), b"", "{name}");
        }
    }
}
