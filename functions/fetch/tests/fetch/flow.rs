//! From an event to an answer, and every way to fail in between.

use aws_smithy_http_client::test_util::StaticReplayClient;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use fetch::settings::Settings;
use fetch::{Deps, handle};
use serde_json::{Value, json};
use shared::settings::Variables;
use shared::{Failure, FailureCode};

use crate::aws::{calls, config, error, json as answer_json, replay};
use crate::server::{Reply, Server};
use crate::zips::{Entry, Zip, dockerfile};

const ID: &str = "-kJ-nOos4KQaL3";
const SAFE_ID: &str = "x2d6b4a2d6e4f6f73344b51614c33";
const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:auth0";
const URI: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com/x2d6b4a2d6e4f6f73344b51614c33";

/// The function with everything around it.
struct World {
    api: Server,
    secrets: StaticReplayClient,
    s3: StaticReplayClient,
    ecr: StaticReplayClient,
    deps: Deps,
}

type Answer = (u16, Vec<(&'static str, &'static str)>, String);

fn secret() -> Answer {
    answer_json(&json!({"ARN": ARN, "SecretString": r#"{"AUTH0_CLIENT_ID":"me","AUTH0_CLIENT_SECRET":"hunter2"}"#}))
}

fn written(version: &'static str) -> Answer {
    (200, vec![("x-amz-version-id", version)], String::new())
}

fn created() -> Answer {
    answer_json(&json!({"repository": {"repositoryName": SAFE_ID, "repositoryUri": URI}}))
}

fn policy() -> Answer {
    answer_json(&json!({"repositoryName": SAFE_ID}))
}

impl World {
    async fn new(
        download: impl Fn(usize) -> Reply + Send + Sync + 'static,
        s3: impl IntoIterator<Item = Answer>,
        ecr: impl IntoIterator<Item = Answer>,
    ) -> Self {
        Self::with(download, [secret()], s3, ecr).await
    }

    async fn with(
        download: impl Fn(usize) -> Reply + Send + Sync + 'static,
        secrets: impl IntoIterator<Item = Answer>,
        s3: impl IntoIterator<Item = Answer>,
        ecr: impl IntoIterator<Item = Answer>,
    ) -> Self {
        let downloads = std::sync::atomic::AtomicUsize::new(0);
        let api = Server::start(move |request, _| match request.line.as_str() {
            "POST /token" => Reply::status(200, r#"{"access_token":"token","expires_in":3600}"#),
            "GET /submissions/-kJ-nOos4KQaL3" => {
                Reply::status(200, r#"{"id":"-kJ-nOos4KQaL3","challengeId":30049360,"memberId":8547899,"created":"2026-01-01T00:00:00.000Z"}"#)
            }
            "GET /submissions/-kJ-nOos4KQaL3/download" => {
                download(downloads.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
            }
            _ => Reply::status(404, ""),
        })
        .await;
        let (secrets, s3, ecr) = (replay(secrets), replay(s3), replay(ecr));
        let settings = Settings::read(&Variables::from_iter([
            ("STACK_NAME", "mm"),
            ("STAGING_BUCKET", "staging"),
            ("AUTH0_SECRET_ARN", ARN),
            ("IMAGE_RETENTION_DAYS", "30"),
            ("MAX_ARCHIVE_BYTES", "100000"),
            ("SUBMISSION_API_URL", &api.url),
            ("AUTH0_URL", &format!("{}/token", api.url)),
            ("AUTH0_AUDIENCE", "audience"),
        ]));
        let deps = Deps::new(
            settings.unwrap(),
            aws_sdk_secretsmanager::Client::new(&config(secrets.clone())),
            aws_sdk_s3::Client::new(&config(s3.clone())),
            aws_sdk_ecr::Client::new(&config(ecr.clone())),
        );
        Self { api, secrets, s3, ecr, deps }
    }

    async fn handle(&self) -> Result<Value, Failure> {
        handle(json!({"submissionId": ID}), &self.deps).await.map(|fetched| serde_json::to_value(fetched).unwrap())
    }
}

fn archive() -> Vec<u8> {
    Zip::of([dockerfile(), Entry::new("train.py", "print()")]).pack()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).into()
}

fn without_length(body: &[u8]) -> Reply {
    Reply::Raw([&b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"[..], body].concat())
}

#[tokio::test]
async fn a_submission_is_verified_staged_and_given_a_repository() {
    let s3 = [written("v1"), written("v2")];
    let world = World::new(|_| Reply::status(200, archive()), s3, [created(), policy()]).await;
    let digest = sha256(&archive());
    assert_eq!(
        world.handle().await.unwrap(),
        json!({
            "submissionId": ID, "safeId": SAFE_ID, "challengeId": "30049360", "memberId": "8547899", "created": "2026-01-01T00:00:00Z",
            "archive": {"bucket": "staging", "key": format!("submissions/{SAFE_ID}/submission.zip"), "versionId": "v1",
                "sha256": hex::encode(digest), "bytes": archive().len()},
            "buildspec": {"bucket": "staging", "key": format!("submissions/{SAFE_ID}/buildspec.yml")},
            "buildContext": ".", "repository": {"name": SAFE_ID, "uri": URI},
        })
    );

    assert_eq!(calls(&world.secrets), [("GetSecretValue".to_owned(), json!({"SecretId": ARN}))]);

    let [zip, buildspec] = world.s3.actual_requests().collect::<Vec<_>>().try_into().unwrap();
    let url = format!("https://staging.s3.us-east-1.amazonaws.com/submissions/{SAFE_ID}");
    assert_eq!((zip.method(), zip.uri()), ("PUT", format!("{url}/submission.zip?x-id=PutObject").as_str()));
    for (header, value) in [
        ("content-type", "application/zip"),
        ("content-length", archive().len().to_string().as_str()),
        ("x-amz-checksum-sha256", &BASE64_STANDARD.encode(digest)),
        ("x-amz-meta-sha256", &hex::encode(digest)),
        ("x-amz-meta-submission-id", ID),
    ] {
        assert_eq!(zip.headers().get(header), Some(value), "{header}");
    }
    assert_eq!((buildspec.method(), buildspec.uri()), ("PUT", format!("{url}/buildspec.yml?x-id=PutObject").as_str()));
    assert_eq!(buildspec.headers().get("content-type"), Some("application/yaml"));

    let policy = json!({"rules": [
        {"rulePriority": 1, "action": {"type": "expire"}, "selection":
            {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1}},
        {"rulePriority": 2, "action": {"type": "expire"}, "selection":
            {"tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 30}},
    ]});
    let [create, put_policy] = calls(&world.ecr).try_into().unwrap();
    assert_eq!(
        create,
        (
            "CreateRepository".to_owned(),
            json!({
                "repositoryName": SAFE_ID, "imageTagMutability": "MUTABLE",
                "imageScanningConfiguration": {"scanOnPush": true},
                "tags": [{"Key": "marathon-match:stack", "Value": "mm"}, {"Key": "marathon-match:submission", "Value": ID}],
            })
        )
    );
    assert_eq!(put_policy.0, "PutLifecyclePolicy");
    assert_eq!(put_policy.1["repositoryName"], SAFE_ID);
    let text = put_policy.1["lifecyclePolicyText"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), policy);
}

#[tokio::test]
async fn the_same_event_twice_gives_the_same_answer() {
    let s3 = [written("v1"), written("v2"), written("v1"), written("v2")];
    let found = answer_json(&json!({"repositories": [{"repositoryName": SAFE_ID, "repositoryUri": URI}]}));
    let ecr = [created(), policy(), error("RepositoryAlreadyExistsException"), found, policy()];
    let world = World::new(|_| Reply::status(200, archive()), s3, ecr).await;
    assert_eq!(world.handle().await.unwrap(), world.handle().await.unwrap());
    let describe = &calls(&world.ecr)[3];
    assert_eq!(*describe, ("DescribeRepositories".to_owned(), json!({"repositoryNames": [SAFE_ID]})));
    // The secret and the token are kept.
    assert_eq!((calls(&world.secrets).len(), world.api.count("POST /token")), (1, 1));
}

#[tokio::test]
async fn a_refused_archive_leaves_nothing_behind() {
    for (entries, code) in [
        (vec![dockerfile(), Entry::new("../x", "")], FailureCode::ArchiveUnsafe),
        (vec![Entry::new("x", "")], FailureCode::DockerfileMissing),
        (vec![dockerfile(), Entry::new("x", vec![0; 200_000])], FailureCode::ArchiveTooLarge),
    ] {
        let archive = Zip::of(entries).pack();
        let world = World::new(move |_| Reply::status(200, archive.clone()), [], []).await;
        assert_eq!(world.handle().await.unwrap_err().code, code);
        assert_eq!((world.s3.actual_requests().count(), world.ecr.actual_requests().count()), (0, 0));
    }
}

#[tokio::test]
async fn an_unversioned_bucket_is_the_operators_fault() {
    for headers in [vec![], vec![("x-amz-version-id", "null")]] {
        let s3 = [(200, headers, String::new())];
        let world = World::new(|_| Reply::status(200, archive()), s3, [created(), policy()]).await;
        let failure = world.handle().await.unwrap_err();
        assert_eq!(failure.code, FailureCode::Internal);
        assert_eq!(failure.message, "The bucket staging keeps no versions. Turn its versioning on.");
    }
}

#[tokio::test]
async fn what_aws_refuses_is_internal_and_names_the_resource() {
    let denied = || (403, vec![], "<Error><Code>AccessDenied</Code></Error>".to_owned());
    for (secrets, s3, ecr, says) in [
        (vec![error("AccessDeniedException")], vec![], vec![], ARN),
        (vec![answer_json(&json!({"SecretString": "hunter2"}))], vec![], vec![], "AUTH0_CLIENT_SECRET"),
        (vec![secret()], vec![denied()], vec![created(), policy()], "submission.zip"),
        (vec![secret()], vec![written("v1"), denied()], vec![created(), policy()], "buildspec.yml"),
        (vec![secret()], vec![written("v1"), written("v2")], vec![error("LimitExceededException")], "CreateRepository"),
        (
            vec![secret()],
            vec![written("v1"), written("v2")],
            vec![created(), error("AccessDeniedException")],
            "PutLifecyclePolicy",
        ),
    ] {
        let world = World::with(|_| Reply::status(200, archive()), secrets, s3, ecr).await;
        let failure = world.handle().await.unwrap_err();
        assert_eq!(failure.code, FailureCode::Internal);
        assert!(failure.message.contains(says) && !failure.message.contains("hunter2"), "{}", failure.message);
    }
}

#[tokio::test]
async fn refused_credentials_are_read_again_by_the_next_attempt() {
    let refuse_once = |nth| if nth < 2 { Reply::status(403, "{}") } else { Reply::status(200, archive()) };
    let s3 = [written("v1"), written("v2")];
    let world = World::with(refuse_once, [secret(), secret()], s3, [created(), policy()]).await;
    assert_eq!(world.handle().await.unwrap_err().code, FailureCode::SubmissionApiDenied);
    world.handle().await.unwrap();
    assert_eq!(calls(&world.secrets).len(), 2);
}

#[tokio::test]
async fn an_archive_that_ends_too_soon_is_fetched_again_if_its_length_was_not_announced() {
    let half = || archive()[..60].to_vec();
    let s3 = || [written("v1"), written("v2")];
    let recovering = |nth| without_length(&archive()[..if nth == 0 { 60 } else { archive().len() }]);
    let world = World::new(recovering, s3(), [created(), policy()]).await;
    world.handle().await.unwrap();

    let same = World::new(move |_| without_length(&half()), [], []).await;
    assert_eq!(same.handle().await.unwrap_err().code, FailureCode::ArchiveInvalid);
    assert_eq!(same.api.count("GET /submissions/-kJ-nOos4KQaL3/download"), 2);

    let flaky = World::new(move |nth| without_length(&archive()[..60 - nth]), [], []).await;
    assert_eq!(flaky.handle().await.unwrap_err().code, FailureCode::SubmissionApiUnavailable);

    let announced = World::new(|_| Reply::status(200, &archive()[..60]), [], []).await;
    assert_eq!(announced.handle().await.unwrap_err().code, FailureCode::ArchiveInvalid);
    assert_eq!(announced.api.count("GET /submissions/-kJ-nOos4KQaL3/download"), 1);
}

#[tokio::test]
async fn an_event_without_an_id_is_refused_before_anything_is_asked() {
    for event in [json!({}), json!({"submissionId": "../../etc"}), json!("x"), Value::Null] {
        let world = World::with(|_| Reply::status(500, ""), [], [], []).await;
        let failure = handle(event, &world.deps).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::Internal);
        assert!(failure.message.contains("submissionId"));
        assert!(world.api.requests().is_empty());
    }
}
