//! Archives. What the controls unpack without care, the processor refuses.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use domain::FailureCode::{self, ArchiveInvalid, ArchiveTooLarge, ArchiveUnsafe};
use testing::zips::{Entry, SYMLINK, Zip, dockerfile};

use crate::arena::{BASE, write_files};
use crate::case::{Attack, Case, Control, End, Group, deed};
use crate::scene::Scene;

/// Writes each entry to where its name says, as what its mode says.
const NAIVE: &str = r"
import os, stat, zipfile
z = zipfile.ZipFile('submission.zip')
for i in z.infolist():
    path, mode, data = os.path.join('unpacked', i.filename), i.external_attr >> 16, z.read(i)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if stat.S_ISLNK(mode): os.symlink(data, path)
    elif stat.S_ISFIFO(mode): os.mkfifo(path)
    elif stat.S_ISCHR(mode): os.mknod(path, mode, os.makedev(1, 3))
    elif not path.endswith('/'): open(path, 'wb').write(data)
";
/// Prints what a reader sees that goes from front to back, and what one sees that goes by the table of contents.
const BOTH: &str = r"
import struct, zipfile
file = open('submission.zip', 'rb').read()
front, at = [], file.find(b'PK\3\4')
while at >= 0 and file[at:at + 4] == b'PK\3\4':
    flags, method, _, _, _, packed, _, name, extra = struct.unpack('<HHHHIIIHH', file[at + 6:at + 30])
    start = at + 30 + name + extra
    data, rest = file[start:start + packed], start + packed
    if flags & 8:
        end = file.find(b'PK\7\10', start)
        end = len(file) if end < 0 else end
        data, rest = file[start:end], end + 16
    front.append((file[at + 30:at + 30 + name].decode('latin1'), len(data)))
    at = rest
z = zipfile.ZipFile('submission.zip')
table = [(i.filename, i.compress_size) for i in z.infolist()]
print('read from front to back it has', front, 'and by its table of contents', table)
raise SystemExit(front == table)
";

fn python(folder: &Path, script: &str) -> Result<String> {
    let output = Command::new("python3").args(["-c", script]).current_dir(folder).output()?;
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{said}{errors}");
    Ok(said.trim().to_owned())
}

fn case(
    name: &str,
    defence: &'static str,
    code: FailureCode,
    archive: impl Fn(&Scene) -> Vec<u8> + Send + Sync + 'static,
    control: fn(&Scene, &Path) -> Result<String>,
) -> Case {
    let end = End::Rejected(code, 0, 0);
    Case::new(Group::Archives, name, defence, Attack::Archive(Box::new(archive)), end, Control::Unpacked(control))
}

/// The entries before or after the Dockerfile, as the seed decides.
fn zip(scene: &Scene, entries: Vec<Entry>) -> Vec<u8> {
    if scene.number.is_multiple_of(2) {
        Zip::of(std::iter::once(dockerfile()).chain(entries)).pack()
    } else {
        Zip::of(entries.into_iter().chain([dockerfile()])).pack()
    }
}

fn escapes(_: &Scene, folder: &Path) -> Result<String> {
    python(folder, NAIVE)?;
    ensure!(folder.join("outside").exists(), "nothing was written outside");
    Ok("a file was written outside the folder".to_owned())
}

fn two_readers(_: &Scene, folder: &Path) -> Result<String> {
    python(folder, BOTH)
}

fn links(scene: &Scene, folder: &Path) -> Result<String> {
    python(folder, NAIVE)?;
    let read = std::fs::read_to_string(folder.join("unpacked/link"))
        .or_else(|_| std::fs::read_to_string(folder.join("unpacked/link/inner")));
    ensure!(read? == scene.secret, "the link leads nowhere");
    Ok("the unpacked link leads to the canary".to_owned())
}

