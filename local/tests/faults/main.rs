//! The fault matrix: every call that leaves the system fails in every way, once and for ever, and every submission still
//! ends in exactly one reported outcome. Compiled functions, the real definition, real containers; a proxy between the
//! functions and what they call is where the faults happen.
//!
//! A representative part runs with every test; `make faults` runs all.

mod bench;
mod call;
mod case;
mod fault;
mod process_of_peer;
mod proxy;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_sfn::types::ExecutionStatus;
use libtest_mimic::{Arguments, Failed, Trial};
use shared::SubmissionId;
use shared::outcome::Status;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OnceCell, Semaphore};
use tokio::time::{sleep, timeout};

use bench::Bench;
use case::{Case, End, Event, Sample};
use fault::Fault;

/// Longer than any case takes.
const PATIENCE: Duration = Duration::from_mins(20);
/// Cases that run at once on the stack of their own faults: they mostly wait.
const AT_ONCE: usize = 16;
/// Threads, with enough for the cases that wait for each other.
const THREADS: usize = 48;
/// Deliveries after which a broken `intake` is mended.
const DELIVERIES: u32 = 3;

/// The stacks: in those of the faults that befall everybody, one case runs at a time.
struct Benches {
    own: OnceCell<Bench>,
    places: Semaphore,
    everybodys: [OnceCell<Bench>; 4],
    free: Mutex<Vec<usize>>,
    frees: Semaphore,
    /// The ids of the cases that have ended, which must stay as they are.
    ended: std::sync::Mutex<Vec<SubmissionId>>,
    offset: AtomicU64,
}

fn main() -> Result<std::process::ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let runtime = tokio::runtime::Runtime::new()?;
    let benches = Arc::new(Benches {
        own: OnceCell::new(),
        places: Semaphore::new(AT_ONCE),
        everybodys: std::array::from_fn(|_| OnceCell::new()),
        free: Mutex::new((0..4).collect()),
        frees: Semaphore::new(4),
        ended: std::sync::Mutex::default(),
        offset: AtomicU64::new(1_000_000),
    });
    let trials = case::all().into_iter().map(|case| trial(case, &benches, runtime.handle())).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let benches = Arc::try_unwrap(benches).map_err(|_| anyhow::anyhow!("a case still holds the stacks"))?;
    let still = still_one_review_each(&benches);
    for bench in [benches.own].into_iter().chain(benches.everybodys).filter_map(OnceCell::into_inner) {
        runtime.block_on(bench.stack.stop());
    }
    still?;
    Ok(conclusion.exit_code())
}

fn trial(case: Case, benches: &Arc<Benches>, runtime: &Handle) -> Trial {
    let (benches, runtime) = (Arc::clone(benches), runtime.clone());
    let (name, kind, ignored) = (case.name.clone(), format!("{:?}", case.end), !case.representative);
    let run = move || {
        // On the runtime's own threads: processes started by a thread of one case would die with it.
        let run = runtime.spawn(async move { timeout(PATIENCE, run(&case, &benches)).await });
        match runtime.block_on(run) {
            Ok(Ok(result)) => result.map_err(|error| Failed::from(format!("{error:#}"))),
            Ok(Err(_)) => Err(Failed::from("it took too long")),
            Err(panic) => Err(Failed::from(panic)),
        }
    };
    Trial::test(name, run).with_kind(kind).with_ignored_flag(ignored)
}

async fn run(case: &Case, benches: &Benches) -> Result<()> {
    if case.call.is_everybodys() {
        let _place = benches.frees.acquire().await?;
        let free = benches.free.lock().await.pop().context("a place without a stack")?;
        let result = alone(case, free, benches).await;
        benches.free.lock().await.push(free);
        result
    } else {
        let _place = benches.places.acquire().await?;
        befall(case, benches.own.get_or_try_init(Bench::start).await?, benches).await
    }
}

async fn alone(case: &Case, free: usize, benches: &Benches) -> Result<()> {
    let bench = benches.everybodys[free].get_or_try_init(Bench::start).await?;
    bench.cold_start().await?;
    befall(case, bench, benches).await
}

