//! The proof: what calls need, against what the roles may do.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use domain::tags;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::deployed::Deployed;
use crate::escaped;
use crate::record::{Call, Fields, fields_of};
use crate::simulator::{Answer, Grant, simulate};
use crate::table::{self, Service, Table, filled};

/// The key of secrets that are not the stack's: a customer's, which asks for most.
const CUSTOMERS_KEY: &str = "arn:aws:kms:us-east-1:000000000000:key/89abcdef-0123-4567-89ab-cdef01234567";

#[derive(Debug, Serialize)]
struct Request {
    stack: String,
    role: String,
    action: String,
    resource: String,
    context: BTreeMap<String, String>,
    #[serde(skip)]
    page: String,
    /// Who makes it, for messages.
    #[serde(skip)]
    why: String,
    /// The line of `services.json`. None for a call that is recorded, or derived from a definition or the buildspec.
    #[serde(skip)]
    service: Option<usize>,
}

/// What is wrong: each problem once, with an example and the parameter sets that have it.
#[derive(Default)]
struct Problems(BTreeMap<String, (String, BTreeSet<String>)>);

impl Problems {
    fn add(&mut self, set: &str, problem: String, example: String) {
        self.0.entry(problem).or_insert_with(|| (example, BTreeSet::new())).1.insert(set.to_owned());
    }

    fn lines(self) -> Vec<String> {
        let line = |(problem, (example, sets)): (String, (String, BTreeSet<String>))| {
            format!("{problem} ({example}; parameters: {})", sets.into_iter().collect::<Vec<_>>().join(", "))
        };
        self.0.into_iter().map(line).collect()
    }
}

/// What is wrong, one line for each problem.
pub(crate) async fn problems(recorded: &[Call], own: &Deployed, stacks: &[Deployed]) -> Result<Vec<String>> {
    let (table, services) = (Table::read()?, table::services()?);
    let mut problems = Problems::default();
    let mut requests = Vec::new();
    let mut known = BTreeSet::new();
    for stack in stacks {
        let mut calls = Vec::new();
        for call in recorded {
            let caller = own.role_of.get(&call.caller);
            let caller = caller.with_context(|| format!("{} is not a function of the stack", call.caller))?.clone();
            let of_stack = |(name, value): (&String, &String)| (name.clone(), own.as_of(stack, value));
            calls.push(Call {
                caller,
                operation: call.operation.clone(),
                fields: call.fields.iter().map(of_stack).collect(),
            });
        }
        calls.extend(of_definitions(stack)?);
        for call in &mut calls {
            known.insert(call.operation.clone());
            complete(call, stack);
            match table.needs(call) {
                Ok(needs) => requests.extend(needs.into_iter().map(|need| Request {
                    stack: stack.set.clone(),
                    role: call.caller.clone(),
                    action: need.action,
                    resource: need.resource,
                    context: need.context,
                    page: need.page,
                    why: format!("{} needs it", call.operation),
                    service: None,
                })),
                Err(problem) => problems.add(&stack.set, format!("{problem:#}"), format!("{:?}", call.fields)),
            }
        }
        for (at, entry) in services.iter().enumerate() {
            requests.extend(of_service(at, entry, stack)?);
        }
    }
    for operation in table.operations().filter(|operation| !known.contains(*operation)) {
        let problem =
            "A call in tests/permissions/actions.json is not made: remove its lines, or make it in exercise.rs";
        problems.add("all", problem.to_owned(), operation.to_owned());
    }
    // Calls differ in much that no policy sees.
    requests.sort_by(|one, other| one.key().cmp(&other.key()));
    requests.dedup_by(|one, other| one.key() == other.key());
    let answer = simulate(&requests, stacks).await?;
    compare(&requests, &answer, &services, &mut problems)?;
    Ok(problems.lines())
}

impl Request {
    fn key(&self) -> (&str, &str, &str, &str, &BTreeMap<String, String>, Option<usize>) {
        (&self.stack, &self.role, &self.action, &self.resource, &self.context, self.service)
    }
}