fn cases_of_names() -> Vec<Case> {
    vec![
        case("a name that climbs out", "names", ArchiveUnsafe, |scene| zip(scene, vec![Entry::new("../outside", "x")]), escapes)
            .representative(),
        case(
            "a name that climbs out from below",
            "names",
            ArchiveUnsafe,
            |scene| zip(scene, vec![Entry::new("code/./../../outside", "x")]),
            escapes,
        ),
        case(
            "an absolute name",
            "names",
            ArchiveUnsafe,
            |scene| zip(scene, vec![Entry::new(format!("{}/file", scene.folder().display()), "changed")]),
            |scene, folder| {
                python(folder, NAIVE)?;
                ensure!(std::fs::read_to_string(scene.file())? == "changed", "the canary file is as before");
                Ok("the canary file was overwritten".to_owned())
            },
        ),
        case(
            "a name with backslashes",
            "names",
            ArchiveUnsafe,
            |scene| zip(scene, vec![Entry::new("..\\outside", "x")]),
            |_, folder| {
                let path = "import ntpath, zipfile\nfor name in zipfile.ZipFile('submission.zip').namelist():\n  path = ntpath.normpath(ntpath.join('C:\\\\unpacked', name))\n  if not path.startswith('C:\\\\unpacked'): print('on Windows it is', path)";
                let said = python(folder, path)?;
                ensure!(said.contains("outside"), "{said}");
                Ok(said)
            },
        ),
        case(
            "a name with NUL",
            "names",
            ArchiveUnsafe,
            |scene| zip(scene, vec![Entry::new("train\0.txt", "x")]),
            |_, folder| {
                let said = python(folder, "import zipfile\nprint(zipfile.ZipFile('submission.zip').namelist())")?;
                ensure!(said.contains("'train'"), "{said}");
                Ok("Python reads the name as `train`".to_owned())
            },
        ),
        case(
            "a name with terminal escapes and HTML",
            "escaping",
            ArchiveUnsafe,
            |scene| zip(scene, vec![Entry::new("\x1b]0;<script>\u{202e}/../x", "")]),
            |_, folder| {
                let said = python(folder, "import zipfile\nprint(zipfile.ZipFile('submission.zip').namelist()[:], sep='')\nprint(*zipfile.ZipFile('submission.zip').namelist())")?;
                ensure!(said.contains("\u{1b}]0;<script>"), "{said:?}");
                Ok("printed as it is, the name changes the terminal's title".to_owned())
            },
        )
        .hiding(&["\u{1b}]0;", "<script>", "\u{202e}"]),
    ]
}

fn cases_of_kinds() -> Vec<Case> {
    let link = |name: &'static str, to_folder: bool| {
        move |scene: &Scene| {
            let target = if to_folder { scene.canary_folder() } else { scene.file() };
            zip(scene, vec![Entry::new(name, target.display().to_string()).with(|entry| entry.mode = SYMLINK)])
        }
    };
    vec![
        case("a link to a file of the host", "kinds of entries", ArchiveUnsafe, link("link", false), links)
            .representative(),
        case("a link to a folder of the host", "kinds of entries", ArchiveUnsafe, link("link", true), links),
        case(
            "a link and a file below it",
            "kinds of entries",
            ArchiveUnsafe,
            |scene| {
                let target = scene.canary_folder().display().to_string();
                let link = Entry::new("link", target).with(|entry| entry.mode = SYMLINK);
                Zip::of([dockerfile(), link, Entry::new("link/added", "x")]).pack()
            },
            |scene, folder| {
                python(folder, NAIVE)?;
                ensure!(scene.canary_folder().join("added").exists(), "nothing was added");
                Ok("a file was added to the canary folder".to_owned())
            },
        ),
        case(
            "a named pipe",
            "kinds of entries",
            ArchiveUnsafe,
            |scene| zip(scene, vec![Entry::new("pipe", "").with(|entry| entry.mode = 0o010_644)]),
            |_, folder| {
                python(folder, NAIVE)?;
                ensure!(folder.join("unpacked/pipe").metadata()?.file_type().is_fifo(), "there is no pipe");
                Ok("a pipe was made, which blocks whoever reads it".to_owned())
            },
        ),
        case(
            "a device",
            "kinds of entries",
            ArchiveUnsafe,
            |scene| zip(scene, vec![Entry::new("device", "").with(|entry| entry.mode = 0o020_644)]),
            |_, folder| {
                python(folder, NAIVE)?;
                ensure!(folder.join("unpacked/device").metadata()?.file_type().is_char_device(), "there is no device");
                Ok("a device was made".to_owned())
            },
        ),
    ]
}

