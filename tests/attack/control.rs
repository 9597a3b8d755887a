//! Controls: the attack of a case without its defence. On canaries of its own, the attack has to work.

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::arena::Arena;
use crate::bare::Weakened;
use crate::case::{Attack, Case, Control, File, Got, Roomy, Sign, files};
use crate::scene::Scene;

/// Limits that no attack of a control reaches.
pub(crate) const AMPLE: Roomy = Roomy { memory: 4 << 30, disk: 4 << 30, processes: 8000 };

/// Runs the control of a case. Returns what was seen.
pub(crate) async fn run(case: &Case, arena: &Arena, got: Option<&Got>) -> Result<String> {
    let scene = arena.scene(&case.name, true).await?;
    match &case.control {
        Control::Deed(control) => control(arena, &scene).await,
        Control::Afterwards(control) => control(&scene, got.context("the attack is not a submission")?),
        Control::Unpacked(control) => {
            let Attack::Archive(archive) = &case.attack else { bail!("the attack is not an archive") };
            let folder = tempfile::tempdir()?;
            let path = folder.path().join("submission.zip");
            std::fs::write(&path, archive(&scene))?;
            std::fs::create_dir(folder.path().join("unpacked"))?;
            control(&scene, folder.path())
        }
        Control::Unfiltered(sign) => {
            let weakened = Weakened::make(&arena.root, &arena.stack.work, AMPLE).await?.without_packet_filter().await?;
            enclosed(case, arena, &scene, weakened, *sign, "no packet filter").await
        }
        Control::Roomy(limits, sign) => {
            let weakened = Weakened::make(&arena.root, &arena.stack.work, *limits).await?;
            enclosed(case, arena, &scene, weakened, *sign, "higher limits").await
        }
        Control::Bare(sign) => {
            let (_, output) = arena.bare().await?.build(&files_of(case, &scene)?, "attack", &[]).await?;
            let seen = seen(arena, &scene, *sign, &output).await?;
            Ok(format!("with podman on the host, {seen}"))
        }
    }
}

fn files_of(case: &Case, scene: &Scene) -> Result<Vec<File>> {
    files(&case.attack, scene).context("the attack has no files")
}

/// Builds in an enclosure, and trains if the attack is in the training.
async fn enclosed(
    case: &Case,
    arena: &Arena,
    scene: &Scene,
    weakened: Weakened,
    sign: Sign,
    what: &str,
) -> Result<String> {
    let mut files = files_of(case, scene)?;
    let trains = matches!(case.attack, Attack::Train(_) | Attack::LinesAndTrain(..));
    // Podman cannot give a container of `run` the network of an enclosure, whose namespace belongs to the host's root.
    let with_network = trains && matches!(sign, Sign::Asked);
    if with_network {
        let (_, dockerfile, _) = files.first_mut().context("the attack has a Dockerfile")?;
        dockerfile.extend_from_slice(b"RUN train\n");
    }
    let (built, mut output) = weakened.build(&files).await?;
    if trains && !with_network {
        ensure!(built, "the image of the control: {output}");
        let run = ["run", "--rm", "--network=none", "--runtime=runc", "--pids-limit=0", "--log-driver=passthrough"];
        let run = [&run[..], &["--volume=/disk/tmp:/opt/ml/model", "localhost/attack", "train"]].concat();
        output += &weakened.podman(&run).await?.1;
    }
    let seen = seen(arena, scene, sign, &output).await;
    weakened.end().await?;
    Ok(format!("with {what}, {}", seen?))
}

/// Whether the attack worked. In words.
async fn seen(arena: &Arena, scene: &Scene, sign: Sign, output: &str) -> Result<String> {
    let end = output.get(output.len().saturating_sub(1500)..).unwrap_or(output);
    match sign {
        Sign::Asked => {
            let asked = arena.world.asked(&scene.token);
            let asked = asked.first().with_context(|| format!("no server was asked: {end}"))?;
            Ok(format!("the server at {} was asked", asked.address))
        }
        Sign::Killed => {
            ensure!(!scene.process_runs()?, "the canary process still runs: {end}");
            Ok("the canary process was killed".to_owned())
        }
        Sign::Left => {
            let left = scene.left()?;
            for pid in &left {
                kill(Pid::from_raw(*pid), Signal::SIGKILL)?;
            }
            ensure!(!left.is_empty(), "no process was left: {end}");
            Ok(format!("process {} outlived the build", left[0]))
        }
        Sign::Secret => {
            ensure!(output.contains(&scene.secret), "the secret was not read: {end}");
            Ok("the canary's secret was read".to_owned())
        }
        Sign::SecretAndChange => {
            ensure!(output.contains(&scene.secret), "the secret was not read: {end}");
            ensure!(std::fs::read_to_string(scene.file())? != scene.secret, "the canary file was not changed: {end}");
            Ok("the canary file was read and changed".to_owned())
        }
        Sign::OtherSecret => {
            ensure!(output.contains(&scene.other.secret), "the other image was not read: {end}");
            Ok("another participant's image was read".to_owned())
        }
        Sign::Function => {
            ensure!(arena.functions().await?.contains(&scene.token), "no function was created: {end}");
            arena.stack.clients.lambda.delete_function().function_name(&scene.token).send().await?;
            Ok("the emulator created a function".to_owned())
        }
        Sign::Word(word) => {
            ensure!(output.contains(word), "it did not get that far: {end}");
            Ok(format!("it got as far as {word:?}"))
        }
    }
}
