//! Answers of the Submission API, in case it is not the one it should be.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use domain::FailureCode::{self, ArchiveInvalid, ArchiveTooLarge, Internal, SubmissionApiUnavailable};

use aws_sdk_lambda::primitives::Blob;
use local::deploy::STACK;
use serde_json::{Value, json};
use testing::zips::{Zip, dockerfile};

use crate::arena::{Arena, MAX_ARCHIVE_BYTES};
use crate::case::{Attack, Case, Control, Deed, End, Group, deed};
use crate::hostile::Answer;
use crate::scene::Scene;
use crate::world::INTERNET;

/// Processes a submission for which the API answers like this.
async fn processed(arena: &Arena, scene: &Scene, answer: Answer, code: FailureCode) -> Result<String> {
    let got = arena.submit_with(answer).await?;
    let failure = got.outcome.failure.as_ref().context("it completed")?;
    ensure!(failure.code == code && got.builds == 0, "{:?}", got.outcome);
    ensure!(got.took.as_secs() < 120, "it took {:?}", got.took);
    for asked in arena.world.asked(&scene.token) {
        ensure!(!asked.head.to_lowercase().contains("authorization"), "the token was sent: {}", asked.head);
    }
    Ok(code.to_string())
}

/// What curl does, asked to take everything. Returns what it says about the transfer.
fn curl(arguments: &[&str]) -> Result<String> {
    let output = Command::new("curl").args(["--silent", "--output", "/dev/null"]).args(arguments).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn case(name: &str, defence: &'static str, code: FailureCode, answer: fn(&Scene) -> Answer, control: Deed) -> Case {
    let attack = deed(move |arena, scene| Box::pin(async move { processed(arena, scene, answer(scene), code).await }));
    Case::new(
        Group::Answers,
        name,
        defence,
        Attack::Deed(attack, code.as_str()),
        End::Completed,
        Control::Deed(control),
    )
}

/// Lets curl fetch a hostile answer.
fn fetched(
    answer: fn(&Scene) -> Answer,
    arguments: &'static [&'static str],
    harm: fn(&Arena, &Scene, &str) -> Result<String>,
) -> Deed {
    deed(move |arena, scene| {
        Box::pin(async move {
            let url = arena.serve_hostile(answer(scene));
            let said = tokio::task::spawn_blocking(move || {
                curl(&[arguments, &["--header", "Authorization: Bearer the-token", &url]].concat())
            });
            harm(arena, scene, &said.await??)
        })
    })
}

/// The date of a submission whose member has set another one.
fn backdated() -> Case {
    const SET: &str = "2020-01-01T00:00:00.000Z";
    const CREATED: &str = "2026-01-01T00:00:00.000Z";
    let metadata =
        |id: &str| json!({"id": id, "challengeId": 1, "memberId": 1, "submittedDate": SET, "createdAt": CREATED});
    let attack = deed(move |arena, _| {
        Box::pin(async move {
            let id = uuid::Uuid::new_v4().to_string();
            let folder = &arena.stack.api.folder;
            std::fs::write(folder.join(format!("{id}.json")), metadata(&id).to_string())?;
            std::fs::write(folder.join(format!("{id}.zip")), Zip::of([dockerfile()]).pack())?;
            let fetch = arena.stack.clients.lambda.invoke().function_name(format!("{STACK}-fetch"));
            let answer = fetch.payload(Blob::new(json!({ "submissionId": id }).to_string())).send().await?;
            let answer: Value = serde_json::from_slice(answer.payload().context("an answer")?.as_ref())?;
            ensure!(answer["created"] == "2026-01-01T00:00:00Z", "{answer}");
            Ok("createdAt decides".to_owned())
        })
    });
    let control = deed(move |_, _| {
        Box::pin(async move {
            let metadata = metadata("x");
            let first = metadata["submittedDate"].as_str();
            ensure!(first.is_some_and(|first| first < CREATED), "{metadata}");
            Ok(format!("by the date that a member may set, it was submitted {SET}"))
        })
    });
    let attack = Attack::Deed(attack, "createdAt decides");
    Case::new(
        Group::Answers,
        "a date that the member has set",
        "date of the API",
        attack,
        End::Completed,
        Control::Deed(control),
    )
}

pub(super) fn cases() -> Vec<Case> {
    const MEASURE: &[&str] = &["--max-time", "3", "--write-out", "%{size_download}"];
    let elsewhere = |scene: &Scene| Answer::Redirect { to: format!("http://{INTERNET}/{}", scene.token), again: 0 };
    let around = |scene: &Scene| Answer::Redirect { to: format!("http://{INTERNET}/{}", scene.token), again: 3 };
    let more_than_allowed = |_: &Arena, _: &Scene, said: &str| {
        ensure!(said.parse::<u64>()? > MAX_ARCHIVE_BYTES, "{said} bytes");
        Ok(format!("in 3 s, curl took {said} bytes"))
    };
    vec![
        case(
            "a redirect to another host",
            "the token stays",
            ArchiveInvalid,
            elsewhere,
            fetched(elsewhere, &["--location-trusted"], |arena, scene, _| {
                let asked = arena.world.asked(&scene.token);
                let asked = asked.first().context("the other host was not asked")?;
                ensure!(asked.head.contains("Bearer the-token"), "{}", asked.head);
                Ok("curl, asked to trust redirects, sent the token to the other host".to_owned())
            }),
        )
        .reaching_the_internet()
        .representative(),
        case(
            "three redirects before the other host",
            "two redirects",
            Internal,
            around,
            fetched(around, &["--location"], |arena, scene, _| {
                ensure!(!arena.world.asked(&scene.token).is_empty(), "the other host was not asked");
                Ok("curl followed all of them".to_owned())
            }),
        ),
        case("5 GB announced", "announced size", ArchiveTooLarge, |_| Answer::Announced(5 << 30), {
            fetched(
                |_| Answer::Announced(5 << 30),
                &["--max-time", "1", "--write-out", "%header{content-length}"],
                |_, _, said| {
                    ensure!(said.trim() == (5_u64 << 30).to_string(), "{said}");
                    Ok(format!("a client that reserves what is announced reserves {} bytes", said.trim()))
                },
            )
        }),
        case(
            "a download without end",
            "size",
            ArchiveTooLarge,
            |_| Answer::Endless,
            fetched(|_| Answer::Endless, MEASURE, more_than_allowed),
        )
        .representative(),
        case(
            "metadata without end",
            "size",
            SubmissionApiUnavailable,
            |_| Answer::EndlessMetadata,
            fetched(|_| Answer::EndlessMetadata, MEASURE, more_than_allowed),
        ),
        backdated(),
    ]
}
