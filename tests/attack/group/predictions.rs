//! The archive of a training's output, as `score` takes the predictions out of it.

use std::io::Read;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use aws_sdk_lambda::primitives::Blob;
use flate2::Compression;
use flate2::write::GzEncoder;
use local::challenge::CHALLENGE;
use local::deploy::{OUTPUT_BUCKET, STACK};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use crate::arena::{Arena, MAX_PREDICTIONS_BYTES};
use crate::case::{Attack, Case, Control, End, Group, deed};
use crate::scene::Scene;

const NAME: &str = "predictions.csv";
const CSV: &[u8] = b"id,probability\na,0.5\n";

type Entries = fn(&Scene, &mut Builder<GzEncoder<Vec<u8>>>) -> Result<()>;

fn archive(scene: &Scene, entries: Entries) -> Result<Vec<u8>> {
    let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    entries(scene, &mut tar)?;
    Ok(tar.into_inner()?.finish()?)
}

fn add(
    tar: &mut Builder<GzEncoder<Vec<u8>>>,
    name: &str,
    kind: EntryType,
    target: Option<&Path>,
    data: &[u8],
) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(data.len() as u64);
    header.set_mode(0o644);
    // Set directly, because the builder refuses some names.
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    if let Some(target) = target {
        header.set_link_name_literal(target.as_os_str().as_encoded_bytes())?;
    }
    header.set_cksum();
    Ok(tar.append(&header, data)?)
}

/// Lets `score` take the predictions out of an archive. Returns the name of its error.
async fn extracted(arena: &Arena, scene: &Scene, archive: Vec<u8>) -> Result<String> {
    let key = |name: &str| format!("{}/{name}", scene.token);
    let object = arena.stack.clients.s3.put_object().bucket(OUTPUT_BUCKET).key(key("output.tar.gz"));
    object.body(archive.into()).send().await?;
    let request = json!({
        "action": "extract", "submissionId": uuid::Uuid::new_v4().to_string(), "challengeId": CHALLENGE, "userId": "1",
        "created": "2026-01-01T00:00:00Z", "modelUri": format!("s3://{OUTPUT_BUCKET}/{}", key("model.tar.gz")),
    });
    let invoked = arena.stack.clients.lambda.invoke().function_name(format!("{STACK}-score"));
    let answer = invoked.payload(Blob::new(request.to_string())).send().await?;
    let payload = answer.payload().context("an answer")?.as_ref();
    ensure!(!crate::case::has(payload, &scene.secret), "the canary's secret was returned");
    let payload: Value = serde_json::from_slice(payload)?;
    Ok(payload["errorType"].as_str().unwrap_or("accepted").to_owned())
}

/// The control unpacks with Python, as a program without care would, and prints what `code` finds.
fn case(
    name: &str,
    defence: &'static str,
    expected: &'static str,
    entries: Entries,
    code: &'static str,
    shows: fn(&Scene) -> String,
) -> Case {
    let attack = deed(move |arena, scene| {
        Box::pin(async move {
            let error = extracted(arena, scene, archive(scene, entries)?).await?;
            ensure!(error == expected, "expected {expected}, got {error}");
            Ok(error)
        })
    });
    let control = deed(move |_, scene| {
        Box::pin(async move {
            let folder = tempfile::tempdir()?;
            std::fs::write(folder.path().join("output.tar.gz"), archive(scene, entries)?)?;
            let script = format!("import tarfile\ntar = tarfile.open('output.tar.gz')\n{code}");
            let output = Command::new("python3").args(["-c", &script]).current_dir(folder.path()).output()?;
            let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            let (said, shows) = (said.trim(), shows(scene));
            ensure!(said.contains(&shows), "{said}{errors}");
            Ok(format!("Python finds {said:.80}"))
        })
    });
    Case::new(Group::Predictions, name, defence, Attack::Deed(attack, expected), End::Completed, Control::Deed(control))
}

pub(super) fn cases() -> Vec<Case> {
    const READ: &str = "tar.extractall('x')\nprint(open('x/predictions.csv').read())";
    vec![
        case(
            "predictions that are a link to a file of the host",
            "regular files only",
            "PredictionsInvalid",
            |scene, tar| add(tar, NAME, EntryType::Symlink, Some(&scene.file()), b""),
            READ,
            |scene| scene.secret.clone(),
        )
        .representative(),
        case(
            "predictions that are a hard link to a file of the host",
            "regular files only",
            "PredictionsInvalid",
            |scene, tar| add(tar, NAME, EntryType::Link, Some(&scene.file()), b""),
            READ,
            |scene| scene.secret.clone(),
        ),
        case(
            "predictions below a link that leads out",
            "nothing is written",
            "PredictionsMissing",
            |scene, tar| {
                add(tar, "out", EntryType::Symlink, Some(&scene.canary_folder()), b"")?;
                add(tar, "out/predictions.csv", EntryType::Regular, None, CSV)
            },
            "tar.extractall('x')\nimport os\nprint(os.listdir('x/out'))",
            |_| NAME.to_owned(),
        ),
        case(
            "predictions that climb out",
            "nothing is written",
            "PredictionsMissing",
            |_, tar| add(tar, "../predictions.csv", EntryType::Regular, None, CSV),
            "import os\nos.mkdir('x')\ntar.extractall('x')\nprint(open('predictions.csv').read())",
            |_| "id,probability".to_owned(),
        ),
        case(
            "predictions twice",
            "names occur once",
            "PredictionsInvalid",
            |_, tar| {
                add(tar, NAME, EntryType::Regular, None, CSV)?;
                add(tar, NAME, EntryType::Regular, None, b"id,probability\na,0.9\n")
            },
            "first = tar.extractfile(tar.next()).read()\nprint(first == tar.extractfile('predictions.csv').read())",
            |_| "False".to_owned(),
        ),
        case(
            "predictions of 8 GB as a GNU sparse file",
            "regular files only",
            "PredictionsInvalid",
            |_, tar| {
                let mut header = Header::new_gnu();
                header.set_entry_type(EntryType::GNUSparse);
                header.set_path(NAME)?;
                header.set_size(0);
                header.set_mode(0o644);
                let gnu = header.as_gnu_mut().context("a GNU header")?;
                gnu.realsize.copy_from_slice(b"77777777777\0");
                gnu.sparse[0].offset.copy_from_slice(b"77777777777\0");
                gnu.sparse[0].numbytes.copy_from_slice(b"00000000000\0");
                header.set_cksum();
                Ok(tar.append(&header, &[][..])?)
            },
            "print(tar.getmember('predictions.csv').size)",
            |_| "8589934591".to_owned(),
        ),
        case(
            "predictions by the long name of another file",
            "short names only",
            "PredictionsMissing",
            |_, tar| {
                add(tar, "././@LongLink", EntryType::GNULongName, None, b"predictions.csv\0")?;
                add(tar, "other.csv", EntryType::Regular, None, CSV)
            },
            "print(tar.getnames())",
            |_| NAME.to_owned(),
        ),
        case(
            "a bomb of predictions",
            "size",
            "PredictionsInvalid",
            |_, tar| {
                let mut zeros = Vec::new();
                std::io::repeat(b'0').take(8 * MAX_PREDICTIONS_BYTES).read_to_end(&mut zeros)?;
                add(tar, NAME, EntryType::Regular, None, &zeros)
            },
            "import os\ntar.extractall('x')\nprint(os.path.getsize('x/predictions.csv') // os.path.getsize('output.tar.gz') > 100)",
            |_| "True".to_owned(),
        ),
    ]
}
