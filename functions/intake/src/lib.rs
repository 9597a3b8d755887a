//! From a batch of Kafka records to one execution for each submission that may be run.
//!
//! Every record ends as exactly one of: not for us, started, duplicate, quarantined; or it failed, and then Lambda
//! delivers it again.

pub mod clients;
pub mod decide;
pub mod event;
pub mod quarantine;
mod quiet_lines;
pub mod settings;
pub mod start;

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};
use std::time::SystemTime;

use aws_sdk_sfn::primitives::DateTime;
use futures_util::{StreamExt, stream};
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde::Serialize;
use shared::SubmissionId;
use shared::metrics::{Metrics, Unit};

use clients::CallFailed;
pub use clients::Clients;
pub use decide::{Decision, NotForUs, Unreadable, decide};
pub use event::Event;
use event::{Record, split_partition};
use quarantine::Quarantined;
use quiet_lines::QuietLines;
pub use settings::Settings;
use start::Started;

/// What the function works with.
#[derive(Debug)]
pub struct Deps {
    /// Its settings.
    pub settings: Settings,
    /// Its AWS clients.
    pub clients: Clients,
}

impl Deps {
    /// With clients configured by the environment.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, clients: Clients::default() }
    }
}

/// Why Lambda has to deliver the batch again. As a Lambda error its `errorType` is the variant's name.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The event is none of a Kafka event source mapping; delivering it again mends nothing.
    #[error(
        "the event has no `records`: expected one of an Amazon MSK or self-managed Kafka event source mapping, \
         {{\"records\": {{\"topic-partition\": [record, …]}}}}"
    )]
    EventInvalid,
    /// Executions could not be started, for whatever reason: even a misconfiguration must not lose records.
    #[error("{failed} of {records} records could not be handed on and are to be delivered again; the first: {cause}")]
    StartExecutionFailed {
        /// How many records failed.
        failed: usize,
        /// How many records the event has.
        records: usize,
        /// Why the first of them failed.
        cause: CallFailed,
    },
    /// Records could not be quarantined.
    #[error("{failed} of {records} records could not be quarantined and are to be delivered again; the first: {cause}")]
    QuarantineFailed {
        /// How many records failed.
        failed: usize,
        /// How many records the event has.
        records: usize,
        /// Why the first of them failed.
        cause: CallFailed,
    },
}

impl From<IntakeError> for Diagnostic {
    fn from(error: IntakeError) -> Self {
        let error_type = match &error {
            IntakeError::EventInvalid => "EventInvalid",
            IntakeError::StartExecutionFailed { .. } => "StartExecutionFailed",
            IntakeError::QuarantineFailed { .. } => "QuarantineFailed",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}

/// Lambda's answer: which records to deliver again, see
/// <https://docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html>.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// At most one a partition: delivery resumes there.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// A record that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// Which record.
    pub item_identifier: ItemIdentifier,
}

/// A record's place, in the event's own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ItemIdentifier {
    /// `topic-partition`, as the event names it.
    pub partition: String,
    /// The offset in it.
    pub offset: u64,
}

/// Where a record stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// `topic-partition`, as the event names it.
    name: &'a str,
    topic: &'a str,
    partition: Option<u32>,
    offset: Option<u64>,
}

/// Writes the one log line of a record: where it stands and what became of it, never what it says.
macro_rules! log {
    ($level:ident, $place:expr, $($outcome:tt)+) => {
        tracing::$level!(topic = $place.topic, partition = $place.partition, offset = $place.offset, $($outcome)+)
    };
}

/// What became of a batch.
#[derive(Default)]
struct Tally<'a> {
    records: usize,
    started: usize,
    not_for_us: usize,
    duplicate: usize,
    quarantined: usize,
    failed: Vec<Place<'a>>,
}

impl Tally<'_> {
    fn emit(&self, stack: &str, request_id: &str) {
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
            .fold(Metrics::of_stack(stack).property("requestId", request_id), |metrics, (name, count)| {
                metrics.value(name, Unit::Count, count as f64)
            })
            .emit();
    }

    /// The lowest failed offset of each partition; nothing if a failed record has none, as then only the whole batch
    /// can be delivered again.
    fn lowest_failures(&self) -> Option<Response> {
        let mut lowest = BTreeMap::new();
        for place in &self.failed {
            let offset = place.offset?;
            lowest.entry(place.name).and_modify(|lowest: &mut u64| *lowest = offset.min(*lowest)).or_insert(offset);
        }
        let failure = |(name, offset): (&str, u64)| BatchItemFailure {
            item_identifier: ItemIdentifier { partition: name.to_owned(), offset },
        };
        Some(Response { batch_item_failures: lowest.into_iter().map(failure).collect() })
    }
}

