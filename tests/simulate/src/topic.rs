//! The Kafka topic, and the event source mapping that delivers it to `intake` in batches.
//!
//! As by default: any error delivers the whole batch again, and the batches of a partition follow one another. See
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html>.

use std::collections::VecDeque;

use intake::Decision;
use intake::decide::decide_message;
use intake::settings::Filter;
use serde::Serialize;
use serde_json::json;

use crate::plan::{Plan, rates};
use crate::random::Random;
use crate::submissions::Submissions;
use crate::time::Moment;

const PARTITIONS: usize = 4;

/// What became of the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    pub published: u64,
    pub started: u64,
    pub duplicate: u64,
    pub not_for_us: u64,
    pub quarantined: u64,
    /// Batches that were delivered again.
    pub batches_repeated: u64,
}

/// The messages of one evening, in order of time.
#[must_use]
pub(crate) fn messages(plan: &Plan, submissions: &Submissions, filter: &Filter) -> Vec<(Moment, Vec<u8>)> {
    let mut random = Random::new(plan.seed, "messages");
    let mut messages = Vec::new();
    for submission in submissions.all() {
        let at = submission.published;
        let review = |type_id: &str, score: f64| {
            json!({"topic": "submission.notification.aggregate", "originator": "me", "timestamp": at.to_string(),
                "mime-type": "application/json",
                "payload": {"resource": filter.resource, "originalTopic": filter.original_topic, "typeId": type_id,
                    "score": score, "submissionId": submission.id}})
            .to_string()
            .into_bytes()
        };
        let scan = review(&filter.review_type_id, filter.required_score.get());
        if random.chance(rates::PUBLISHED_TWICE * plan.faults) {
            messages.push((at + random.seconds(60.0, 1.0), scan.clone()));
        }
        messages.push((at, scan));
        for _ in 0..rates::OTHER_REVIEWS {
            messages.push((at + random.seconds(60.0, 1.0), review("68c5a381-c8ab-48af-92a7-7a869a4ee6c3", 87.5)));
        }
        if random.chance(rates::UNREADABLE * plan.faults) {
            messages.push((at, b"{\"topic\": \"submission.notification.agg".to_vec()));
        }
    }
    messages.sort_by_key(|(at, _)| *at);
    messages
}

pub(crate) type Partition = usize;

#[derive(Debug)]
pub(crate) struct Topic {
    partitions: Vec<VecDeque<Vec<u8>>>,
    polled: [bool; PARTITIONS],
    next: Partition,
    batch_size: usize,
    pub counts: Counts,
}

impl Topic {
    #[must_use]
    pub(crate) fn new(batch_size: usize) -> Self {
        Self {
            partitions: vec![VecDeque::new(); PARTITIONS],
            polled: [false; PARTITIONS],
            next: 0,
            batch_size,
            counts: Counts::default(),
        }
    }

    /// Adds a message. Returns the partition if it has to be polled again.
    pub(crate) fn publish(&mut self, message: Vec<u8>) -> Option<Partition> {
        let partition = self.next;
        self.next = (partition + 1) % PARTITIONS;
        self.partitions[partition].push_back(message);
        self.counts.published += 1;
        (!std::mem::replace(&mut self.polled[partition], true)).then_some(partition)
    }

    /// The next batch of a partition, as `intake` decides about it. It stays until it is committed.
    #[must_use]
    pub(crate) fn batch(&self, partition: Partition, filter: &Filter) -> Vec<Decision> {
        let batch = self.partitions[partition].iter().take(self.batch_size);
        batch.map(|message| decide_message(message, filter)).collect()
    }

    /// Removes a batch that was processed. Returns whether the partition has more.
    pub(crate) fn commit(
        &mut self,
        partition: Partition,
        decisions: &[Decision],
        started: u64,
        duplicate: u64,
    ) -> bool {
        let count = |is: fn(&Decision) -> bool| decisions.iter().filter(|decision| is(decision)).count() as u64;
        self.counts.started += started;
        self.counts.duplicate += duplicate;
        self.counts.not_for_us += count(|it| matches!(it, Decision::NotForUs(_)));
        self.counts.quarantined += count(|it| matches!(it, Decision::Quarantine(_)));
        self.partitions[partition].drain(..decisions.len());
        let has_more = !self.partitions[partition].is_empty();
        self.polled[partition] = has_more;
        has_more
    }
}
