//! Segments of summaries: nothing is missed while items are packed, and 100,000 submissions cost few units of reading.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::{Coded, FailureCode};
use serde_json::{Value, json};

use crate::world::{Content, World};
use crate::{A, B, predictions, run, world};

const INDEX: &str = "~index";
const C: &str = "cccccccccccccc";
const D: &str = "dddddddddddddd";

fn segments(content: &Content) -> Vec<String> {
    let names = content.summaries.get(INDEX).map(|index| index["segments"]["L"].as_array().unwrap().clone());
    let key = |name: &Value| format!("scoring/scored/r1/s/{}", name["S"].as_str().unwrap());
    names.unwrap_or_default().iter().map(key).collect()
}

fn items(content: &Content) -> Vec<&str> {
    content.summaries.keys().map(String::as_str).filter(|id| *id != INDEX).collect()
}

/// The points of a grid, as the index has them.
fn grid(from: f64) -> Value {
    let points: Vec<u8> = (0..64_u8).flat_map(|point| (f64::from(point) / 64.0 + from).to_le_bytes()).collect();
    json!({"B": BASE64_STANDARD.encode(points)})
}

/// Three submissions: B copies A, and C is far from both. Their grid is the newest one, and the next one is not due.
async fn three() -> World {
    let world = world().await;
    let index = json!({
        "challengeId": {"S": "r1"}, "submissionId": {"S": INDEX}, "revision": {"N": "1"}, "grids": {"L": [grid(0.0)]},
        "segments": {"L": []},
    });
    world.content.lock().unwrap().summaries.insert(INDEX.to_owned(), index);
    world.register(C, "cyd", 1);
    world.put("scoring/predictions/r1/cccccccccccccc.csv", predictions(0.0));
    let deps = world.deps();
    for id in [A, B, C] {
        run(&deps, "prepare", id).await.unwrap();
    }
    world
}

fn finds_the_copy(result: &Value) {
    assert_eq!((&result["original"], &result["compared"]), (&json!(false), &json!(2)), "{result}");
    assert_eq!(result["offenders"][0]["submission"], A);
}

#[tokio::test]
async fn packed_submissions_are_compared_like_others() {
    let world = three().await;
    let deps = world.deps_with_segments_of("2");
    // Far from all others, so that it changes no result.
    run(&deps, "originality", C).await.unwrap();
    let content = world.snapshot();
    assert_eq!((segments(&content).len(), items(&content)), (1, vec![C]));
    finds_the_copy(&run(&deps, "originality", B).await.unwrap());
    assert_eq!(run(&deps, "originality", A).await.unwrap()["original"], true);
    // A repeated step adds the item again, which changes nothing.
    world.content.lock().unwrap().submissions.get_mut(A).unwrap().as_object_mut().unwrap().remove("predictions");
    run(&deps, "prepare", A).await.unwrap();
    assert_eq!(items(&world.snapshot()), [A, C]);
    assert_eq!(run(&deps, "originality", A).await.unwrap()["original"], true);
    assert_eq!((segments(&world.snapshot()).len(), items(&world.snapshot())), (1, vec![A, C]));
}

