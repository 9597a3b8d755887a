//! Hostile submissions, requests and answers, case by case, on the local stack: each gets the answer that it should, and touches
//! nothing of this machine. Each case has a control, in which the same attack works because one defence is away.
//!
//! The whole test runs in a network namespace of its own. `make attack` runs every case, `make test` a part of them.
//! `ATTACK_SEED=number` draws other names, sizes and places.

mod arena;
mod bare;
mod case;
mod control;
mod group;
mod hostile;
#[allow(dead_code, reason = "only the fault matrix asks who made a connection")]
#[path = "../shared/proxy.rs"]
mod proxy;
mod scene;
mod world;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use local::pack;
use tokio::runtime::Handle;
use tokio::time::timeout;

use arena::{Arena, end_of, write_files};
use case::{Attack, Case, End, Group};
use scene::Scene;
use world::{INTERNET, WORLD, World};

/// Longer than any case and its control take.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(12);
/// Cases that run at once.
const THREADS: usize = 4;
const SEED: u64 = 20_261_127;

fn main() -> Result<ExitCode> {
    if std::env::args().nth(1).as_deref() == Some(WORLD) {
        world::serve_the_world()?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let runtime = tokio::runtime::Runtime::new()?;
    let cases = case::all();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    ensure!(names.len() == cases.len(), "two cases have the same name");
    if arguments.list {
        let trials = cases.into_iter().map(|case| trial(case, None, runtime.handle())).collect();
        return Ok(libtest_mimic::run(&arguments, trials).exit_code());
    }
    world::enter_own_namespaces()?;
    let seed = std::env::var("ATTACK_SEED").map_or(Ok(SEED), |seed| seed.parse()).context("ATTACK_SEED")?;
    println!("{} cases with controls, seed {seed}", cases.len());
    let arena = Arc::new(runtime.block_on(Arena::start(World::make()?, seed))?);
    let has_failed = run_groups(&arguments, cases, &arena, runtime.handle());
    let arena = Arc::try_unwrap(arena).map_err(|_| anyhow::anyhow!("a case still holds the stack"))?;
    for (what, why) in group::NOT_RUN_HERE {
        println!("not run here: {what}: {why}");
    }
    runtime.block_on(arena.stack.stop());
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs group by group; after each, an honest submission. Whether a trial failed.
fn run_groups(arguments: &Arguments, mut cases: Vec<Case>, arena: &Arc<Arena>, runtime: &Handle) -> bool {
    let mut has_failed = false;
    for group in Group::ALL {
        let of_group: Vec<Case> = cases.extract_if(.., |case| case.group == group).collect();
        if of_group.is_empty() {
            continue;
        }
        let trials = of_group.into_iter().map(|case| trial(case, Some(arena), runtime)).collect();
        let conclusion = libtest_mimic::run(arguments, trials);
        has_failed |= conclusion.has_failed();
        for line in arena.lines.lock().drain(..) {
            println!("{line}");
        }
        if conclusion.num_passed + conclusion.num_failed > 0 {
            has_failed |= honest(group, arena, runtime).has_failed();
        }
    }
    has_failed
}

/// After a group, nothing of it is left, and an honest submission passes.
fn honest(group: Group, arena: &Arc<Arena>, runtime: &Handle) -> Conclusion {
    let (arena, runtime) = (Arc::clone(arena), runtime.clone());
    let name = format!("{}: nothing is left, and an honest submission passes", group.name());
    let trial = Trial::test(name, move || {
        let run = runtime.spawn(async move {
            arena.nothing_left().await?;
            arena.honest("nothing").await?;
            arena.nothing_left().await
        });
        ended(runtime.block_on(run))
    });
    libtest_mimic::run(&Arguments::default(), vec![trial])
}

fn ended(result: Result<Result<()>, tokio::task::JoinError>) -> Result<(), Failed> {
    match result {
        Ok(result) => result.map_err(|error| Failed::from(format!("{error:#}"))),
        Err(panic) => Err(Failed::from(panic)),
    }
}

fn trial(case: Case, arena: Option<&Arc<Arena>>, runtime: &Handle) -> Trial {
    let (arena, runtime) = (arena.map(Arc::clone), runtime.clone());
    let (name, ignored) = (format!("{}: {}", case.group.name(), case.name), !case.representative);
    let run = move || {
        let arena = arena.ok_or("there is no stack")?;
        // On the runtime's own threads: processes started by a thread of one case would die with it.
        let run = runtime.spawn(async move {
            timeout(PATIENCE, run(&case, &arena)).await.unwrap_or_else(|_| bail!("it took too long"))
        });
        ended(runtime.block_on(run))
    };
    Trial::test(name, run).with_ignored_flag(ignored)
}

/// Attacks, checks what came of it, and shows with the control that the attack works without its defence.
async fn run(case: &Case, arena: &Arena) -> Result<()> {
    let scene = arena.scene(&case.name, false).await?;
    let (got, said) = match &case.attack {
        Attack::Deed(attack, _) => (None, attack(arena, &scene).await?),
        attack => {
            let archive = archive_of(attack, &scene, arena)?;
            let (_, got) = arena.submit(&archive).await?;
            let end = end_of(&got)?;
            let said = format!("{end} in {:.1} s", got.took.as_secs_f32());
            ensure!(end == case.end, "expected {:?}, got {end:?}: {:?}", case.end, got.outcome);
            ensure!(got.took <= case.limit, "it took {:?}", got.took);
            ensure!(!got.has(&scene.secret), "the canary's secret got into what was kept or reported");
            ensure!(!got.has(&scene.other.secret), "another participant's secret got out");
            ensure!(case.says.is_none_or(|text| got.reported(text)), "the outcome does not say why: {:?}", got.outcome);
            for text in &case.hides {
                ensure!(!got.reported(text), "{text:?} was reported: {:?}", got.outcome);
            }
            (Some(got), said)
        }
    };
    untouched(case, arena, &scene).await?;
    let control = control::run(case, arena, got.as_ref()).await.context("the control, without the defence")?;
    arena.lines.lock().push(format!(
        "{}: {}\n    expected {}, got {said}; defence: {}\n    canaries: file, folder and process as before, servers {}; nothing left\n    without the defence: {control}",
        case.group.name(),
        case.name,
        case.expected(),
        case.defence,
        if case.reaches_the_internet { "asked as expected" } else { "not asked" },
    ));
    Ok(())
}

/// Nothing of the host was touched, and nothing of the attack is left.
async fn untouched(case: &Case, arena: &Arena, scene: &Scene) -> Result<()> {
    scene.untouched()?;
    let asked = arena.world.asked(&scene.token);
    if case.reaches_the_internet {
        ensure!(!asked.is_empty(), "the internet was not asked");
        ensure!(asked.iter().all(|asked| asked.address.to_string() == INTERNET), "servers were asked: {asked:?}");
    } else {
        ensure!(asked.is_empty(), "servers were asked: {asked:?}");
    }
    let left = scene.left()?;
    ensure!(left.is_empty(), "processes are left: {left:?}");
    let functions = arena.functions().await?;
    ensure!(!functions.contains(&scene.token), "a function was created");
    Ok(())
}

/// The archive of an attack.
fn archive_of(attack: &Attack, scene: &Scene, arena: &Arena) -> Result<std::path::PathBuf> {
    if let Attack::Archive(archive) = attack {
        let path = arena.stack.work.join(format!("{}.zip", scene.token));
        std::fs::write(&path, archive(scene))?;
        return Ok(path);
    }
    let folder = write_files(&case::files(attack, scene).context("the attack has no files")?)?;
    pack::archive_of(folder.path(), &arena.stack.work)
}

impl Case {
    /// The answer that is expected, in words.
    fn expected(&self) -> String {
        match (&self.attack, self.end) {
            (Attack::Deed(_, expected), _) => (*expected).to_owned(),
            (_, End::Rejected(code, builds, trainings)) => format!("{code} after {builds} builds and {trainings} jobs"),
            (_, end) => end.to_string(),
        }
    }
}
