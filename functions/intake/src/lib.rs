//! From a batch of Kafka records to one execution for each submission that passed its antivirus scan.
//!
//! This crate promises:
//! - every record ends as exactly one of *not for us*, *started*, *duplicate* and *quarantined*, or it fails and Lambda
//!   delivers it again;
//! - an execution's name and input depend on the submission's id only, so that a redelivered record starts nothing new;
//! - only a failure that a retry can fix fails the invocation; no record blocks another;
//! - a record's value is never logged.
//!
//! It may not call anything but Step Functions (`StartExecution`) and S3 (`PutObject` under `quarantine/`).

mod answer;
pub mod clients;
pub mod decide;
mod error;
pub mod event;
mod not_for_us_log;
mod position;
pub mod quarantine;
pub mod settings;
pub mod start;

use std::collections::hash_map::{Entry, HashMap};
use std::time::SystemTime;

pub use answer::{BatchItemFailure, ItemIdentifier, Response};
use aws_sdk_sfn::primitives::DateTime;
pub use clients::Clients;
pub use decide::{Decision, NotForUs, QuarantineReason, decide};
use domain::SubmissionId;
pub use error::IntakeError;
pub use event::Event;
use event::Record;
use futures_util::{StreamExt, stream};
use lambda_runtime::LambdaEvent;
use not_for_us_log::NotForUsLog;
use position::Position;
use quarantine::Quarantined;
use runtime::CallFailed;
use runtime::metrics::{Metrics, Unit};
pub use settings::Settings;
use start::Started;
use time::OffsetDateTime;

/// What the function works with.
#[derive(Debug)]
pub struct Deps {
    pub settings: Settings,
    pub clients: Clients,
}

impl Deps {
    /// Clients are created when they are first needed.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, clients: Clients::default() }
    }
}

/// Writes the one log line of a record: its position and what happened to it, never its value.
macro_rules! log {
    ($level:ident, $position:expr, $($outcome:tt)+) => {
        tracing::$level!(
            topic = $position.topic, partition = $position.partition, offset = $position.offset, $($outcome)+
        )
    };
}

/// What happened to the records of a batch.
#[derive(Default)]
struct Counts<'a> {
    records: usize,
    started: usize,
    not_for_us: usize,
    duplicate: usize,
    quarantined: usize,
    failed: Vec<Position<'a>>,
}

impl Counts<'_> {
    fn emit(&self, stack_name: &str, request_id: &str) {
        let counts = [
            ("Records", self.records),
            ("Started", self.started),
            ("NotForUs", self.not_for_us),
            ("Duplicate", self.duplicate),
            ("Quarantined", self.quarantined),
            ("Failed", self.failed.len()),
        ];
        #[expect(clippy::cast_precision_loss, reason = "a batch has some ten thousand records at most")]
        counts
            .into_iter()
            .fold(Metrics::of_stack(stack_name).property("requestId", request_id), |metrics, (name, count)| {
                metrics.value(name, Unit::Count, count as f64)
            })
            .emit();
    }
}

/// Starts an execution for each submission of the batch that may run, and quarantines records that cannot be read.
///
/// A failure is reported only after everything else has been done.
pub async fn handle(event: LambdaEvent<Event>, deps: &Deps) -> Result<Response, IntakeError> {
    let request_id = &event.context.request_id;
    process(&event.payload, deps, request_id).await.inspect_err(|error| tracing::error!(request_id, "{error}"))
}

async fn process(event: &Event, deps: &Deps, request_id: &str) -> Result<Response, IntakeError> {
    let mut counts = Counts::default();
    let work = sort(event, deps, &mut counts)?;
    let start_failure = start_all(&work.submissions, deps, &mut counts).await;
    let quarantine_failure = quarantine_all(&work.unreadable, deps, &mut counts).await;

    counts.emit(&deps.settings.stack_name, request_id);
    if deps.settings.partial_batch_responses
        && let Some(response) = Response::of_failures(&counts.failed)
    {
        return Ok(response);
    }
    let (failed, records) = (counts.failed.len(), counts.records);
    match (start_failure, quarantine_failure) {
        (Some(source), _) => Err(IntakeError::StartExecutionFailed { failed, records, source }),
        (None, Some(source)) => Err(IntakeError::QuarantineFailed { failed, records, source }),
        (None, None) => Ok(Response::default()),
    }
}

