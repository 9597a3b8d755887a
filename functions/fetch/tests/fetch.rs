//! The whole function, and every way in which it can fail.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::{Coded, FailureCode};
use fetch::settings::Settings;
use fetch::{Deps, FetchError, Request, handle};
use runtime::settings::Variables;
use serde_json::{Value, json};
use testing::aws::{ByService, ReplayEvent, StaticReplayClient, answer, calls, refusal};
use testing::server::{Reply, Server};
use testing::zips::{Entry, Zip, dockerfile};

const ID: &str = "-kJ-nOos4KQaL3";
const SAFE_ID: &str = "x2d6b4a2d6e4f6f73344b51614c33";
const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:auth0";
const URI: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com/x2d6b4a2d6e4f6f73344b51614c33";

/// The function with the services that it calls.
struct World {
    api: Server,
    secrets: StaticReplayClient,
    s3: StaticReplayClient,
    ecr: StaticReplayClient,
    deps: Deps,
}

fn secret() -> ReplayEvent {
    found(&json!({"ARN": ARN, "SecretString": r#"{"AUTH0_CLIENT_ID":"me","AUTH0_CLIENT_SECRET":"hunter2"}"#}))
}

fn found(body: &Value) -> ReplayEvent {
    answer(200, &[], body.to_string())
}

fn error(kind: &str) -> ReplayEvent {
    answer(400, &[], refusal(kind).to_string())
}

fn written(version: &'static str) -> ReplayEvent {
    answer(200, &[("x-amz-version-id", version)], "")
}

fn created() -> ReplayEvent {
    found(&json!({"repository": {"repositoryName": SAFE_ID, "repositoryUri": URI}}))
}

fn policy() -> ReplayEvent {
    found(&json!({"repositoryName": SAFE_ID}))
}

impl World {
    async fn new(
        download: impl Fn(usize) -> Reply + Send + Sync + 'static,
        s3: impl IntoIterator<Item = ReplayEvent>,
        ecr: impl IntoIterator<Item = ReplayEvent>,
    ) -> Self {
        Self::with(download, [secret()], s3, ecr).await
    }

    async fn with(
        download: impl Fn(usize) -> Reply + Send + Sync + 'static,
        secrets: impl IntoIterator<Item = ReplayEvent>,
        s3: impl IntoIterator<Item = ReplayEvent>,
        ecr: impl IntoIterator<Item = ReplayEvent>,
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
        let [secrets, s3, ecr] = [secrets.into_iter().collect(), s3.into_iter().collect(), ecr.into_iter().collect()]
            .map(StaticReplayClient::new);
        let settings = Settings::read(&Variables::from_iter([
            ("STACK_NAME", "mm"),
            ("ACCOUNT_ID", "123456789012"),
            ("STAGING_BUCKET", "staging"),
            ("AUTH0_SECRET_ARN", ARN),
            ("IMAGE_RETENTION_DAYS", "30"),
            ("MAX_ARCHIVE_BYTES", "100000"),
            ("SUBMISSION_API_URL", &api.url),
            ("AUTH0_URL", &format!("{}/token", api.url)),
            ("AUTH0_AUDIENCE", "audience"),
        ]));
        let services = [("secretsmanager.", secrets.clone()), ("s3.", s3.clone()), ("ecr.", ecr.clone())];
        let deps = Deps::new(settings.unwrap(), &ByService(services.into()).config());
        Self { api, secrets, s3, ecr, deps }
    }

    async fn handle(&self) -> Result<Value, FetchError> {
        handle(Request { submission_id: ID.parse().unwrap() }, &self.deps)
            .await
            .map(|fetched| serde_json::to_value(fetched).unwrap())
    }
}

fn archive() -> Vec<u8> {
    Zip::of([dockerfile(), Entry::new("train.py", "print()")]).pack()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).into()
}

/// Of its content: what another release staged stays as it is.
fn buildspec_key() -> String {
    format!("buildspecs/{}.yml", hex::encode(sha256(include_bytes!("../../../buildspec.yml"))))
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
            "buildspec": {"bucket": "staging", "key": buildspec_key()},
            "buildContext": ".", "baseImages": [], "repository": {"name": SAFE_ID, "uri": URI},
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
    let url = format!("https://staging.s3.us-east-1.amazonaws.com/{}?x-id=PutObject", buildspec_key());
    assert_eq!((buildspec.method(), buildspec.uri()), ("PUT", url.as_str()));
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
    let repository = found(&json!({"repositories": [{"repositoryName": SAFE_ID, "repositoryUri": URI}]}));
    let ecr = [created(), policy(), error("RepositoryAlreadyExistsException"), repository, policy()];
    let world = World::new(|_| Reply::status(200, archive()), s3, ecr).await;
    assert_eq!(world.handle().await.unwrap(), world.handle().await.unwrap());
    let describe = &calls(&world.ecr)[3];
    assert_eq!(*describe, ("DescribeRepositories".to_owned(), json!({"repositoryNames": [SAFE_ID]})));
    // The secret and the token are kept.
    assert_eq!((calls(&world.secrets).len(), world.api.count("POST /token")), (1, 1));
}

#[tokio::test]
async fn a_refused_archive_is_not_staged() {
    for (entries, code) in [
        (vec![dockerfile(), Entry::new("../x", "")], FailureCode::ArchiveUnsafe),
        (vec![Entry::new("x", "")], FailureCode::DockerfileMissing),
        (vec![dockerfile(), Entry::new("x", vec![0; 200_000])], FailureCode::ArchiveTooLarge),
    ] {
        let archive = Zip::of(entries).pack();
        let world = World::new(move |_| Reply::status(200, archive.clone()), [], []).await;
        assert_eq!(world.handle().await.unwrap_err().code(), code);
        assert_eq!((world.s3.actual_requests().count(), world.ecr.actual_requests().count()), (0, 0));
    }
}

#[tokio::test]
async fn the_images_that_the_build_pulls_are_in_the_answer() {
    let dockerfile =
        "ARG V=3.13\nFROM python:$V AS build\nFROM me/base\nCOPY --from=build /x /\nCOPY --from=python:3.13 /y /\n";
    let archive = Zip::of([Entry::new("Dockerfile", dockerfile)]).pack();
    let s3 = [written("v1"), written("v2")];
    let world = World::new(move |_| Reply::status(200, archive.clone()), s3, [created(), policy()]).await;
    assert_eq!(world.handle().await.unwrap()["baseImages"], json!(["python:3.13", "me/base"]));
}

#[tokio::test]
async fn a_refused_dockerfile_is_the_participants_fault_and_is_not_staged() {
    for (dockerfile, says) in [
        ("# syntax=evil/frontend\nFROM scratch\n", "Line 1 of the Dockerfile sets the frontend"),
        ("FROM scratch\nCOPY --from=123456789012.dkr.ecr.us-east-1.amazonaws.com/x / /\n", "Line 2 of the Dockerfile"),
        ("FROM $X\n", "Line 1 of the Dockerfile"),
    ] {
        let archive = Zip::of([Entry::new("Dockerfile", dockerfile)]).pack();
        let world = World::new(move |_| Reply::status(200, archive.clone()), [], []).await;
        let failure = world.handle().await.unwrap_err();
        assert_eq!(failure.code(), FailureCode::BuildFailed);
        assert!(failure.to_string().starts_with(says), "{failure}");
        assert_eq!((world.s3.actual_requests().count(), world.ecr.actual_requests().count()), (0, 0));
    }
}

#[tokio::test]
async fn a_bucket_without_versions_is_the_platforms_fault() {
    for headers in [vec![], vec![("x-amz-version-id", "null")]] {
        let s3 = [answer(200, &headers, "")];
        let world = World::new(|_| Reply::status(200, archive()), s3, [created(), policy()]).await;
        let failure = world.handle().await.unwrap_err();
        assert_eq!(failure.code(), FailureCode::Internal);
        assert_eq!(
            failure.to_string(),
            "Versioning is off for the bucket staging. Turn it on, then redrive the execution."
        );
    }
}

#[tokio::test]
async fn a_failed_aws_call_is_internal_and_names_the_resource() {
    let denied = || answer(403, &[], "<Error><Code>AccessDenied</Code></Error>");
    for (secrets, s3, ecr, says) in [
        (vec![error("AccessDeniedException")], vec![], vec![], ARN),
        (vec![found(&json!({"SecretString": "hunter2"}))], vec![], vec![], "AUTH0_CLIENT_SECRET"),
        (vec![secret()], vec![denied()], vec![created(), policy()], "submission.zip"),
        (vec![secret()], vec![written("v1"), denied()], vec![created(), policy()], "s3://staging/buildspecs/"),
        (vec![secret()], vec![written("v1"), written("v2")], vec![error("LimitExceededException")], SAFE_ID),
        (vec![secret()], vec![written("v1"), written("v2")], vec![created(), error("AccessDeniedException")], SAFE_ID),
    ] {
        let world = World::with(|_| Reply::status(200, archive()), secrets, s3, ecr).await;
        let failure = world.handle().await.unwrap_err();
        assert_eq!(failure.code(), FailureCode::Internal);
        assert!(failure.to_string().contains(says) && !failure.to_string().contains("hunter2"), "{failure}");
    }
}

#[tokio::test]
async fn after_refused_credentials_the_next_attempt_reads_the_secret_again() {
    let refuse_once = |nth| if nth < 2 { Reply::status(403, "{}") } else { Reply::status(200, archive()) };
    let s3 = [written("v1"), written("v2")];
    let world = World::with(refuse_once, [secret(), secret()], s3, [created(), policy()]).await;
    assert_eq!(world.handle().await.unwrap_err().code(), FailureCode::SubmissionApiDenied);
    world.handle().await.unwrap();
    assert_eq!(calls(&world.secrets).len(), 2);
}

#[tokio::test]
async fn a_truncated_download_without_announced_length_is_repeated() {
    let half = || archive()[..60].to_vec();
    let s3 = || [written("v1"), written("v2")];
    let recovering = |nth| without_length(&archive()[..if nth == 0 { 60 } else { archive().len() }]);
    let world = World::new(recovering, s3(), [created(), policy()]).await;
    world.handle().await.unwrap();

    let same = World::new(move |_| without_length(&half()), [], []).await;
    assert_eq!(same.handle().await.unwrap_err().code(), FailureCode::ArchiveInvalid);
    assert_eq!(same.api.count("GET /submissions/-kJ-nOos4KQaL3/download"), 2);

    let flaky = World::new(move |nth| without_length(&archive()[..60 - nth]), [], []).await;
    assert_eq!(flaky.handle().await.unwrap_err().code(), FailureCode::SubmissionApiUnavailable);

    let announced = World::new(|_| Reply::status(200, &archive()[..60]), [], []).await;
    assert_eq!(announced.handle().await.unwrap_err().code(), FailureCode::ArchiveInvalid);
    assert_eq!(announced.api.count("GET /submissions/-kJ-nOos4KQaL3/download"), 1);
}