/// A local header and its data, which no table of contents names.
fn hidden() -> Vec<u8> {
    Zip::of([Entry::new("evil", "x")]).pack()[..30 + 5].to_vec()
}

fn cases_of_readers() -> Vec<Case> {
    vec![
        case(
            "two Dockerfiles of one name",
            "names occur once",
            ArchiveUnsafe,
            |_| Zip::of([dockerfile(), Entry::new("Dockerfile", "FROM evil\n")]).pack(),
            |_, folder| {
                let said = python(
                    folder,
                    "import zipfile\nz = zipfile.ZipFile('submission.zip')\nprint(z.read(z.infolist()[0]), z.read('Dockerfile'))",
                )?;
                ensure!(said.contains("scratch") && said.contains("evil"), "{said}");
                Ok(format!("by place and by name, Python reads {said}"))
            },
        ),
        case(
            "a second Dockerfile as ./Dockerfile",
            "names occur once",
            ArchiveUnsafe,
            |_| Zip::of([dockerfile(), Entry::new("./Dockerfile", "FROM evil\n")]).pack(),
            |_, folder| {
                python(folder, NAIVE)?;
                let read = std::fs::read_to_string(folder.join("unpacked/Dockerfile"))?;
                ensure!(read == "FROM evil\n", "{read}");
                Ok("the unpacked Dockerfile is the second one".to_owned())
            },
        ),
        case(
            "another name in the local header",
            "headers agree",
            ArchiveUnsafe,
            |scene| zip(scene, vec![Entry::new("x", "data").with(|entry| entry.local_name = b"evil".to_vec())]),
            two_readers,
        ),
        case(
            "an entry that no table names",
            "no stray data",
            ArchiveInvalid,
            |_| Zip::of([dockerfile().with(|entry| entry.after = hidden()), Entry::new("a", "x")]).pack(),
            two_readers,
        )
        .representative(),
        case(
            "a descriptor that is missing",
            "descriptors",
            ArchiveInvalid,
            |_| {
                let without = |entry: &mut Entry| entry.after.clear();
                Zip::of([dockerfile().streamed().with(without), Entry::new("n/PK_evil", "x")]).pack()
            },
            two_readers,
        ),
        // Every reader that goes by the table sees the same files, so it is built, without the hidden one.
        Case {
            end: End::Completed,
            ..case(
                "a descriptor inside stored data",
                "one reader",
                ArchiveInvalid,
                |_| {
                    let inner = Entry::new("x", "text").streamed();
                    let data = [b"text".to_vec(), inner.after, hidden()].concat();
                    let build = format!("FROM {BASE}\nCOPY . /got\nRUN test ! -e /got/evil\nCOPY train /bin/train\n");
                    let train = Entry::new("train", "#!/bin/sh\n").with(|entry| entry.mode = 0o100_755);
                    Zip::of([Entry::new("x", data).streamed(), Entry::new("Dockerfile", build), train]).pack()
                },
                two_readers,
            )
        },
    ]
}

fn cases_of_other_data() -> Vec<Case> {
    vec![
        case(
            "a shell script before the archive",
            "no stray data",
            ArchiveInvalid,
            |_| [b"#!/bin/sh\ntouch outside\nexit\n".to_vec(), Zip::of([dockerfile()]).pack()].concat(),
            |_, folder| {
                Command::new("sh").arg("submission.zip").current_dir(folder).output()?;
                ensure!(folder.join("outside").exists(), "it did not run");
                Ok("the archive ran as a script".to_owned())
            },
        ),
        case(
            "two archives in one file",
            "no stray data",
            ArchiveInvalid,
            |_| [Zip::of([Entry::new("evil", "x")]).pack(), Zip::of([dockerfile()]).pack()].concat(),
            two_readers,
        ),
        case(
            "an archive in the comment",
            "no stray data",
            ArchiveInvalid,
            |_| Zip { comment: Zip::of([Entry::new("evil", "x")]).pack(), ..Zip::of([dockerfile()]) }.pack(),
            |_, folder| {
                let found = "file = open('submission.zip', 'rb').read()\nprint(file[:file.rfind(b'PK\\5\\6')].count(b'PK\\5\\6'))";
                let said = python(folder, found)?;
                ensure!(said == "1", "{said}");
                let names = python(folder, "import zipfile\nprint(zipfile.ZipFile('submission.zip').namelist())")?;
                ensure!(names.contains("evil"), "{names}");
                Ok(format!("Python reads the archive in the comment: {names}"))
            },
        ),
    ]
}

