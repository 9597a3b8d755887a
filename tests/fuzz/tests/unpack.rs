//! Unpacks accepted archives with the programs that people use: each has to make the same files.
//!
//! It needs unzip, bsdtar, Python and Go (`scripts/setup.sh fuzz`). `FUZZ_CORPUS` names a folder of further inputs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fuzz::archives::{archive_of, is_accepted, unpacked};

/// Paths with their data; folders have none.
type Tree = BTreeMap<String, Option<Vec<u8>>>;

const PYTHON: &str = r#"
import os, sys, zipfile
for archive in sys.stdin.read().splitlines():
    os.mkdir(archive + ".python")
    try:
        zipfile.ZipFile(archive, metadata_encoding="utf-8").extractall(archive + ".python")
    except Exception as error:
        print(archive, repr(error))
"#;

#[test]
#[ignore = "it needs other programs: make fuzz"]
fn accepted_archives_unpack_alike() {
    let temporary = tempfile::tempdir().unwrap();
    let archives = accepted(temporary.path());
    assert!(archives.len() >= 20, "only {} archives are accepted", archives.len());
    let list = temporary.path().join("list");
    let lines: Vec<String> = archives.iter().map(|archive| archive.display().to_string()).collect();
    fs::write(&list, lines.join("\n") + "\n").unwrap();
    let go = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/unpack.go");
    let errors = [
        run(Command::new("python3").args(["-c", PYTHON]), &list),
        run(Command::new("go").arg("run").arg(go).env("GOCACHE", temporary.path().join("go")), &list),
    ]
    .concat();
    let mut differences: Vec<String> = errors.lines().map(str::to_owned).collect();
    for archive in &archives {
        let expected = expected(&fs::read(archive).unwrap());
        let with = |program: &str| PathBuf::from(format!("{}.{program}", archive.display()));
        fs::create_dir(with("unzip")).unwrap();
        fs::create_dir(with("bsdtar")).unwrap();
        let unzip = Command::new("unzip")
            .env("LC_ALL", "C.UTF-8")
            .args(["-qq", "-o"])
            .arg(archive)
            .arg("-d")
            .arg(with("unzip"))
            .output();
        let bsdtar = Command::new("bsdtar")
            .env("LC_ALL", "C.UTF-8")
            .arg("-xf")
            .arg(archive)
            .arg("-C")
            .arg(with("bsdtar"))
            .output();
        for (program, output) in
            [("unzip", Some(unzip.unwrap())), ("bsdtar", Some(bsdtar.unwrap())), ("python", None), ("go", None)]
        {
            if let Some(output) = output.filter(|output| !output.status.success()) {
                let said = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
                differences.push(format!("{}: {program} fails: {said}", archive.display()));
            }
            let found = tree(&with(program));
            if found != expected {
                let names = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
                differences.push(format!(
                    "{}: {program} unpacks {:?} instead of {:?}",
                    archive.display(),
                    names(&found),
                    names(&expected)
                ));
            }
        }
    }
    println!("{} accepted archives", archives.len());
    if !differences.is_empty() {
        let kept = temporary.keep();
        panic!("{} differences, in {}:\n{}", differences.len(), kept.display(), differences.join("\n"));
    }
}

/// Writes the accepted archives of the saved corpus and of `FUZZ_CORPUS` into a folder.
fn accepted(folder: &Path) -> Vec<PathBuf> {
    let saved = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/archives");
    let found = std::env::var_os("FUZZ_CORPUS").map(PathBuf::from);
    let mut archives = Vec::new();
    for corpus in [Some(saved), found].into_iter().flatten() {
        let mut inputs: Vec<PathBuf> = fs::read_dir(corpus).unwrap().map(|file| file.unwrap().path()).collect();
        inputs.sort();
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            let archive = archive_of(&bytes);
            if is_accepted(&archive) {
                let path = folder.join(format!("{}.zip", input.file_name().unwrap().to_str().unwrap()));
                fs::write(&path, &archive).unwrap();
                archives.push(path);
            }
        }
    }
    archives
}

/// What a program prints when it gets the list of archives.
fn run(command: &mut Command, list: &Path) -> String {
    let output = command.stdin(fs::File::open(list).unwrap()).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The files and folders that the names and data of an archive stand for.
fn expected(archive: &[u8]) -> Tree {
    let mut tree = Tree::new();
    for (name, data) in unpacked(archive) {
        let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        for end in 1..parts.len() {
            tree.insert(parts[..end].join("/"), None);
        }
        if !parts.is_empty() {
            tree.insert(parts.join("/"), (!name.ends_with('/')).then_some(data));
        }
    }
    tree
}

fn tree(folder: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for file in fs::read_dir(next).unwrap() {
            let path = file.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                tree.insert(name, None);
                folders.push(path);
            } else {
                tree.insert(name, Some(fs::read(path).unwrap()));
            }
        }
    }
    tree
}
