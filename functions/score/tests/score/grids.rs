//! Grids: when they are added, and what happens to summaries of older ones.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::{Coded, FailureCode};
use serde_json::{Value, json};

use crate::world::{Content, World};
use crate::{A, B, predictions, run, world};

const INDEX: &str = "~index";

/// The version of the grid that each summary counts on, in the order of ids.
fn versions(content: &Content) -> Vec<u16> {
    let version = |item: &Value| {
        let packed = BASE64_STANDARD.decode(item["packed"]["B"].as_str().unwrap()).unwrap();
        u16::from_le_bytes([packed[1], packed[2]])
    };
    content.summaries.iter().filter(|(id, _)| *id != INDEX).map(|(_, item)| version(item)).collect()
}

fn grids(content: &Content) -> usize {
    content.summaries.get(INDEX).map_or(0, |index| index["grids"]["L"].as_array().unwrap().len())
}

fn id(nth: u8) -> String {
    format!("submission{nth:04}")
}

/// A challenge whose submissions are all near one another, but no copies.
async fn crowded(participants: u8) -> World {
    let world = world().await;
    for nth in 0..participants {
        add(&world, nth);
    }
    world
}

fn add(world: &World, nth: u8) {
    world.register(&id(nth), &format!("user{nth}"), nth);
    // Narrow enough to lie between two points of the first grid.
    let narrow = predictions(0.0).lines().skip(1).fold("id,probability\n".to_owned(), |csv, line| {
        let (row, value) = line.split_once(',').unwrap();
        let value = 0.501 + value.parse::<f64>().unwrap() / 100.0 + f64::from(nth) * 0.0004;
        csv + &format!("{row},{value}\n")
    });
    world.put(&format!("scoring/predictions/r1/{}.csv", id(nth)), narrow);
}

async fn score(world: &World, nth: u8) -> Value {
    let deps = world.deps();
    run(&deps, "prepare", &id(nth)).await.unwrap();
    run(&deps, "originality", &id(nth)).await.unwrap()
}

/// How often values of others were read since a number of requests.
fn reads_of_values(world: &World, since: usize, subject: &str) -> usize {
    let requests = world.server.requests();
    let reads =
        requests[since..].iter().filter(|request| request.line.starts_with("GET") && request.line.contains("/sorted"));
    reads.filter(|request| !request.line.contains(subject)).count()
}

/// Prepares the first submissions before any of them is scored, so that all are on the uniform grid, and adds a grid.
async fn with_grid(count: u8) -> World {
    let world = crowded(count).await;
    let deps = world.deps();
    for nth in 0..count {
        run(&deps, "prepare", &id(nth)).await.unwrap();
    }
    score(&world, count - 1).await;
    assert_eq!((versions(&world.snapshot()), grids(&world.snapshot())), (vec![0; count.into()], 1));
    world
}

#[tokio::test]
async fn a_grid_is_added_when_enough_participants_have_submitted() {
    let world = crowded(8).await;
    score(&world, 0).await;
    // More submissions of the same participant add none.
    for nth in [20, 21, 22] {
        add(&world, nth);
        world.register(&id(nth), "user0", nth);
        score(&world, nth).await;
        assert_eq!(grids(&world.snapshot()), 0);
    }
    for nth in 1..7 {
        score(&world, nth).await;
        assert_eq!(grids(&world.snapshot()), 1);
    }
    score(&world, 7).await;
    assert_eq!(grids(&world.snapshot()), 2);
    score(&world, 7).await;
    assert_eq!(grids(&world.snapshot()), 2);
    add(&world, 30);
    score(&world, 30).await;
    assert_eq!(versions(&world.snapshot()).last(), Some(&2));
}

#[tokio::test]
async fn a_summary_that_decides_nothing_moves_to_the_newest_grid_and_then_decides() {
    let world = with_grid(4).await;
    for nth in [4, 5] {
        add(&world, nth);
    }
    // The first submission on the new grid needs all values, since the older summaries are on the old one.
    let since = world.server.requests().len();
    let result = score(&world, 4).await;
    assert_eq!((reads_of_values(&world, since, &id(4)), &result["compared"]), (4, &json!(4)));
    assert_eq!(versions(&world.snapshot()), [1; 5]);
    let since = world.server.requests().len();
    let result = score(&world, 5).await;
    assert_eq!((reads_of_values(&world, since, &id(5)), &result["compared"]), (0, &json!(5)));
    assert_eq!(result["original"], true);
}

#[tokio::test]
async fn of_two_executions_that_add_a_grid_one_succeeds() {
    let world = crowded(5).await;
    let deps = world.deps();
    for nth in 0..5 {
        run(&deps, "prepare", &id(nth)).await.unwrap();
    }
    // Another execution adds its grid while this one reads the values of its pool.
    let clean = world.snapshot();
    score(&world, 3).await;
    let theirs = world.snapshot().summaries[INDEX].clone();
    *world.content.lock().unwrap() = clean;
    let index = theirs.clone();
    world.meanwhile(&["PutItem", INDEX], move |content| {
        content.summaries.insert(INDEX.to_owned(), index);
    });
    score(&world, 4).await;
    assert_eq!(world.snapshot().summaries[INDEX], theirs);
    // The summaries of both executions count on the grid that was stored.
    add(&world, 40);
    let result = score(&world, 40).await;
    assert_eq!((&result["original"], &result["compared"]), (&json!(true), &json!(5)));
}