fn compare(requests: &[Request], answer: &Answer, services: &[Service], problems: &mut Problems) -> Result<()> {
    ensure!(
        answer.verdicts.len() == requests.len(),
        "{} verdicts on {} requests",
        answer.verdicts.len(),
        requests.len()
    );
    ensure!(answer.grants.iter().all(|grant| !grant.action.contains('*')), "an action in a policy has a wildcard");
    let (mut by_calls, mut by_services) = (BTreeSet::new(), BTreeSet::new());
    for (request, verdict) in requests.iter().zip(&answer.verdicts) {
        let Request { stack, role, action, resource, context, page, why, .. } = request;
        if !verdict.allowed {
            let problem = format!("{role} may not {action}. {why}, by {page}. Allow it in template.yaml.");
            problems.add(stack, problem, format!("{} on {resource} with {context:?}", verdict.reason));
        }
        let used = if request.service.is_some() { &mut by_services } else { &mut by_calls };
        used.extend(&verdict.grants);
    }
    for (index, grant) in answer.grants.iter().enumerate() {
        let Grant { stack, role, policy, action, resource } = grant;
        if !by_calls.contains(&index) && !by_services.contains(&index) {
            let problem = format!(
                "{role} may {action}, but no call needs it. Remove it from template.yaml or, if an AWS service uses it, add the service and its page to tests/permissions/services.json."
            );
            problems.add(stack, problem, format!("on {resource} in the policy {policy}"));
        }
    }
    // A line is needed as long as it accounts for a grant that no call uses.
    let mut needed = BTreeSet::new();
    for (request, verdict) in requests.iter().zip(&answer.verdicts) {
        if let Some(service) = request.service
            && (!verdict.allowed || !verdict.grants.is_subset(&by_calls))
        {
            needed.insert((service, request.action.as_str()));
        }
    }
    for (at, entry) in services.iter().enumerate() {
        for action in entry.actions.iter().filter(|action| !needed.contains(&(at, action.as_str()))) {
            let problem = format!("Calls exercise {action}: remove it from tests/permissions/services.json.");
            problems.add("all", problem, format!("{} {}", entry.service, entry.does));
        }
    }
    Ok(())
}

/// Adds the fields that the table needs and that follow from others.
fn complete(call: &mut Call, stack: &Deployed) {
    let fields = &mut call.fields;
    let derived: Vec<(&str, Option<String>)> = vec![
        ("secretId", fields.get("secretId").and_then(|name| stack.secrets.get(name)).cloned()),
        (
            "customersKey",
            fields
                .get("secretId")
                .filter(|secret| !stack.secrets.contains_key(*secret))
                .map(|_| CUSTOMERS_KEY.to_owned()),
        ),
        ("bucketKey", fields.get("bucket").and_then(|bucket| stack.bucket_keys.get(bucket)).cloned()),
        ("machine", fields.get("stateMachineArn").and_then(|arn| arn.rsplit(':').next()).map(str::to_owned)),
        ("project", ["ids", "id"].iter().find_map(|field| Some(fields.get(*field)?.split_once(':')?.0.to_owned()))),
    ];
    for (name, value) in derived {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    }
}

fn of_service(at: usize, entry: &Service, stack: &Deployed) -> Result<Vec<Request>> {
    let mut requests = Vec::new();
    if !entry.sets.is_empty() && !entry.sets.contains(&stack.set) {
        return Ok(requests);
    }
    for role in &entry.roles {
        let mut fields: Fields = stack.ids.clone();
        // A queue's physical id is its URL.
        fields.extend(stack.ids.iter().filter_map(|(logical, id)| {
            let (_, name) = id.strip_prefix("http")?.rsplit_once('/')?;
            Some((format!("{logical}.name"), name.to_owned()))
        }));
        fields.insert("Stack".to_owned(), stack.stack.clone());
        fields.insert("name".to_owned(), role.trim_end_matches("Role").to_lowercase());
        fields.insert("customersKey".to_owned(), CUSTOMERS_KEY.to_owned());
        fields.insert("key".to_owned(), stack.bucket_keys.values().next().cloned().unwrap_or_default());
        let fill = |text: &String| {
            filled(text, &fields).with_context(|| format!("services.json: {text} names what {} lacks", stack.stack))
        };
        let mut context = BTreeMap::new();
        for (key, value) in &entry.context {
            context.insert(key.clone(), fill(value)?);
        }
        for action in &entry.actions {
            requests.push(Request {
                stack: stack.set.clone(),
                role: role.clone(),
                action: action.clone(),
                resource: fill(&entry.resource)?,
                context: context.clone(),
                page: entry.page.clone(),
                why: format!("{} {}", entry.service, entry.does),
                service: Some(at),
            });
        }
    }
    Ok(requests)
}