/// The records of a batch that need a call.
#[derive(Default)]
struct Work<'a> {
    /// Each submission once, with the positions of all records that announce it.
    submissions: Vec<(SubmissionId, Vec<Position<'a>>)>,
    unreadable: Vec<(Position<'a>, &'a Record, QuarantineReason)>,
}

fn sort<'a>(event: &'a Event, deps: &Deps, counts: &mut Counts<'a>) -> Result<Work<'a>, IntakeError> {
    let mut work = Work::default();
    let mut known = HashMap::new();
    let mut not_for_us = NotForUsLog::at(OffsetDateTime::now_utc());
    for (partition_name, records) in event.records.as_ref().ok_or(IntakeError::EventInvalid)? {
        counts.records += records.len();
        for record in records {
            let position = Position::of(partition_name, record.offset);
            match decide(&record.value, &deps.settings.filter) {
                Decision::NotForUs(reason) => {
                    not_for_us.push(position, reason);
                    counts.not_for_us += 1;
                }
                Decision::Quarantine(reason) => work.unreadable.push((position, record, reason)),
                Decision::Start(submission) => match known.entry(submission) {
                    Entry::Occupied(entry) => {
                        let at: usize = *entry.get();
                        work.submissions[at].1.push(position);
                    }
                    Entry::Vacant(entry) => {
                        work.submissions.push((entry.key().clone(), vec![position]));
                        entry.insert(work.submissions.len() - 1);
                    }
                },
            }
        }
    }
    not_for_us.write();
    Ok(work)
}

/// Starts the executions and gives the first failure.
async fn start_all<'a>(
    submissions: &[(SubmissionId, Vec<Position<'a>>)],
    deps: &Deps,
    counts: &mut Counts<'a>,
) -> Option<CallFailed> {
    let began = DateTime::from(SystemTime::now());
    let starts = submissions.iter().map(async |(submission, positions)| {
        let client = deps.clients.step_functions().await;
        (submission, positions, start::start(client, &deps.settings.state_machine, submission, began).await)
    });
    let mut answers = stream::iter(starts).buffered(deps.settings.concurrency.get());
    let mut first_failure = None;
    while let Some((submission, positions, answer)) = answers.next().await {
        let id = submission.as_str();
        let mut duplicates = positions.as_slice();
        match answer {
            Err(error) => {
                for position in positions {
                    log!(error, position, outcome = "Failed", submissionId = id, cause = %error, "not started");
                }
                counts.failed.extend_from_slice(positions);
                first_failure.get_or_insert(error);
                continue;
            }
            Ok(Started::New { execution }) => {
                if let Some((position, rest)) = positions.split_first() {
                    log!(info, position, outcome = "Started", submissionId = id, execution, "started");
                    counts.started += 1;
                    duplicates = rest;
                }
            }
            Ok(Started::Duplicate) => {}
        }
        for position in duplicates {
            log!(info, position, outcome = "Duplicate", submissionId = id, "started before");
            counts.duplicate += 1;
        }
    }
    first_failure
}

/// Quarantines the records and gives the first failure.
async fn quarantine_all<'a>(
    unreadable: &[(Position<'a>, &Record, QuarantineReason)],
    deps: &Deps,
    counts: &mut Counts<'a>,
) -> Option<CallFailed> {
    let puts = unreadable.iter().map(async |(position, record, reason)| {
        let client = deps.clients.s3().await;
        let quarantined = Quarantined::new(position.partition_name, record, *reason);
        (position, reason, quarantined.put(client, &deps.settings.quarantine_bucket).await)
    });
    let mut answers = stream::iter(puts).buffered(deps.settings.concurrency.get());
    let mut first_failure = None;
    while let Some((position, reason, answer)) = answers.next().await {
        match answer {
            Ok(()) => {
                log!(warn, position, outcome = "Quarantined", %reason, "quarantined");
                counts.quarantined += 1;
            }
            Err(error) => {
                log!(error, position, outcome = "Failed", %reason, cause = %error, "not quarantined");
                counts.failed.push(*position);
                first_failure.get_or_insert(error);
            }
        }
    }
    first_failure
}
