//! A server that plays S3 and DynamoDB, as far as the function uses them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation};
use score::{Deps, Settings};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::settings::Variables;

use crate::server::{Reply, Request, Server};

/// What the services keep.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Kept {
    /// Objects by `bucket/key`.
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    /// Items of the table of submissions, by id, as DynamoDB writes them.
    pub(crate) submissions: BTreeMap<String, Value>,
    /// Items of the table of summaries, by id.
    pub(crate) summaries: BTreeMap<String, Value>,
}

/// What happens while the function waits: once, when it asks for what this names.
type Meanwhile = Option<(&'static str, Box<dyn FnOnce(&mut Kept) + Send>)>;

/// The services, and the function's clients of them.
pub(crate) struct World {
    pub(crate) kept: Arc<Mutex<Kept>>,
    meanwhile: Arc<Mutex<Meanwhile>>,
    pub(crate) server: Server,
}

impl World {
    pub(crate) async fn new() -> Self {
        let kept: Arc<Mutex<Kept>> = Arc::default();
        let meanwhile: Arc<Mutex<Meanwhile>> = Arc::default();
        let (shared, happens) = (Arc::clone(&kept), Arc::clone(&meanwhile));
        let server = Server::start(move |request, _| {
            let mut kept = shared.lock().unwrap();
            if let Some((_, change)) = happens.lock().unwrap().take_if(|(at, _)| request.line.contains(*at)) {
                change(&mut kept);
            }
            match request.header("x-amz-target") {
                Some(target) => {
                    let operation = target.rsplit_once('.').unwrap().1.to_owned();
                    kept.dynamodb(&operation, &serde_json::from_slice(&request.body).unwrap())
                }
                None => kept.s3(request),
            }
        })
        .await;
        Self { kept, meanwhile, server }
    }

    /// Changes what is kept when the function asks for what this names.
    pub(crate) fn meanwhile(&self, at: &'static str, change: impl FnOnce(&mut Kept) + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some((at, Box::new(change)));
    }

    /// The function as a new instance of it starts, without anything in memory.
    pub(crate) fn deps(&self) -> Deps {
        let variables: Variables = [
            ("STACK_NAME", "mm"),
            ("SUBMISSIONS_TABLE", "submissions"),
            ("SUMMARIES_TABLE", "summaries"),
            ("SCORING_BUCKET", "scoring"),
            ("OUTPUT_S3_BUCKET", "models"),
            ("CHALLENGE_INSTANCE_TYPES", "ml.m5.large, ml.c5.xlarge"),
        ]
        .into_iter()
        .collect();
        let s3 = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::for_tests())
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.server.url)
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .build();
        let dynamodb = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::for_tests())
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.server.url)
            .build();
        Deps::new(
            Settings::read(&variables).unwrap(),
            aws_sdk_s3::Client::from_conf(s3),
            aws_sdk_dynamodb::Client::from_conf(dynamodb),
        )
    }

    pub(crate) fn put(&self, key: &str, body: impl AsRef<[u8]>) {
        self.kept.lock().unwrap().objects.insert(key.to_owned(), body.as_ref().to_vec());
    }

    pub(crate) fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.kept.lock().unwrap().objects.get(key).cloned()
    }

    /// Registers a submission that was created this many seconds after midnight.
    pub(crate) fn register(&self, id: &str, user: &str, second: u8) {
        let item = json!({
            "submissionId": {"S": id}, "round": {"S": "r1"}, "userId": {"S": user},
            "created": {"S": format!("2026-01-01T00:00:{second:02}Z")},
        });
        self.kept.lock().unwrap().submissions.insert(id.to_owned(), item);
    }

    /// An attribute of a submission, in plain JSON.
    pub(crate) fn attribute(&self, id: &str, name: &str) -> Value {
        self.kept.lock().unwrap().submissions[id].get(name).map_or(Value::Null, plain)
    }

    pub(crate) fn snapshot(&self) -> Kept {
        self.kept.lock().unwrap().clone()
    }
}

fn plain(attribute: &Value) -> Value {
    let (kind, value) = attribute.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "N" => serde_json::from_str(value.as_str().unwrap()).unwrap(),
        "L" => value.as_array().unwrap().iter().map(plain).collect(),
        "M" => value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        "NULL" => Value::Null,
        _ => value.clone(),
    }
}

fn reply(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    Reply::Raw([head.as_bytes(), b"\r\n", body].concat())
}

fn refused(error: &str) -> Reply {
    Reply::status(400, json!({"__type": format!("com.amazonaws.dynamodb#{error}"), "message": "no"}).to_string())
}