/// The calls of the integrations in the stack's definitions, and of the builds that they start.
fn of_definitions(stack: &Deployed) -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    for (machine, definition) in &stack.definitions {
        let role = &stack.role_of[machine];
        for state in tasks(definition) {
            let resource = state["Resource"].as_str().context("a task without a resource")?;
            let integration =
                resource.split(":states:::").nth(1).with_context(|| format!("{resource} is not an integration"))?;
            let arguments = evaluated(&state["Arguments"]);
            let mut fields = fields_of(&arguments);
            // The stack's repositories have its tag: fetch creates them with it.
            fields.insert(format!("resourceTag:{}", tags::STACK), stack.stack.clone());
            calls.push(Call { caller: role.clone(), operation: integration.to_owned(), fields });
            if integration == "codebuild:startBuild.sync" {
                calls.extend(of_build(stack)?);
            }
        }
    }
    Ok(calls)
}

/// What a build does: CodeBuild reads the staged buildspec and runs its commands.
fn of_build(stack: &Deployed) -> Result<Vec<Call>> {
    let bucket = stack.ids.get("StagingBucket").context("there is no staging bucket")?;
    let (build, session) = (escaped::build_of(stack, "0aa1b2c3"), escaped::session_of("0aa1b2c3"));
    let call = |operation: &str, fields: &[(&str, &str)]| Call {
        caller: "BuildRole".to_owned(),
        operation: operation.to_owned(),
        fields: fields
            .iter()
            .chain(&[("build", build.as_str()), ("session", session.as_str())])
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    };
    let mut calls = vec![call("build:buildspec", &[("bucket", bucket), ("key", "buildspecs/sample.yml")])];
    let (tag, function) = (format!("resourceTag:{}", tags::STACK), format!("{}-claim", stack.stack));
    // What the commands name by the variables of the build.
    let named = [
        ("bucket", bucket.as_str()),
        ("key", "submissions/sample/submission.zip"),
        ("function", function.as_str()),
        ("repositoryName", "sample"),
        (tag.as_str(), stack.stack.as_str()),
    ];
    let buildspec = include_str!("../../buildspec.yml");
    let commands =
        buildspec.lines().map(|line| line.trim().trim_start_matches("- ")).filter(|line| !line.starts_with('#'));
    for command in commands.flat_map(|line| line.split(['|', ';', '&'])).map(str::trim) {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            ["aws", service, operation, ..] => {
                calls.push(call(&format!("build:aws {service} {operation}"), &named));
            }
            ["docker", operation @ ("push" | "pull"), ..] => {
                calls.push(call(&format!("build:docker {operation}"), &named));
            }
            _ => {}
        }
    }
    Ok(calls)
}

/// The tasks of a definition, also those in branches.
fn tasks(definition: &Value) -> Vec<&Value> {
    let mut found = Vec::new();
    for state in definition["States"].as_object().into_iter().flat_map(Map::values) {
        if state["Type"] == "Task" {
            found.push(state);
        }
        for branch in state["Branches"].as_array().into_iter().flatten() {
            found.extend(tasks(branch));
        }
    }
    found
}

/// Arguments with a sample in place of what only an execution knows: an expression keeps its texts.
fn evaluated(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix("{%").and_then(|text| text.strip_suffix("%}")) {
            Some(expression) => {
                let part = |part: &str| {
                    let part = part.trim();
                    let text = part.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
                    text.unwrap_or("sample").to_owned()
                };
                json!(expression.split('&').map(part).collect::<String>())
            }
            None => value.clone(),
        },
        Value::Array(items) => items.iter().map(evaluated).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), evaluated(value))).collect())
        }
        other => other.clone(),
    }
}
