//! The function against a server that plays S3 and DynamoDB.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod grids;
mod races;
mod segments;
mod world;

use std::fmt::Write as _;

use domain::{Coded, FailureCode, OriginalityResult};
use score::{Answer, Deps, Request, ScoreError, handle};
use scoring::{Limits, Predictions, Regions, Roster, concordance};
use serde_json::{Value, json};
use testing::server;
use world::World;

const A: &str = "aaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbb";
const SETTINGS: &str = r#"{"scoring": {"training": "training.csv", "truth": "truth.csv", "metric": "mae",
    "concordance_threshold": 1.0}}"#;
const ROWS: u32 = 300;

fn tournament() -> String {
    let mut csv = "id,era,data_type,feature1,feature2,target\n".to_owned();
    for row in 0..ROWS {
        let split = ["validation", "test", "live"][row as usize % 3];
        writeln!(csv, "n{row:04},e1,{split},0.{:03},0.{:03},", row * 7919 % 1000, row * 104_729 % 1000).unwrap();
    }
    csv
}

fn training() -> String {
    let mut csv = "id,feature2,feature1,target\n".to_owned();
    for row in 0..100 {
        writeln!(csv, "t{row},0.{:03},0.{:03},1", row * 613 % 1000, row * 211 % 1000).unwrap();
    }
    csv + "t100,,0.5,1\n"
}

/// Predictions whose values are spread over 0..=1, moved by `shift`.
fn predictions(shift: f64) -> String {
    let mut csv = "id,probability\n".to_owned();
    for row in 0..ROWS {
        let value = (f64::from(row * 37 % ROWS) / f64::from(ROWS) * 0.5 + shift).clamp(0.0, 1.0);
        writeln!(csv, "n{row:04},{value}").unwrap();
    }
    csv
}

async fn world() -> World {
    let world = World::new().await;
    world.put("scoring/datasets/r1/tournament.csv", tournament());
    world.put("scoring/datasets/r1/training.csv", training());
    world.put("scoring/datasets/r1/truth.csv", "id,target\nn0000,1\nn0003,0\n");
    for (id, user, second) in [(A, "ann", 1), (B, "bob", 2)] {
        world.register(id, user, second);
        world.put(&format!("scoring/predictions/r1/{id}.csv"), predictions(0.25));
    }
    world
}

async fn run(deps: &Deps, action: &str, id: &str) -> Result<Value, ScoreError> {
    run_with(deps, action, id, SETTINGS).await
}

async fn run_with(deps: &Deps, action: &str, id: &str, settings: &str) -> Result<Value, ScoreError> {
    let event = json!({"action": action, "submissionId": id, "challengeId": "r1", "settings": settings});
    Ok(json!(handle(serde_json::from_value::<Request>(event).unwrap(), deps).await?))
}

const ALL: [&str; 4] = ["prepare", "originality", "concordance", "metric"];

#[tokio::test]
async fn every_result_is_in_the_record_and_repeating_changes_nothing() {
    let world = world().await;
    let deps = world.deps();
    let mut answers = Vec::new();
    for action in ALL {
        answers.push(run(&deps, action, A).await.unwrap());
    }
    assert_eq!(answers[0], json!({"rows": ROWS}));
    assert_eq!(
        answers[1],
        json!({"original": true, "similar_count": 0, "compared": 0, "offenders": [], "offender_count": 0})
    );
    // The prediction for n0000 is 0.25 and its truth 1; for n0003 they are 0.435 and 0.
    let score = f64::midpoint(0.75, 0.435);
    assert_eq!(answers[3], json!({"name": "mae", "score": score, "standing": -score}));
    for (at, name) in ["predictions", "originality", "concordance", "metric"].into_iter().enumerate() {
        assert_eq!(world.attribute(A, name), answers[at], "{name}");
    }
    assert_eq!(world.attribute(A, "standing"), answers[3]["standing"]);
    assert_eq!(world.attribute(A, "ranking"), "r1/mae");

    let before = world.snapshot();
    world.put("scoring/predictions/r1/aaaaaaaaaaaaaa.csv", predictions(0.1));
    let again = world.deps();
    for (at, action) in ALL.into_iter().enumerate() {
        assert_eq!(run(&again, action, A).await.unwrap(), answers[at], "{action}");
    }
    world.put("scoring/predictions/r1/aaaaaaaaaaaaaa.csv", predictions(0.25));
    assert_eq!(world.snapshot(), before);
}