/// Starts an execution for each submission in the batch that may be run, and quarantines what cannot be read.
///
/// Everything that can be done is done before a failure is reported.
pub async fn handle(event: LambdaEvent<Event>, deps: &Deps) -> Result<Response, IntakeError> {
    let request_id = &event.context.request_id;
    process(&event.payload, deps, request_id).await.inspect_err(|error| tracing::error!(request_id, "{error}"))
}

async fn process(event: &Event, deps: &Deps, request_id: &str) -> Result<Response, IntakeError> {
    let settings = &deps.settings;
    let began = DateTime::from(SystemTime::now());
    let mut tally = Tally::default();
    let work = sort_out(event, settings, &mut tally)?;
    let mut start_failure = None;
    let mut quarantine_failure = None;

    let starts = work.submissions.iter().map(async |(submission, places)| {
        let client = deps.clients.step_functions().await;
        (submission, places, start::start(client, &settings.state_machine, submission, began).await)
    });
    let mut answers = stream::iter(starts).buffered(settings.concurrency.get());
    while let Some((submission, places, answer)) = answers.next().await {
        let id = submission.as_str();
        if let Err(error) = answer {
            for place in places {
                log!(
                    error,
                    place,
                    outcome = "Failed",
                    submissionId = id,
                    code = error.code,
                    cause = error.message,
                    "not started"
                );
                tally.failed.push(*place);
            }
            start_failure.get_or_insert(error);
            continue;
        }
        let mut repeats = places.as_slice();
        if let (Ok(Started::New { execution }), Some((place, rest))) = (answer, places.split_first()) {
            log!(info, place, outcome = "Started", submissionId = id, execution = execution, "started");
            tally.started += 1;
            repeats = rest;
        }
        for place in repeats {
            log!(info, place, outcome = "Duplicate", submissionId = id, "started before");
            tally.duplicate += 1;
        }
    }

    let puts = work.unreadable.iter().map(async |(place, record, reason)| {
        let client = deps.clients.s3().await;
        (place, reason, Quarantined::new(place.name, record, *reason).put(client, &settings.quarantine_bucket).await)
    });
    let mut answers = stream::iter(puts).buffered(settings.concurrency.get());
    while let Some((place, reason, answer)) = answers.next().await {
        match answer {
            Ok(()) => {
                log!(warn, place, outcome = "Quarantined", reason = %reason, "quarantined");
                tally.quarantined += 1;
            }
            Err(error) => {
                log!(error, place, outcome = "Failed", reason = %reason, code = error.code, cause = error.message, "not quarantined");
                tally.failed.push(*place);
                quarantine_failure.get_or_insert(error);
            }
        }
    }

    tally.emit(&settings.stack, request_id);
    if settings.partial_batch_responses
        && let Some(response) = tally.lowest_failures()
    {
        return Ok(response);
    }
    let (failed, records) = (tally.failed.len(), tally.records);
    match (start_failure, quarantine_failure) {
        (Some(cause), _) => Err(IntakeError::StartExecutionFailed { failed, records, cause }),
        (None, Some(cause)) => Err(IntakeError::QuarantineFailed { failed, records, cause }),
        (None, None) => Ok(Response::default()),
    }
}

/// The records of a batch that call for something to be done.
#[derive(Default)]
struct Work<'a> {
    /// Each submission once, with all the records that announce it.
    submissions: Vec<(SubmissionId, Vec<Place<'a>>)>,
    unreadable: Vec<(Place<'a>, &'a Record, Unreadable)>,
}

fn sort_out<'a>(event: &'a Event, settings: &Settings, tally: &mut Tally<'a>) -> Result<Work<'a>, IntakeError> {
    let mut work = Work::default();
    let mut known = HashMap::new();
    let mut quiet = QuietLines::default();
    for (name, records) in event.records.as_ref().ok_or(IntakeError::EventInvalid)? {
        let (topic, partition) = split_partition(name);
        tally.records += records.len();
        for record in records {
            let place = Place { name, topic, partition, offset: record.offset };
            match decide(&record.value, &settings.filter) {
                Decision::NotForUs(reason) => {
                    quiet.push(place, reason);
                    tally.not_for_us += 1;
                }
                Decision::Quarantine(reason) => work.unreadable.push((place, record, reason)),
                Decision::Start(submission) => match known.entry(submission) {
                    Entry::Occupied(entry) => {
                        let at: usize = *entry.get();
                        work.submissions[at].1.push(place);
                    }
                    Entry::Vacant(entry) => {
                        work.submissions.push((entry.key().clone(), vec![place]));
                        entry.insert(work.submissions.len() - 1);
                    }
                },
            }
        }
    }
    quiet.write();
    Ok(work)
}
