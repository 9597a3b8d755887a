//! The fault matrix: every outgoing call fails in every way, once and for ever, and every submission still ends in exactly
//! one reported outcome. It runs the compiled functions, the real definition and real containers. A proxy between the
//! functions and the services injects the faults.
//!
//! `make test` runs representative cases, `make faults` all of them.

mod call;
mod case;
mod fault;
mod fixture;
#[path = "../shared/functions.rs"]
mod functions;
mod injection;
#[path = "../shared/process_of_peer.rs"]
mod process_of_peer;
#[path = "../shared/proxy.rs"]
mod proxy;
mod secrets;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_sfn::types::ExecutionStatus;
use domain::SubmissionId;
use domain::outcome::Status;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OnceCell, Semaphore};
use tokio::time::{sleep, timeout};

use case::{Case, End, Event, Sample};
use fault::Fault;
use fixture::Fixture;

/// Longer than any case takes.
const PATIENCE: Duration = Duration::from_mins(20);
/// Concurrent cases on the shared stack. They mostly wait.
const CONCURRENCY: usize = 16;
/// Threads, enough for cases that wait for a stack.
const THREADS: usize = 48;
/// Failed deliveries after which the fault is lifted.
const DELIVERIES: u32 = 3;

/// The stacks of the cases.
struct Fixtures {
    /// For faults that affect one submission: many cases run at once.
    shared: OnceCell<Fixture>,
    shared_permits: Semaphore,
    /// For faults that affect every submission: one case at a time runs on each.
    exclusive: [OnceCell<Fixture>; 4],
    free: Mutex<Vec<usize>>,
    exclusive_permits: Semaphore,
    /// The submissions of the cases that have ended.
    ended: parking_lot::Mutex<Vec<SubmissionId>>,
    offset: AtomicU64,
}

fn main() -> Result<std::process::ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let runtime = tokio::runtime::Runtime::new()?;
    let fixtures = Arc::new(Fixtures {
        shared: OnceCell::new(),
        shared_permits: Semaphore::new(CONCURRENCY),
        exclusive: std::array::from_fn(|_| OnceCell::new()),
        free: Mutex::new((0..4).collect()),
        exclusive_permits: Semaphore::new(4),
        ended: parking_lot::Mutex::default(),
        offset: AtomicU64::new(1_000_000),
    });
    let trials = case::all().into_iter().map(|case| trial(case, &fixtures, runtime.handle())).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let fixtures = Arc::try_unwrap(fixtures).map_err(|_| anyhow::anyhow!("a case still holds the stacks"))?;
    let still = assert_one_review_each(&fixtures);
    let hidden = runtime.block_on(no_secret_is_shown(&fixtures));
    for fixture in [fixtures.shared].into_iter().chain(fixtures.exclusive).filter_map(OnceCell::into_inner) {
        runtime.block_on(fixture.stack.stop());
    }
    still?;
    hidden?;
    Ok(conclusion.exit_code())
}

fn trial(case: Case, fixtures: &Arc<Fixtures>, runtime: &Handle) -> Trial {
    let (fixtures, runtime) = (Arc::clone(fixtures), runtime.clone());
    let (name, kind, ignored) = (case.name.clone(), format!("{:?}", case.end), !case.representative);
    let run = move || {
        // On the runtime's own threads: processes started by a thread of one case would die with it.
        let run = runtime.spawn(async move { timeout(PATIENCE, run(&case, &fixtures)).await });
        match runtime.block_on(run) {
            Ok(Ok(result)) => result.map_err(|error| Failed::from(format!("{error:#}"))),
            Ok(Err(_)) => Err(Failed::from("it took too long")),
            Err(panic) => Err(Failed::from(panic)),
        }
    };
    Trial::test(name, run).with_kind(kind).with_ignored_flag(ignored)
}

