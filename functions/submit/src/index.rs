//! Pages of a challenge's submissions, read from the indexes of the table.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{ChallengeId, Role};
use records::{BY_CREATION, BY_RANK, Record, ranking, to_attribute};
use runtime::CallFailed;
use scoring::Metric;

use crate::error::{HttpError, Outage};
use crate::page::{Cursor, Page, Place, SortBy, invalid_cursor};
use crate::view::Leaderboard;

/// The newest submissions among which the present metric of a challenge is looked for.
const NEWEST: i32 = 100;

/// The submissions of a challenge.
pub(crate) struct Index<'a> {
    pub(crate) client: &'a Client,
    pub(crate) table: &'a str,
    pub(crate) challenge: ChallengeId,
    pub(crate) reader: Role,
}

impl Index<'_> {
    /// A page. An invalid record is logged and left out, so that it does not hide the others.
    pub(crate) async fn page(self, mut page: Page) -> Result<Leaderboard, HttpError> {
        let (records, next) = match page.by {
            SortBy::Created => {
                let (records, next) = self.read(self.by_creation(), &page, "created").await?;
                if records.is_empty() && page.after.is_none() {
                    return Err(HttpError::UnknownChallenge { id: self.challenge });
                }
                (records, next)
            }
            SortBy::Metric => {
                if page.metric.is_none() {
                    page.metric = self.present_metric().await?;
                }
                match page.metric {
                    None => (Vec::new(), None),
                    Some(metric) => self.read(self.by_rank(metric), &page, "standing").await?,
                }
            }
        };
        Ok(Leaderboard::new(self.challenge, &page, records, next.as_ref(), self.reader))
    }

    fn by_creation(&self) -> QueryFluentBuilder {
        self.query(BY_CREATION, "challengeId", self.challenge.as_str())
    }

    fn by_rank(&self, metric: Metric) -> QueryFluentBuilder {
        self.query(BY_RANK, "ranking", &ranking(&self.challenge, metric))
    }

    /// A query of an index, highest sort key first.
    fn query(&self, index: &str, key: &str, value: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(self.table)
            .index_name(index)
            .key_condition_expression(format!("{key} = :{key}"))
            .expression_attribute_values(format!(":{key}"), text(value))
            .scan_index_forward(false)
    }

    /// The metric of the newest submission that has one. A challenge that changes its metric starts a new ranking.
    async fn present_metric(&self) -> Result<Option<Metric>, HttpError> {
        let newest = send(self.by_creation().limit(NEWEST)).await?;
        if newest.items().is_empty() {
            return Err(HttpError::UnknownChallenge { id: self.challenge.clone() });
        }
        Ok(records(newest).find_map(|record| Some(record.scores.metric?.name)))
    }

    /// The records of a page, and where the next page starts if there may be one.
    async fn read(
        &self,
        query: QueryFluentBuilder,
        page: &Page,
        sort_key: &str,
    ) -> Result<(Vec<Record>, Option<Cursor>), HttpError> {
        let after = match &page.after {
            Some(cursor) => Some(self.key_of(cursor, sort_key).await?),
            None => None,
        };
        let mut answer = send(query.limit(page.limit).set_exclusive_start_key(after)).await?;
        let next = answer.last_evaluated_key.take().and_then(|mut key| {
            let AttributeValue::S(id) = key.remove("submissionId")? else { return None };
            let place = match (page.metric, key.remove(sort_key)?) {
                (Some(metric), AttributeValue::N(_)) => Place::Metric(metric),
                (None, AttributeValue::S(at)) => Place::Created(at),
                _ => return None,
            };
            Some(Cursor { id: id.parse().ok()?, place })
        });
        Ok((records(answer).collect(), next))
    }

    /// The key of a cursor's submission in the index.
    async fn key_of(&self, cursor: &Cursor, sort_key: &str) -> Result<HashMap<String, AttributeValue>, HttpError> {
        let (partition, at) = match &cursor.place {
            Place::Created(at) => (("challengeId", self.challenge.to_string()), text(at)),
            Place::Metric(metric) => {
                let record = records::read(self.client, self.table, &cursor.id).await?;
                let record = record.filter(|record| record.submission.challenge == self.challenge);
                let result = record.and_then(|record| record.scores.metric);
                let result = result.filter(|result| result.name == *metric).ok_or_else(invalid_cursor)?;
                let AttributeValue::N(standing) = to_attribute(result.standing.into()) else {
                    return Err(invalid_cursor());
                };
                (("ranking", ranking(&self.challenge, *metric)), AttributeValue::N(standing))
            }
        };
        Ok(HashMap::from([
            ("submissionId".to_owned(), text(cursor.id.as_str())),
            (partition.0.to_owned(), text(&partition.1)),
            (sort_key.to_owned(), at),
        ]))
    }
}

async fn send(query: QueryFluentBuilder) -> Result<QueryOutput, Outage> {
    query.send().await.map_err(|error| Outage::Leaderboard(CallFailed::new("DynamoDB", "Query", &error)))
}

fn records(answer: QueryOutput) -> impl Iterator<Item = Record> {
    answer.items.unwrap_or_default().into_iter().filter_map(|item| {
        Record::from_item(item).inspect_err(|error| tracing::error!("{error} The leaderboard leaves it out.")).ok()
    })
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}
