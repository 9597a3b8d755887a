//! What training leaves in `/opt/ml`, which the host packs.

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use domain::FailureCode::TrainingFailed;

use crate::case::{Attack, Case, Control, End, Group, deed, has};
use crate::scene::Scene;

const FAILED: End = End::Rejected(TrainingFailed, 1, 1);

/// A script of an attack, whose control runs it on the host in a folder that stands for `/opt/ml`. A packer without care then
/// does the harm.
fn leave(
    name: &str,
    defence: &'static str,
    script: fn(&Scene) -> String,
    end: End,
    harm: fn(&Scene, &Path) -> Result<String>,
) -> Case {
    let control = Control::Deed(deed(move |_, scene| {
        Box::pin(async move {
            let folder = tempfile::tempdir()?;
            for name in ["model", "output/data"] {
                std::fs::create_dir_all(folder.path().join(name))?;
            }
            let script = script(scene).replace("/opt/ml", &folder.path().display().to_string());
            // The script may end with an error on purpose.
            Command::new("/bin/busybox").args(["sh", "-c", &script]).output()?;
            harm(scene, folder.path())
        })
    }));
    Case::new(Group::Outputs, name, defence, Attack::Train(Box::new(script)), end, control)
}

/// A folder as a packer packs it that goes by paths.
fn packed(folder: &Path) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all(".", folder)?;
    Ok(tar.into_inner()?)
}

fn publishes(scene: &Scene, folder: &Path) -> Result<String> {
    let archives = [packed(&folder.join("model"))?, packed(&folder.join("output/data"))?];
    ensure!(archives.iter().any(|archive| has(archive, &scene.secret)), "the secret is not packed");
    Ok("the archive holds the canary's secret".to_owned())
}

fn overwrites(name: &'static str) -> fn(&Scene, &Path) -> Result<String> {
    // One function for each name, as a pointer carries none.
    match name {
        "model.tar.gz" => |scene, folder| overwritten(scene, &folder.join("model.tar.gz")),
        "output.tar.gz" => |scene, folder| overwritten(scene, &folder.join("output.tar.gz")),
        _ => |scene, folder| overwritten(scene, &folder.join("output/data.tar.gz")),
    }
}

fn overwritten(scene: &Scene, archive: &Path) -> Result<String> {
    std::fs::write(archive, "packed")?;
    ensure!(std::fs::read_to_string(scene.file())? == "packed", "the canary file is as before");
    Ok("the canary file was overwritten".to_owned())
}

fn blocks(path: &Path) -> Result<String> {
    let status = Command::new("timeout").args(["1", "cat"]).arg(path).status()?;
    ensure!(status.code() == Some(124), "{status}");
    Ok("a packer that opens it blocks".to_owned())
}

