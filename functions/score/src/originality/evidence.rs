//! What a judgement asks for, fetched before it asks.

use std::collections::{HashMap, VecDeque};

use futures_util::{StreamExt, stream};
use scoring::originality::Evidence;
use scoring::stored::{FormatError, aligned_from_bytes, sorted_from_bytes};
use scoring::{Sorted, Summary};
use shared::{Failure, Round};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::fault;
use crate::objects::Objects;
use crate::prepare::{aligned_key, sorted_key};
use crate::table::Prepared;

/// How many objects are on their way at once; what they hold bounds the memory that judging takes.
const AHEAD: usize = 16;

/// The values of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// In ascending order of value.
    Sorted(String),
    /// In ascending order of their ids.
    Aligned(String),
}

/// Values on their way, in the order in which they were wanted.
pub(crate) struct Ahead {
    wanted: VecDeque<Wanted>,
    values: mpsc::Receiver<Result<Vec<u8>, Failure>>,
    objects: Objects,
    round: Round,
    runtime: Handle,
}

impl Ahead {
    /// Begins to fetch. It goes on until all is fetched, or this is dropped.
    pub(crate) fn start(wanted: Vec<Wanted>, objects: Objects, round: Round) -> Self {
        let (sender, values) = mpsc::channel(1);
        let (list, store, folder) = (wanted.clone(), objects.clone(), round.clone());
        tokio::spawn(async move {
            let mut fetched = stream::iter(list).map(|wanted| fetch(&store, &folder, wanted)).buffered(AHEAD);
            while let Some(bytes) = fetched.next().await {
                if sender.send(bytes).await.is_err() {
                    return;
                }
            }
        });
        Self { wanted: wanted.into(), values, objects, round, runtime: Handle::current() }
    }

    fn take(&mut self, wanted: Wanted) -> Result<Vec<u8>, Failure> {
        if self.wanted.front() == Some(&wanted) {
            self.wanted.pop_front();
            if let Some(bytes) = self.values.blocking_recv() {
                return bytes;
            }
        }
        // One that was not foreseen, such as the values of a far one that correlates.
        self.runtime.block_on(fetch(&self.objects, &self.round, wanted))
    }
}

async fn fetch(objects: &Objects, round: &Round, wanted: Wanted) -> Result<Vec<u8>, Failure> {
    let key = match &wanted {
        Wanted::Sorted(submission) => sorted_key(round, submission),
        Wanted::Aligned(submission) => aligned_key(round, submission),
    };
    objects.read(&key).await?.ok_or_else(|| fault(format!("{key} is not in the scoring bucket.")))
}

/// The round's summaries, and values that are fetched ahead.
pub(crate) struct Fetched<'a> {
    summaries: HashMap<&'a str, &'a Prepared>,
    ahead: Ahead,
}

impl<'a> Fetched<'a> {
    pub(crate) fn new(round: &'a [Prepared], ahead: Ahead) -> Self {
        let summaries = round.iter().map(|prepared| (prepared.entry.submission.as_str(), prepared)).collect();
        Self { summaries, ahead }
    }
}

impl Evidence for Fetched<'_> {
    type Error = Failure;

    fn summary(&mut self, submission: &str) -> Result<Option<Summary>, Failure> {
        self.summaries.get(submission).map(|prepared| prepared.summary()).transpose()
    }

    fn sorted(&mut self, submission: &str) -> Result<Sorted, Failure> {
        let bytes = self.ahead.take(Wanted::Sorted(submission.to_owned()))?;
        sorted_from_bytes(&bytes).map_err(|error| damaged(submission, error))
    }

    fn aligned(&mut self, submission: &str) -> Result<Vec<f64>, Failure> {
        let bytes = self.ahead.take(Wanted::Aligned(submission.to_owned()))?;
        aligned_from_bytes(&bytes).map_err(|error| damaged(submission, error))
    }
}

fn damaged(submission: &str, error: FormatError) -> Failure {
    fault(format!("The stored values of submission {submission} cannot be used.")).caused_by(error)
}