async fn run(case: &Case, fixtures: &Fixtures) -> Result<()> {
    if case.call.affects_every_submission() {
        let _place = fixtures.exclusive_permits.acquire().await?;
        let free = fixtures.free.lock().await.pop().context("no stack is free")?;
        let result = run_alone(case, free, fixtures).await;
        fixtures.free.lock().await.push(free);
        result
    } else {
        let _place = fixtures.shared_permits.acquire().await?;
        inject_and_check(case, fixtures.shared.get_or_try_init(Fixture::start).await?, fixtures).await
    }
}

async fn run_alone(case: &Case, free: usize, fixtures: &Fixtures) -> Result<()> {
    let fixture = fixtures.exclusive[free].get_or_try_init(Fixture::start).await?;
    fixture.cold_start().await?;
    inject_and_check(case, fixture, fixtures).await
}

/// Injects a fault into the processing of a new submission, and checks how that ends.
async fn inject_and_check(case: &Case, fixture: &Fixture, fixtures: &Fixtures) -> Result<()> {
    let id: SubmissionId = uuid::Uuid::new_v4().to_string().parse()?;
    let offset = fixtures.offset.fetch_add(1, Ordering::SeqCst);
    let about = if case.sample == Sample::Unreadable {
        vec![format!("/{offset}.json")]
    } else {
        vec![id.to_string(), id.aws_safe().to_string()]
    };
    let fault = fixture.faults.inject(case.call, about, case.kind, case.times);
    let _lift = LiftOnDrop(&fault);
    fixture.serve(&id, case.sample).await?;
    deliver(case, fixture, &fault, &id, offset).await?;
    if case.end == End::Quarantined {
        ensure!(fault.hits() > 0, "the fault affected no call");
        return quarantined(fixture, &id, offset).await;
    }
    match case.event {
        Some(Event::Abort) => {
            fault.hit().await;
            let execution = fixture.execution(&id);
            fixture.stack.clients.sfn.stop_execution().execution_arn(execution).send().await.context("aborting")?;
        }
        Some(Event::Redelivery) => {
            fault.hit().await;
            for _ in 0..3 {
                ensure!(fixture.deliver(&id, case.sample, offset).await?, "intake refused the redelivered message");
            }
        }
        None => {}
    }
    let execution = fixture.end_of(&id).await?;
    ensure!(fault.hits() > 0, "the fault affected no call");
    let status = match (case.event, case.end) {
        (Some(Event::Abort), _) => ExecutionStatus::Aborted,
        (_, End::Failed(_) | End::ReportedLater(_)) => ExecutionStatus::Failed,
        _ => ExecutionStatus::Succeeded,
    };
    ensure!(*execution.status() == status, "the execution {}: {:?}", execution.status(), execution.cause());
    if let End::Failed(code) = case.end
        && case.event.is_none()
    {
        ensure!(execution.error() == Some(code.as_str()), "the execution failed with {:?}", execution.error());
    }
    if matches!(case.end, End::ReportedLater(_)) || case.call == call::Call::ReadOutcome {
        quiet(&fault).await;
        fault.lift();
    }
    if status == ExecutionStatus::Aborted {
        // The event arrives independently of the execution.
        reviewed(fixture, &id).await?;
    }
    if case.call.affects_every_submission() {
        // This submission is the only one in the stack, so the only unreported one.
        fixture.report(&serde_json::json!({"action": "sweep"})).await?;
    } else if status != ExecutionStatus::Succeeded {
        fixture.report_end(&execution).await?;
    }
    if case.event == Some(Event::Redelivery) {
        ensure!(fixture.deliver(&id, case.sample, offset).await?, "intake refused the message after the end");
    }
    check(case, fixture, &id).await?;
    fixture.no_orphan(&id).await?;
    fixtures.ended.lock().push(id);
    Ok(())
}

/// Lifts a fault when its case ends, however it ends.
struct LiftOnDrop<'a>(&'a Fault);

impl Drop for LiftOnDrop<'_> {
    fn drop(&mut self) {
        self.0.lift();
    }
}