fn cases_of_links() -> Vec<Case> {
    vec![
        leave(
            "model is a link to a folder of the host",
            "no link is followed",
            |scene| format!("rmdir /opt/ml/model; ln -s {} /opt/ml/model", scene.canary_folder().display()),
            FAILED,
            publishes,
        )
        .saying("/opt/ml/model is not a folder")
        .representative(),
        leave(
            "output/data is a link to a folder of the host",
            "no link is followed",
            |scene| format!("rmdir /opt/ml/output/data; ln -s {} /opt/ml/output/data", scene.canary_folder().display()),
            FAILED,
            publishes,
        )
        .saying("/opt/ml/output/data is not a folder"),
        leave(
            "model.tar.gz is a link to a file of the host",
            "packed elsewhere",
            |scene| format!("ln -s {} /opt/ml/model.tar.gz", scene.file().display()),
            End::Completed,
            overwrites("model.tar.gz"),
        ),
        leave(
            "output.tar.gz is a link to a file of the host",
            "packed elsewhere",
            |scene| format!("ln -s {} /opt/ml/output.tar.gz; echo x >/opt/ml/output/data/x", scene.file().display()),
            End::Completed,
            overwrites("output.tar.gz"),
        ),
        leave(
            "output/data.tar.gz is a link to a file of the host",
            "packed elsewhere",
            |scene| {
                format!("ln -s {} /opt/ml/output/data.tar.gz; echo x >/opt/ml/output/data/x", scene.file().display())
            },
            End::Completed,
            overwrites("output/data.tar.gz"),
        ),
        leave(
            "a link in the model to a file of the host",
            "no link is followed",
            |scene| format!("ln -s {} /opt/ml/model/weights", scene.file().display()),
            End::Completed,
            publishes,
        ),
        leave(
            "a link in the output to a folder of the host",
            "no link is followed",
            |scene| format!("ln -s {} /opt/ml/output/data/more", scene.canary_folder().display()),
            End::Completed,
            publishes,
        ),
        leave(
            "the failure file is a link to a file of the host",
            "no link is followed",
            |scene| format!("ln -s {} /opt/ml/output/failure; exit 1", scene.file().display()),
            FAILED,
            |scene, folder| {
                ensure!(std::fs::read_to_string(folder.join("output/failure"))? == scene.secret, "another text");
                Ok("the reason of the failure is the canary's secret".to_owned())
            },
        ),
        leave(
            "output is a link to a folder of the host",
            "no link is followed",
            |scene| {
                let folder = scene.canary_folder();
                format!("mv /opt/ml/output /opt/ml/o; ln -s {} /opt/ml/output; exit 1", folder.display())
            },
            FAILED,
            |scene, folder| {
                // The canary file stands for one with the name of the failure file.
                symlink("inner", scene.canary_folder().join("failure"))?;
                ensure!(std::fs::read_to_string(folder.join("output/failure"))? == scene.secret, "another text");
                Ok("the reason of the failure is the canary's secret".to_owned())
            },
        ),
    ]
}

fn cases_of_kinds_and_sizes() -> Vec<Case> {
    vec![
        leave(
            "a pipe in the model",
            "pipes are not opened",
            |_| "mkfifo /opt/ml/model/pipe".to_owned(),
            End::Completed,
            |_, folder| blocks(&folder.join("model/pipe")),
        ),
        leave(
            "the failure file is a pipe",
            "pipes are not waited for",
            |_| "mkfifo /opt/ml/output/failure; exit 1".to_owned(),
            FAILED,
            |_, folder| blocks(&folder.join("output/failure")),
        ),
        leave(
            "a file of 1 TB without content",
            "full length counts",
            |_| "truncate -s 1099511627776 /opt/ml/model/big".to_owned(),
            FAILED,
            |_, folder| {
                let file = folder.join("model/big").metadata()?;
                ensure!(file.len() == 1 << 40 && file.blocks() < 100, "{file:?}");
                Ok(format!("a packer reads {} bytes of a file that takes {} blocks", file.len(), file.blocks()))
            },
        )
        .saying("is larger than the disk of the job"),
        leave(
            "250,000 hard links",
            "number of files",
            |_| {
                "cd /opt/ml/model; mkdir a; cd a; seq 1 50000 | xargs touch; cd ..; for d in b c d e; do cp -rl a $d; done"
                    .to_owned()
            },
            FAILED,
            |_, folder| {
                let found = Command::new("find").arg(folder.join("model")).output()?;
                let entries = found.stdout.split(|byte| *byte == b'\n').count();
                ensure!(entries > 250_000, "{entries} entries");
                Ok(format!("a packer packs {entries} entries of 50,000 files"))
            },
        )
        .saying("has too many files"),
        leave(
            "120 folders inside each other with a path of 7,000 characters",
            "depth",
            |_| {
                // A shell cannot enter such a path, so that two halves are put together.
                let half = vec!["d".repeat(60); 60].join("/");
                format!("cd /opt/ml/model; mkdir -p a/{half} b/{half}; cd a/{half} && mv /opt/ml/model/b .")
            },
            FAILED,
            |_, folder| {
                let error = packed(&folder.join("model")).err().context("it was packed")?;
                Ok(format!("a packer that goes by paths fails, as if the platform were at fault: {error:.80}"))
            },
        )
        .saying("has folders nested too deeply"),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    [cases_of_links(), cases_of_kinds_and_sizes()].into_iter().flatten().collect()
}
