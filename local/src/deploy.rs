//! What an operator does once: create buckets and a secret, upload training data, and run `sam deploy` on the real template.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use aws_sdk_s3::primitives::ByteStream;
use serde_json::{Map, Value};

use crate::challenge;
use crate::clients::{Access, Clients};
use crate::process::bound_to_this;
use crate::stand_in::submission_api;

/// The stack's name.
pub const STACK: &str = "marathon-match-local";
/// The bucket with the training data.
pub const INPUT_BUCKET: &str = "marathon-match-input";
/// The prefix of the training data.
pub const INPUT_PREFIX: &str = "training/";
/// The bucket for models and outcomes.
pub const OUTPUT_BUCKET: &str = "marathon-match-output";

/// The names of the deployed resources.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// ARN of the function that receives Kafka's records.
    pub intake: String,
    /// ARN of the state machine for processing.
    pub state_machine: String,
    /// The bucket of staged archives and quarantined records.
    pub staging_bucket: String,
    /// ARN of the state machine for scoring.
    pub scoring_state_machine: String,
    /// The bucket of challenges' data and of predictions.
    pub scoring_bucket: String,
    pub submissions_table: String,
    /// The scoring API's URL in the emulator.
    pub submit_url: String,
    /// ARN of the secret with the keys of the scoring API.
    pub api_keys_secret: String,
    /// A key that the scoring API accepts: letters and digits.
    pub api_key: String,
    /// ARN of the activity that replaces CodeBuild.
    pub build_activity: String,
    /// ARN of the activity that replaces SageMaker.
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
        format!("Auth0SecretArn={}", secret.arn().context("the secret has no ARN")?),
        format!("ReportTypeId={}", submission_api::REPORT_TYPE_ID),
        format!("ReportReviewerId={}", submission_api::REPORT_REVIEWER_ID),
        format!("InputS3Bucket={INPUT_BUCKET}"),
        format!("InputFolderPrefix={INPUT_PREFIX}"),
        format!("OutputS3Bucket={OUTPUT_BUCKET}"),
        format!("ChallengeInstanceTypes={}", challenge::INSTANCE_TYPES),
        format!("BuildResource={build_activity}"),
        format!("TrainResource={train_activity}"),
    ];
    let name = |parameter: &String| parameter.split('=').next().map(str::to_owned);
    parameters.retain(|parameter| !overrides.iter().any(|other| name(other) == name(parameter)));
    parameters.extend_from_slice(overrides);
    sam_deploy(&clients.access, root, tools, STACK, &parameters).await?;

    let outputs = outputs_of(tool(tools, "aws", &clients.access, root), STACK).await?;
    let output = |name: &str| outputs.get(name).cloned().with_context(|| format!("the stack has no output {name}"));
    let scoring_bucket = output("ScoringBucketName")?;
    challenge::upload(clients, &scoring_bucket).await?;
    put_settings(clients, root, tools, challenge::CHALLENGE, challenge::SETTINGS).await?;
    let api_keys_secret = output("ApiKeysSecretArn")?;
    // The emulator ignores `ExcludePunctuation`, and the key that it creates breaks JSON and shells.
    let api_key = uuid::Uuid::new_v4().simple().to_string();
    put_api_key(clients, &api_keys_secret, "organiser", &api_key).await?;
    Ok(Deployed {
        scoring_state_machine: output("ScoringStateMachineArn")?,
        scoring_bucket,
        submissions_table: output("SubmissionsTableName")?,
        submit_url: local_url(&clients.access.endpoint, &output("SubmitUrl")?)?,
        api_key,
        api_keys_secret,
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
            .key(format!("{INPUT_PREFIX}sample/{}", file.file_name().to_string_lossy()))
            .body(ByteStream::from_path(file.path()).await?)
            .send()
            .await
            .context("uploading the training data")?;
    }
    Ok(())
}

