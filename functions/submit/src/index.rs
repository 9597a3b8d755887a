//! Pages of a challenge's submissions, read from an index of the table.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::ChallengeId;
use records::{BY_CREATION, BY_STANDING, Record};
use runtime::CallFailed;

use crate::error::{HttpError, Outage};
use crate::page::{Cursor, Page, SortBy};

/// The records of a page, and where the next page starts if there may be one.
///
/// An invalid record is logged and left out, so that it does not hide the others.
pub(crate) async fn read(
    client: &Client,
    table: &str,
    challenge: &ChallengeId,
    page: &Page,
) -> Result<(Vec<Record>, Option<Cursor>), HttpError> {
    let (index, sort_key) = match page.by {
        SortBy::Metric => (BY_STANDING, "standing"),
        SortBy::Created => (BY_CREATION, "created"),
    };
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let after = page.after.as_ref().map(|cursor| {
        let at = match page.by {
            SortBy::Metric => AttributeValue::N(cursor.at.clone()),
            SortBy::Created => text(&cursor.at),
        };
        HashMap::from([
            ("submissionId".to_owned(), text(cursor.id.as_str())),
            ("challengeId".to_owned(), text(challenge.as_str())),
            (sort_key.to_owned(), at),
        ])
    });
    let answer = client
        .query()
        .table_name(table)
        .index_name(index)
        .key_condition_expression("challengeId = :challengeId")
        .expression_attribute_values(":challengeId", text(challenge.as_str()))
        .scan_index_forward(false)
        .limit(page.limit)
        .set_exclusive_start_key(after)
        .send()
        .await
        .map_err(|error| HttpError::Unavailable(Outage::Leaderboard(CallFailed::new("DynamoDB", "Query", &error))))?;
    let next =
        answer.last_evaluated_key.and_then(|mut key| match (key.remove("submissionId")?, key.remove(sort_key)?) {
            (AttributeValue::S(id), AttributeValue::N(at) | AttributeValue::S(at)) => {
                Some(Cursor { id: id.parse().ok()?, at })
            }
            _ => None,
        });
    let records = answer.items.unwrap_or_default().into_iter().filter_map(|item| {
        Record::from_item(item).inspect_err(|error| tracing::error!("{error} The leaderboard leaves it out.")).ok()
    });
    Ok((records.collect(), next))
}
