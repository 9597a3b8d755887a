//! What a build can do that has escaped completely: it has the credentials of its role, and may copy them.
//!
//! Every action that any role of the stack has, and further dangerous ones, are evaluated on what the build was started with, on
//! what belongs to others and on everything else, while the build runs and after it has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use domain::tags;
use local::deploy::{INPUT_BUCKET, OUTPUT_BUCKET};
use serde::Serialize;
use serde_json::{Value, json};

use crate::deployed::Deployed;
use crate::simulator::simulate;

/// Actions that no role of the stack has, and that would be worth having.
const FURTHER: [&str; 46] = [
    "cloudformation:DeleteStack",
    "cloudformation:UpdateStack",
    "codebuild:CreateProject",
    "codebuild:StartBuild",
    "codebuild:UpdateProject",
    "dynamodb:DeleteTable",
    "dynamodb:Scan",
    "ecr:BatchDeleteImage",
    "ecr:DeleteLifecyclePolicy",
    "ecr:GetDownloadUrlForLayer",
    "ecr:ListImages",
    "ecr:SetRepositoryPolicy",
    "events:DisableRule",
    "events:PutEvents",
    "iam:AttachRolePolicy",
    "iam:CreateAccessKey",
    "iam:PassRole",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
    "kms:CreateGrant",
    "kms:PutKeyPolicy",
    "lambda:AddPermission",
    "lambda:GetFunction",
    "lambda:UpdateFunctionCode",
    "lambda:UpdateFunctionConfiguration",
    "logs:DeleteLogGroup",
    "logs:DeleteLogStream",
    "logs:FilterLogEvents",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:GetObjectVersion",
    "s3:ListBucketVersions",
    "s3:PutBucketPolicy",
    "s3:PutLifecycleConfiguration",
    "s3:PutObjectTagging",
    "sagemaker:CreateTrainingJob",
    "secretsmanager:PutSecretValue",
    "sqs:PurgeQueue",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
    "ssm:GetParametersByPath",
    "ssm:PutParameter",
    "states:GetExecutionHistory",
    "states:RedriveExecution",
    "states:UpdateStateMachine",
    "sts:AssumeRole",
];

/// As above, without a resource.
const FURTHER_WITHOUT_RESOURCE: [&str; 3] = ["ec2:DescribeInstances", "s3:ListAllMyBuckets", "states:SendTaskSuccess"];

/// The name of a role that may do anything.
const ANYTHING: &str = "Anything";

const BEGIN: &str = "<!-- By `make escaped-build`: -->\n";
const END: &str = "<!-- up to here -->\n";

/// The ARN of a build of the stack.
pub(crate) fn build_of(stack: &Deployed, uuid: &str) -> String {
    format!("arn:aws:codebuild:us-east-1:000000000000:build/{}-build:{uuid}", stack.stack)
}

/// The session of a build, as `aws:userid` has it.
pub(crate) fn session_of(uuid: &str) -> String {
    format!("AROAEXAMPLEOFTHEBUILD:AWSCodeBuild-{uuid}")
}

/// One line of the list.
struct Thing {
    what: &'static str,
    resources: Vec<String>,
    /// Condition keys that the request or the resource has while the build runs, and after it has ended.
    context: [BTreeMap<String, String>; 2],
}

#[derive(Serialize)]
struct Request {
    stack: String,
    role: &'static str,
    action: String,
    resource: String,
    context: BTreeMap<String, String>,
}

