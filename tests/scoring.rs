//! Scoring end to end: HTTP requests to the compiled functions, the real template and definition on the emulator. All tests
//! share one stack and use their own submissions.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_sfn::types::ExecutionStatus;
use domain::SubmissionId;
use futures_util::future::try_join_all;
use libtest_mimic::{Arguments, Failed, Trial};
use local::challenge::{CHALLENGE, predictions, register};
use local::deploy::{STACK, put_api_key, put_settings};
use local::stack::{Options, Stack};
use local::watch::{Ended, execution_arn, follow};
use records::{Record, predictions_key};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Longer than any test takes.
const PATIENCE: Duration = Duration::from_mins(5);

fn main() -> Result<std::process::ExitCode> {
    let mut arguments = Arguments::from_args();
    // One after the other: two of them count every execution of the stack.
    arguments.test_threads = Some(1);
    let runtime = tokio::runtime::Runtime::new()?;
    // The emulator reports a throttled function as an unknown error, which is retried fewer times than a throttled function
    // on AWS. Longer waits make up for that.
    let options = Options { wait_scale: 0.5, ..Options::new(root()?) };
    if arguments.list {
        return Ok(libtest_mimic::run(&arguments, trials(None, runtime.handle())).exit_code());
    }
    let stack = Arc::new(runtime.block_on(Stack::start(&options, |_| {}))?);
    let conclusion = libtest_mimic::run(&arguments, trials(Some(&stack), runtime.handle()));
    let stack = Arc::try_unwrap(stack).map_err(|_| anyhow::anyhow!("a test still holds the stack"))?;
    runtime.block_on(stack.stop());
    Ok(conclusion.exit_code())
}

fn root() -> Result<PathBuf> {
    Ok(std::fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?)
}

fn trials(stack: Option<&Arc<Stack>>, runtime: &Handle) -> Vec<Trial> {
    macro_rules! trials {
        ($($name:ident),* $(,)?) => {
            vec![$({
                let (stack, runtime) = (stack.map(Arc::clone), runtime.clone());
                Trial::test(stringify!($name), move || {
                    let stack = stack.ok_or("there is no stack")?;
                    runtime.block_on(async {
                        match timeout(PATIENCE, $name(&stack)).await {
                            Ok(result) => result.map_err(|error| Failed::from(format!("{error:#}"))),
                            Err(_) => Err(Failed::from("it took too long")),
                        }
                    })
                })
            }),*]
        };
    }
    trials![
        a_request_is_scored,
        the_request_of_the_specification_is_scored,
        every_http_case_is_answered_as_documented,
        a_leaderboard_is_read_page_by_page,
        a_challenge_that_changes_its_metric_starts_a_new_ranking,
        the_earlier_of_two_copies_is_original_whichever_is_scored_first,
        invalid_predictions_are_the_participants_fault,
        a_challenge_without_settings_fails_the_execution,
        a_failure_of_one_result_hides_no_other_result,
        two_hundred_concurrent_requests_are_each_scored_once,
    ]
}

fn new_id() -> Result<SubmissionId> {
    Ok(uuid::Uuid::new_v4().to_string().parse()?)
}

/// Predictions that are far from those of every other `nth` below 300: spread evenly over their own interval.
fn distinct(nth: u32) -> String {
    let (start, width) = (f64::from(nth % 20) / 40.0, 0.03 * f64::from(1 + nth / 20));
    predictions(|at| start + width * f64::from(at * 7919 % 600) / 600.0)
}

