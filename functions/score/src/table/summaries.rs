//! The table of summaries: what a challenge's submissions are compared by.
//!
//! The items of a challenge share a partition, so that one strongly consistent query reads all of them. An index of the table of
//! submissions could not be read consistently. After the items of the submissions comes the challenge's [`Index`].
//!
//! A submission is added as an item. When there are many items, they are packed into a [segment] in S3: first the
//! segment is written, then the index names it, then the items are deleted. The index is read after the items, so whoever finds
//! that an item was deleted also finds the segment that has it. It also finds the grid of every item, since a grid is in the index
//! before any summary counts on it. Whatever stops anywhere leaves at most items that are in a segment too, or a segment that
//! the index does not name.

mod challenge;
mod index;
mod packed;
mod segment;

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::ChallengeId;
use futures_util::{StreamExt, TryStreamExt, stream};
use runtime::CallFailed;
use scoring::originality::Provenance;
use scoring::{Pool, Summary};

use super::{Error, IF_NEW, ItemError, is_put, not_written, text};
use crate::objects::Objects;
pub(crate) use challenge::Challenge;
use challenge::Item;
pub(crate) use index::Index;
pub(crate) use packed::PreparedSubmission;

/// The sort key of a challenge's index, which comes after every submission's id.
pub(super) const INDEX: &str = "~index";

/// Segments that are read at the same time.
const SEGMENTS_AT_ONCE: usize = 16;
/// Items that are written or deleted at the same time: a partition takes 1,000 writes a second, and preparing needs some of
/// them.
pub(crate) const WRITTEN_AT_ONCE: usize = 4;

const ALL_SUBMISSIONS: &str = "challengeId = :challengeId AND submissionId < :index";
const IF_SAME: &str = "packed = :before";
const IF_SAME_REVISION: &str = "revision = :before";

#[derive(Clone, Debug)]
pub(crate) struct Summaries {
    client: Client,
    table: String,
    /// The scoring bucket, for segments.
    objects: Objects,
    /// How many submissions make a segment.
    per_segment: usize,
}

impl Summaries {
    pub(crate) fn new(client: Client, table: String, objects: Objects, per_segment: usize) -> Self {
        Self { client, table, objects, per_segment }
    }

