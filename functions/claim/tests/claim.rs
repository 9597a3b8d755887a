//! The function against replayed answers of CodeBuild, S3 and ECR. Each test checks every request.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use claim::settings::Settings;
use claim::{ClaimError, Deps, Done, Request, handle};
use domain::{Coded, FailureCode};
use serde_json::{Value, json};
use testing::aws::{ByService, ReplayEvent, StaticReplayClient, answer, calls, refusal};

const BUILD: &str = "arn:aws:codebuild:us-east-1:123456789012:build/mm-build:0aa1b2c3";
const SESSION: &str = "AROABUILD:AWSCodeBuild-0aa1b2c3";
/// The tags of what the build has.
const OWN: [(&str, &str); 2] = [("marathon-match:build", BUILD), ("marathon-match:build-session", SESSION)];
const NEXT: &str = "arn:aws:codebuild:us-east-1:123456789012:build/mm-build:4dd5e6f7";
const REPOSITORY: &str = "arn:aws:ecr:us-east-1:123456789012:repository/d01c";
const TAGGING: &str = "https://staging.s3.us-east-1.amazonaws.com/submissions/d01c/submission.zip?tagging&versionId=v1";

/// What the function does with an event, and the calls that this takes: those of S3 as method, address and body.
struct World {
    codebuild: StaticReplayClient,
    s3: StaticReplayClient,
    ecr: StaticReplayClient,
}

impl World {
    fn new<const B: usize, const S: usize, const E: usize>(
        codebuild: [ReplayEvent; B],
        s3: [ReplayEvent; S],
        ecr: [ReplayEvent; E],
    ) -> Self {
        Self {
            codebuild: StaticReplayClient::new(codebuild.into()),
            s3: StaticReplayClient::new(s3.into()),
            ecr: StaticReplayClient::new(ecr.into()),
        }
    }

    async fn handle(&self, event: Value) -> Result<Done, ClaimError> {
        let settings =
            Settings::read(&[("BUILD_PROJECT", "mm-build"), ("BUILD_ROLE_ID", "AROABUILD")].into_iter().collect())
                .unwrap();
        let services = ByService(vec![
            ("codebuild.", self.codebuild.clone()),
            ("s3.", self.s3.clone()),
            ("ecr.", self.ecr.clone()),
        ]);
        let request: Request = serde_json::from_value(event).unwrap();
        handle(request, &Deps::new(settings, &services.config())).await
    }

    fn s3(&self) -> Vec<(String, String, String)> {
        let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
        let requests = self.s3.actual_requests();
        requests
            .map(|request| (request.method().to_owned(), request.uri().to_owned(), text(request.body().bytes())))
            .collect()
    }
}

fn build(status: &str) -> ReplayEvent {
    build_with(status, &[])
}

/// A build as CodeBuild describes it, with these of its variables changed.
fn build_with(status: &str, changed: &[(&str, &str)]) -> ReplayEvent {
    let variables = [
        ("IMAGE_REPOSITORY_URI", "123456789012.dkr.ecr.us-east-1.amazonaws.com/d01c"),
        ("ARCHIVE_BUCKET", "staging"),
        ("ARCHIVE_KEY", "submissions/d01c/submission.zip"),
        ("ARCHIVE_VERSION", "v1"),
    ];
    let variables = variables.map(|(name, value)| {
        let value = changed.iter().find(|(other, _)| *other == name).map_or(value, |(_, value)| value);
        json!({"name": name, "value": value, "type": "PLAINTEXT"})
    });
    let build = json!({"id": "mm-build:0aa1b2c3", "arn": BUILD, "buildStatus": status,
        "environment": {"type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": variables}});
    ok(&json!({"builds": [build]}))
}

fn ok(body: &Value) -> ReplayEvent {
    answer(200, &[], body.to_string())
}

fn elements(tags: &[(&str, &str)]) -> String {
    let element = |(key, value): &(&str, &str)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>");
    tags.iter().map(element).collect::<Vec<_>>().concat()
}

fn tags(tags: &[(&str, &str)]) -> ReplayEvent {
    let tags = elements(tags);
    answer(200, &[], format!("<Tagging><TagSet>{tags}</TagSet></Tagging>"))
}

fn empty() -> ReplayEvent {
    answer(200, &[], "{}")
}

fn claim() -> Value {
    json!({ "build": BUILD })
}