/// Lets a fault happen to a submission of its own, and sees how that ends.
async fn befall(case: &Case, bench: &Bench, benches: &Benches) -> Result<()> {
    let id: SubmissionId = uuid::Uuid::new_v4().to_string().parse()?;
    let offset = benches.offset.fetch_add(1, Ordering::SeqCst);
    let about = if case.sample == Sample::Unreadable {
        vec![format!("/{offset}.json")]
    } else {
        vec![id.to_string(), id.aws_safe().to_string()]
    };
    let fault = bench.faults.inject(case.call, about, case.kind, case.times);
    let _over = OverAtTheEnd(&fault);
    bench.serve(&id, case.sample)?;
    deliver(case, bench, &fault, &id, offset).await?;
    if case.end == End::Quarantined {
        ensure!(fault.hits() > 0, "the fault befell no call");
        return quarantined(bench, &id, offset).await;
    }
    match case.event {
        Some(Event::Abort) => {
            fault.hit().await;
            let execution = bench.execution(&id);
            bench.stack.clients.sfn.stop_execution().execution_arn(execution).send().await.context("aborting")?;
        }
        Some(Event::Redelivery) => {
            fault.hit().await;
            for _ in 0..3 {
                ensure!(bench.deliver(&id, case.sample, offset).await?, "intake did not take the message again");
            }
        }
        None => {}
    }
    let execution = bench.end_of(&id).await?;
    ensure!(fault.hits() > 0, "the fault befell no call");
    let status = match (case.event, case.end) {
        (Some(Event::Abort), _) => ExecutionStatus::Aborted,
        (_, End::Failed(_) | End::ToldLater(_)) => ExecutionStatus::Failed,
        _ => ExecutionStatus::Succeeded,
    };
    ensure!(*execution.status() == status, "the execution {}: {:?}", execution.status(), execution.cause());
    if let End::Failed(code) = case.end
        && case.event.is_none()
    {
        ensure!(execution.error() == Some(code.as_str()), "the execution failed with {:?}", execution.error());
    }
    if matches!(case.end, End::ToldLater(_)) || case.call == call::Call::ReadOutcome {
        quiet(&fault).await;
        fault.lift();
    }
    if status == ExecutionStatus::Aborted {
        // The event takes its own way, beside the execution.
        reviewed(bench, &id).await?;
    }
    if case.call.is_everybodys() {
        // Nothing else goes on in this stack: what is unreported is this submission.
        bench.report(&serde_json::json!({"action": "sweep"})).await?;
    } else if status != ExecutionStatus::Succeeded {
        bench.tell_end(&execution).await?;
    }
    if case.event == Some(Event::Redelivery) {
        ensure!(bench.deliver(&id, case.sample, offset).await?, "intake did not take the message after the end");
    }
    check(case, bench, &id).await?;
    bench.no_orphan(&id).await?;
    benches.ended.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.push(id);
    Ok(())
}

/// Lifts a fault when its case ends, however it ends.
struct OverAtTheEnd<'a>(&'a Fault);

impl Drop for OverAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.lift();
    }
}

/// Delivers the message until it is taken, and mends what keeps it from being taken.
async fn deliver(case: &Case, bench: &Bench, fault: &Fault, id: &SubmissionId, offset: u64) -> Result<()> {
    let mut failed = 0;
    while !bench.deliver(id, case.sample, offset).await? {
        failed += 1;
        ensure!(failed <= DELIVERIES, "intake does not take the message though nothing is broken any more");
        if failed == DELIVERIES {
            fault.lift();
        }
    }
    Ok(())
}

/// Waits until nobody meets a fault any more.
async fn quiet(fault: &Fault) {
    let mut hits = 0;
    while hits != fault.hits() {
        hits = fault.hits();
        sleep(Duration::from_secs(25)).await;
    }
}

/// Waits until a submission's review is completed.
async fn reviewed(bench: &Bench, id: &SubmissionId) -> Result<()> {
    for _ in 0..600 {
        if bench.stack.api.reviews(id).iter().any(|review| review["status"] == "completed") {
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    bail!("the end of the execution was not reported")
}

async fn quarantined(bench: &Bench, id: &SubmissionId, offset: u64) -> Result<()> {
    let listed = bench.stack.clients.s3.list_objects_v2().bucket(&bench.stack.deployed.staging_bucket);
    let objects = listed.prefix("quarantine/").send().await?;
    let kept = objects.contents().iter().filter_map(|object| object.key());
    let kept = kept.filter(|key| key.ends_with(&format!("/{offset}.json"))).count();
    ensure!(kept == 1, "the record is kept {kept} times");
    let execution = bench.stack.clients.sfn.describe_execution().execution_arn(bench.execution(id)).send().await;
    ensure!(execution.is_err(), "an execution was started");
    Ok(())
}

/// One outcome, one completed review that says the same, and one pair of files.
async fn check(case: &Case, bench: &Bench, id: &SubmissionId) -> Result<()> {
    let (status, code) = match case.end {
        End::Completed | End::ToldLater(None) => (Status::Completed, None),
        End::Rejected(code) => (Status::Rejected, Some(code)),
        End::Failed(code) | End::ToldLater(Some(code)) => (Status::Failed, Some(code)),
        End::Quarantined => bail!("a quarantined record has no outcome"),
    };
    let outcome = bench.stack.stored_outcome(id).await?;
    let told = outcome.failure.as_ref().map(|failure| failure.code);
    ensure!(outcome.status == status && told == code, "the outcome is {outcome:?}");

    let reviews = bench.stack.api.reviews(id);
    let [review] = reviews.as_slice() else { bail!("{} reviews", reviews.len()) };
    ensure!(review["status"] == "completed", "{review}");
    ensure!(review["metadata"]["failureCode"].as_str() == code.map(shared::FailureCode::as_str), "{review}");
    ensure!(outcome.review.as_deref() == review["id"].as_str(), "the outcome names review {:?}", outcome.review);
    // The API keeps no files of a submission that it does not know.
    let expected = if case.sample == Sample::Unknown { 0 } else { 2 };
    let files = std::fs::read_dir(bench.stack.api.artifacts(id)).into_iter().flatten().count();
    ensure!(files == expected, "{files} files");
    Ok(())
}

/// What was told of each submission is not told a second time later.
fn still_one_review_each(benches: &Benches) -> Result<()> {
    let ended = benches.ended.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.clone();
    for bench in [&benches.own].into_iter().chain(&benches.everybodys).filter_map(OnceCell::get) {
        for id in &ended {
            let reviews = bench.stack.api.reviews(id).len();
            ensure!(reviews <= 1, "{id} has {reviews} reviews");
        }
    }
    Ok(())
}