/// The states that an execution leaves that stops while it packs: the segment is written, the index names it, some items are
/// deleted.
#[tokio::test]
async fn an_execution_that_stops_anywhere_while_it_packs_loses_nothing() {
    let world = three().await;
    let before = world.snapshot();
    let deps = world.deps_with_segments_of("2");
    run(&deps, "originality", C).await.unwrap();
    let after = world.snapshot();
    let [segment] = &segments(&after)[..] else { panic!("one segment") };
    let mut written = before.clone();
    written.objects.insert(segment.clone(), after.objects[segment].clone());
    let mut named = written.clone();
    named.summaries.insert(INDEX.to_owned(), after.summaries[INDEX].clone());
    let mut half = named.clone();
    half.summaries.remove(A);
    let states = [
        ("written", written, 1, vec![C]),
        ("named", named, 1, vec![A, B, C]),
        ("half", half, 1, vec![B, C]),
        ("done", after, 1, vec![C]),
    ];
    for (name, state, segment_count, left) in states {
        *world.content.lock().unwrap() = state;
        finds_the_copy(&run(&deps, "originality", B).await.unwrap());
        assert_eq!((segments(&world.snapshot()).len(), items(&world.snapshot())), (segment_count, left), "{name}");
        // The execution that packs the next segment deletes what is left.
        world.register(D, "dan", 0);
        world.put("scoring/predictions/r1/dddddddddddddd.csv", predictions(0.5));
        run(&deps, "prepare", D).await.unwrap();
        assert_eq!(run(&deps, "originality", D).await.unwrap()["original"], true);
        assert_eq!((segments(&world.snapshot()).len(), items(&world.snapshot())), (2, vec![]), "{name}");
        let result = run(&deps, "originality", B).await.unwrap();
        assert_eq!((&result["offenders"][0]["submission"], &result["compared"]), (&json!(A), &json!(3)), "{name}");
    }
}

#[tokio::test]
async fn items_that_are_packed_while_they_are_read_are_found() {
    let world = three().await;
    let before = world.snapshot();
    let deps = world.deps_with_segments_of("2");
    run(&deps, "originality", C).await.unwrap();
    let after = world.snapshot();
    // Before the first page, before the second page, before the index is read.
    for at in [&["Query"][..], &["Query", "ExclusiveStartKey"], &["GetItem", INDEX]] {
        *world.content.lock().unwrap() = before.clone();
        let packed = after.clone();
        world.meanwhile(at, move |content| {
            content.summaries = packed.summaries;
            content.objects = packed.objects;
        });
        finds_the_copy(&run(&deps, "originality", B).await.unwrap());
        assert_eq!(segments(&world.snapshot()).len(), 1, "{at:?}");
    }
}

#[tokio::test]
async fn of_two_executions_that_pack_at_the_same_time_one_deletes() {
    let world = three().await;
    let deps = world.deps_with_segments_of("2");
    // Another execution changes the index while this one writes its segment.
    world.meanwhile(&["PutItem", INDEX, r#""segments":{"L":[{"S""#], |content| {
        content.summaries.get_mut(INDEX).unwrap()["revision"] = json!({"N": "7"});
    });
    run(&deps, "originality", C).await.unwrap();
    assert_eq!((segments(&world.snapshot()).len(), items(&world.snapshot())), (0, vec![A, B, C]));
    finds_the_copy(&run(&deps, "originality", B).await.unwrap());
    assert_eq!((segments(&world.snapshot()).len(), items(&world.snapshot())), (1, vec![C]));
}

#[tokio::test]
async fn an_item_that_was_renewed_while_it_was_packed_stays() {
    let world = three().await;
    let deps = world.deps_with_segments_of("2");
    let renewed = world.snapshot().summaries[A].clone();
    let mut packed = BASE64_STANDARD.decode(renewed["packed"]["B"].as_str().unwrap()).unwrap();
    packed.extend(b"x");
    let packed = json!({"B": BASE64_STANDARD.encode(packed)});
    let (newer, expected) = (packed.clone(), packed);
    world.meanwhile(&["DeleteItem", A], move |content| {
        content.summaries.get_mut(A).unwrap()["packed"] = newer;
    });
    run(&deps, "originality", C).await.unwrap();
    let content = world.snapshot();
    assert_eq!((segments(&content).len(), items(&content)), (1, vec![A, C]));
    assert_eq!(content.summaries[A]["packed"], expected);
}

