//! The two tables: submissions with their judgements, and the summaries of a round.
//!
//! A round's summaries share a partition, so that one strongly consistent query reads them all; an index of the table of
//! submissions could not be read that way.

use std::error::Error;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use scoring::Summary;
use scoring::originality::Entry;
use serde_json::{Value, json};
use shared::records::{self, Part, Record, RecordError, to_attribute};
use shared::{Failure, FailureCode, Round, SubmissionId};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::failed::Failed;
use crate::fault;

/// The tables.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    client: Client,
    submissions: String,
    summaries: String,
}

/// A prepared submission, as later judgements see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    pub(crate) entry: Entry,
    /// The summary of its predictions, as [`Summary::to_bytes`] writes it.
    pub(crate) summary: Vec<u8>,
}

impl Prepared {
    pub(crate) fn summary(&self) -> Result<Summary, Failure> {
        Summary::from_bytes(&self.summary).map_err(|error| {
            fault(format!("The stored summary of submission {} cannot be read.", self.entry.submission))
                .caused_by(error)
        })
    }
}

impl Tables {
    pub(crate) fn new(client: Client, submissions: String, summaries: String) -> Self {
        Self { client, submissions, summaries }
    }

    /// The record of a submission that has to be there.
    pub(crate) async fn record(&self, id: &SubmissionId) -> Result<Record, Failure> {
        match records::read(&self.client, &self.submissions, id).await {
            Ok(Some(record)) => Ok(record),
            Ok(None) => Err(Failure::new(
                FailureCode::SubmissionNotFound,
                format!("The table of submissions has no {id}: register the submission, then redrive."),
            )),
            Err(error @ RecordError::Malformed { .. }) => {
                Err(fault(format!("{error}. Mend the record, then redrive.")))
            }
            Err(error @ RecordError::Call(_)) => {
                Err(fault("The table of submissions cannot be read.").caused_by(error))
            }
        }
    }

    /// Registers a submission, unless it is registered.
    pub(crate) async fn register(
        &self,
        id: &SubmissionId,
        round: &Round,
        user: &str,
        created: OffsetDateTime,
    ) -> Result<(), Failure> {
        let created = created.to_offset(time::UtcOffset::UTC).format(&Rfc3339);
        let created = created.map_err(|error| fault("The date of creation cannot be written.").caused_by(error))?;
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let put = self
            .client
            .put_item()
            .table_name(&self.submissions)
            .item("submissionId", text(id.as_str()))
            .item("round", text(round.as_str()))
            .item("userId", text(user))
            .item("created", text(&created))
            .condition_expression("attribute_not_exists(submissionId)");
        unless_there(put.send().await).map_err(|error| fault("The submission cannot be registered.").caused_by(error))
    }

    /// Adds a submission to its round's summaries, unless it is there.
    pub(crate) async fn add(&self, prepared: &Prepared) -> Result<(), Failure> {
        let Entry { submission, user, round, created } = &prepared.entry;
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let put = self
            .client
            .put_item()
            .table_name(&self.summaries)
            .item("round", text(round))
            .item("submissionId", text(submission))
            .item("userId", text(user))
            .item("createdNanoseconds", AttributeValue::N(created.to_string()))
            .item("summary", AttributeValue::B(Blob::new(prepared.summary.clone())))
            .condition_expression("attribute_not_exists(submissionId)");
        unless_there(put.send().await).map_err(|error| fault("The summary cannot be stored.").caused_by(error))
    }

    /// All prepared submissions of a round: every one whose [`add`](Self::add) had returned before.
    pub(crate) async fn prepared(&self, round: &Round) -> Result<Vec<Prepared>, Failure> {
        let unreadable = || fault(format!("The summaries of round {round} cannot be read."));
        let mut pages = self
            .client
            .query()
            .table_name(&self.summaries)
            .consistent_read(true)
            .key_condition_expression("round = :round")
            .expression_attribute_values(":round", AttributeValue::S(round.to_string()))
            .into_paginator()
            .items()
            .send();
        let mut all = Vec::new();
        while let Some(item) = pages.next().await {
            let mut item = item.map_err(|error| unreadable().caused_by(error))?;
            let mut text = |name: &str| match item.remove(name) {
                Some(AttributeValue::S(text) | AttributeValue::N(text)) => Some(text),
                _ => None,
            };
            let entry = (|| {
                Some(Entry {
                    submission: text("submissionId")?,
                    user: text("userId")?,
                    round: round.to_string(),
                    created: text("createdNanoseconds")?.parse().ok()?,
                })
            })();
            match (entry, item.remove("summary")) {
                (Some(entry), Some(AttributeValue::B(summary))) => {
                    all.push(Prepared { entry, summary: summary.into_inner() });
                }
                _ => return Err(unreadable()),
            }
        }
        Ok(all)
    }

