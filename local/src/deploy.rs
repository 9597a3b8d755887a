//! What an operator does once: buckets, training data, a secret, and `sam deploy` of the real template.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use aws_sdk_s3::primitives::ByteStream;

use crate::emulator::REGION;
use crate::process::bound_to_this;
use crate::stack::Clients;
use crate::submission_api;

/// The stack's name.
pub const STACK: &str = "marathon-match-local";
/// The bucket with the training data.
pub const INPUT_BUCKET: &str = "marathon-match-input";
/// The prefix of the training data.
pub const INPUT_PREFIX: &str = "training/";
/// The bucket for models and outcomes.
pub const OUTPUT_BUCKET: &str = "marathon-match-output";

/// The names of what was deployed.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// The function that takes Kafka's records.
    pub intake: String,
    /// The processing state machine.
    pub state_machine: String,
    /// The bucket of staged archives and quarantined records.
    pub staging_bucket: String,
    /// The activity that stands in for CodeBuild.
    pub build_activity: String,
    /// The activity that stands in for SageMaker.
    pub train_activity: String,
}

/// Prepares the emulator's account and deploys the built template into it.
pub async fn deploy(clients: &Clients, root: &Path, tools: &Path, api: &str, overrides: &[String]) -> Result<Deployed> {
    for bucket in [INPUT_BUCKET, OUTPUT_BUCKET] {
        clients.s3.create_bucket().bucket(bucket).send().await.context("creating a bucket")?;
    }
    upload_training_data(clients, &root.join("samples/data")).await?;
    let credentials = serde_json::json!({
        "AUTH0_CLIENT_ID": submission_api::CLIENT_ID, "AUTH0_CLIENT_SECRET": submission_api::CLIENT_SECRET,
    });
    let secret = clients
        .secrets
        .create_secret()
        .name("marathon-match/auth0")
        .secret_string(credentials.to_string())
        .send()
        .await
        .context("creating the secret")?;
    let build_activity = activity(clients, "build").await?;
    let train_activity = activity(clients, "train").await?;
    let mut parameters = vec![
        format!("SubmissionApiUrl={api}/v5"),
        format!("Auth0Url={api}/oauth/token"),
        format!("Auth0Audience={}", submission_api::AUDIENCE),
        format!("Auth0SecretArn={}", secret.arn().unwrap_or_default()),
        format!("ReportTypeId={}", submission_api::REPORT_TYPE_ID),
        format!("ReportReviewerId={}", submission_api::REPORT_REVIEWER_ID),
        format!("InputS3Bucket={INPUT_BUCKET}"),
        format!("InputFolderPrefix={INPUT_PREFIX}"),
        format!("OutputS3Bucket={OUTPUT_BUCKET}"),
        format!("BuildResource={build_activity}"),
        format!("TrainResource={train_activity}"),
    ];
    let name = |parameter: &String| parameter.split('=').next().map(str::to_owned);
    parameters.retain(|parameter| !overrides.iter().any(|other| name(other) == name(parameter)));
    parameters.extend_from_slice(overrides);
    sam_deploy(&clients.endpoint, root, tools, STACK, &parameters).await?;

    let outputs = outputs_of(tool(tools, "aws", &clients.endpoint, root), STACK).await?;
    let output = |name: &str| outputs.get(name).cloned().with_context(|| format!("the stack has no output {name}"));
    Ok(Deployed {
        intake: output("IntakeFunctionArn")?,
        state_machine: output("StateMachineArn")?,
        staging_bucket: output("StagingBucketName")?,
        build_activity,
        train_activity,
    })
}

async fn upload_training_data(clients: &Clients, folder: &Path) -> Result<()> {
    for file in std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let file = file?;
        clients
            .s3
            .put_object()
            .bucket(INPUT_BUCKET)
            .key(format!("{INPUT_PREFIX}{}", file.file_name().to_string_lossy()))
            .body(ByteStream::from_path(file.path()).await?)
            .send()
            .await
            .context("uploading the training data")?;
    }
    Ok(())
}

async fn activity(clients: &Clients, name: &str) -> Result<String> {
    let activity = clients.sfn.create_activity().name(name).send().await.context("creating an activity")?;
    Ok(activity.activity_arn)
}

/// A command of the Python tools against the emulator.
fn tool(tools: &Path, name: &str, endpoint: &str, root: &Path) -> tokio::process::Command {
    let mut command = bound_to_this(tools.join("tools/bin").join(name));
    command
        .current_dir(root)
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_PAGER", "")
        .env("SAM_CLI_TELEMETRY", "0")
        .env("SAM_CLI_POLL_DELAY", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Deploys the built template as a stack of this name.
pub async fn sam_deploy(endpoint: &str, root: &Path, tools: &Path, stack: &str, parameters: &[String]) -> Result<()> {
    let output = tool(tools, "sam", endpoint, root)
        .args(["deploy", "--template-file", ".aws-sam/build/template.yaml", "--stack-name", stack, "--resolve-s3"])
        .args([
            "--capabilities",
            "CAPABILITY_IAM",
            "--no-confirm-changeset",
            "--no-progressbar",
            "--parameter-overrides",
        ])
        .args(parameters)
        .output()
        .await
        .context("starting sam; run `make setup`")?;
    if !output.status.success() {
        bail!(
            "sam deploy failed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct Output {
    key: String,
    value: String,
}

/// The command-line program of AWS, for wherever the environment's credentials lead.
#[must_use]
pub fn aws(tools: &Path) -> tokio::process::Command {
    let mut command = bound_to_this(tools.join("tools/bin/aws"));
    command.env("AWS_PAGER", "").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The outputs of a stack, by name.
pub async fn outputs_of(mut aws: tokio::process::Command, stack: &str) -> Result<HashMap<String, String>> {
    let query = "Stacks[0].Outputs[].{key: OutputKey, value: OutputValue}";
    let output = aws
        .args(["cloudformation", "describe-stacks", "--stack-name", stack, "--query", query, "--output", "json"])
        .output()
        .await
        .context("starting the AWS command line; run `make setup`")?;
    if !output.status.success() {
        bail!("reading the outputs of the stack {stack} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let outputs: Vec<Output> = serde_json::from_slice(&output.stdout)?;
    Ok(outputs.into_iter().map(|output| (output.key, output.value)).collect())
}