/// Registers a submission of the sample challenge by its own user.
async fn registered(stack: &Stack, second: u32, predictions: String) -> Result<SubmissionId> {
    let id = new_id()?;
    let created = format!("2026-01-01T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
    register(&stack.clients, &stack.deployed, &id, &format!("user-of-{id}"), &created, predictions).await?;
    Ok(id)
}

/// Sends a request and returns the status and the JSON of the answer.
async fn ask(
    stack: &Stack,
    method: Method,
    path: &str,
    key: Option<&str>,
    body: String,
) -> Result<(StatusCode, Value)> {
    let mut request = Client::new().request(method, format!("{}{path}", stack.deployed.submit_url)).body(body);
    if let Some(key) = key {
        request = request.header("x-api-key", key);
    }
    let answer = request.send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    Ok((status, serde_json::from_str(&text).with_context(|| format!("{status}: {text}"))?))
}

async fn get(stack: &Stack, path: &str) -> Result<(StatusCode, Value)> {
    ask(stack, Method::GET, path, Some(&stack.deployed.api_key), String::new()).await
}

fn body(stack: &Stack, id: &SubmissionId) -> Value {
    json!({"submission_id": id, "api_key": stack.deployed.api_key})
}

/// Requests scoring of a submission and returns the execution.
async fn submit(stack: &Stack, id: &SubmissionId) -> Result<String> {
    loop {
        let (status, answer) = ask(stack, Method::POST, "/", None, body(stack, id).to_string()).await?;
        match status {
            StatusCode::ACCEPTED => {
                ensure!(answer["submission_id"] == id.as_str(), "{answer}");
                return Ok(answer["execution"].as_str().context("an execution")?.to_owned());
            }
            // Concurrency is limited: a refused request is sent again.
            StatusCode::TOO_MANY_REQUESTS => sleep(Duration::from_millis(50)).await,
            _ => bail!("{status}: {answer}"),
        }
    }
}

/// The record, as soon as it is complete.
async fn record(stack: &Stack, id: &SubmissionId, is_complete: impl Fn(&Record) -> bool) -> Result<Record> {
    loop {
        let record = records::read(&stack.clients.dynamodb, &stack.deployed.submissions_table, id).await?;
        let record = record.context("a record")?;
        if is_complete(&record) {
            return Ok(record);
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn end_of(stack: &Stack, execution: &str) -> Result<Ended> {
    follow(&stack.clients.sfn, execution, Duration::from_secs(10), |_| {}).await
}

/// Submits and waits for the execution's end.
async fn scored(stack: &Stack, id: &SubmissionId) -> Result<(Ended, Value)> {
    let ended = end_of(stack, &submit(stack, id).await?).await?;
    let output = ended.output.as_deref().map(serde_json::from_str).transpose()?.unwrap_or_default();
    Ok((ended, output))
}

async fn a_request_is_scored(stack: &Stack) -> Result<()> {
    let mut seconds = Vec::new();
    for nth in 0..4 {
        let id = registered(stack, nth, distinct(nth)).await?;
        let clock = Instant::now();
        let execution = submit(stack, &id).await?;
        let is_complete = |record: &Record| record.scores.originality.is_some() && record.scores.concordance.is_some();
        let record = record(stack, &id, is_complete).await?;
        seconds.push(clock.elapsed().as_secs_f64());
        ensure!(record.scores.concordance.is_some_and(|concordance| !concordance.regions.is_empty()), "no regions");
        let ended = end_of(stack, &execution).await?;
        ensure!(ended.status == ExecutionStatus::Succeeded, "{} {:?}", ended.status, ended.error);
        let output: Value = serde_json::from_str(&ended.output.context("an output")?)?;
        let record = get(stack, &format!("/submissions/{id}")).await?.1;
        for part in ["originality", "concordance"] {
            ensure!(output[part] == record[part] && !output[part].is_null(), "{part}: {output} {record}");
        }
        ensure!(output["metric"]["score"] == record["metric"]["score"] && output["failures"] == json!([]), "{output}");
    }
    println!("from the request to both results: {:.2} s cold, then {:.2?} s", seconds[0], &seconds[1..]);
    Ok(())
}

async fn the_request_of_the_specification_is_scored(stack: &Stack) -> Result<()> {
    let request = include_str!("../samples/requests/with-user.json");
    let fields: Value = serde_json::from_str(request)?;
    let field = |name: &str| fields[name].as_str().context("a text");
    put_api_key(&stack.clients, &stack.deployed.api_keys_secret, "organiser-specification", field("api_key")?).await?;
    let (id, created) = (field("submission_id")?.parse()?, "2026-01-02T00:00:00Z");
    register(&stack.clients, &stack.deployed, &id, field("user_id")?, created, distinct(40)).await?;
    // A new key is accepted within seconds.
    let answer = loop {
        let (status, answer) = ask(stack, Method::POST, "/", None, request.to_owned()).await?;
        match status {
            StatusCode::ACCEPTED => break answer,
            StatusCode::UNAUTHORIZED => sleep(Duration::from_millis(500)).await,
            _ => bail!("{status}: {answer}"),
        }
    };
    let ended = end_of(stack, answer["execution"].as_str().context("an execution")?).await?;
    ensure!(ended.status == ExecutionStatus::Succeeded, "{} {:?}", ended.status, ended.error);
    let record = get(stack, &format!("/submissions/{id}")).await?.1;
    ensure!(record["originality"]["original"] == true && record["concordance"]["score"].is_number(), "{record}");
    Ok(())
}

async fn every_http_case_is_answered_as_documented(stack: &Stack) -> Result<()> {
    let id = registered(stack, 100, distinct(20)).await?;
    let (unknown, key) = (new_id()?, stack.deployed.api_key.as_str());
    let user = format!("user-of-{id}");
    let post = async |body: String| ask(stack, Method::POST, "/", None, body).await;
    for (body, status, error, field) in [
        (json!({"submission_id": id, "api_key": "wrong"}).to_string(), 401, "wrong_key", Value::Null),
        (json!({"submission_id": unknown, "api_key": "wrong"}).to_string(), 401, "wrong_key", Value::Null),
        (json!({"submission_id": unknown, "api_key": key}).to_string(), 404, "unknown_submission", Value::Null),
        (json!({"api_key": key}).to_string(), 400, "malformed", json!("submission_id")),
        (json!({"submission_id": "not an id", "api_key": key}).to_string(), 400, "malformed", json!("submission_id")),
        (json!({"submission_id": id}).to_string(), 400, "malformed", json!("api_key")),
        (json!({"submission_id": id, "api_key": 1}).to_string(), 400, "malformed", json!("api_key")),
        (json!({"submission_id": id, "api_key": key, "user_id": []}).to_string(), 400, "malformed", json!("user_id")),
        (json!({"submission_id": id, "api_key": key, "user_id": "x"}).to_string(), 400, "malformed", json!("user_id")),
        ("not JSON".to_owned(), 400, "malformed", Value::Null),
        (format!("{{\"more\": \"{}\"}}", "x".repeat(20_000)), 413, "too_large", Value::Null),
    ] {
        let (found, answer) = post(body.clone()).await?;
        ensure!(
            found == status && answer["error"] == error && answer["field"] == field,
            "{body:.200}: {found} {answer}"
        );
        ensure!(answer["message"].as_str().is_some_and(|message| !message.contains(key)), "{answer}");
    }
    let none = records::read(&stack.clients.dynamodb, &stack.deployed.submissions_table, &id).await?;
    ensure!(none.is_some_and(|record| record.predictions.is_none()), "something was started");

    // The same id gives the same execution, with or without the user, and its result after its end.
    let with_user = json!({"user_id": user, "submission_id": id, "api_key": key}).to_string();
    let (status, first) = post(with_user.clone()).await?;
    let execution = execution_arn(&stack.deployed.scoring_state_machine, id.aws_safe().as_str());
    let accepted = json!({"submission_id": id, "execution": execution});
    ensure!(status == 202 && first == accepted, "{status} {first}");
    ensure!(post(body(stack, &id).to_string()).await? == (StatusCode::ACCEPTED, accepted.clone()));
    end_of(stack, &execution).await?;
    let (status, ended) = post(with_user).await?;
    ensure!(status == 200 && ended["execution"] == execution && ended["ended"].is_string(), "{status} {ended}");
    let record = get(stack, &format!("/submissions/{id}")).await?.1;
    ensure!(ended["record"] == record && record["concordance"]["score"].is_number(), "{ended} {record}");
    ensure!(
        executions(stack).await?.iter().filter(|name| **name == id.aws_safe().as_str()).count() == 1,
        "started again"
    );

    // A record that has to be changed first is answered with 422 and the attribute's name until it is.
    let malformed = registered(stack, 101, distinct(21)).await?;
    set(stack, &malformed, "created", "yesterday").await?;
    for (method, path, sent) in [
        (Method::POST, "/".to_owned(), body(stack, &malformed).to_string()),
        (Method::GET, format!("/submissions/{malformed}"), String::new()),
    ] {
        let (status, answer) = ask(stack, method, &path, Some(key), sent).await?;
        ensure!(status == 422 && answer["error"] == "unscorable" && answer["field"] == "created", "{status} {answer}");
    }
    for (attribute, value, says) in [
        ("created", "2026-01-01T01:01:41+01:00", "ends with Z"),
        ("created", "2999-01-01T00:00:00Z", "in the future"),
        ("userId", "", "must not be empty"),
    ] {
        let id = registered(stack, 102, distinct(22)).await?;
        set(stack, &id, attribute, value).await?;
        let (status, answer) = post(body(stack, &id).to_string()).await?;
        let message = answer["message"].as_str().unwrap_or_default();
        ensure!(status == 422 && answer["field"] == attribute && message.contains(says), "{status} {answer}");
    }
    set(stack, &malformed, "created", "2026-01-01T00:01:41Z").await?;
    ensure!(post(body(stack, &malformed).to_string()).await?.0 == StatusCode::ACCEPTED);

    for (method, path, key, status) in [
        (Method::GET, format!("/submissions/{id}"), Some(key), 200),
        (Method::GET, format!("/submissions/{id}"), None, 401),
        (Method::GET, format!("/submissions/{id}"), Some("wrong"), 401),
        (Method::GET, format!("/submissions/{unknown}"), Some(key), 404),
        (Method::GET, "/submissions/not-an-id".to_owned(), Some(key), 400),
        (Method::GET, format!("/challenges/{CHALLENGE}/leaderboard"), Some(key), 200),
        (Method::GET, format!("/challenges/{CHALLENGE}/leaderboard"), None, 401),
        (Method::GET, format!("/challenges/{CHALLENGE}/leaderboard?limit=0"), Some(key), 400),
        (Method::GET, format!("/challenges/{CHALLENGE}/leaderboard?metric=luck"), Some(key), 400),
        (Method::GET, "/challenges/unknown/leaderboard".to_owned(), Some(key), 404),
        (Method::GET, "/challenges/unknown/leaderboard?by=created".to_owned(), Some(key), 404),
        (Method::GET, "/challenges/not%20an%20id/leaderboard".to_owned(), Some(key), 400),
        (Method::GET, "/".to_owned(), Some(key), 405),
        (Method::POST, format!("/submissions/{id}"), Some(key), 405),
        (Method::GET, "/elsewhere".to_owned(), Some(key), 404),
    ] {
        let (found, answer) = ask(stack, method.clone(), &path, key, String::new()).await?;
        ensure!(found == status, "{method} {path}: {found} {answer}");
        ensure!(found == 200 || answer["message"].is_string(), "{answer}");
    }
    ensure!(
        record["user_id"] == user.as_str() && record["challenge_id"] == CHALLENGE && record["failures"] == json!({}),
        "{record}"
    );
    Ok(())
}

async fn a_leaderboard_is_read_page_by_page(stack: &Stack) -> Result<()> {
    for nth in 0..3 {
        let id = registered(stack, 200 + nth, distinct(30 + nth)).await?;
        scored(stack, &id).await?;
    }
    for by in ["metric", "created"] {
        let mut seen: Vec<Value> = Vec::new();
        let mut next = String::new();
        loop {
            let (status, page) =
                get(stack, &format!("/challenges/{CHALLENGE}/leaderboard?by={by}&limit=2{next}")).await?;
            ensure!(status == 200, "{page}");
            let rows = page["submissions"].as_array().context("rows")?;
            ensure!(rows.len() <= 2, "{page}");
            seen.extend(rows.iter().cloned());
            match page["next"].as_str() {
                Some(token) => next = format!("&next={token}"),
                None => break,
            }
        }
        let ids: BTreeSet<&str> = seen.iter().filter_map(|row| row["submission_id"].as_str()).collect();
        ensure!(ids.len() == seen.len() && seen.len() >= 3, "{by}: {seen:?}");
        if by == "metric" {
            let scores: Vec<f64> = seen.iter().filter_map(|row| row["metric"]["score"].as_f64()).collect();
            ensure!(scores.len() == seen.len() && scores.is_sorted(), "the lowest logloss comes first: {scores:?}");
            ensure!(seen.iter().all(|row| row["concordance"].is_number() && row["original"].is_boolean()), "{seen:?}");
        } else {
            ensure!(seen.iter().rev().is_sorted_by_key(|row| row["created"].as_str()), "{seen:?}");
        }
    }
    Ok(())
}

/// The ids of all ranked submissions of a challenge, best first, and the metric that ranks them.
async fn ranking(stack: &Stack, challenge: &str, metric: &str) -> Result<(Vec<String>, Value)> {
    let (status, page) = get(stack, &format!("/challenges/{challenge}/leaderboard?limit=100{metric}")).await?;
    ensure!(status == 200 && page["next"].is_null(), "{page}");
    let rows = page["submissions"].as_array().context("rows")?;
    let ids = rows.iter().filter_map(|row| row["submission_id"].as_str().map(str::to_owned)).collect();
    Ok((ids, page["metric"].clone()))
}

async fn a_challenge_that_changes_its_metric_starts_a_new_ranking(stack: &Stack) -> Result<()> {
    let root = root()?;
    let mut ids = Vec::new();
    for (nth, metric) in [(0, "auc"), (1, "auc"), (2, "logloss")] {
        let scoring = json!({"dataset": CHALLENGE, "truth": "truth.csv", "metric": metric, "concordance_threshold": 1});
        let settings = json!({"scoring": scoring}).to_string();
        put_settings(&stack.clients, &root, &root.join(".local"), "two-metrics", &settings).await?;
        let id = registered_in(stack, "two-metrics", &distinct(120 + nth)).await?;
        set(stack, &id, "created", &format!("2026-01-01T00:10:0{nth}Z")).await?;
        scored(stack, &id).await?;
        ids.push(id.to_string());
    }
    let (newest, metric) = ranking(stack, "two-metrics", "").await?;
    ensure!(newest == ids[2..] && metric == "logloss", "{newest:?} {metric}");
    let (mut older, metric) = ranking(stack, "two-metrics", "&metric=auc").await?;
    older.sort();
    ids.truncate(2);
    ids.sort();
    ensure!(older == ids && metric == "auc", "{older:?} {metric}");
    Ok(())
}

async fn the_earlier_of_two_copies_is_original_whichever_is_scored_first(stack: &Stack) -> Result<()> {
    let copies = distinct(50);
    let earlier = registered(stack, 300, copies.clone()).await?;
    let later = registered(stack, 301, copies.clone()).await?;
    let before = scored(stack, &later).await?.1;
    ensure!(before["originality"]["original"] == true, "{before}");
    let ranks = async |id: &SubmissionId| {
        Ok::<_, anyhow::Error>(ranking(stack, CHALLENGE, "").await?.0.contains(&id.to_string()))
    };
    ensure!(ranks(&later).await?, "an original submission is ranked");
    let first = scored(stack, &earlier).await?.1;
    ensure!(first["originality"]["original"] == true, "{first}");
    let record = get(stack, &format!("/submissions/{later}")).await?.1;
    ensure!(record["originality"]["original"] == false, "{record}");
    ensure!(record["originality"]["offenders"][0]["submission"] == earlier.as_str(), "{record}");
    ensure!(!ranks(&later).await? && ranks(&earlier).await?, "a copy never stands above what it copies");

    // The same for copies that are scored concurrently.
    let copies = distinct(60);
    let mut ids = Vec::new();
    for nth in 0..6 {
        ids.push(registered(stack, 310 + nth, copies.clone()).await?);
    }
    let executions = try_join_all(ids.iter().map(|id| submit(stack, id))).await?;
    for execution in &executions {
        let ended = end_of(stack, execution).await?;
        ensure!(ended.status == ExecutionStatus::Succeeded, "{} {:?}", ended.status, ended.error);
    }
    for (nth, id) in ids.iter().enumerate() {
        let record = get(stack, &format!("/submissions/{id}")).await?.1;
        ensure!(record["originality"]["original"] == (nth == 0), "{nth}: {record}");
    }
    Ok(())
}

async fn invalid_predictions_are_the_participants_fault(stack: &Stack) -> Result<()> {
    let without_last =
        |csv: &str| csv.trim_end().rsplit_once('\n').map(|(rest, _)| rest.to_owned()).unwrap_or_default();
    let invalid = registered(stack, 400, without_last(&distinct(70))).await?;
    let missing = registered(stack, 401, String::new()).await?;
    let key = predictions_key(&CHALLENGE.parse()?, &missing);
    stack.clients.s3.delete_object().bucket(&stack.deployed.scoring_bucket).key(key).send().await?;
    for (id, code) in [(invalid, "PredictionsInvalid"), (missing, "PredictionsMissing")] {
        let (ended, output) = scored(stack, &id).await?;
        ensure!(ended.status == ExecutionStatus::Succeeded, "{} {:?}", ended.status, ended.error);
        ensure!(output["failures"][0]["code"] == code && output["failures"][0]["fault"] == "participant", "{output}");
        let record = get(stack, &format!("/submissions/{id}")).await?.1;
        ensure!(record["failures"]["predictions"]["code"] == code && record["concordance"].is_null(), "{record}");
        let (status, again) = ask(stack, Method::POST, "/", None, body(stack, &id).to_string()).await?;
        ensure!(status == 422 && again["field"] == "predictions", "{status} {again}");
        ensure!(again["message"] == record["failures"]["predictions"]["message"], "{again} {record}");
    }
    Ok(())
}

/// Registers a submission of another challenge.
async fn registered_in(stack: &Stack, challenge: &str, predictions: &str) -> Result<SubmissionId> {
    let id = registered(stack, 500, predictions.to_owned()).await?;
    set(stack, &id, "challengeId", challenge).await?;
    let key = predictions_key(&challenge.parse()?, &id);
    let body = predictions.as_bytes().to_vec().into();
    let bucket = &stack.deployed.scoring_bucket;
    stack.clients.s3.put_object().bucket(bucket).key(key).body(body).send().await?;
    Ok(id)
}

/// Changes an attribute of a record.
async fn set(stack: &Stack, id: &SubmissionId, attribute: &str, value: &str) -> Result<()> {
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let update = stack.clients.dynamodb.update_item().table_name(&stack.deployed.submissions_table);
    let update = update.key("submissionId", text(id.as_str())).update_expression("SET #attribute = :value");
    let update = update.expression_attribute_names("#attribute", attribute);
    update.expression_attribute_values(":value", text(value)).send().await?;
    Ok(())
}

async fn a_challenge_without_settings_fails_the_execution(stack: &Stack) -> Result<()> {
    let id = registered_in(stack, "nowhere", &distinct(80)).await?;
    let (ended, _) = scored(stack, &id).await?;
    ensure!(ended.status == ExecutionStatus::Failed, "{}", ended.status);
    ensure!(ended.error.as_deref() == Some("ScoringFault"), "{:?}", ended.error);
    let record = get(stack, &format!("/submissions/{id}")).await?.1;
    let message = record["failures"]["predictions"]["message"].as_str();
    ensure!(message.is_some_and(|message| message.contains("/challenges/nowhere, were not found")), "{record}");
    Ok(())
}

async fn a_failure_of_one_result_hides_no_other_result(stack: &Stack) -> Result<()> {
    let root = root()?;
    let settings = json!({"scoring": {"dataset": CHALLENGE, "truth": "absent.csv", "metric": "auc"}}).to_string();
    put_settings(&stack.clients, &root, &root.join(".local"), "truthless", &settings).await?;
    let id = registered_in(stack, "truthless", &distinct(90)).await?;
    let (ended, _) = scored(stack, &id).await?;
    ensure!(ended.status == ExecutionStatus::Failed, "{}", ended.status);
    let record = get(stack, &format!("/submissions/{id}")).await?.1;
    ensure!(record["originality"]["original"] == true && record["concordance"]["score"].is_number(), "{record}");
    ensure!(record["metric"].is_null() && record["failures"]["metric"]["code"] == "ScoringFault", "{record}");
    Ok(())
}

async fn two_hundred_concurrent_requests_are_each_scored_once(stack: &Stack) -> Result<()> {
    const REQUESTS: u32 = 200;
    const SUBMISSIONS: u32 = 160;
    let mut ids = Vec::new();
    for nth in 0..SUBMISSIONS {
        // Every eighth submission copies the one before.
        let copied = nth - u32::from(nth % 8 == 7);
        ids.push(registered(stack, 1000 + nth, distinct(100 + copied)).await?);
    }
    let clock = Instant::now();
    let mut requests = JoinSet::new();
    let (url, key) = (stack.deployed.submit_url.clone(), stack.deployed.api_key.clone());
    let (client, refused) = (Client::new(), Arc::new(AtomicU32::new(0)));
    for nth in 0..REQUESTS {
        let id = ids[(nth % SUBMISSIONS) as usize].clone();
        let request = client.post(&url).body(json!({"submission_id": id, "api_key": key}).to_string());
        let refused = Arc::clone(&refused);
        requests.spawn(async move {
            loop {
                let answer = request.try_clone().context("a request")?.send().await?;
                match answer.status() {
                    StatusCode::ACCEPTED | StatusCode::OK => return anyhow::Ok(()),
                    // Repeating the request is harmless.
                    StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                        refused.fetch_add(1, Ordering::Relaxed);
                        sleep(Duration::from_millis(50)).await;
                    }
                    status => bail!("{status}: {}", answer.text().await?),
                }
            }
        });
    }
    for answer in requests.join_all().await {
        answer?;
    }
    let accepted = clock.elapsed();
    for (nth, id) in ids.iter().enumerate() {
        let execution = execution_arn(&stack.deployed.scoring_state_machine, id.aws_safe().as_str());
        let ended = end_of(stack, &execution).await?;
        if ended.status != ExecutionStatus::Succeeded {
            bail!("{id}: {} {:?}: {}", ended.status, ended.error, get(stack, &format!("/submissions/{id}")).await?.1);
        }
        let record = record(stack, id, |record| record.scores.metric.is_some()).await?;
        ensure!(record.scores.concordance.is_some(), "{id} has no concordance");
        let originality = record.scores.originality.context("originality")?;
        ensure!(originality.original == (nth % 8 != 7), "{nth}: {originality:?}");
    }
    println!(
        "{REQUESTS} requests for {SUBMISSIONS} submissions: accepted in {:.1} s, {} refused and repeated; scored in {:.1} s",
        accepted.as_secs_f64(),
        refused.load(Ordering::Relaxed),
        clock.elapsed().as_secs_f64()
    );
    let executions = executions(stack).await?;
    for id in &ids {
        let count = executions.iter().filter(|name| name.as_str() == id.aws_safe().as_str()).count();
        ensure!(count == 1, "{id} has {count} executions");
    }
    let results = results(stack).await?;
    for id in &ids {
        for part in ["originality", "concordance", "metric"] {
            let count = results.iter().filter(|one| one.0 == id.as_str() && one.1 == part).count();
            ensure!(count == 1, "{part} of {id} was scored {count} times");
        }
    }
    Ok(())
}

/// Every result that the function counted: the submission and the kind of result.
async fn results(stack: &Stack) -> Result<Vec<(String, String)>> {
    let group = format!("/aws/lambda/{STACK}-score");
    let events = stack.clients.logs.filter_log_events().log_group_name(group).filter_pattern("Scored");
    let mut pages = events.into_paginator().send();
    let mut events = Vec::new();
    while let Some(page) = pages.next().await {
        events.extend(page?.events.unwrap_or_default());
    }
    let mut results = Vec::new();
    for event in events {
        for line in event.message().unwrap_or_default().lines().filter(|line| line.contains("\"Scored\"")) {
            let line: Value = serde_json::from_str(line)?;
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            results.push((text("submissionId"), text("Result")));
        }
    }
    Ok(results)
}

/// The names of all scoring executions.
async fn executions(stack: &Stack) -> Result<Vec<String>> {
    let machine = &stack.deployed.scoring_state_machine;
    let mut pages = stack.clients.sfn.list_executions().state_machine_arn(machine).into_paginator().items().send();
    let mut names = Vec::new();
    while let Some(execution) = pages.next().await {
        names.push(execution?.name);
    }
    Ok(names)
}