/// Every order in which two submissions can be prepared and scored.
fn orders() -> Vec<[(&'static str, &'static str); 4]> {
    let (a1, a2, b1, b2) = (("prepare", A), ("originality", A), ("prepare", B), ("originality", B));
    vec![[a1, a2, b1, b2], [a1, b1, a2, b2], [a1, b1, b2, a2], [b1, a1, a2, b2], [b1, a1, b2, a2], [b1, b2, a1, a2]]
}

#[tokio::test]
async fn of_two_copies_the_earlier_one_is_original_in_every_order_of_scoring() {
    for order in orders() {
        let world = world().await;
        let deps = world.deps();
        for (action, id) in order {
            run(&deps, action, id).await.unwrap();
        }
        assert_eq!(world.attribute(A, "originality")["original"], true, "{order:?}");
        assert_eq!(
            world.attribute(B, "originality"),
            json!({"original": false, "similar_count": 0, "compared": 1, "offender_count": 1, "offenders": [
                {"submission": A, "statistic": 0, "closeness": "equal", "correlation": null}]}),
            "{order:?}"
        );
    }
}

#[tokio::test]
async fn only_original_and_concordant_submissions_are_ranked_in_whatever_order_results_arrive() {
    let actions = ["originality", "concordance", "metric"];
    let mut orders = Vec::new();
    for first in actions {
        for second in actions.into_iter().filter(|action| *action != first) {
            let third = actions.into_iter().find(|action| ![first, second].contains(action)).unwrap();
            orders.push([first, second, third]);
        }
    }
    for order in orders {
        let world = world().await;
        let deps = world.deps();
        run(&deps, "prepare", B).await.unwrap();
        for action in order {
            assert_eq!(world.attribute(B, "ranking"), Value::Null, "{order:?}");
            run(&deps, action, B).await.unwrap();
        }
        assert_eq!(world.attribute(B, "ranking"), "r1/mae", "{order:?}");
        // The original of B arrives late.
        for action in ["prepare"].into_iter().chain(order) {
            run(&deps, action, A).await.unwrap();
        }
        assert_eq!((world.attribute(B, "ranking"), world.attribute(B, "standing")), (Value::Null, Value::Null));
        assert_eq!(world.attribute(A, "ranking"), "r1/mae", "{order:?}");
        // A repeated step ranks neither of them differently.
        run(&deps, "metric", B).await.unwrap();
        assert_eq!(world.attribute(B, "ranking"), Value::Null, "{order:?}");
    }
    let world = world().await;
    let deps = world.deps();
    let strict = SETTINGS.replace("1.0", "0.0");
    for action in ALL {
        run_with(&deps, action, A, &strict).await.unwrap();
    }
    assert_eq!(
        (world.attribute(A, "metric")["name"].clone(), world.attribute(A, "ranking")),
        (json!("mae"), Value::Null)
    );
}

#[tokio::test]
async fn a_step_that_was_stopped_before_ranking_ranks_when_it_is_repeated() {
    let world = world().await;
    let deps = world.deps();
    for action in ALL {
        run(&deps, action, A).await.unwrap();
    }
    let ranked = world.snapshot();
    for action in &ALL[1..] {
        for attribute in ["ranking", "standing"] {
            world.content.lock().unwrap().submissions.get_mut(A).unwrap().as_object_mut().unwrap().remove(attribute);
        }
        run(&deps, action, A).await.unwrap();
        assert_eq!(world.snapshot(), ranked, "{action}");
    }
}