fn ended() -> Value {
    serde_json::from_str(include_str!("fixtures/build-ended.json")).unwrap()
}

fn put(body: &str) -> (String, String, String) {
    ("PUT".to_owned(), TAGGING.to_owned(), body.to_owned())
}

fn tag_set(tags: &[(&str, &str)]) -> String {
    let tags = elements(tags);
    format!("<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet>{tags}</TagSet></Tagging>")
}

#[tokio::test]
async fn a_running_build_gets_what_it_was_started_with_and_other_tags_stay() {
    let s3 = [tags(&[("team", "a"), ("marathon-match:build", NEXT)]), empty()];
    let world = World::new([build("IN_PROGRESS"), build("IN_PROGRESS")], s3, [empty()]);
    world.handle(claim()).await.unwrap();
    let read = ("BatchGetBuilds".to_owned(), json!({"ids": ["mm-build:0aa1b2c3"]}));
    assert_eq!(calls(&world.codebuild), [read.clone(), read]);
    let own = tag_set(&[[("team", "a")].as_slice(), &OWN].concat());
    assert_eq!(world.s3(), [("GET".to_owned(), TAGGING.to_owned(), String::new()), put(&own)]);
    let tags = json!({"resourceArn": REPOSITORY, "tags": [{"Key": "marathon-match:build", "Value": BUILD},
        {"Key": "marathon-match:build-session", "Value": SESSION}]});
    assert_eq!(calls(&world.ecr), [("TagResource".to_owned(), tags)]);
}

#[tokio::test]
async fn an_ended_build_loses_what_it_has() {
    for status in ["SUCCEEDED", "FAILED", "STOPPED", "FAULT", "TIMED_OUT"] {
        let s3 = [tags(&OWN), answer(204, &[], "")];
        let ecr = [
            ok(
                &json!({"tags": [{"Key": "marathon-match:stack", "Value": "mm"}, {"Key": "marathon-match:build", "Value": BUILD},
                {"Key": "marathon-match:build-session", "Value": SESSION}]}),
            ),
            empty(),
        ];
        let world = World::new([build(status)], s3, ecr);
        world.handle(ended()).await.unwrap();
        let removed = ("DELETE".to_owned(), TAGGING.to_owned(), String::new());
        assert_eq!(world.s3(), [("GET".to_owned(), TAGGING.to_owned(), String::new()), removed]);
        assert_eq!(
            calls(&world.ecr),
            [
                ("ListTagsForResource".to_owned(), json!({"resourceArn": REPOSITORY})),
                (
                    "UntagResource".to_owned(),
                    json!({"resourceArn": REPOSITORY, "tagKeys": ["marathon-match:build", "marathon-match:build-session"]})
                ),
            ]
        );
    }
}

#[tokio::test]
async fn other_tags_of_an_archive_stay_when_a_build_loses_it() {
    let s3 = [tags(&[("marathon-match:build", BUILD), ("team", "a")]), empty()];
    let world = World::new([build("FAILED")], s3, [ok(&json!({"tags": []}))]);
    world.handle(ended()).await.unwrap();
    assert_eq!(world.s3()[1], put(&tag_set(&[("team", "a")])));
}

#[tokio::test]
async fn an_ended_build_takes_nothing_from_the_next() {
    let next = json!({"tags": [{"Key": "marathon-match:build", "Value": NEXT}]});
    let world = World::new([build("STOPPED")], [tags(&[("marathon-match:build", NEXT)])], [ok(&next)]);
    world.handle(ended()).await.unwrap();
    assert_eq!((world.s3().len(), calls(&world.ecr).len()), (1, 1));
}

#[tokio::test]
async fn a_build_that_ends_while_it_claims_keeps_nothing() {
    let s3 = [tags(&[]), empty(), tags(&[("marathon-match:build", BUILD)]), answer(204, &[], "")];
    let ecr = [empty(), ok(&json!({"tags": [{"Key": "marathon-match:build", "Value": BUILD}]})), empty()];
    let world = World::new([build("IN_PROGRESS"), build("STOPPED")], s3, ecr);
    let error = world.handle(claim()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("The build {BUILD} has ended, and can claim nothing."));
    assert_eq!(world.s3()[3].0, "DELETE");
    assert_eq!(calls(&world.ecr)[2].0, "UntagResource");
}