    /// Writes a judgement, unless there is one, and gives the one that stands then.
    pub(crate) async fn judged(&self, id: &SubmissionId, part: Part, judgement: Value) -> Result<Value, Failure> {
        let mut set = vec![("#judgement", part.attribute(), judgement.clone())];
        if let (Part::Metric, Some(standing)) = (part, judgement.get("standing")) {
            set.push(("#standing", "standing", standing.clone()));
        }
        if self.update(id, part, set, "attribute_not_exists(#judgement)", None).await? {
            return Ok(judgement);
        }
        self.record(id).await?.attributes.remove(part.attribute()).ok_or_else(|| {
            fault(format!("The record of {id} vanished while it was judged: register the submission, then redrive."))
        })
    }

    /// Writes a judgement of originality, unless there is one that took at least as many submissions into account.
    ///
    /// The summaries of a round only grow, and are read consistently, so of two judgements the one that compared with
    /// more submissions read them later.
    pub(crate) async fn judged_original(
        &self,
        id: &SubmissionId,
        compared: usize,
        judgement: Value,
    ) -> Result<bool, Failure> {
        let set = vec![("#judgement", Part::Originality.attribute(), judgement)];
        let condition = "(attribute_not_exists(#judgement) OR #judgement.compared < :compared)";
        self.update(id, Part::Originality, set, condition, Some(compared)).await
    }

    async fn update(
        &self,
        id: &SubmissionId,
        part: Part,
        set: Vec<(&'static str, &'static str, Value)>,
        condition: &str,
        compared: Option<usize>,
    ) -> Result<bool, Failure> {
        let values: Vec<String> = set.iter().map(|(alias, _, _)| format!("{alias} = :{}", &alias[1..])).collect();
        let mut update = self
            .client
            .update_item()
            .table_name(&self.submissions)
            .key("submissionId", AttributeValue::S(id.to_string()))
            .update_expression(format!("SET {} REMOVE #failure", values.join(", ")))
            .condition_expression(format!("attribute_exists(submissionId) AND {condition}"))
            .expression_attribute_names("#failure", part.failure_attribute());
        for (alias, name, value) in set {
            update = update
                .expression_attribute_names(alias, name)
                .expression_attribute_values(format!(":{}", &alias[1..]), to_attribute(value));
        }
        if let Some(compared) = compared {
            update = update.expression_attribute_values(":compared", AttributeValue::N(compared.to_string()));
        }
        self.updated(update.send().await.map(|_| ()), part)
    }

    /// Writes why a part could not be judged, unless it is.
    pub(crate) async fn failed(&self, id: &SubmissionId, failed: &Failed) -> Result<(), Failure> {
        let why = json!({"code": failed.code, "message": failed.message});
        let update = self
            .client
            .update_item()
            .table_name(&self.submissions)
            .key("submissionId", AttributeValue::S(id.to_string()))
            .update_expression("SET #failure = :failure")
            .condition_expression("attribute_exists(submissionId) AND attribute_not_exists(#judgement)")
            .expression_attribute_names("#failure", failed.part.failure_attribute())
            .expression_attribute_names("#judgement", failed.part.attribute())
            .expression_attribute_values(":failure", to_attribute(why));
        self.updated(update.send().await.map(|_| ()), failed.part).map(|_| ())
    }

    /// Whether a conditional update was made.
    fn updated(&self, result: Result<(), SdkError<UpdateItemError>>, part: Part) -> Result<bool, Failure> {
        match result {
            Ok(()) => Ok(true),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => {
                Err(fault(format!("{} cannot be written to {}.", part.attribute(), self.submissions)).caused_by(error))
            }
        }
    }
}

/// A conditional put that finds what it would write has succeeded.
fn unless_there<T>(result: Result<T, SdkError<PutItemError>>) -> Result<(), Box<dyn Error + Send + Sync>> {
    match result {
        Ok(_) => Ok(()),
        Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