/// An archive of a Dockerfile and a file, whose header in the table of contents has another byte.
fn with_byte(offset: usize, byte: u8) -> Vec<u8> {
    let mut archive = Zip::of([Entry::new("x", "text"), dockerfile()]).pack();
    let table = archive.windows(4).position(|window| window == b"PK\x01\x02");
    archive[table.expect("invariant: an archive has a table of contents") + offset] = byte;
    archive
}

fn cases_of_attributes() -> Vec<Case> {
    vec![
        case(
            "an entry that needs version 9.9 of the format",
            "version",
            ArchiveInvalid,
            |_| with_byte(6, 99),
            |_, folder| {
                // It reports what it leaves out as an error.
                Command::new("unzip").args(["-q", "submission.zip", "-d", "unpacked"]).current_dir(folder).output()?;
                let unpacked = folder.join("unpacked");
                ensure!(!unpacked.join("x").exists() && unpacked.join("Dockerfile").exists(), "both were unpacked");
                Ok("unzip leaves the file out".to_owned())
            },
        ),
        case(
            "a file with the attribute of a folder",
            "kinds of entries",
            ArchiveUnsafe,
            |_| with_byte(38, 0x10),
            |_, folder| {
                let by_attribute = "import os, zipfile\nfor i in zipfile.ZipFile('submission.zip').infolist():\n  if i.external_attr & 16: os.mkdir(os.path.join('unpacked', i.filename))";
                python(folder, by_attribute)?;
                ensure!(folder.join("unpacked/x").is_dir(), "it is not a folder");
                Ok("a reader that goes by the attribute makes a folder of it".to_owned())
            },
        ),
    ]
}

fn cases_of_sizes() -> Vec<Case> {
    vec![
        case(
            "a bomb of zeros",
            "ratio",
            ArchiveTooLarge,
            |scene| {
                zip(scene, vec![Entry::new("zeros", vec![0; (20 << 20) + scene.number as usize % 4096]).deflated()])
            },
            |_, folder| {
                python(folder, NAIVE)?;
                let (packed, unpacked) =
                    (folder.join("submission.zip").metadata()?.len(), folder.join("unpacked/zeros").metadata()?.len());
                ensure!(unpacked > 200 * packed, "{packed} bytes became {unpacked}");
                Ok(format!("{packed} bytes became {unpacked}"))
            },
        )
        .representative(),
        case(
            "many entries of the same bytes",
            "no overlap",
            ArchiveUnsafe,
            |_| {
                let entry = |n: u32| {
                    Entry::new("x", vec![b'x'; 60_000]).with(|entry| {
                        entry.name = format!("{n}").into_bytes();
                        if n > 0 {
                            entry.offset = Some(0);
                            entry.data.clear();
                        }
                    })
                };
                Zip::of((0..100).map(entry).chain([dockerfile()])).pack()
            },
            |_, folder| {
                let sum =
                    "import zipfile\nprint(sum(i.file_size for i in zipfile.ZipFile('submission.zip').infolist()))";
                let (announced, bytes) = (python(folder, sum)?, folder.join("submission.zip").metadata()?.len());
                ensure!(announced.parse::<u64>()? > 50 * bytes, "{announced} of {bytes}");
                Ok(format!("{bytes} bytes hold {announced} bytes of files"))
            },
        ),
        case(
            "10,001 entries",
            "number of entries",
            ArchiveTooLarge,
            |_| Zip::of((0..10_000).map(|n| Entry::new(format!("{n}"), "")).chain([dockerfile()])).pack(),
            |_, folder| {
                python(folder, NAIVE)?;
                let files = std::fs::read_dir(folder.join("unpacked"))?.count();
                ensure!(files == 10_001, "{files} files");
                Ok(format!("{files} files were made"))
            },
        ),
        case(
            "10,000 entries at 500 levels",
            "number of folders",
            ArchiveTooLarge,
            |_| {
                let deep = "/d".repeat(500);
                Zip::of((0..9_999).map(|n| Entry::new(format!("{n}{deep}/x"), "")).chain([dockerfile()])).pack()
            },
            |_, folder| {
                let first = NAIVE.replace("z.infolist()", "z.infolist()[:20]");
                python(folder, &first)?;
                let found = Command::new("find").args(["unpacked", "-type", "d"]).current_dir(folder).output()?;
                let folders = found.stdout.split(|byte| *byte == b'\n').count();
                ensure!(folders > 10_000, "{folders} folders");
                Ok(format!("20 of the 10,000 entries make {folders} folders"))
            },
        )
        .within(std::time::Duration::from_mins(2)),
        case(
            "2^64 entries announced",
            "number of entries",
            ArchiveTooLarge,
            |_| Zip { claimed: Some(u64::MAX), large: true, ..Zip::of([dockerfile()]) }.pack(),
            |_, folder| {
                let reserve = "import struct\nfile = open('submission.zip', 'rb').read()\nat = file.find(b'PK\\6\\6')\ncount, = struct.unpack('<Q', file[at + 32:at + 40])\ntry: bytearray(count * 46)\nexcept (MemoryError, OverflowError) as error: print(type(error).__name__)";
                let said = python(folder, reserve)?;
                ensure!(said.ends_with("Error"), "{said}");
                Ok(format!("a reader that reserves memory for what is announced ends with {said}"))
            },
        ),
    ]
}

