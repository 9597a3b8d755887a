//! What a deployed stack consists of, as its functions and its state machine know it.

use std::collections::HashMap;

use anyhow::{Context, Result};
use domain::SubmissionId;
use runtime::settings::{SecretArn, Variables};
use serde::Deserialize;
use submission_api::SignedIn;

use crate::deployed::{DeployedStack, setting};

/// The stack and the names of its resources.
pub(crate) struct Deployment {
    pub(crate) stack: DeployedStack,
    pub(crate) sfn: aws_sdk_sfn::Client,
    pub(crate) secrets: aws_sdk_secretsmanager::Client,
    pub(crate) state_machine: String,
    pub(crate) output_bucket: String,
    pub(crate) build_project: String,
    pub(crate) auth0_secret: String,
    pub(crate) api_keys_secret: String,
    pub(crate) filter: Filter,
    pub(crate) report: Report,
    pub(crate) training: Training,
    pub(crate) api: SignedIn,
}

/// The values that a review has to have for `intake` to start its submission.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) original_topic: String,
    pub(crate) type_id: String,
    pub(crate) score: String,
    pub(crate) resource: String,
}

/// How outcomes are reported.
#[derive(Clone, Debug)]
pub(crate) enum Report {
    /// As reviews of this type, in version 5 of the Submission API.
    Reviews { type_id: String },
    /// As review summations, in version 6.
    Summations,
    /// They are only stored.
    Nowhere,
}

/// What the definition says about training, after its substitutions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Training {
    pub(crate) instance_type: String,
    /// `s3://bucket/prefix`.
    pub(crate) input: String,
    pub(crate) kms_key: Option<String>,
}

impl Deployment {
    pub(crate) async fn read(stack: DeployedStack) -> Result<Self> {
        let intake = stack.settings("intake").await?;
        let fetch = stack.settings("fetch").await?;
        let report = stack.settings("report").await?;
        let diagnose = stack.settings("diagnose").await?;
        let submit = stack.settings("submit").await?;
        let sfn = aws_sdk_sfn::Client::new(&stack.aws);
        let secrets = aws_sdk_secretsmanager::Client::new(&stack.aws);
        let state_machine = setting(&intake, "STATE_MACHINE_ARN")?;
        let machine = sfn.describe_state_machine().state_machine_arn(&state_machine).send().await;
        let machine = machine.with_context(|| format!("the state machine {state_machine} could not be read"))?;
        let variables: Variables = fetch.clone().into_iter().collect();
        let auth0_secret: SecretArn = variables.required("AUTH0_SECRET_ARN")?;
        let api = SignedIn::new(secrets.clone(), auth0_secret, submission_api::Settings::read(&variables)?);
        Ok(Self {
            training: Training::of_definition(&machine.definition)?,
            filter: Filter {
                original_topic: setting(&intake, "ORIGINAL_TOPIC")?,
                type_id: setting(&intake, "REVIEW_TYPE_ID")?,
                score: setting(&intake, "REQUIRED_SCORE")?,
                resource: setting(&intake, "RESOURCE")?,
            },
            output_bucket: setting(&report, "OUTPUT_S3_BUCKET")?,
            build_project: setting(&diagnose, "BUILD_PROJECT")?,
            auth0_secret: setting(&fetch, "AUTH0_SECRET_ARN")?,
            api_keys_secret: setting(&submit, "API_KEYS_SECRET_ARN")?,
            report: Report::of_settings(&report)?,
            stack,
            sfn,
            secrets,
            state_machine,
            api,
        })
    }

    /// The ARN of a submission's execution.
    pub(crate) fn execution(&self, id: &SubmissionId) -> String {
        local::watch::execution_arn(&self.state_machine, id.aws_safe().as_str())
    }
}

impl Report {
    fn of_settings(report: &HashMap<String, String>) -> Result<Self> {
        if setting(report, "SUBMISSION_API_VERSION")? == "v6" {
            return Ok(Self::Summations);
        }
        let type_id = report.get("REPORT_TYPE_ID").filter(|id| !id.is_empty()).cloned();
        Ok(type_id.map_or(Self::Nowhere, |type_id| Self::Reviews { type_id }))
    }
}

#[derive(Deserialize)]
struct Definition {
    #[serde(rename = "States")]
    states: HashMap<String, State>,
}

#[derive(Deserialize)]
struct State {
    #[serde(rename = "Assign", default)]
    assign: serde_json::Map<String, serde_json::Value>,
}

impl Training {
    fn of_definition(definition: &str) -> Result<Self> {
        let definition: Definition = serde_json::from_str(definition).context("the state machine's definition")?;
        let assign = &definition.states.get("Begin").context("the definition has no state Begin")?.assign;
        let text = |value: Option<&serde_json::Value>| value.and_then(|value| value.as_str()).map(str::to_owned);
        let instance_type = text(assign.get("settings").and_then(|settings| settings.get("instanceType")));
        let encryption = text(assign.get("outputEncryption")).unwrap_or_default();
        // A JSONata expression that begins with the comparison of the key's ARN with an empty text.
        let key = encryption.split('\'').nth(1).unwrap_or_default();
        Ok(Self {
            instance_type: instance_type.context("the definition names no instance type")?,
            input: text(assign.get("inputUri")).context("the definition names no training data")?,
            kms_key: Some(key.to_owned()).filter(|key| !key.is_empty()),
        })
    }
}

/// The review or summation of a submission.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reported {
    pub(crate) id: String,
    pub(crate) status: String,
}

impl Deployment {
    /// Every review or summation that reports the submission's outcome.
    pub(crate) async fn reported(&self, id: &SubmissionId) -> Result<Vec<Reported>, submission_api::Error> {
        let reported = |id: &str, metadata: &serde_json::Value| Reported {
            id: id.to_owned(),
            status: metadata["status"].as_str().unwrap_or_default().to_owned(),
        };
        match &self.report {
            Report::Reviews { type_id } => {
                let reviews = self.api.call(async |api| api.reviews(id, type_id).await).await?;
                Ok(reviews.iter().map(|review| reported(&review.id, &review.metadata)).collect())
            }
            Report::Summations => {
                let summations = self.api.call(async |api| api.summations(id).await).await?;
                Ok(summations.iter().map(|summation| reported(&summation.id, &summation.metadata)).collect())
            }
            Report::Nowhere => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(key: &str) -> String {
        include_str!("../../../statemachine/processing.asl.json")
            .replace("${InstanceType}", "ml.m5.large")
            .replace("${InputBucket}/${InputFolderPrefix}", "in/training/")
            .replace("${KmsKeyArn}", key)
    }

    #[test]
    fn the_definition_says_how_submissions_are_trained() {
        let (instance_type, input) = ("ml.m5.large".to_owned(), "s3://in/training/".to_owned());
        let plain = Training { instance_type, input, kms_key: None };
        assert_eq!(Training::of_definition(&definition("")).unwrap(), plain);
        let key = "arn:aws:kms:us-east-1:123456789012:key/1";
        let encrypted = Training { kms_key: Some(key.to_owned()), ..plain };
        assert_eq!(Training::of_definition(&definition(key)).unwrap(), encrypted);
    }
}