#[tokio::test]
async fn copies_of_the_same_participant_do_not_count_and_equal_times_are_ordered_by_id() {
    let world = world().await;
    world.register(B, "ann", 2);
    let deps = world.deps();
    for (action, id) in orders()[3] {
        run(&deps, action, id).await.unwrap();
    }
    assert_eq!(world.attribute(B, "originality")["compared"], 0);

    let world = self::world().await;
    world.register(B, "bob", 1);
    let deps = world.deps();
    for (action, id) in orders()[5] {
        run(&deps, action, id).await.unwrap();
    }
    // The smaller id counts as earlier.
    assert_eq!(world.attribute(A, "originality")["original"], true);
    assert_eq!(world.attribute(B, "originality")["original"], false);
}

#[tokio::test]
async fn a_result_that_compared_less_does_not_replace_one_that_compared_more() {
    let world = world().await;
    let deps = world.deps();
    for (action, id) in [("prepare", B), ("prepare", A), ("originality", A)] {
        run(&deps, action, id).await.unwrap();
    }
    let rescored = world.attribute(B, "originality");
    assert_eq!(rescored["original"], false);
    // Another execution scores B: it reads the summaries before A is there, and writes after the execution of A.
    let late = world.content.lock().unwrap().summaries.remove(A).unwrap();
    let newer = world.content.lock().unwrap().submissions[B].clone();
    world.content.lock().unwrap().submissions.get_mut(B).unwrap().as_object_mut().unwrap().remove("originality");
    world.meanwhile(&["bbbbbbbbbbbbbb/sorted"], move |content| {
        content.summaries.insert(A.to_owned(), late);
        content.submissions.insert(B.to_owned(), newer);
    });
    // Typed: DynamoDB returns 0 for 0.0.
    let typed = |result: Value| serde_json::from_value::<OriginalityResult>(result).unwrap();
    assert_eq!(typed(run(&deps, "originality", B).await.unwrap()), typed(rescored.clone()));
    assert_eq!(world.attribute(B, "originality"), rescored);
}

#[tokio::test]
async fn values_are_read_of_close_submissions_only() {
    for (shift, reads) in [(0.4, false), (0.26, true)] {
        let world = world().await;
        world.put("scoring/predictions/r1/aaaaaaaaaaaaaa.csv", predictions(shift));
        let deps = world.deps();
        for id in [A, B] {
            run(&deps, "prepare", id).await.unwrap();
        }
        let before = world.server.requests().len();
        let result = run(&deps, "originality", B).await.unwrap();
        // After the result is stored, the values may be read for a grid.
        let is_stored =
            |request: &server::Request| request.header("x-amz-target").is_some_and(|at| at.ends_with("UpdateItem"));
        let asked = world.server.requests()[before..]
            .iter()
            .take_while(|request| !is_stored(request))
            .any(|request| request.line.contains("aaaaaaaaaaaaaa/sorted"));
        assert_eq!((asked, &result["compared"]), (reads, &json!(1)), "{shift}");
    }
}

#[tokio::test]
async fn offenders_are_listed_newest_first_although_values_arrive_in_any_order() {
    let world = world().await;
    let deps = world.deps();
    let copies: Vec<String> = (0..20).map(|nth| format!("copy{nth:010}")).collect();
    for (nth, id) in copies.iter().enumerate() {
        // The ids are in another order than the times of creation.
        world.register(id, &format!("user{nth}"), 10 + u8::try_from(nth * 7 % 20).unwrap());
        world.put(&format!("scoring/predictions/r1/{id}.csv"), predictions(0.25));
        run(&deps, "prepare", id).await.unwrap();
    }
    world.register(B, "bob", 59);
    run(&deps, "prepare", B).await.unwrap();
    let result = run(&deps, "originality", B).await.unwrap();
    let offenders = result["offenders"].as_array().unwrap();
    let mut newest_first: Vec<&String> = copies.iter().collect();
    newest_first.sort_by_key(|id| std::cmp::Reverse(world.attribute(id, "created").to_string()));
    assert!(offenders.iter().map(|offender| offender["submission"].as_str().unwrap()).eq(newest_first));
    assert_eq!((&result["compared"], &result["offender_count"]), (&json!(20), &json!(20)));
}