#[tokio::test]
async fn a_segment_that_is_missing_or_not_valid_is_an_error() {
    let world = three().await;
    let deps = world.deps_with_segments_of("2");
    run(&deps, "originality", C).await.unwrap();
    let [segment] = &segments(&world.snapshot())[..] else { panic!("one segment") };
    let valid = world.object(segment).unwrap();
    for (bytes, says) in [
        (None, "was not found. Restore its latest version"),
        (Some(&valid[1..]), "is not valid: the bytes have another format"),
        (Some(&valid[..valid.len() - 1]), "is not valid: there are too few or too many bytes"),
    ] {
        world.content.lock().unwrap().objects.remove(segment);
        if let Some(bytes) = bytes {
            world.put(segment, bytes);
        }
        let error = run(&deps, "originality", B).await.unwrap_err();
        assert_eq!(error.code(), FailureCode::ScoringFault);
        assert!(error.to_string().contains(&format!("s3://{segment}, a segment with summaries, {says}")), "{error}");
        assert_eq!(world.attribute(B, "originality"), Value::Null);
    }
    world.put(segment, &valid);
    finds_the_copy(&run(&deps, "originality", B).await.unwrap());
}

#[tokio::test]
async fn an_index_that_is_missing_although_there_are_segments_is_an_error() {
    let world = world().await;
    // One participant: there is no index before the first segment.
    world.register(B, "ann", 2);
    world.register(D, "dan", 3);
    world.put("scoring/predictions/r1/dddddddddddddd.csv", predictions(0.25));
    let deps = world.deps_with_segments_of("2");
    run(&deps, "prepare", A).await.unwrap();
    run(&deps, "prepare", B).await.unwrap();
    // Where the segment is written, the index is already there.
    world.meanwhile(&["PUT", "/r1/s/"], |content| assert_eq!(content.summaries[INDEX]["revision"]["N"], "1"));
    run(&deps, "originality", B).await.unwrap();
    assert_eq!((segments(&world.snapshot()).len(), items(&world.snapshot()).len()), (1, 0));
    let index = world.content.lock().unwrap().summaries.remove(INDEX).unwrap();
    for action in ["prepare", "originality"] {
        let error = run(&deps, action, D).await.unwrap_err();
        assert_eq!(error.code(), FailureCode::ScoringFault);
        assert!(error.to_string().contains("no index of the challenge r1, although there are segments"), "{error}");
    }
    world.content.lock().unwrap().summaries.insert(INDEX.to_owned(), index);
    run(&deps, "prepare", D).await.unwrap();
    assert_eq!(run(&deps, "originality", D).await.unwrap()["offender_count"], 2);
}

#[tokio::test]
async fn an_index_and_a_segment_that_are_written_while_the_index_is_read_are_found() {
    let world = world().await;
    world.register(B, "ann", 2);
    world.register(D, "dan", 3);
    world.put("scoring/predictions/r1/dddddddddddddd.csv", predictions(0.25));
    let deps = world.deps_with_segments_of("2");
    for id in [A, B] {
        run(&deps, "prepare", id).await.unwrap();
    }
    let before = world.snapshot();
    run(&deps, "originality", B).await.unwrap();
    let after = world.snapshot();
    *world.content.lock().unwrap() = before;
    run(&deps, "prepare", D).await.unwrap();
    let prepared = world.snapshot().summaries[D].clone();
    world.meanwhile(&["GET", "list-type=2"], move |content| {
        content.summaries = after.summaries;
        content.summaries.insert(D.to_owned(), prepared);
        content.objects.extend(after.objects);
    });
    assert_eq!(run(&deps, "originality", D).await.unwrap()["offender_count"], 2);
}

/// The id and the packed form of an earlier submission, as documented: far from all others, on the uniform grid.
fn far(nth: u32) -> (String, Vec<u8>) {
    let mut packed = vec![1, 0, 0];
    packed.extend(&scoring_digest()[..6]);
    packed.extend(45_000_u32.to_le_bytes());
    packed.push(64);
    for point in 0..64_u32 {
        let count = if point < 63 { 0 } else { nth % 45_000 };
        packed.extend(&count.to_le_bytes()[..2]);
    }
    packed.extend(i128::from(nth).to_le_bytes());
    // So much longer than usual as the id of the challenge is shorter here.
    packed.extend(format!("{:042}", 10_000_000 + nth).bytes());
    // No order of ids follows the order of creation.
    (format!("{:08x}-2a7f-463f-992b-{nth:012x}", nth.wrapping_mul(2_654_435_761)), packed)
}