/// Writes a challenge's settings.
pub async fn put_settings(clients: &Clients, root: &Path, tools: &Path, challenge: &str, settings: &str) -> Result<()> {
    let name = format!("/{STACK}/challenges/{challenge}");
    let output = tool(tools, "aws", &clients.access, root)
        .args(["ssm", "put-parameter", "--overwrite", "--type", "String", "--name", &name, "--value", settings])
        .output()
        .await?;
    if !output.status.success() {
        bail!("writing the parameter {name} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// A function URL's address in the emulator: the URL's own host name leads to AWS.
fn local_url(endpoint: &str, url: &str) -> Result<String> {
    let id = url
        .strip_prefix("https://")
        .and_then(|url| url.split_once(".lambda-url."))
        .context("the output SubmitUrl is not a function URL")?
        .0;
    Ok(format!("{endpoint}/_aws/lambda-url/{id}"))
}

/// Adds or replaces a key of the scoring API by its name.
pub async fn put_api_key(clients: &Clients, secret: &str, name: &str, key: &str) -> Result<()> {
    let value = clients.secrets.get_secret_value().secret_id(secret).send().await.context("reading the API keys")?;
    let text = value.secret_string().context("the secret of the API keys is empty")?;
    let mut keys: Map<String, Value> =
        serde_json::from_str(text).context("the secret of the API keys is not an object")?;
    keys.insert(name.to_owned(), Value::from(key));
    let put = clients.secrets.put_secret_value().secret_id(secret).secret_string(Value::from(keys).to_string());
    put.send().await.context("writing the API keys")?;
    Ok(())
}

async fn activity(clients: &Clients, name: &str) -> Result<String> {
    let activity = clients.sfn.create_activity().name(name).send().await.context("creating an activity")?;
    Ok(activity.activity_arn)
}

/// A Python tool that uses the emulator.
fn tool(tools: &Path, name: &str, access: &Access, root: &Path) -> tokio::process::Command {
    let mut command = bound_to_this(tools.join("tools/bin").join(name));
    command
        .current_dir(root)
        .envs(access.environment())
        .env("AWS_PAGER", "")
        .env("SAM_CLI_TELEMETRY", "0")
        .env("SAM_CLI_POLL_DELAY", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Deploys the built template as a stack of this name.
pub async fn sam_deploy(access: &Access, root: &Path, tools: &Path, stack: &str, parameters: &[String]) -> Result<()> {
    let output = tool(tools, "sam", access, root)
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
        let (progress, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let log = tools.join(format!("deploy-{stack}.log"));
        std::fs::write(&log, format!("{progress}{errors}")).with_context(|| format!("writing {}", log.display()))?;
        bail!("sam deploy failed: {} (all of its output: {})", reason(&errors), log.display());
    }
    Ok(())
}

/// Why sam failed: its last error, without the progress before it.
fn reason(errors: &str) -> String {
    let lines: Vec<&str> = errors.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.iter().rposition(|line| line.starts_with("Error:")).unwrap_or_default();
    lines[last..].join(" ").trim_start_matches("Error:").trim().to_owned()
}

#[derive(serde::Deserialize)]
struct Output {
    key: String,
    value: String,
}

/// The outputs of a stack, by name.
async fn outputs_of(mut aws: tokio::process::Command, stack: &str) -> Result<HashMap<String, String>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_error_alone() {
        let errors = "\nUploading to abc  12 / 12  (100.00%)\nError: the first, which was retried\n\nCreating the changeset\n\
            Error: Failed to create changeset for the stack: mm, ex: Waiter failed\n  Reason: ValidationError: bad\n";
        assert_eq!(
            reason(errors),
            "Failed to create changeset for the stack: mm, ex: Waiter failed Reason: ValidationError: bad"
        );
        assert_eq!(reason("Traceback\nValueError: x\n"), "Traceback ValueError: x");
        assert_eq!(reason(""), "");
    }
}
