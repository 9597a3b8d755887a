//! A server that plays those parts of S3 and DynamoDB that the function uses.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use runtime::settings::Variables;
use score::{Deps, Settings};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testing::aws::sending_to;
use testing::server::{Reply, Request, Server};

/// The content of the services.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Content {
    /// Objects by `bucket/key`.
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    /// Items of the table of submissions by id, in DynamoDB's JSON.
    pub(crate) submissions: BTreeMap<String, Value>,
    /// Items of the table of summaries by id.
    pub(crate) summaries: BTreeMap<String, Value>,
    /// The bytes of a page of a query, and how many units of reading the requests took.
    pub(crate) page_bytes: Option<usize>,
    pub(crate) read_units: usize,
}

/// A change of the content at the first request that contains these texts, before it is answered.
type Meanwhile = Option<(Vec<&'static str>, Box<dyn FnOnce(&mut Content) + Send>)>;

/// The services, and the function's clients of them.
pub(crate) struct World {
    pub(crate) content: Arc<Mutex<Content>>,
    meanwhile: Arc<Mutex<Meanwhile>>,
    pub(crate) server: Server,
}

impl World {
    pub(crate) async fn new() -> Self {
        let content: Arc<Mutex<Content>> = Arc::default();
        let meanwhile: Arc<Mutex<Meanwhile>> = Arc::default();
        let (shared, happens) = (Arc::clone(&content), Arc::clone(&meanwhile));
        let server = Server::start(move |request, _| {
            let mut content = shared.lock().unwrap();
            let operation = request.header("x-amz-target").map(|target| target.rsplit_once('.').unwrap().1.to_owned());
            let text = match &operation {
                Some(operation) => format!("{operation} {}", String::from_utf8_lossy(&request.body)),
                None => request.line.clone(),
            };
            let happens = happens.lock().unwrap().take_if(|(at, _)| at.iter().all(|part| text.contains(part)));
            if let Some((_, change)) = happens {
                change(&mut content);
            }
            match operation {
                Some(operation) => content.dynamodb(&operation, &serde_json::from_slice(&request.body).unwrap()),
                None => content.s3(request),
            }
        })
        .await;
        Self { content, meanwhile, server }
    }

    /// Changes the content at the first request that contains these texts, before it is answered. A request to DynamoDB is its
    /// operation and its body.
    pub(crate) fn meanwhile(&self, at: &[&'static str], change: impl FnOnce(&mut Content) + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some((at.to_vec(), Box::new(change)));
    }

    /// A new instance of the function, with nothing in memory.
    pub(crate) fn deps(&self) -> Deps {
        self.deps_with_segments_of("2048")
    }

    pub(crate) fn deps_with_segments_of(&self, count: &str) -> Deps {
        let variables: Variables = [
            ("STACK_NAME", "mm"),
            ("SUBMISSIONS_TABLE", "submissions"),
            ("SUMMARIES_TABLE", "summaries"),
            ("SUMMARIES_PER_SEGMENT", count),
            ("SCORING_BUCKET", "scoring"),
            ("OUTPUT_S3_BUCKET", "models"),
            ("CHALLENGE_INSTANCE_TYPES", "ml.m5.large, ml.c5.xlarge"),
        ]
        .into_iter()
        .collect();
        Deps::new(Settings::read(&variables).unwrap(), &sending_to(&self.server.url))
    }

    pub(crate) fn put(&self, key: &str, body: impl AsRef<[u8]>) {
        self.content.lock().unwrap().objects.insert(key.to_owned(), body.as_ref().to_vec());
    }

    pub(crate) fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.content.lock().unwrap().objects.get(key).cloned()
    }

    /// Registers a submission that was created this many seconds after midnight.
    pub(crate) fn register(&self, id: &str, user: &str, second: u8) {
        let item = json!({
            "submissionId": {"S": id}, "challengeId": {"S": "r1"}, "userId": {"S": user},
            "created": {"S": format!("2026-01-01T00:00:{second:02}Z")},
        });
        self.content.lock().unwrap().submissions.insert(id.to_owned(), item);
    }

    /// An attribute of a submission in plain JSON.
    pub(crate) fn attribute(&self, id: &str, name: &str) -> Value {
        self.content.lock().unwrap().submissions[id].get(name).map_or(Value::Null, plain)
    }

    pub(crate) fn snapshot(&self) -> Content {
        Content { read_units: 0, ..self.content.lock().unwrap().clone() }
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

impl Content {
    fn s3(&mut self, request: &Request) -> Reply {
        let (method, target) = request.line.split_once(' ').unwrap();
        if let Some((_, query)) = target.split_once("?list-type=2&") {
            let prefix = query.split('&').find_map(|part| part.strip_prefix("prefix=")).unwrap().replace("%2F", "/");
            let mut keys = self.objects.keys().filter_map(|key| key.strip_prefix("scoring/"));
            let found =
                keys.find(|key| key.starts_with(&prefix)).map(|key| format!("<Contents><Key>{key}</Key></Contents>"));
            let answer = format!("<ListBucketResult>{}</ListBucketResult>", found.unwrap_or_default());
            return reply(200, &[], answer.as_bytes());
        }
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
            _ => panic!("unexpected: {}", request.line),
        }
    }

    fn dynamodb(&mut self, operation: &str, input: &Value) -> Reply {
        let table = match input["TableName"].as_str().unwrap() {
            "submissions" => &mut self.submissions,
            "summaries" => &mut self.summaries,
            other => panic!("unexpected table {other}"),
        };
        let ok = |answer: Value| Reply::status(200, answer.to_string());
        match operation {
            "GetItem" => {
                assert_eq!(input["ConsistentRead"], true);
                let id = input["Key"]["submissionId"]["S"].as_str().unwrap();
                self.read_units += table.get(id).map_or(1, |item| size(item).div_ceil(UNIT));
                ok(table.get(id).map_or(json!({}), |item| json!({"Item": item})))
            }
            "DeleteItem" => {
                assert_eq!(input["ConditionExpression"], "packed = :before");
                let id = input["Key"]["submissionId"]["S"].as_str().unwrap();
                let before = &input["ExpressionAttributeValues"][":before"];
                if table.get(id).is_none_or(|item| item["packed"] != *before) {
                    return refused("ConditionalCheckFailedException");
                }
                table.remove(id);
                ok(json!({}))
            }
            "PutItem" => {
                let id = input["Item"]["submissionId"]["S"].as_str().unwrap();
                let before = &input["ExpressionAttributeValues"][":before"];
                let holds = match input["ConditionExpression"].as_str().unwrap() {
                    "attribute_not_exists(submissionId)" => !table.contains_key(id),
                    "packed = :before" => table.get(id).is_some_and(|item| item["packed"] == *before),
                    "revision = :before" => table.get(id).is_some_and(|item| item["revision"] == *before),
                    other => panic!("unexpected condition {other}"),
                };
                if !holds {
                    return refused("ConditionalCheckFailedException");
                }
                table.insert(id.to_owned(), input["Item"].clone());
                ok(json!({}))
            }
            "Query" => {
                assert_eq!(input["ConsistentRead"], true);
                assert_eq!(input["KeyConditionExpression"], "challengeId = :challengeId AND submissionId < :index");
                let challenge = &input["ExpressionAttributeValues"][":challengeId"];
                let end = input["ExpressionAttributeValues"][":index"]["S"].as_str().unwrap();
                let after = input["ExclusiveStartKey"]["submissionId"]["S"].as_str();
                let mut items = table.iter().filter(|(id, item)| {
                    let id = id.as_str();
                    &item["challengeId"] == challenge && id < end && after.is_none_or(|after| id > after)
                });
                let mut page = Vec::new();
                let mut bytes = 0;
                let mut last = Value::Null;
                for (id, item) in items.by_ref() {
                    page.push(item);
                    bytes += size(item);
                    // Two items, unless pages have a size.
                    if self.page_bytes.map_or(page.len() == 2, |limit| bytes >= limit) {
                        last = json!({"challengeId": challenge, "submissionId": {"S": id}});
                        break;
                    }
                }
                self.read_units += bytes.div_ceil(UNIT).max(1);
                let mut answer = json!({"Items": page});
                if items.next().is_some() {
                    answer["LastEvaluatedKey"] = last;
                }
                ok(answer)
            }
            "UpdateItem" => {
                let id = input["Key"]["submissionId"]["S"].as_str().unwrap();
                match table.get_mut(id).filter(|item| holds(input, item)) {
                    Some(item) => {
                        update(input, item);
                        assert_eq!(input["ReturnValues"], "ALL_NEW");
                        ok(json!({"Attributes": item}))
                    }
                    None => refused("ConditionalCheckFailedException"),
                }
            }
            _ => panic!("unexpected operation {operation}"),
        }
    }
}

/// A consistent read of so many bytes takes one unit.
const UNIT: usize = 4096;

/// The size of an item, by <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>.
fn size(item: &Value) -> usize {
    fn of(value: &Value) -> usize {
        let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
        match kind.as_str() {
            "S" => value.as_str().unwrap().len(),
            "B" => value.as_str().unwrap().len() / 4 * 3,
            "N" => value.as_str().unwrap().len() / 2 + 2,
            "L" => 3 + value.as_array().unwrap().iter().map(|value| 1 + of(value)).sum::<usize>(),
            "M" => 3 + value.as_object().unwrap().iter().map(|(name, value)| 1 + name.len() + of(value)).sum::<usize>(),
            _ => 1,
        }
    }
    item.as_object().unwrap().iter().map(|(name, value)| name.len() + of(value)).sum()
}

/// Whether the condition of an update holds for an existing item.
fn holds(input: &Value, item: &Value) -> bool {
    let condition = input["ConditionExpression"].as_str().unwrap();
    if condition == "originality.original = :yes AND concordance.concordant = :yes AND attribute_exists(metric)" {
        let yes = json!({"BOOL": true});
        let is_yes = |result: &str, word: &str| item[result]["M"][word] == yes;
        return is_yes("originality", "original") && is_yes("concordance", "concordant") && !item["metric"].is_null();
    }
    let condition = condition.strip_prefix("attribute_exists(submissionId) AND ").unwrap();
    let result = &item[input["ExpressionAttributeNames"]["#result"].as_str().unwrap()];
    match condition {
        "attribute_not_exists(#result)" => result.is_null(),
        "#result.compared = :compared" => result["M"]["compared"] == input["ExpressionAttributeValues"][":compared"],
        other => panic!("unexpected condition {other}"),
    }
}

fn update(input: &Value, item: &mut Value) {
    let (set, remove) = match input["UpdateExpression"].as_str().unwrap().split_once(" REMOVE ") {
        Some((set, remove)) => (set, Some(remove)),
        None => (input["UpdateExpression"].as_str().unwrap(), None),
    };
    let name = |name: &str| {
        if name.starts_with('#') {
            input["ExpressionAttributeNames"][name].as_str().unwrap().to_owned()
        } else {
            name.to_owned()
        }
    };
    for assignment in set.strip_prefix("SET ").unwrap().split(", ") {
        let (attribute, value) = assignment.split_once(" = ").unwrap();
        item[name(attribute)] = input["ExpressionAttributeValues"][value].clone();
    }
    for attribute in remove.into_iter().flat_map(|names| names.split(", ")) {
        item.as_object_mut().unwrap().remove(&name(attribute));
    }
}
