//! Executions that score submissions of a challenge at the same time.

use serde_json::json;

use crate::world::World;
use crate::{A, B, predictions, run, world};

const C: &str = "cccccccccccccc";

/// A third submission, far from the others, created before B.
fn with_far(world: &World) {
    world.register(C, "cyd", 1);
    world.put("scoring/predictions/r1/cccccccccccccc.csv", predictions(0.0));
}

#[tokio::test]
async fn a_result_that_compared_with_others_does_not_hide_an_earlier_copy() {
    let world = world().await;
    with_far(&world);
    let deps = world.deps();
    for id in [A, B, C] {
        run(&deps, "prepare", id).await.unwrap();
    }
    // Another execution scores B. It read the part of the summaries where A is before A was there, and the part where C is
    // after C was there: it compared with one submission, as many as the execution of A knows at first.
    let far = world.content.lock().unwrap().summaries.remove(C).unwrap();
    let zero = json!({"N": "0"});
    let stale = json!({"M": {
        "original": {"BOOL": true}, "similar_count": zero, "compared": {"N": "1"}, "offender_count": zero, "offenders": {"L": []},
    }});
    world.meanwhile(&["GetItem", B], move |content| {
        content.summaries.insert(C.to_owned(), far);
        content.submissions.get_mut(B).unwrap()["originality"] = stale;
    });
    run(&deps, "originality", A).await.unwrap();
    let result = world.attribute(B, "originality");
    assert_eq!((&result["original"], &result["compared"]), (&json!(false), &json!(2)), "{result}");
}

#[tokio::test]
async fn a_result_that_was_stored_meanwhile_is_not_overwritten_but_scored_again() {
    let world = world().await;
    with_far(&world);
    let deps = world.deps();
    run(&deps, "prepare", C).await.unwrap();
    run(&deps, "prepare", B).await.unwrap();
    // While B is scored, A is prepared and scored, and B again because of A.
    let before = world.snapshot();
    run(&deps, "prepare", A).await.unwrap();
    run(&deps, "originality", A).await.unwrap();
    let after = world.snapshot();
    assert_eq!(world.attribute(B, "originality")["compared"], 2);
    *world.content.lock().unwrap() = before;
    world.meanwhile(&["UpdateItem", B], move |content| *content = after);
    let result = run(&deps, "originality", B).await.unwrap();
    assert_eq!((&result["original"], &result["compared"]), (&json!(false), &json!(2)));
    assert_eq!(world.attribute(B, "originality")["original"], false);
}

/// An order of things to do, by a linear congruential generator.
fn shuffled<T>(mut items: Vec<T>, seed: u64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for end in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(end, usize::try_from((state >> 33) % (end as u64 + 1)).unwrap());
    }
    items
}

/// Every submission is compared with every earlier one, in whatever order they are prepared and scored, one after the other or
/// at the same time, whatever grids and segments are added meanwhile, and also when steps are repeated.
#[tokio::test]
async fn results_are_those_of_comparing_every_pair_in_every_order() {
    const COUNT: u8 = 12;
    const GROUPS: usize = 5;
    let ids: Vec<String> = (0..COUNT).map(|nth| format!("submission{nth:04}")).collect();
    // Newest first, as results list offenders.
    let offenders = |nth: usize| {
        (0..nth).rev().filter(|earlier| earlier % GROUPS == nth % GROUPS).map(|at| ids[at].as_str()).collect::<Vec<_>>()
    };
    let mut versions = 0;
    for seed in 0..8 {
        let world = world().await;
        for (nth, id) in (0_u8..).zip(&ids) {
            world.register(id, &format!("user{nth}"), nth);
            let shift = f64::from(nth % 5) * 0.1;
            world.put(&format!("scoring/predictions/r1/{id}.csv"), predictions(shift));
        }
        let steps = shuffled(ids.iter().cloned().chain(ids.iter().take(4).cloned()).collect(), seed);
        for batch in steps.chunks(1 + usize::try_from(seed % 4).unwrap()) {
            let scored = batch.iter().map(async |id| {
                // Segments of one, two or three submissions, or none.
                let deps = world.deps_with_segments_of(["1", "2", "3", "2048"][usize::try_from(seed / 2).unwrap()]);
                run(&deps, "prepare", id).await.unwrap();
                run(&deps, "originality", id).await.unwrap();
            });
            futures_util::future::join_all(scored).await;
        }
        for (nth, id) in ids.iter().enumerate() {
            let result = world.attribute(id, "originality");
            let found: Vec<&str> = result["offenders"]
                .as_array()
                .unwrap()
                .iter()
                .map(|offender| offender["submission"].as_str().unwrap())
                .collect();
            assert_eq!(found, offenders(nth), "{id} with seed {seed}: {result}");
            assert_eq!(result["original"], found.is_empty(), "{id} with seed {seed}: {result}");
        }
        versions += world.content.lock().unwrap().summaries["~index"]["grids"]["L"].as_array().unwrap().len();
    }
    assert!(versions >= 8, "no grid was added");
}
