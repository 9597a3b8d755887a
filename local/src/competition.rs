//! The round that the samples belong to: its data in the scoring bucket, and its settings.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use shared::SubmissionId;
use shared::records::predictions_key;

use crate::deploy::Deployed;
use crate::stack::Clients;

/// The sample round, which is the challenge that the Submission API's stand-in names.
pub const ROUND: &str = "30054692";
/// Its settings.
pub const SETTINGS: &str = r#"{
  "training": {"instance_type": "ml.c5.xlarge", "hyper_parameters": {"rounds": "40"}},
  "scoring": {"training": "training.csv", "truth": "truth.csv", "metric": "logloss"}
}"#;
/// What they may ask for.
pub const INSTANCE_TYPES: &str = "ml.m5.large,ml.c5.xlarge";
/// The sample data: rows of all parts in one file, as participants train on it.
const DATA: &str = include_str!("../../samples/data/tournament.csv");

/// The files that scoring needs of the sample data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The rows of type `train`.
    pub training: String,
    /// All other rows, their targets left out.
    pub tournament: String,
    /// The targets of validation.
    pub truth: String,
}

impl Files {
    /// Those of the sample data.
    #[must_use]
    pub fn of_samples() -> Self {
        let mut lines = DATA.lines();
        let header = lines.next().unwrap_or_default();
        let without_target = |line: &str| line.rsplit_once(',').map(|(rest, _)| rest.to_owned()).unwrap_or_default();
        let mut files = Self {
            training: format!("{header}\n"),
            tournament: format!("{}\n", without_target(header)),
            truth: "id,target\n".to_owned(),
        };
        for line in lines {
            let mut fields = line.split(',');
            let (id, part) = (fields.next().unwrap_or_default(), fields.nth(1).unwrap_or_default());
            if part == "train" {
                let _ = writeln!(files.training, "{line}");
                continue;
            }
            let _ = writeln!(files.tournament, "{}", without_target(line));
            if let ("validation", Some(target)) = (part, line.rsplit(',').next()) {
                let _ = writeln!(files.truth, "{id},{target}");
            }
        }
        files
    }
}

/// Predictions of every id of the sample round, by its position among them.
pub fn predictions(of: impl Fn(u32) -> f64) -> String {
    let mut csv = "id,probability\n".to_owned();
    for (at, line) in (0..).zip(Files::of_samples().tournament.lines().skip(1)) {
        let _ = writeln!(csv, "{},{}", line.split(',').next().unwrap_or_default(), of(at));
    }
    csv
}

/// Uploads the sample round's data.
pub async fn upload(clients: &Clients, bucket: &str) -> Result<()> {
    let Files { training, tournament, truth } = Files::of_samples();
    for (name, text) in [("training.csv", training), ("tournament.csv", tournament), ("truth.csv", truth)] {
        put(clients, bucket, &format!("datasets/{ROUND}/{name}"), text).await?;
    }
    Ok(())
}

/// Hands a submission of predictions in as a platform does: the file first, then the record.
pub async fn register(
    clients: &Clients,
    deployed: &Deployed,
    id: &SubmissionId,
    user: &str,
    created: &str,
    predictions: String,
) -> Result<()> {
    let key = predictions_key(&ROUND.parse()?, id);
    put(clients, &deployed.scoring_bucket, &key, predictions).await?;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    clients
        .dynamodb
        .put_item()
        .table_name(&deployed.submissions_table)
        .item("submissionId", text(id.as_str()))
        .item("round", text(ROUND))
        .item("userId", text(user))
        .item("created", text(created))
        .send()
        .await
        .context("registering a submission")?;
    Ok(())
}

async fn put(clients: &Clients, bucket: &str, key: &str, text: String) -> Result<()> {
    let body = ByteStream::from(text.into_bytes());
    clients
        .s3
        .put_object()
        .bucket(bucket)
        .key(key)
        .body(body)
        .send()
        .await
        .with_context(|| format!("uploading {key}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_data_is_parted_by_what_may_be_known() {
        let files = Files::of_samples();
        let lines = |text: &str| text.lines().count();
        assert_eq!((lines(&files.training), lines(&files.tournament), lines(&files.truth)), (601, 601, 241));
        assert!(files.tournament.starts_with("id,era,data_type,feature1,feature2,feature3,feature4,feature5\n"));
        assert!(files.truth.lines().skip(1).all(|line| line.ends_with(",0") || line.ends_with(",1")));
    }
}