/// What a folder holds that is rehearsed.
fn cases_of_folders() -> Vec<Case> {
    let packed = deed(|arena, scene| {
        Box::pin(async move {
            let folder = write_files(&[("Dockerfile".to_owned(), b"FROM scratch\n".to_vec(), false)])?;
            std::os::unix::fs::symlink(scene.file(), folder.path().join("link"))?;
            let packed = local::pack::archive_of(folder.path(), &arena.stack.work);
            let error = format!("{:#}", packed.err().context("the link was packed")?);
            ensure!(error.contains("link is a symbolic link"), "{error}");
            Ok("refused by name".to_owned())
        })
    });
    let followed = deed(|_, scene| {
        Box::pin(async move {
            let folder = tempfile::tempdir()?;
            let inner = folder.path().join("inner");
            std::fs::create_dir(&inner)?;
            std::os::unix::fs::symlink(scene.file(), inner.join("link"))?;
            let zip = "import shutil, zipfile\nshutil.make_archive('../packed', 'zip', '.')\nprint(zipfile.ZipFile('../packed.zip').read('link').decode())";
            let said = python(&inner, zip)?;
            ensure!(said == scene.secret, "{said}");
            Ok("Python's packer packed the canary file".to_owned())
        })
    });
    let refused_pipe = deed(|arena, _| {
        Box::pin(async move {
            let folder = write_files(&[("Dockerfile".to_owned(), b"FROM scratch\n".to_vec(), false)])?;
            Command::new("mkfifo").arg(folder.path().join("pipe")).status()?;
            let packed = local::pack::archive_of(folder.path(), &arena.stack.work);
            let error = format!("{:#}", packed.err().context("the pipe was packed")?);
            ensure!(error.contains("pipe is neither a file nor a folder"), "{error}");
            Ok("refused by name".to_owned())
        })
    });
    let opened_pipe = deed(|_, _| {
        Box::pin(async move {
            let folder = tempfile::tempdir()?;
            let pipe = folder.path().join("pipe");
            Command::new("mkfifo").arg(&pipe).status()?;
            let status = Command::new("timeout").args(["1", "cat"]).arg(&pipe).status()?;
            ensure!(status.code() == Some(124), "{status}");
            Ok("a packer that opens it blocks".to_owned())
        })
    });
    let case = |name: &str, defence, attack, control| {
        let attack = Attack::Deed(attack, "refused by name");
        Case::new(Group::Archives, name, defence, attack, End::Completed, Control::Deed(control))
    };
    vec![
        case("a folder to rehearse with a link to a file of the host", "packing follows no link", packed, followed),
        case("a folder to rehearse with a pipe", "packing opens no pipe", refused_pipe, opened_pipe),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    [
        cases_of_names(),
        cases_of_kinds(),
        cases_of_readers(),
        cases_of_other_data(),
        cases_of_attributes(),
        cases_of_sizes(),
        cases_of_folders(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