/// The digest of the uniform grid.
fn scoring_digest() -> Vec<u8> {
    use sha2::Digest as _;
    let mut digest = sha2::Sha256::new();
    for point in 0..64_u8 {
        digest.update((f64::from(point) / 64.0).to_le_bytes());
    }
    digest.finalize().to_vec()
}

/// A challenge with so many earlier submissions in segments of 2,048, and so many as items.
async fn large(in_segments: u32, as_items: u32) -> World {
    let world = world().await;
    let mut names = Vec::new();
    let numbers: Vec<u32> = (0..in_segments).collect();
    for (nth, part) in numbers.chunks(2048).enumerate() {
        let mut segment = b"KSSG\x01\0".to_vec();
        segment.extend(u32::try_from(part.len()).unwrap().to_le_bytes());
        for number in part {
            let (id, packed) = far(*number);
            for part in [id.as_bytes(), &packed] {
                segment.extend(u32::try_from(part.len()).unwrap().to_le_bytes());
                segment.extend(part);
            }
        }
        let name = format!("{nth:032}");
        world.put(&format!("scoring/scored/r1/s/{name}"), segment);
        names.push(json!({"S": name}));
    }
    let mut content = world.content.lock().unwrap();
    content.page_bytes = Some(1 << 20);
    // Six grids, the most there are.
    let grids: Vec<Value> = (0..5_u8).map(|nth| grid(nth.into())).collect();
    let index = json!({
        "challengeId": {"S": "r1"}, "submissionId": {"S": INDEX}, "revision": {"N": "99"}, "grids": {"L": grids},
        "segments": {"L": names},
    });
    content.summaries.insert(INDEX.to_owned(), index);
    for number in in_segments..in_segments + as_items {
        let (id, packed) = far(number);
        let item = json!({
            "challengeId": {"S": "r1"}, "submissionId": {"S": id}, "packed": {"B": BASE64_STANDARD.encode(packed)},
        });
        content.summaries.insert(id, item);
    }
    drop(content);
    world
}

/// The pages, units of reading and reads of segments that scoring the originality of one more submission takes.
async fn cost(world: &World, earlier: u32) -> (usize, usize, usize) {
    let deps = world.deps();
    run(&deps, "prepare", B).await.unwrap();
    let since = world.server.requests().len();
    world.content.lock().unwrap().read_units = 0;
    let result = run(&deps, "originality", B).await.unwrap();
    assert_eq!((&result["original"], &result["compared"]), (&json!(true), &json!(earlier)), "{result}");
    let requests = world.server.requests();
    let count =
        |is: &dyn Fn(&testing::server::Request) -> bool| requests[since..].iter().filter(|request| is(request)).count();
    let queries = count(&|request| request.header("x-amz-target").is_some_and(|target| target.ends_with("Query")));
    let segments = count(&|request| request.line.starts_with("GET") && request.line.contains("/r1/s/"));
    (queries, world.content.lock().unwrap().read_units, segments)
}

#[tokio::test]
async fn ten_thousand_items_take_at_most_four_pages_and_1000_units() {
    // The worst case: none of them is in a segment yet.
    let world = large(0, 10_000).await;
    let (pages, units, segments) = cost(&world, 10_000).await;
    println!("10,000 items: {pages} pages, {units} units, {segments} segments");
    assert!(pages <= 4 && units <= 1000 && segments == 0, "{pages} {units} {segments}");
}

#[tokio::test]
async fn one_hundred_thousand_submissions_take_less_than_3000_units_a_second_at_three_scorings_a_second() {
    // The worst case: as many items as there are before the next segment.
    let world = large(98_304, 2_046).await;
    let (pages, units, segments) = cost(&world, 100_350).await;
    println!("100,350 submissions: {pages} pages, {units} units, {segments} segments");
    assert!(3 * units < 3000 && pages == 1 && segments == 48, "{pages} {units} {segments}");
}