    /// Adds a submission to its challenge unless it is there.
    pub(crate) async fn add(&self, prepared: &PreparedSubmission) -> Result<(), Error> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item(prepared)));
        let put = put.condition_expression(IF_NEW);
        is_put(&self.table, put.send().await)?;
        Ok(())
    }

    /// Replaces the summary of a submission, unless its item was changed meanwhile.
    pub(crate) async fn renew(&self, challenge: &Challenge, submission: &str, summary: Summary) -> Result<(), Error> {
        let Some(PreparedSubmission { provenance, .. }) = challenge.find(submission) else { return Ok(()) };
        let renewed = PreparedSubmission { provenance: provenance.clone(), summary };
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item(&renewed)));
        let put = match challenge.item(submission) {
            None => put.condition_expression(IF_NEW),
            Some(before) => put
                .condition_expression(IF_SAME)
                .expression_attribute_values(":before", AttributeValue::B(Blob::new(before.prepared.pack()))),
        };
        is_put(&self.table, put.send().await)?;
        Ok(())
    }

    /// All prepared submissions of a challenge, including every one whose [`add`](Self::add) returned before.
    pub(crate) async fn read(&self, id: &ChallengeId) -> Result<Challenge, Error> {
        let items = self.items(id).await?;
        let index = self.index(id).await?;
        let segments = stream::iter(&index.segments).map(|name| self.segment(id, name));
        let segments = segments.buffered(SEGMENTS_AT_ONCE).try_collect().await?;
        let challenge = Challenge::new(index, segments, items);
        let grids = &challenge.index.grids;
        match challenge.prepared.iter().find(|prepared| grids.get(prepared.summary.grid()).is_none()) {
            None => Ok(challenge),
            Some(PreparedSubmission { provenance, summary }) => Err(Error::GridMissing {
                table: self.table.clone(),
                challenge: id.clone(),
                submission: provenance.submission.clone(),
                version: summary.grid().version(),
            }),
        }
    }

    async fn items(&self, challenge: &ChallengeId) -> Result<Vec<PreparedSubmission>, Error> {
        let mut items = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression(ALL_SUBMISSIONS)
            .expression_attribute_values(":challengeId", text(challenge.as_str()))
            .expression_attribute_values(":index", text(INDEX))
            .into_paginator()
            .items()
            .send();
        let mut prepared = Vec::new();
        while let Some(item) = items.next().await {
            let mut item = item.map_err(|error| self.not_read("Query", &error))?;
            let Some(AttributeValue::S(submission)) = item.remove("submissionId") else { continue };
            let unpacked = match item.remove("packed") {
                Some(AttributeValue::B(packed)) => {
                    PreparedSubmission::unpack(challenge, submission.clone(), packed.as_ref())
                }
                _ => Err(ItemError::Attribute),
            };
            prepared.push(unpacked.map_err(|source| Error::Summary { submission, source })?);
        }
        Ok(prepared)
    }

    async fn segment(&self, challenge: &ChallengeId, name: &str) -> Result<Vec<PreparedSubmission>, Error> {
        let key = segment::key(challenge, name);
        let location = || self.objects.location(&key);
        let bytes = self.objects.read(&key).await?.ok_or_else(|| Error::SegmentMissing { location: location() })?;
        segment::unpack(challenge, &bytes).map_err(|source| Error::Segment { location: location(), source })
    }

    /// The index of a challenge as it was last written.
    pub(crate) async fn index(&self, challenge: &ChallengeId) -> Result<Index, Error> {
        let item = match self.index_item(challenge).await? {
            Some(item) => item,
            // An index is written before the first segment, so it is there now, unless it was lost.
            None if self.objects.any_below(&segment::key(challenge, "")).await? => {
                let missing = || Error::IndexMissing { table: self.table.clone(), challenge: challenge.clone() };
                self.index_item(challenge).await?.ok_or_else(missing)?
            }
            None => return Ok(Index::default()),
        };
        Index::from_item(item).map_err(|source| Error::Index {
            table: self.table.clone(),
            challenge: challenge.clone(),
            source,
        })
    }

    async fn index_item(&self, challenge: &ChallengeId) -> Result<Option<HashMap<String, AttributeValue>>, Error> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .key("challengeId", text(challenge.as_str()))
            .key("submissionId", text(INDEX));
        Ok(get.send().await.map_err(|error| self.not_read("GetItem", &error))?.item)
    }

    /// Adds a grid at the quantiles of a pool. Returns the index with it, or `None` if another execution changed it meanwhile.
    pub(crate) async fn add_grid(
        &self,
        challenge: &ChallengeId,
        index: &Index,
        pool: &Pool,
    ) -> Result<Option<Index>, Error> {
        let changed = index.with_grid(pool);
        Ok(self.replace_index(challenge, index, &changed).await?.then_some(changed))
    }

    /// Packs items into a segment if there are enough. Of executions that do so at the same time, one succeeds; it alone deletes
    /// the items, and those that an earlier execution packed but did not delete because it was stopped.
    pub(crate) async fn pack(&self, id: &ChallengeId, challenge: &Challenge, mut index: Index) -> Result<(), Error> {
        let (packed, open): (Vec<&Item>, Vec<&Item>) = challenge.items.iter().partition(|item| item.is_in_segment);
        let Some(open) = open.get(..self.per_segment) else { return Ok(()) };
        if index.revision == 0 {
            // So that a missing index is noticed: where there are segments, there is an index.
            let first = index.first();
            if !self.replace_index(id, &index, &first).await? {
                return Ok(());
            }
            index = first;
        }
        let submissions = open.iter().filter_map(|item| challenge.find(&item.prepared.provenance.submission));
        let bytes = segment::pack(&submissions.collect::<Vec<_>>());
        let name = segment::name(&bytes);
        self.objects.write_once(&segment::key(id, &name), bytes).await?;
        if self.replace_index(id, &index, &index.with_segment(name)).await? {
            tracing::info!(summaries = open.len(), "packed summaries into a segment");
            self.delete(id, packed.iter().chain(open)).await?;
        }
        Ok(())
    }

    /// Deletes items as they were read: an item whose summary was renewed stays.
    async fn delete<'a>(
        &self,
        challenge: &ChallengeId,
        items: impl Iterator<Item = &'a &'a Item>,
    ) -> Result<(), Error> {
        let deleted = stream::iter(items).map(async |item| {
            let delete = self
                .client
                .delete_item()
                .table_name(&self.table)
                .key("challengeId", text(challenge.as_str()))
                .key("submissionId", text(&item.prepared.provenance.submission))
                .condition_expression(IF_SAME)
                .expression_attribute_values(":before", AttributeValue::B(Blob::new(item.prepared.pack())));
            match delete.send().await {
                Ok(_) => Ok(()),
                Err(error)
                    if error.as_service_error().is_some_and(DeleteItemError::is_conditional_check_failed_exception) =>
                {
                    Ok(())
                }
                Err(error) => Err(not_written(&self.table, "DeleteItem", &error)),
            }
        });
        deleted.buffer_unordered(WRITTEN_AT_ONCE).try_collect().await
    }

    async fn replace_index(&self, challenge: &ChallengeId, before: &Index, after: &Index) -> Result<bool, Error> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(after.to_item()))
            .item("challengeId", text(challenge.as_str()))
            .item("submissionId", text(INDEX));
        let put = match before.revision {
            0 => put.condition_expression(IF_NEW),
            revision => put
                .condition_expression(IF_SAME_REVISION)
                .expression_attribute_values(":before", AttributeValue::N(revision.to_string())),
        };
        is_put(&self.table, put.send().await)
    }

    fn not_read<E>(&self, operation: &'static str, error: &aws_sdk_dynamodb::error::SdkError<E>) -> Error
    where
        E: aws_sdk_dynamodb::error::ProvideErrorMetadata + std::error::Error + 'static,
    {
        Error::Read { table: self.table.clone(), source: CallFailed::new("DynamoDB", operation, error) }
    }
}