/// Delivers the message until intake accepts it, and lifts the fault after some failed deliveries.
async fn deliver(case: &Case, fixture: &Fixture, fault: &Fault, id: &SubmissionId, offset: u64) -> Result<()> {
    let mut failed = 0;
    while !fixture.deliver(id, case.sample, offset).await? {
        failed += 1;
        ensure!(failed <= DELIVERIES, "intake refuses the message after the fault was lifted");
        if failed == DELIVERIES {
            fault.lift();
        }
    }
    Ok(())
}

/// Waits until no call meets the fault any more.
async fn quiet(fault: &Fault) {
    let mut hits = 0;
    while hits != fault.hits() {
        hits = fault.hits();
        sleep(Duration::from_secs(25)).await;
    }
}

/// Waits until a submission's review is completed.
async fn reviewed(fixture: &Fixture, id: &SubmissionId) -> Result<()> {
    for _ in 0..600 {
        if fixture.stack.api.reviews(id).iter().any(|review| review["status"] == "completed") {
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    bail!("the end of the execution was not reported")
}

async fn quarantined(fixture: &Fixture, id: &SubmissionId, offset: u64) -> Result<()> {
    let listed = fixture.stack.clients.s3.list_objects_v2().bucket(&fixture.stack.deployed.staging_bucket);
    let objects = listed.prefix("quarantine/").send().await?;
    let stored = objects.contents().iter().filter_map(|object| object.key());
    let stored = stored.filter(|key| key.ends_with(&format!("/{offset}.json"))).count();
    ensure!(stored == 1, "the record was quarantined {stored} times");
    let execution = fixture.stack.clients.sfn.describe_execution().execution_arn(fixture.execution(id)).send().await;
    ensure!(execution.is_err(), "an execution was started");
    Ok(())
}

/// One outcome, one completed review that says the same, and one pair of files.
async fn check(case: &Case, fixture: &Fixture, id: &SubmissionId) -> Result<()> {
    let (status, code) = match case.end {
        End::Completed | End::ReportedLater(None) => (Status::Completed, None),
        End::Rejected(code) => (Status::Rejected, Some(code)),
        End::Failed(code) | End::ReportedLater(Some(code)) => (Status::Failed, Some(code)),
        End::Quarantined => bail!("a quarantined record has no outcome"),
    };
    let outcome = fixture.stack.stored_outcome(id).await?;
    let found = outcome.failure.as_ref().map(|failure| failure.code);
    ensure!(outcome.status == status && found == code, "the outcome is {outcome:?}");

    let reviews = fixture.stack.api.reviews(id);
    let [review] = reviews.as_slice() else { bail!("{} reviews", reviews.len()) };
    ensure!(review["status"] == "completed", "{review}");
    ensure!(review["metadata"]["failureCode"].as_str() == code.map(domain::FailureCode::as_str), "{review}");
    ensure!(outcome.review.as_deref() == review["id"].as_str(), "the outcome names review {:?}", outcome.review);
    // The API stores no files for a submission that it does not know.
    let expected = if case.sample == Sample::Unknown { 0 } else { 2 };
    let files = std::fs::read_dir(fixture.stack.api.artifacts(id)).into_iter().flatten().count();
    ensure!(files == expected, "{files} files");
    Ok(())
}

/// No secret got into what was kept or reported.
async fn no_secret_is_shown(fixtures: &Fixtures) -> Result<()> {
    for fixture in [&fixtures.shared].into_iter().chain(&fixtures.exclusive).filter_map(OnceCell::get) {
        secrets::check(&fixture.stack).await?;
    }
    Ok(())
}

/// No submission was reported a second time after its case had ended.
fn assert_one_review_each(fixtures: &Fixtures) -> Result<()> {
    let ended = fixtures.ended.lock().clone();
    let stacks: Vec<&Fixture> =
        [&fixtures.shared].into_iter().chain(&fixtures.exclusive).filter_map(OnceCell::get).collect();
    for id in &ended {
        let reviews: usize = stacks.iter().map(|fixture| fixture.stack.api.reviews(id).len()).sum();
        ensure!(reviews == 1, "{id} has {reviews} reviews");
    }
    Ok(())
}
