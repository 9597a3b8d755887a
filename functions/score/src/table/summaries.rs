//! The table of summaries: what a challenge's submissions are compared by.
//!
//! The items of a challenge share a partition, so that one strongly consistent query reads all of them. An index of the table of
//! submissions could not be read consistently. After the items of the submissions comes the challenge's [`Index`].
//!
//! An index is read after the items, and written before items that need it. So whoever reads an item also reads its grid.

mod index;
mod packed;

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::ChallengeId;
use runtime::CallFailed;
use scoring::originality::Provenance;
use scoring::{Pool, Summary};

use super::{Error, IF_NEW, ItemError, is_put, text};
pub(crate) use index::Index;
pub(crate) use packed::PreparedSubmission;

/// The sort key of a challenge's index, which comes after every submission's id.
pub(super) const INDEX: &str = "~index";

const ALL_SUBMISSIONS: &str = "challengeId = :challengeId AND submissionId < :index";
const IF_SAME: &str = "packed = :before";
const IF_SAME_REVISION: &str = "revision = :before";

#[derive(Clone, Debug)]
pub(crate) struct Summaries {
    client: Client,
    table: String,
}

/// All prepared submissions of a challenge at one time, and the grids of their summaries.
#[derive(Debug)]
pub(crate) struct Challenge {
    pub(crate) prepared: Vec<PreparedSubmission>,
    pub(crate) index: Index,
}

impl Challenge {
    pub(crate) fn find(&self, submission: &str) -> Option<&PreparedSubmission> {
        self.prepared.iter().find(|prepared| prepared.provenance.submission == submission)
    }
}

impl Summaries {
    pub(crate) fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Adds a submission to its challenge unless it is there.
    pub(crate) async fn add(&self, prepared: &PreparedSubmission) -> Result<(), Error> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item(prepared)));
        let put = put.condition_expression(IF_NEW);
        is_put(&self.table, put.send().await)?;
        Ok(())
    }

    /// Replaces the summary of a submission, unless that was done meanwhile.
    pub(crate) async fn renew(&self, before: &PreparedSubmission, summary: &Summary) -> Result<(), Error> {
        let renewed = PreparedSubmission { provenance: before.provenance.clone(), summary: summary.clone() };
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item(&renewed)))
            .condition_expression(IF_SAME)
            .expression_attribute_values(":before", AttributeValue::B(Blob::new(before.pack())));
        is_put(&self.table, put.send().await)?;
        Ok(())
    }

    /// All prepared submissions of a challenge, including every one whose [`add`](Self::add) returned before.
    pub(crate) async fn read(&self, challenge: &ChallengeId) -> Result<Challenge, Error> {
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
            let Some(AttributeValue::B(packed)) = item.remove("packed") else {
                return Err(Error::Summary { submission, source: ItemError::Attribute });
            };
            prepared.push(PreparedSubmission::unpack(challenge, submission, packed.as_ref())?);
        }
        let index = self.index(challenge).await?;
        match prepared.iter().find(|prepared| index.grids.get(prepared.summary.grid()).is_none()) {
            None => Ok(Challenge { prepared, index }),
            Some(PreparedSubmission { provenance, summary }) => Err(Error::GridMissing {
                table: self.table.clone(),
                challenge: challenge.clone(),
                submission: provenance.submission.clone(),
                version: summary.grid().version(),
            }),
        }
    }

    /// The index of a challenge as it was last written.
    pub(crate) async fn index(&self, challenge: &ChallengeId) -> Result<Index, Error> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .key("challengeId", text(challenge.as_str()))
            .key("submissionId", text(INDEX));
        let got = get.send().await.map_err(|error| self.not_read("GetItem", &error))?;
        match got.item {
            None => Ok(Index::default()),
            Some(item) => Index::from_item(item).map_err(|source| Error::Index {
                table: self.table.clone(),
                challenge: challenge.clone(),
                source,
            }),
        }
    }

    /// Adds a grid at the quantiles of a pool, unless the index was changed meanwhile. Returns whether it was added.
    pub(crate) async fn add_grid(&self, challenge: &ChallengeId, index: &Index, pool: &Pool) -> Result<bool, Error> {
        match index.with_grid(pool) {
            None => Ok(false),
            Some(changed) => self.replace_index(challenge, index, &changed).await,
        }
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
        let grids = Grids::default().with_pool(&pool).unwrap();
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
