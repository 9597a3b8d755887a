//! The challenge that the samples belong to: its data in the scoring bucket, and its settings.

use anyhow::{Context, Result};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use domain::SubmissionId;
use records::predictions_key;

use crate::clients::Clients;
use crate::deploy::Deployed;

/// The sample challenge, which the Submission API's stand-in names for every submission.
pub const CHALLENGE: &str = "30054692";
/// Its settings. Whoever rehearses reads everything. The sample data has about 16 live rows in a region, and D of so few rows is noisy: hence the threshold.
pub const SETTINGS: &str = r#"{
  "training": {"instance_type": "ml.c5.xlarge", "input_folder": "sample", "hyper_parameters": {"rounds": "40"}},
  "scoring": {"training": "training.csv", "truth": "truth.csv", "metric": "logloss", "concordance_threshold": 0.5},
  "reporting": {"logs": "tail"}
}"#;
/// Its settings without scoring.
pub const UNSCORED_SETTINGS: &str = r#"{"training": {"instance_type": "ml.c5.xlarge", "input_folder": "sample", "hyper_parameters": {"rounds": "40"}}, "reporting": {"logs": "tail"}}"#;
/// The instance types that the operator allows challenges to ask for.
pub const INSTANCE_TYPES: &str = "ml.m5.large,ml.c5.xlarge";
/// The sample data: the rows of all splits in one file, as participants train on it.
const DATA: &str = include_str!("../../samples/data/tournament.csv");

/// The files that scoring needs of the sample data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The rows of type `train`.
    pub training: String,
    /// All other rows without their targets.
    pub tournament: String,
    /// The targets of the validation rows.
    pub truth: String,
}

/// A row of the sample data.
struct Row<'a> {
    id: &'a str,
    data_type: &'a str,
    target: &'a str,
    /// The whole line.
    line: &'a str,
    /// The line without its target, which is the last field.
    without_target: &'a str,
}

impl<'a> Row<'a> {
    fn parse(line: &'a str) -> Self {
        let mut fields = line.split(',');
        let id = fields.next().expect("invariant: a split line has a first field");
        let data_type = fields.nth(1).expect("invariant: the sample data has a third column");
        let (without_target, target) = line.rsplit_once(',').expect("invariant: the sample data has columns");
        Self { id, data_type, target, line, without_target }
    }
}

impl Files {
    /// The files of the sample data.
    #[must_use]
    pub fn of_samples() -> Self {
        let mut rows = DATA.lines().map(Row::parse);
        let header = rows.next().expect("invariant: the sample data has a header");
        let mut files = Self {
            training: format!("{}\n", header.line),
            tournament: format!("{}\n", header.without_target),
            truth: "id,target\n".to_owned(),
        };
        for row in rows {
            if row.data_type == "train" {
                files.training.extend([row.line, "\n"]);
                continue;
            }
            files.tournament.extend([row.without_target, "\n"]);
            if row.data_type == "validation" {
                files.truth.extend([row.id, ",", row.target, "\n"]);
            }
        }
        files
    }
}

/// Predictions for every id of the sample challenge. `probability` gets the id's position.
pub fn predictions(probability: impl Fn(u32) -> f64) -> String {
    let tournament = Files::of_samples().tournament;
    let ids = tournament.lines().skip(1).map(|line| Row::parse(line).id);
    let rows = (0..).zip(ids).map(|(at, id)| format!("{id},{}\n", probability(at)));
    std::iter::once("id,probability\n".to_owned()).chain(rows).collect()
}

/// Uploads the sample challenge's data.
pub async fn upload(clients: &Clients, bucket: &str) -> Result<()> {
    let Files { training, tournament, truth } = Files::of_samples();
    for (name, text) in [("training.csv", training), ("tournament.csv", tournament), ("truth.csv", truth)] {
        put(clients, bucket, &format!("datasets/{CHALLENGE}/{name}"), text).await?;
    }
    Ok(())
}

/// Submits predictions as a platform does: first the file, then the record.
pub async fn register(
    clients: &Clients,
    deployed: &Deployed,
    id: &SubmissionId,
    user: &str,
    created: &str,
    predictions: String,
) -> Result<()> {
    let key = predictions_key(&CHALLENGE.parse()?, id);
    put(clients, &deployed.scoring_bucket, &key, predictions).await?;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    clients
        .dynamodb
        .put_item()
        .table_name(&deployed.submissions_table)
        .item("submissionId", text(id.as_str()))
        .item("challengeId", text(CHALLENGE))
        .item("userId", text(user))
        .item("created", text(created))
        .send()
        .await
        .context("writing the submission's record")?;
    Ok(())
}

async fn put(clients: &Clients, bucket: &str, key: &str, text: String) -> Result<()> {
    let body = ByteStream::from(text.into_bytes());
    let put = clients.s3.put_object().bucket(bucket).key(key).body(body);
    put.send().await.with_context(|| format!("uploading {key}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_data_is_split_by_who_may_see_it() {
        let files = Files::of_samples();
        let lines = |text: &str| text.lines().count();
        assert_eq!((lines(&files.training), lines(&files.tournament), lines(&files.truth)), (601, 601, 241));
        assert!(files.tournament.starts_with("id,era,data_type,feature1,feature2,feature3,feature4,feature5\n"));
        assert!(files.truth.lines().skip(1).all(|line| line.ends_with(",0") || line.ends_with(",1")));
    }
}
