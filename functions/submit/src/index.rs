//! A page of a round's submissions, from an index of the table.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};
use shared::Round;
use shared::records::{BY_CREATION, BY_STANDING, from_item};

use crate::http::Refusal;
use crate::page::{By, Page, Place};

/// The items of a page, and where the next one begins if there may be more.
pub(crate) async fn read(
    client: &Client,
    table: &str,
    round: &Round,
    page: &Page,
) -> Result<(Vec<Map<String, Value>>, Option<Place>), Refusal> {
    let (index, sorted_by) = match page.by {
        By::Metric => (BY_STANDING, "standing"),
        By::Created => (BY_CREATION, "created"),
    };
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let after = page.after.as_ref().map(|place| {
        let at = match page.by {
            By::Metric => AttributeValue::N(place.at.clone()),
            By::Created => text(&place.at),
        };
        HashMap::from([
            ("submissionId".to_owned(), text(place.id.as_str())),
            ("round".to_owned(), text(round.as_str())),
            (sorted_by.to_owned(), at),
        ])
    });
    let answer = client
        .query()
        .table_name(table)
        .index_name(index)
        .key_condition_expression("round = :round")
        .expression_attribute_values(":round", text(round.as_str()))
        .scan_index_forward(false)
        .limit(page.limit)
        .set_exclusive_start_key(after)
        .send()
        .await
        .map_err(|error| {
            let error = aws_sdk_dynamodb::error::DisplayErrorContext(&error);
            tracing::error!(%round, %error, "the leaderboard cannot be read");
            Refusal::Unavailable
        })?;
    let next =
        answer.last_evaluated_key.and_then(|mut key| match (key.remove("submissionId")?, key.remove(sorted_by)?) {
            (AttributeValue::S(id), AttributeValue::N(at) | AttributeValue::S(at)) => {
                Some(Place { id: id.parse().ok()?, at })
            }
            _ => None,
        });
    Ok((answer.items.unwrap_or_default().into_iter().map(from_item).collect(), next))
}