#[tokio::test]
async fn a_submission_that_is_prepared_while_a_grid_is_added_is_compared() {
    let world = with_grid(4).await;
    let index = world.content.lock().unwrap().summaries.remove(INDEX).unwrap();
    // It has read that there is no grid, and its summary comes after the grid.
    add(&world, 10);
    world.put(
        &format!("scoring/predictions/r1/{}.csv", id(10)),
        world.object(&format!("scoring/predictions/r1/{}.csv", id(2))).unwrap(),
    );
    let deps = world.deps();
    world.meanwhile(&["PutItem", "submission0010"], move |content| {
        content.summaries.insert(INDEX.to_owned(), index);
    });
    run(&deps, "prepare", &id(10)).await.unwrap();
    assert_eq!((versions(&world.snapshot()), grids(&world.snapshot())), (vec![0; 5], 1));
    let result = run(&deps, "originality", &id(10)).await.unwrap();
    assert_eq!((&result["original"], &result["offenders"][0]["submission"]), (&json!(false), &json!(id(2))));
    // An earlier copy on the newest grid still finds it.
    add(&world, 1);
    world.register(&id(50), "user50", 0);
    world.put(
        &format!("scoring/predictions/r1/{}.csv", id(50)),
        world.object(&format!("scoring/predictions/r1/{}.csv", id(2))).unwrap(),
    );
    score(&world, 50).await;
    assert_eq!(world.attribute(&id(10), "originality")["offender_count"], 2);
    assert_eq!(world.attribute(&id(2), "originality")["original"], false);
}

#[tokio::test]
async fn an_execution_that_stops_anywhere_while_it_improves_summaries_changes_no_result() {
    let world = with_grid(4).await;
    add(&world, 4);
    let before = world.snapshot();
    let deps = world.deps();
    let complete = score(&world, 4).await;
    let writes = |world: &World, since: usize| {
        let requests = world.server.requests();
        let target = |request: &testing::server::Request| request.header("x-amz-target").unwrap_or_default().to_owned();
        requests[since..].iter().filter(|request| target(request).ends_with("PutItem")).count()
    };
    for kept in 0..4 {
        // Only so many of the four summaries were moved.
        let mut stopped = before.clone();
        let after = world.snapshot();
        for id in (0..kept).map(id) {
            stopped.summaries.insert(id.clone(), after.summaries[&id].clone());
        }
        *world.content.lock().unwrap() = stopped;
        let since = world.server.requests().len();
        run(&deps, "prepare", &id(4)).await.unwrap();
        assert_eq!(run(&deps, "originality", &id(4)).await.unwrap(), complete);
        assert_eq!(versions(&world.snapshot()), [1; 5]);
        assert_eq!(writes(&world, since), 1 + usize::from(4 - kept), "the summary, and those that were not moved");
    }
}

#[tokio::test]
async fn a_summary_whose_grid_is_missing_or_not_valid_is_an_error() {
    let world = crowded(4).await;
    for nth in 0..4 {
        score(&world, nth).await;
    }
    add(&world, 4);
    score(&world, 4).await;
    let deps = world.deps();
    for id in [A, B] {
        run(&deps, "prepare", id).await.unwrap();
    }
    let valid = world.content.lock().unwrap().summaries[INDEX].clone();
    let grid = BASE64_STANDARD.decode(valid["grids"]["L"][0]["B"].as_str().unwrap()).unwrap();
    let mut moved = grid.clone();
    moved[7] ^= 1;
    let index = |grid: &[u8]| json!({"revision": {"N": "1"}, "segments": {"L": []}, "grids": {"L": [{"B": BASE64_STANDARD.encode(grid)}]}});
    for (index, says) in [
        (None, "counts on grid 1, which the index of the challenge r1"),
        (Some(index(&moved)), "counts on grid 1, which the index of the challenge r1"),
        (
            Some(index(&grid[1..])),
            "an index of the challenge r1 that is not valid: there are too few or too many bytes",
        ),
        (Some(index(&[0xff; 8])), "the points are not a grid"),
        (Some(json!({"revision": {"N": "1"}})), "an attribute is missing"),
    ] {
        world.content.lock().unwrap().summaries.remove(INDEX);
        if let Some(index) = index {
            world.content.lock().unwrap().summaries.insert(INDEX.to_owned(), index);
        }
        let error = run(&deps, "originality", B).await.unwrap_err();
        assert_eq!(error.code(), FailureCode::ScoringFault);
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.to_string().contains("Restore the item \"~index\""), "{error}");
        assert_eq!(world.attribute(B, "originality"), Value::Null);
    }
    world.content.lock().unwrap().summaries.insert(INDEX.to_owned(), valid);
    assert_eq!(run(&deps, "originality", B).await.unwrap()["compared"], 3);
}