/// The things of a stack. `own` is the UUID of the escaped build.
#[allow(clippy::too_many_lines, reason = "it is a list, and reads best as one")]
fn things(stack: &Deployed, own: &str) -> Result<Vec<Thing>> {
    let id = |logical: &str| stack.ids.get(logical).cloned().with_context(|| format!("there is no {logical}"));
    let (staging, scoring, name) = (id("StagingBucket")?, id("ScoringBucket")?, &stack.stack);
    let s3 = |bucket: &str, key: &str| format!("arn:aws:s3:::{bucket}/{key}");
    let bucket = |bucket: &str| format!("arn:aws:s3:::{bucket}");
    let of = |service: &str, rest: &str| format!("arn:aws:{service}:us-east-1:000000000000:{rest}");
    let context = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let stack_tag = format!("aws:ResourceTag/{}", tags::STACK);
    let (of_stack, other) = ([(stack_tag.as_str(), name.as_str())], "4dd5e6f7");
    // The tags of what a build has claimed.
    let claimed = |condition: &str, uuid: Option<&str>| {
        let tags = |uuid| [(tags::BUILD, build_of(stack, uuid)), (tags::BUILD_SESSION, session_of(uuid))];
        let tags = uuid.map(tags).into_iter().flatten();
        tags.map(|(key, value)| (format!("{condition}/{key}"), value)).collect::<BTreeMap<_, _>>()
    };
    let repository = |uuid: Option<&str>| {
        let mut context = context(&of_stack);
        context.extend(claimed("aws:ResourceTag", uuid));
        context
    };
    let archive = |uuid: Option<&str>| claimed("s3:ExistingObjectTag", uuid);
    let functions = ["intake", "fetch", "diagnose", "report", "score", "submit"];
    let always = |what, resources, context: BTreeMap<String, String>| Thing {
        what,
        resources,
        context: [context.clone(), context],
    };
    let plain = |what, resources| always(what, resources, BTreeMap::new());
    let mut things = vec![
        Thing {
            what: "its own archive",
            resources: vec![s3(&staging, "submissions/own/submission.zip")],
            context: [archive(Some(own)), archive(None)],
        },
        Thing {
            what: "its own repository",
            resources: vec![of("ecr", "repository/own")],
            context: [repository(Some(own)), repository(None)],
        },
        plain("the function `claim`", vec![of("lambda", &format!("function:{name}-claim"))]),
        plain("buildspecs, which are public", vec![s3(&staging, "buildspecs/sample.yml")]),
        plain("the bucket of archives itself", vec![bucket(&staging)]),
        plain(
            "the logs of all builds",
            ["", ":*", ":log-stream:other"]
                .map(|rest| of("logs", &format!("log-group:/aws/codebuild/{name}-build{rest}")))
                .into(),
        ),
        plain("what has no resource", vec!["*".to_owned()]),
        always(
            "an archive that another running build has",
            vec![s3(&staging, "submissions/other/submission.zip")],
            archive(Some(other)),
        ),
        plain("any other archive", vec![s3(&staging, "submissions/other/submission.zip")]),
        always(
            "a repository that another running build has",
            vec![of("ecr", "repository/other")],
            repository(Some(other)),
        ),
        always("any other repository of the stack", vec![of("ecr", "repository/other")], repository(None)),
        plain("repositories of others", vec![of("ecr", "repository/foreign")]),
        plain(
            "models and outcomes",
            vec![
                s3(OUTPUT_BUCKET, "other/other-0-1/output/model.tar.gz"),
                s3(OUTPUT_BUCKET, "other/outcome.json"),
                s3(OUTPUT_BUCKET, "own/own-0-1/output/model.tar.gz"),
            ],
        ),
        plain("training data", vec![s3(INPUT_BUCKET, "training/sample.csv")]),
        plain(
            "hidden truth, predictions and their values",
            ["datasets/sample/truth.csv", "predictions/sample/other.csv", "scored/sample/other"]
                .map(|key| s3(&scoring, key))
                .into(),
        ),
        plain(
            "quarantined records, and the position of the sweeps",
            vec![s3(&staging, "quarantine/sample.json"), s3(&staging, "sweep/position.json")],
        ),
        plain("the other buckets themselves", [INPUT_BUCKET, OUTPUT_BUCKET, &scoring].map(bucket).into()),
        plain(
            "secrets",
            stack.secrets.values().cloned().chain([of("secretsmanager", "secret:auth0-a1b2c3")]).collect(),
        ),
        plain(
            "tables",
            ["SubmissionsTable", "SummariesTable"]
                .into_iter()
                .map(|table| Ok(of("dynamodb", &format!("table/{}", id(table)?))))
                .collect::<Result<_>>()?,
        ),
        plain("settings of challenges", vec![of("ssm", &format!("parameter/{name}/challenges/sample"))]),
        plain(
            "the other functions",
            functions.map(|function| of("lambda", &format!("function:{name}-{function}"))).into(),
        ),
        plain(
            "state machines and executions",
            ["processing", "scoring"]
                .into_iter()
                .flat_map(|machine| {
                    ["stateMachine", "execution"].map(|kind| {
                        let rest = if kind == "execution" { ":other" } else { "" };
                        of("states", &format!("{kind}:{name}-{machine}{rest}"))
                    })
                })
                .collect(),
        ),
        plain("the build project", vec![of("codebuild", &format!("project/{name}-build"))]),
        always("training jobs", vec![of("sagemaker", "training-job/other-0-1")], context(&of_stack)),
        plain(
            "logs of functions and of training",
            functions
                .map(|function| format!("/aws/lambda/{name}-{function}"))
                .into_iter()
                .chain(["/aws/sagemaker/TrainingJobs".to_owned()])
                .flat_map(|group| {
                    ["", ":*", ":log-stream:x"].map(|rest| of("logs", &format!("log-group:{group}{rest}")))
                })
                .collect(),
        ),
        plain(
            "the queue and the rules",
            vec![
                of("sqs", id("DeadLetters")?.rsplit('/').next().unwrap_or_default()),
                of("events", &format!("rule/{}", id("BuildEndedRule")?)),
                of("events", "event-bus/default"),
            ],
        ),
        plain(
            "roles, users and the stack",
            stack
                .policies
                .keys()
                .map(|role| Ok(format!("arn:aws:iam::000000000000:role/{}", id(role)?)))
                .chain([Ok("arn:aws:iam::000000000000:user/operator".to_owned())])
                .chain([Ok(of("cloudformation", &format!("stack/{name}/01234567-89ab-cdef-0123-456789abcdef")))])
                .collect::<Result<_>>()?,
        ),
    ];
    if let Some(key) = stack.bucket_keys.values().next() {
        let through_s3 = context(&[("kms:ViaService", "s3.us-east-1.amazonaws.com")]);
        things.push(always("the key `KmsKeyArn`, by what it may read in S3", vec![key.clone()], through_s3));
        things.push(plain("the key `KmsKeyArn`, directly", vec![key.clone()]));
    }
    Ok(things)
}

