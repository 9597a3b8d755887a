//! Secrets that are planted, and the search for them in everything that is kept or reported.

use std::io::Read;

use anyhow::{Context, Result, ensure};
use local::deploy::OUTPUT_BUCKET;
use local::stack::Stack;
use local::stand_in::submission_api::CLIENT_SECRET;
use serde_json::{Value, json};

/// In every secret that a submission, the settings of its challenge or an answer contains.
const MARK: &str = "c4n4ry";
/// Secrets in the forms of a log.
pub(crate) const SECRETS: &str = "password=c4n4ryHq7 AKIAC4N4RYHQ72ABCDEF token: c4n4ryHq7x9 Bearer c4n4ryc4n4ryc4n4ry \
    ghp_c4n4ryc4n4ryc4n4ryc4n4ryc4n4ryc4n4 https://c4n4ry:c4n4ry@example.org/ --api-key c4n4ryHq7";

/// Settings with a secret, which let participants read everything.
pub(crate) const SETTINGS: &str = r#"{"training": {"input_folder": "sample", "hyper_parameters": {"password": "c4n4ryHq7"}},
    "reporting": {"logs": "tail", "log_bytes_per_day": 1000000}}"#;
/// Settings with a secret, which are not valid.
pub(crate) const INVALID_SETTINGS: &str = r#"{"trainin": {"password": "c4n4ryHq7"}}"#;

/// Where something was kept, and what.
struct Kept {
    place: String,
    text: String,
    /// Whether only the service writes it, so that it has what a submission wrote as it is: the history of an execution.
    is_raw: bool,
}

/// Checks that no planted secret is in the logs of functions, executions, reviews, artifacts, outcomes and tables, and no secret
/// of the stack anywhere at all.
pub(crate) async fn check(stack: &Stack) -> Result<()> {
    let kept = kept(stack).await?;
    for place in ["logs of ", "execution ", "history ", "review ", "artifact ", "outcome ", "table "] {
        ensure!(kept.iter().any(|kept| kept.place.starts_with(place)), "no {place}was searched");
    }
    let tokens = stack.api.tokens();
    ensure!(!tokens.is_empty(), "no token of the Submission API was used");
    let own = [CLIENT_SECRET, &stack.deployed.api_key, &stack.clients.access.token];
    let own: Vec<&str> = own.into_iter().chain(tokens.iter().map(String::as_str)).collect();
    for Kept { place, text, is_raw } in &kept {
        if let Some(at) = text.to_ascii_lowercase().find(MARK).filter(|_| !is_raw) {
            let start = text.floor_char_boundary(at.saturating_sub(200));
            let end = text.ceil_char_boundary(at + 100);
            anyhow::bail!("a planted secret is in {place}: …{}…", &text[start..end]);
        }
        let found = own.iter().find(|secret| text.contains(**secret));
        ensure!(found.is_none(), "a secret of the stack is in {place}");
    }
    Ok(())
}

async fn kept(stack: &Stack) -> Result<Vec<Kept>> {
    let mut kept = Vec::new();
    let mut keep = |place: String, text: String, is_raw| kept.push(Kept { place, text, is_raw });
    let groups = all(stack, "logs", "Logs_20140328.DescribeLogGroups", &json!({}), "nextToken", "logGroups").await?;
    for group in groups.iter().filter_map(|group| group["logGroupName"].as_str()) {
        for log in stack.logs(group).await? {
            keep(format!("logs of {group}"), log, !group.starts_with("/aws/lambda/"));
        }
    }
    for machine in [&stack.deployed.state_machine, &stack.deployed.scoring_state_machine] {
        let request = json!({"stateMachineArn": machine});
        let executions =
            all(stack, "states", "AWSStepFunctions.ListExecutions", &request, "nextToken", "executions").await?;
        for arn in executions.iter().filter_map(|execution| execution["executionArn"].as_str()) {
            let request = json!({"executionArn": arn});
            let described = ask(stack, "states", "AWSStepFunctions.DescribeExecution", &request).await?;
            keep(format!("execution {arn}"), described.to_string(), false);
            let history = "AWSStepFunctions.GetExecutionHistory";
            let events = all(stack, "states", history, &request, "nextToken", "events").await?;
            keep(format!("history of {arn}"), Value::from(events).to_string(), true);
        }
    }
    for review in stack.api.all_reviews() {
        keep(format!("review {}", review["id"]), review.to_string(), false);
    }
    for submission in std::fs::read_dir(stack.api.folder.join("artifacts"))? {
        for file in std::fs::read_dir(submission?.path())? {
            let path = file?.path();
            let mut archive = zip::ZipArchive::new(std::fs::File::open(&path)?)?;
            for at in 0..archive.len() {
                let mut text = String::new();
                archive.by_index(at)?.read_to_string(&mut text)?;
                keep(format!("artifact {}", path.display()), text, false);
            }
        }
    }
    let mut outcomes = stack.clients.s3.list_objects_v2().bucket(OUTPUT_BUCKET).into_paginator().send();
    while let Some(page) = outcomes.next().await {
        for key in
            page?.contents().iter().filter_map(|object| object.key()).filter(|key| key.ends_with("/outcome.json"))
        {
            let outcome = stack.object(OUTPUT_BUCKET, key).await?;
            keep(format!("outcome {key}"), String::from_utf8_lossy(&outcome).into_owned(), false);
        }
    }
    let (list, names) = ("DynamoDB_20120810.ListTables", "TableNames");
    for table in all(stack, "dynamodb", list, &json!({}), "ExclusiveStartTableName", names).await? {
        let items = ask(stack, "dynamodb", "DynamoDB_20120810.Scan", &json!({"TableName": table})).await?;
        keep(format!("table {table}"), items.to_string(), false);
    }
    Ok(kept)
}

/// The items on all pages of an answer.
async fn all(
    stack: &Stack,
    service: &str,
    target: &str,
    request: &Value,
    token: &str,
    items: &str,
) -> Result<Vec<Value>> {
    let (mut request, mut found) = (request.clone(), Vec::new());
    loop {
        let mut page = ask(stack, service, target, &request).await?;
        found.append(page[items].as_array_mut().with_context(|| format!("{target} answers without {items}"))?);
        match page.get(token).filter(|next| !next.is_null()) {
            Some(next) => request[token] = next.clone(),
            None => return Ok(found),
        }
    }
}

/// Asks the emulator as the services' own JSON has it: the SDK hides texts of executions from what it prints.
async fn ask(stack: &Stack, service: &str, target: &str, request: &Value) -> Result<Value> {
    let access = &stack.clients.access;
    let credential = format!("AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request");
    let request = reqwest::Client::new()
        .post(&access.endpoint)
        .header("authorization", format!("{credential}, SignedHeaders=host, Signature=none"))
        .header("x-amz-security-token", &access.token)
        .header("x-amz-target", target)
        .header("content-type", "application/x-amz-json-1.1")
        .body(request.to_string());
    let answer = request.send().await?;
    ensure!(answer.status().is_success(), "{target}: {}", answer.text().await?);
    Ok(serde_json::from_slice(&answer.bytes().await?)?)
}