impl Kept {
    fn s3(&mut self, request: &Request) -> Reply {
        let (method, target) = request.line.split_once(' ').unwrap();
        let key = target.split('?').next().unwrap().trim_start_matches('/').to_owned();
        let found = self.objects.get(&key);
        let etag = found.map(|body| format!("\"{}\"", hex::encode(&Sha256::digest(body)[..8])));
        let tagged = etag.as_deref().unwrap_or_default();
        match (method, found) {
            ("PUT", Some(_)) if request.header("if-none-match") == Some("*") => {
                reply(412, &[], b"<Error><Code>PreconditionFailed</Code></Error>")
            }
            ("PUT", _) => {
                self.objects.insert(key, request.body.clone());
                reply(200, &[], b"")
            }
            ("HEAD", None) => reply(404, &[], b""),
            ("GET", None) => reply(404, &[], b"<Error><Code>NoSuchKey</Code></Error>"),
            ("HEAD", Some(_)) => reply(200, &[("ETag", tagged)], b""),
            ("GET", Some(body)) => match request.header("if-match") {
                Some(wanted) if wanted != tagged => reply(412, &[], b"<Error><Code>PreconditionFailed</Code></Error>"),
                _ => reply(200, &[("ETag", tagged)], body),
            },
            _ => panic!("nobody expected {}", request.line),
        }
    }

    fn dynamodb(&mut self, operation: &str, input: &Value) -> Reply {
        let table = match input["TableName"].as_str().unwrap() {
            "submissions" => &mut self.submissions,
            "summaries" => &mut self.summaries,
            other => panic!("nobody expected the table {other}"),
        };
        let ok = |answer: Value| Reply::status(200, answer.to_string());
        match operation {
            "GetItem" => {
                assert_eq!(input["ConsistentRead"], true);
                let id = input["Key"]["submissionId"]["S"].as_str().unwrap();
                ok(table.get(id).map_or(json!({}), |item| json!({"Item": item})))
            }
            "PutItem" => {
                assert_eq!(input["ConditionExpression"], "attribute_not_exists(submissionId)");
                let id = input["Item"]["submissionId"]["S"].as_str().unwrap();
                if table.contains_key(id) {
                    return refused("ConditionalCheckFailedException");
                }
                table.insert(id.to_owned(), input["Item"].clone());
                ok(json!({}))
            }
            "Query" => {
                assert_eq!(input["ConsistentRead"], true);
                assert_eq!(input["KeyConditionExpression"], "round = :round");
                let round = &input["ExpressionAttributeValues"][":round"];
                // Two to a page.
                let after = input["ExclusiveStartKey"]["submissionId"]["S"].as_str();
                let mut items = table
                    .iter()
                    .filter(|(id, item)| &item["round"] == round && after.is_none_or(|after| id.as_str() > after));
                let page: Vec<_> = items.by_ref().take(2).collect();
                let mut answer = json!({"Items": page.iter().map(|(_, item)| item).collect::<Vec<_>>()});
                if items.next().is_some() {
                    answer["LastEvaluatedKey"] = json!({"round": round, "submissionId": {"S": page[1].0}});
                }
                ok(answer)
            }
            "UpdateItem" => {
                let id = input["Key"]["submissionId"]["S"].as_str().unwrap();
                match table.get_mut(id).filter(|item| holds(input, item)) {
                    Some(item) => {
                        update(input, item);
                        ok(json!({}))
                    }
                    None => refused("ConditionalCheckFailedException"),
                }
            }
            _ => panic!("nobody expected {operation}"),
        }
    }
}

/// Whether the condition of an update holds for an item that exists.
fn holds(input: &Value, item: &Value) -> bool {
    let condition = input["ConditionExpression"].as_str().unwrap();
    let condition = condition.strip_prefix("attribute_exists(submissionId) AND ").unwrap();
    let judgement = &item[input["ExpressionAttributeNames"]["#judgement"].as_str().unwrap()];
    match condition {
        "attribute_not_exists(#judgement)" => judgement.is_null(),
        "(attribute_not_exists(#judgement) OR #judgement.compared < :compared)" => {
            let number = |value: &Value| value["N"].as_str().unwrap().parse::<u64>().unwrap();
            judgement.is_null()
                || number(&judgement["M"]["compared"]) < number(&input["ExpressionAttributeValues"][":compared"])
        }
        other => panic!("nobody expected the condition {other}"),
    }
}

fn update(input: &Value, item: &mut Value) {
    let (set, remove) = match input["UpdateExpression"].as_str().unwrap().split_once(" REMOVE ") {
        Some((set, remove)) => (set, Some(remove)),
        None => (input["UpdateExpression"].as_str().unwrap(), None),
    };
    let name = |alias: &str| input["ExpressionAttributeNames"][alias].as_str().unwrap().to_owned();
    for assignment in set.strip_prefix("SET ").unwrap().split(", ") {
        let (alias, value) = assignment.split_once(" = ").unwrap();
        item[name(alias)] = input["ExpressionAttributeValues"][value].clone();
    }
    if let Some(alias) = remove {
        item.as_object_mut().unwrap().remove(&name(alias));
    }
}