fn item(prepared: &PreparedSubmission) -> HashMap<String, AttributeValue> {
    let Provenance { submission, challenge, .. } = &prepared.provenance;
    HashMap::from([
        ("challengeId".to_owned(), text(challenge)),
        ("submissionId".to_owned(), text(submission)),
        ("packed".to_owned(), AttributeValue::B(Blob::new(prepared.pack()))),
    ])
}

#[cfg(test)]
mod tests {
    use scoring::{Grids, Sorted};

    use super::*;

    /// The size of an item of texts and bytes, by
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>: the bytes of all names
    /// and values.
    fn size(item: &HashMap<String, AttributeValue>) -> usize {
        let size = |value: &AttributeValue| match value {
            AttributeValue::S(text) => text.len(),
            AttributeValue::B(bytes) => bytes.as_ref().len(),
            other => panic!("unexpected {other:?}"),
        };
        item.iter().map(|(name, value)| name.len() + size(value)).sum()
    }

    #[test]
    fn an_item_takes_at_most_400_bytes() {
        let values = (0..45_000).map(|row| 0.5 + f64::from(row * 7919 % 45_000) / 1e6).collect();
        let sample = Sorted::new(values).unwrap();
        let mut pool = Pool::default();
        pool.add(&sample);
        let grids = Grids::default().with_pool(&pool);
        let size = |challenge: &str, submission: &str, user: &str| {
            let (challenge, submission, user) = (challenge.into(), submission.into(), user.into());
            let provenance = Provenance { submission, user, challenge, created: 1_769_000_000_000_000_000 };
            size(&item(&PreparedSubmission { provenance, summary: Summary::of(&sample, grids.newest()) }))
        };
        let uuid = "d01c8c8b-2a7f-463f-992b-7bc5423e1dd0";
        assert_eq!(size(uuid, uuid, "22838965"), 267);
        // The longest ids there are, and the longest id of a participant that fits.
        assert_eq!(size(&"c".repeat(64), uuid, &"u".repeat(113)), 400);
    }
}