#[tokio::test]
async fn a_wrong_request_gives_and_takes_nothing() {
    let other_uuid = json!({"builds": [{"id": "mm-build:4dd5e6f7", "arn": NEXT, "buildStatus": "IN_PROGRESS"}]});
    let unset = |variable| build_with("IN_PROGRESS", &[(variable, "")]);
    for (event, builds, says) in [
        (json!({"build": BUILD.replace("mm-build", "other")}), vec![], "is not of the project mm-build"),
        (claim(), vec![ok(&json!({"builds": [], "buildsNotFound": ["mm-build:0aa1b2c3"]}))], "does not know the build"),
        (claim(), vec![ok(&other_uuid)], "does not know the build"),
        (claim(), vec![unset("ARCHIVE_BUCKET")], "ARCHIVE_BUCKET"),
        (claim(), vec![unset("ARCHIVE_KEY")], "ARCHIVE_KEY"),
        (claim(), vec![unset("ARCHIVE_VERSION")], "ARCHIVE_VERSION"),
        (claim(), vec![unset("IMAGE_REPOSITORY_URI")], "IMAGE_REPOSITORY_URI"),
        (claim(), vec![build_with("IN_PROGRESS", &[("IMAGE_REPOSITORY_URI", "r/")])], "IMAGE_REPOSITORY_URI"),
        (claim(), vec![build("SUCCEEDED")], "has ended"),
        (ended(), vec![build("IN_PROGRESS")], "still runs"),
    ] {
        let world = World { codebuild: StaticReplayClient::new(builds), ..World::new([], [], []) };
        let error = world.handle(event).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!((error.code(), world.s3().len(), calls(&world.ecr).len()), (FailureCode::Internal, 0, 0));
    }
}

#[tokio::test]
async fn a_build_that_could_claim_nothing_ends_without_an_error() {
    let world = World::new([build_with("FAILED", &[("ARCHIVE_KEY", "")])], [], []);
    world.handle(ended()).await.unwrap();
    assert_eq!((world.s3().len(), calls(&world.ecr).len()), (0, 0));
}

#[tokio::test]
async fn a_failed_call_is_named_and_the_other_is_made_all_the_same() {
    let denied = || answer(403, &[], "<Error><Code>AccessDenied</Code></Error>");
    let refused = || answer(400, &[], refusal("ServerException").to_string());
    let listed = || ok(&json!({"tags": [{"Key": "marathon-match:build", "Value": BUILD}]}));
    let of_build = || tags(&[("marathon-match:build", BUILD)]);
    let running = || [build("IN_PROGRESS"), build("IN_PROGRESS")];

    let error = World::new([refused()], [], []).handle(claim()).await.unwrap_err();
    assert!(error.to_string().contains("could not be read") && error.to_string().contains(BUILD), "{error}");
    for (s3, says) in [
        (vec![denied()], "s3://staging/submissions/d01c/submission.zip"),
        (vec![tags(&[]), denied()], "s3://staging/submissions/d01c/submission.zip"),
    ] {
        let world = World { s3: StaticReplayClient::new(s3), ..World::new(running(), [], [empty()]) };
        assert!(world.handle(claim()).await.unwrap_err().to_string().contains(says));
    }
    let world = World::new(running(), [tags(&[]), empty()], [refused()]);
    assert!(world.handle(claim()).await.unwrap_err().to_string().contains("the repository d01c"));

    let world = World::new([build("FAILED")], [denied()], [listed(), empty()]);
    assert!(world.handle(ended()).await.unwrap_err().to_string().contains("s3://staging/"));
    assert_eq!(calls(&world.ecr)[1].0, "UntagResource");
    for ecr in [vec![refused()], vec![listed(), refused()]] {
        let world = World {
            ecr: StaticReplayClient::new(ecr),
            ..World::new([build("FAILED")], [of_build(), answer(204, &[], "")], [])
        };
        assert!(world.handle(ended()).await.unwrap_err().to_string().contains("the repository d01c"));
        assert_eq!(world.s3()[1].0, "DELETE");
    }
}

#[test]
fn an_event_without_the_arn_of_a_build_is_refused() {
    for event in [json!({}), json!({"build": "mm-build:0aa1b2c3"}), json!({"detail": {"build-id": "x"}}), json!("x")] {
        assert!(serde_json::from_value::<Request>(event.clone()).is_err(), "{event}");
    }
}