#[tokio::test]
async fn correlation_compares_values_by_id() {
    let world = world().await;
    // Far apart in distribution, but a linear function of one another.
    world.put("scoring/predictions/r1/aaaaaaaaaaaaaa.csv", predictions(0.4));
    let settings = r#"{"scoring": {"originality": {"max_correlation": 0.95}}}"#;
    let deps = world.deps();
    for (action, id) in orders()[5] {
        run_with(&deps, action, id, settings).await.unwrap();
    }
    let result = world.attribute(B, "originality");
    assert_eq!(result["original"], false);
    assert!(result["offenders"][0]["correlation"].as_f64().unwrap() > 0.999, "{result}");
    assert!(result["offenders"][0]["statistic"].as_f64().unwrap() > 0.1, "{result}");
}

#[tokio::test]
async fn regions_are_computed_once_and_read_back_by_all() {
    let world = world().await;
    let (first, second) = (world.deps(), world.deps());
    let (a, b) = tokio::join!(run(&first, "prepare", A), run(&second, "prepare", B));
    a.unwrap();
    b.unwrap();
    let derived = |world: &World| -> Vec<String> {
        let content = world.snapshot();
        content.objects.keys().filter(|key| key.contains("/derived/")).cloned().collect()
    };
    let files = derived(&world);
    assert_eq!(files.len(), 2, "{files:?}");
    // The stored file is used, even if it was changed.
    let regions = files.iter().find(|key| key.ends_with("regions.csv")).unwrap();
    let text = String::from_utf8(world.object(regions).unwrap()).unwrap();
    let zeros: String = text
        .lines()
        .enumerate()
        .map(|(at, line)| match at {
            0 => format!("{line}\n"),
            _ => format!("{},0\n", line.split_once(',').unwrap().0),
        })
        .collect();
    world.put(regions, zeros);
    let result = run(&world.deps(), "concordance", A).await.unwrap();
    assert_eq!(result["regions"].as_array().unwrap().len(), 1, "{result}");
    // Another version of the data has other regions in another folder.
    world.put("scoring/datasets/r1/training.csv", training() + "t101,0.1,0.2,1\n");
    run(&world.deps(), "concordance", B).await.unwrap();
    assert_eq!(derived(&world).len(), 4);
}

#[tokio::test]
async fn a_given_region_file_is_used_to_the_last_bit() {
    let world = world().await;
    let roster = Roster::read(tournament().as_bytes(), &Limits::data()).unwrap();
    let mut given = "id,region\n".to_owned();
    for row in 0..ROWS {
        writeln!(given, "n{row:04},{}", 10 + row % 7).unwrap();
    }
    world.put("scoring/datasets/r1/regions.csv", &given);
    let settings = r#"{"scoring": {"regions": "regions.csv", "concordance_threshold": 0.3}}"#;
    let deps = world.deps();
    run_with(&deps, "prepare", A, settings).await.unwrap();
    let result = run_with(&deps, "concordance", A, settings).await.unwrap();
    let regions = Regions::read(given.as_bytes(), &roster, &Limits::data()).unwrap();
    let values = Predictions::read(predictions(0.25).as_bytes(), &roster, &Limits::predictions()).unwrap();
    let expected = concordance::score(values.values(), &roster, &regions, 0.3).unwrap();
    assert_eq!(result, json!(expected));
    assert_eq!(world.attribute(A, "concordance")["score"].as_f64().map(f64::to_bits), Some(expected.score.to_bits()));
}