/// Every action that a role of the stack has, with the resources, and the further ones.
fn actions(stack: &Deployed) -> BTreeMap<String, BTreeSet<String>> {
    let texts = |value: &Value| -> Vec<String> {
        let several = value.as_array().map_or_else(|| vec![value], |values| values.iter().collect());
        several.into_iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut actions: BTreeMap<String, BTreeSet<String>> =
        FURTHER.iter().map(|action| ((*action).to_owned(), BTreeSet::new())).collect();
    actions
        .extend(FURTHER_WITHOUT_RESOURCE.iter().map(|action| ((*action).to_owned(), BTreeSet::from(["*".to_owned()]))));
    for policy in stack.policies.values().flat_map(|policies| policies.as_array().into_iter().flatten()) {
        for statement in policy["document"]["Statement"].as_array().into_iter().flatten() {
            for action in texts(&statement["Action"]) {
                actions.entry(action).or_default().extend(texts(&statement["Resource"]));
            }
        }
    }
    actions
}

/// Whether the action can be of the resource's service; without a resource, whether a role has the action without one.
fn suits(action: &str, granted_on: &BTreeSet<String>, resource: &str) -> bool {
    let service = action.split(':').next().unwrap_or_default();
    match resource.split(':').nth(2) {
        None => granted_on.contains(resource),
        Some("iam") => matches!(service, "iam" | "sts"),
        Some(of_resource) => service == of_resource,
    }
}

/// The list, as a table. A right that a stack of any of these parameters gives is in it.
pub(crate) async fn list(stacks: &[Deployed]) -> Result<String> {
    let mut requests = Vec::new();
    let mut lines: Vec<(&str, [BTreeSet<String>; 2])> = Vec::new();
    let mut places = Vec::new();
    for stack in stacks {
        let own = "0aa1b2c3";
        let actions = actions(stack);
        for thing in things(stack, own)? {
            let line = lines.iter().position(|(what, _)| *what == thing.what).unwrap_or_else(|| {
                lines.push((thing.what, Default::default()));
                lines.len() - 1
            });
            for (time, context) in thing.context.iter().enumerate() {
                let mut context = context.clone();
                // Of copied credentials as well.
                context.insert("codebuild:buildArn".to_owned(), build_of(stack, own));
                context.insert("aws:userid".to_owned(), session_of(own));
                for resource in &thing.resources {
                    for (action, _) in actions.iter().filter(|(action, on)| suits(action, on, resource)) {
                        for role in ["BuildRole", ANYTHING] {
                            places.push((line, time));
                            requests.push(Request {
                                stack: stack.set.clone(),
                                role,
                                action: action.clone(),
                                resource: resource.clone(),
                                context: context.clone(),
                            });
                        }
                    }
                }
            }
        }
    }
    let answer = simulate(&requests, &stacks.iter().map(with_anything).collect::<Vec<_>>()).await?;
    ensure!(answer.verdicts.len() == requests.len(), "{} verdicts on {}", answer.verdicts.len(), requests.len());
    let (mut possible, mut has_possible) = (BTreeSet::new(), BTreeSet::new());
    for ((request, verdict), (line, time)) in requests.iter().zip(&answer.verdicts).zip(places) {
        if verdict.allowed && request.role == ANYTHING {
            has_possible.insert((line, time));
            possible.insert(request.action.as_str());
        } else if verdict.allowed {
            lines[line].1[time].insert(request.action.clone());
        }
    }
    for (line, (what, _)) in lines.iter().enumerate() {
        ensure!([0, 1].iter().all(|time| has_possible.contains(&(line, *time))), "nothing is possible on {what}");
    }
    let never: BTreeSet<&str> =
        requests.iter().map(|request| request.action.as_str()).filter(|action| !possible.contains(action)).collect();
    ensure!(never.is_empty(), "these actions are possible on nothing in the list: {never:?}");
    // What it can do comes first.
    lines.sort_by_key(|(_, times)| times.iter().all(BTreeSet::is_empty));
    let cell = |actions: &BTreeSet<String>| {
        if actions.is_empty() {
            "–".to_owned()
        } else {
            actions.iter().map(|action| format!("`{action}`")).collect::<Vec<_>>().join(", ")
        }
    };
    let line = |(what, [running, ended]): &(&str, [BTreeSet<String>; 2])| {
        format!("| {what} | {} | {} |", cell(running), cell(ended))
    };
    let mut table = vec![
        format!("Of {} actions, on everything below, these are allowed:", possible.len()),
        String::new(),
        "| on | while the build runs | after it has ended, with copied credentials |".to_owned(),
        "|---|---|---|".to_owned(),
    ];
    table.extend(lines.iter().map(line));
    Ok(table.join("\n"))
}

/// The stack with a role that may do anything, which shows that what the build may not do is possible.
fn with_anything(stack: &Deployed) -> Deployed {
    let document = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let mut stack = stack.clone();
    stack.policies.insert(ANYTHING.to_owned(), json!([{"name": "anything", "document": document}]));
    stack
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../THREATS.md")
}

/// The page before the list, the list, and the page after it.
fn parts(page: &str) -> Result<[&str; 3]> {
    let (before, rest) = page.split_once(BEGIN).context("THREATS.md has no place for the list")?;
    let (list, after) = rest.split_once(END).context("THREATS.md has no end of the list")?;
    Ok([before, list, after])
}

/// That THREATS.md has another list, if it has.
pub(crate) fn problem(list: &str) -> Result<Option<String>> {
    let page = std::fs::read_to_string(page())?;
    let [_, written, _] = parts(&page)?;
    let problem =
        "THREATS.md does not say what an escaped build can do: run make escaped-build, and read what changed.";
    Ok((written.trim() != list.trim()).then(|| format!("{problem} Now:\n{list}")))
}

pub(crate) fn write(list: &str) -> Result<()> {
    let text = std::fs::read_to_string(page())?;
    let [before, _, after] = parts(&text)?;
    Ok(std::fs::write(page(), format!("{before}{BEGIN}\n{list}\n{END}{after}"))?)
}
