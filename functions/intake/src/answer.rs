//! The function's answer to Lambda.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::position::Position;

/// Which records to deliver again; see
/// <https://docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html>.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// At most one for each partition. Lambda resumes there.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    pub item_identifier: ItemIdentifier,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ItemIdentifier {
    /// `topic-partition`, as the event names it.
    pub partition: String,
    pub offset: u64,
}

impl Response {
    /// The lowest failed offset of each partition. `None` if a failed record has no offset: then only the whole batch can
    /// be delivered again.
    pub(crate) fn of_failures(failed: &[Position<'_>]) -> Option<Self> {
        let mut lowest = BTreeMap::new();
        for position in failed {
            let offset = position.offset?;
            lowest
                .entry(position.partition_name)
                .and_modify(|lowest: &mut u64| *lowest = offset.min(*lowest))
                .or_insert(offset);
        }
        let failure = |(name, offset): (&str, u64)| BatchItemFailure {
            item_identifier: ItemIdentifier { partition: name.to_owned(), offset },
        };
        Some(Self { batch_item_failures: lowest.into_iter().map(failure).collect() })
    }
}