#[tokio::test]
async fn every_error_has_the_code_of_whose_fault_it_is() {
    let world = world().await;
    let deps = world.deps();
    let error = async |id, settings| run_with(&deps, "prepare", id, settings).await.unwrap_err();
    assert_eq!(error("cccccccccccccc", SETTINGS).await.code(), FailureCode::SubmissionNotFound);
    assert!(error(A, "{}").await.to_string().contains("no \"scoring\""));
    let missing = error(A, r#"{"scoring": {"dataset": "other"}}"#).await;
    assert_eq!(missing.code(), FailureCode::ScoringFault);
    assert!(missing.to_string().starts_with("s3://scoring/datasets/other/tournament.csv was not found."), "{missing}");
    world.put("scoring/predictions/r1/bbbbbbbbbbbbbb.csv", "id,probability\nn0000,0.5\n");
    let invalid = error(B, SETTINGS).await;
    assert_eq!(invalid.code(), FailureCode::PredictionsInvalid);
    assert!(invalid.to_string().contains("299 missing: n0001"), "{invalid}");
    world.content.lock().unwrap().objects.remove("scoring/predictions/r1/bbbbbbbbbbbbbb.csv");
    assert_eq!(error(B, SETTINGS).await.code(), FailureCode::PredictionsMissing);
    world.content.lock().unwrap().submissions.get_mut(B).unwrap()["predictionsKey"] =
        json!({"S": "datasets/r1/truth.csv"});
    assert!(
        error(B, SETTINGS).await.to_string().contains("predictionsKey is not valid: it must start with predictions/")
    );
    let unprepared = run(&deps, "originality", B).await.unwrap_err();
    assert_eq!(unprepared.code(), FailureCode::ScoringFault);
    assert!(world.snapshot().summaries.is_empty());
}

#[tokio::test]
async fn what_training_wrote_is_quoted_only_if_the_challenge_shows_logs() {
    let world = world().await;
    world.put(&format!("scoring/predictions/r1/{A}.csv"), "id,probability\nhidden row,0.5\n");
    let error = async |settings: &str| run_with(&world.deps(), "prepare", A, settings).await.unwrap_err().to_string();
    let shows_logs = r#"{"scoring": {}, "reporting": {"logs": "tail"}}"#;
    assert!(error(SETTINGS).await.contains("1 unknown: hidden row"));
    world.content.lock().unwrap().submissions.get_mut(A).unwrap()["fromTraining"] = json!({"BOOL": true});
    assert!(error(shows_logs).await.contains("1 unknown: hidden row"));
    for settings in [SETTINGS, r#"{"scoring": {}, "reporting": {"logs": "sentences"}}"#] {
        let error = error(settings).await;
        assert!(error.contains("300 missing; 1 unknown.") && !error.contains("hidden"), "{error}");
    }
}

#[tokio::test]
async fn a_failure_is_in_the_record_until_the_result_is_stored() {
    let world = world().await;
    let deps = world.deps();
    let fail = |result: &str| {
        let error =
            json!({"Error": "ScoringFault", "Cause": r#"{"errorType":"ScoringFault","errorMessage":"try again"}"#});
        let event = json!({"action": "fail", "submissionId": A, "challengeId": "r1", "result": result, "error": error});
        serde_json::from_value::<Request>(event).unwrap()
    };
    let failed = json!(handle(fail("concordance"), &deps).await.unwrap());
    assert_eq!(
        failed,
        json!({"result": "concordance", "code": "ScoringFault", "fault": "platform", "message": "try again"})
    );
    assert_eq!(world.attribute(A, "concordanceFailure"), json!({"code": "ScoringFault", "message": "try again"}));
    run(&deps, "prepare", A).await.unwrap();
    run(&deps, "concordance", A).await.unwrap();
    assert_eq!(world.attribute(A, "concordanceFailure"), Value::Null);
    handle(fail("concordance"), &deps).await.unwrap();
    assert_eq!(world.attribute(A, "concordanceFailure"), Value::Null);

    let raise = |redriven: bool| {
        serde_json::from_value::<Request>(json!({"action": "raise", "failure": failed, "redriven": redriven})).unwrap()
    };
    assert_eq!(json!(handle(raise(true), &deps).await.unwrap()), Value::Null);
    let raised = handle(raise(false), &deps).await.unwrap_err();
    assert_eq!((raised.code(), raised.to_string().as_str()), (FailureCode::ScoringFault, "try again"));
}

#[tokio::test]
async fn predictions_are_taken_from_a_training_jobs_output() {
    let world = world().await;
    let deps = world.deps();
    let id = "cccccccccccccc";
    let event = json!({
        "action": "extract", "submissionId": id, "challengeId": "r1", "userId": "22", "created": "2026-01-01T02:00:03+02:00",
        "modelUri": "s3://models/c/x-0-1/output/model.tar.gz",
    });
    let extract = || serde_json::from_value::<Request>(event.clone()).unwrap();
    assert_eq!(handle(extract(), &deps).await.unwrap_err().code(), FailureCode::PredictionsMissing);
    let csv = predictions(0.1);
    let mut header = tar::Header::new_ustar();
    header.set_size(csv.len() as u64);
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    tar.append_data(&mut header, "predictions.csv", csv.as_bytes()).unwrap();
    world.put("models/c/x-0-1/output/output.tar.gz", tar.into_inner().unwrap().finish().unwrap());
    handle(extract(), &deps).await.unwrap();
    assert_eq!(world.object("scoring/predictions/r1/cccccccccccccc.csv").unwrap(), csv.as_bytes());
    assert_eq!(world.attribute(id, "created"), "2026-01-01T00:00:03Z");
    assert_eq!(world.attribute(id, "fromTraining"), true);
    let before = world.snapshot();
    handle(extract(), &deps).await.unwrap();
    assert_eq!(world.snapshot(), before);
    for action in ALL {
        run(&deps, action, id).await.unwrap();
    }
    assert_eq!(world.attribute(id, "originality")["original"], true);
}

#[tokio::test]
async fn the_settings_of_a_challenge_are_checked_and_passed_on() {
    let world = world().await;
    let deps = world.deps();
    let configure = async |settings: Value| -> Result<Answer, ScoreError> {
        let event = json!({"action": "configure", "challengeId": "r1", "settings": settings});
        handle(serde_json::from_value::<Request>(event).unwrap(), &deps).await
    };
    assert_eq!(
        json!(configure(Value::Null).await.unwrap()),
        json!({"training": {}, "isScored": false, "reporting": {"decimals": 4}})
    );
    let settings = r#"{"training": {"instance_type": "ml.c5.xlarge", "input_folder": "r1"}, "scoring": {}, "reporting": {"logs": "tail"}}"#;
    let expected = json!({"training": {"instanceType": "ml.c5.xlarge", "inputFolder": "r1"}, "isScored": true,
        "reporting": {"logs": "tail", "decimals": 4}});
    assert_eq!(json!(configure(json!(settings)).await.unwrap()), expected);
    let error = configure(json!(r#"{"scoring": {}}"#)).await.unwrap_err();
    assert!(error.to_string().contains("training.input_folder is missing"), "{error}");
    let error = configure(json!(r#"{"training": {"instance_type": "ml.p4d.24xlarge"}}"#)).await.unwrap_err();
    assert_eq!(error.code(), FailureCode::ScoringFault);
    assert!(error.to_string().contains("expected one of ml.m5.large, ml.c5.xlarge"), "{error}");
    assert!(error.to_string().contains("the SSM parameter /mm/challenges/r1"), "{error}");
}
