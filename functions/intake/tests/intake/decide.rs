//! One record, one decision.

use intake::decide::decide_message;
use intake::settings::Filter;
use intake::{Decision, NotForUs, QuarantineReason};
use proptest::prelude::*;
use serde_json::{Value, json};

const SUBMISSION: &str = "d01c8c8b-2a7f-463f-992b-7bc5423e1dd0";

fn review() -> Value {
    json!({
        "resource": "review", "id": "f3c3f4e3-6384-4042-a093-bac85d1dda81", "status": "completed", "score": 100,
        "submissionId": SUBMISSION, "scoreCardId": 30_001_850, "typeId": "55bbb17d-aac2-45a6-89c3-a8d102863d05",
        "originalTopic": "submission.notification.create",
    })
}

fn review_with(field: &str, value: Value) -> Value {
    let mut review = review();
    review[field] = value;
    review
}

fn review_without(field: &str) -> Value {
    let mut review = review();
    review.as_object_mut().unwrap().remove(field);
    review
}

fn enveloped(payload: &Value) -> Value {
    json!({"topic": "submission.notification.aggregate", "originator": "me", "mime-type": "application/json", "payload": payload})
}

fn decide(message: impl AsRef<[u8]>) -> Decision {
    decide_message(message.as_ref(), &Filter::default())
}

/// Decides about a review bare and in its envelope, which must not differ.
fn decide_both(review: &Value) -> Decision {
    let decision = decide(review.to_string());
    assert_eq!(decide(enveloped(review).to_string()), decision, "in its envelope: {review}");
    decision
}

fn start() -> Decision {
    Decision::Start(SUBMISSION.parse().unwrap())
}

#[test]
fn a_clean_submission_is_started() {
    assert_eq!(decide_both(&review()), start());
    assert_eq!(
        decide_both(&review_with("submissionId", json!("-kJ-nOos4KQaL3"))),
        Decision::Start("-kJ-nOos4KQaL3".parse().unwrap())
    );
}

#[test]
fn the_message_of_the_specification_starts_its_submission() {
    assert_eq!(decide(include_str!("../../../../samples/message.json")), start());
}

#[test]
fn an_id_has_one_form() {
    for (written, canonical) in
        [("D01C8C8B-2A7F-463F-992B-7BC5423E1DD0", SUBMISSION), ("58D411E57278611200EE49A6", "58d411e57278611200ee49a6")]
    {
        let Decision::Start(id) = decide_both(&review_with("submissionId", json!(written))) else {
            panic!("{written}")
        };
        assert_eq!(id.as_str(), canonical);
    }
}

#[test]
fn each_field_of_the_filter_counts() {
    for (field, reason) in [
        ("resource", NotForUs::OtherResource),
        ("originalTopic", NotForUs::OtherOriginalTopic),
        ("typeId", NotForUs::OtherType),
        ("score", NotForUs::OtherScore),
    ] {
        assert_eq!(decide_both(&review_without(field)), Decision::NotForUs(reason), "without {field}");
        assert_eq!(decide_both(&review_with(field, Value::Null)), Decision::NotForUs(reason), "null {field}");
    }
    for (field, reason) in [
        ("resource", NotForUs::OtherResource),
        ("originalTopic", NotForUs::OtherOriginalTopic),
        ("typeId", NotForUs::OtherType),
    ] {
        let matching = review()[field].as_str().unwrap().to_owned();
        for other in [
            json!(""),
            json!(format!("{matching} ")),
            json!(matching[1..]),
            json!(matching.to_uppercase()),
            json!([matching]),
            json!({"value": matching}),
            json!(7),
            json!(true),
        ] {
            assert_eq!(decide_both(&review_with(field, other.clone())), Decision::NotForUs(reason), "{field}: {other}");
        }
    }
}

#[test]
fn the_score_is_compared_as_a_number() {
    for score in [
        "100",
        "100.0",
        "1e2",
        "1E+2",
        "1000e-1",
        r#""100""#,
        r#"" 100 ""#,
        r#""100.00""#,
        r#""1e2""#,
        r#""\u0031\u0030\u0030""#,
    ] {
        let message = review().to_string().replace(r#""score":100"#, &format!(r#""score":{score}"#));
        assert!(message.contains(&format!(r#""score":{score}"#)));
        assert_eq!(decide(message), start(), "{score}");
    }
    for score in
        ["99", "101", "99.999999", "100.00001", "-100", "0", "1e999", "-1e999", r#""0""#, r#""99""#, r#""1e999""#]
    {
        let message = review().to_string().replace(r#""score":100"#, &format!(r#""score":{score}"#));
        assert_eq!(decide(message), Decision::NotForUs(NotForUs::OtherScore), "{score}");
    }
    for score in [
        json!("abc"),
        json!(""),
        json!("0x64"),
        json!("inf"),
        json!("NaN"),
        json!("100 points"),
        json!("1e"),
        json!(true),
        json!({}),
        json!([100]),
    ] {
        assert_eq!(
            decide_both(&review_with("score", score.clone())),
            Decision::Quarantine(QuarantineReason::UnreadableScore),
            "{score}"
        );
        let mut other = review_with("score", score);
        other["typeId"] = json!("68c5a381-c8ab-48af-92a7-7a869a4ee6c3");
        assert_eq!(decide_both(&other), Decision::NotForUs(NotForUs::OtherType), "of other reviews it does not matter");
    }
}

#[test]
fn a_match_without_a_usable_submission_is_quarantined() {
    for review in [review_without("submissionId"), review_with("submissionId", Value::Null)] {
        assert_eq!(decide_both(&review), Decision::Quarantine(QuarantineReason::SubmissionIdMissing));
    }
    for id in [
        json!(""),
        json!("../../etc/passwd"),
        json!(7),
        json!({}),
        json!("d01c8c8b"),
        json!("d01c8c8b-2a7f-463f-992b-7bc5423e1dd0 "),
    ] {
        assert_eq!(
            decide_both(&review_with("submissionId", id.clone())),
            Decision::Quarantine(QuarantineReason::SubmissionIdInvalid),
            "{id}"
        );
    }
}

#[test]
fn json_of_another_shape_is_not_for_us() {
    for message in ["null", "7", "-0.5e-3", "true", r#""text""#, "[]", r#"[{"resource":"review"}]"#, " [1] "] {
        assert_eq!(decide(message), Decision::NotForUs(NotForUs::OtherShape), "{message}");
    }
    assert_eq!(decide(""), Decision::NotForUs(NotForUs::EmptyValue));
    assert_eq!(decide("{}"), Decision::NotForUs(NotForUs::OtherResource));
}

#[test]
fn a_value_that_is_not_json_is_quarantined() {
    let cut = review().to_string();
    for message in [
        b"{".as_slice(),
        b" ",
        b"\0",
        b"not json",
        b"{}{}",
        b"[1,]",
        b"{'resource':'review'}",
        b"NaN",
        // In a number's place of its own, one that no double can hold is an error of the parser.
        b"1e999",
        b"\xef\xbb\xbf",
        b"\xff\xfe{\0}\0",
        b"{\"unknown\":\"\xff\"}",
        b"{\"unknown\":\"\x01\"}",
        &cut.as_bytes()[..cut.len() - 1],
        "[".repeat(1_000_000).as_bytes(),
        r#"{"payload":"#.repeat(100_000).as_bytes(),
    ] {
        assert_eq!(
            decide(message),
            Decision::Quarantine(QuarantineReason::NotJson),
            "{:?}",
            &message[..message.len().min(20)]
        );
    }
}

#[test]
fn a_byte_order_mark_and_blanks_are_tolerated() {
    assert_eq!(decide(format!("\u{feff} \r\n\t{}\n", review())), start());
}

#[test]
fn unknown_fields_are_ignored() {
    let depth = 100_000;
    for odd in [
        r#""\ud800""#.to_owned(),
        "1e999".to_owned(),
        format!("{}{}", "[".repeat(depth), "]".repeat(depth)),
        format!("{}1{}", r#"{"payload":"#.repeat(depth), "}".repeat(depth)),
        format!(r#""{}""#, "x".repeat(1 << 20)),
    ] {
        let message = review().to_string().replacen('{', &format!(r#"{{"unknown":{odd},"#), 1);
        assert_eq!(decide(&message), start());
        assert_eq!(decide(format!(r#"{{"unknown":{odd},"payload":{message}}}"#)), start());
    }
}

#[test]
fn the_last_of_repeated_fields_counts() {
    let review = review().to_string();
    assert_eq!(decide(review.replacen('{', r#"{"score":0,"#, 1)), start());
    assert_eq!(decide(review.replace('}', r#","score":0}"#)), Decision::NotForUs(NotForUs::OtherScore));
    assert_eq!(decide(format!(r#"{{"payload":{{}},"payload":{review}}}"#)), start());
}

#[test]
fn only_an_object_counts_as_a_payload() {
    for payload in [json!(null), json!("text"), json!([review()]), json!(7)] {
        assert_eq!(decide(review_with("payload", payload).to_string()), start());
    }
    assert_eq!(
        decide(review_with("payload", json!({"resource": "challenge"})).to_string()),
        Decision::NotForUs(NotForUs::OtherResource),
        "the payload counts, not what is beside it"
    );
    assert_eq!(
        decide(enveloped(&enveloped(&review())).to_string()),
        Decision::NotForUs(NotForUs::OtherResource),
        "there is one envelope at most"
    );
}

#[test]
fn the_filters_values_are_settings() {
    let variables =
        [("RESOURCE", "scan"), ("ORIGINAL_TOPIC", "t"), ("REVIEW_TYPE_ID", "7"), ("REQUIRED_SCORE", "99.5")];
    let others = [
        ("STATE_MACHINE_ARN", "arn:aws:states:us-east-1:1:stateMachine:p"),
        ("QUARANTINE_BUCKET", "bucket"),
        ("STACK_NAME", "s"),
    ];
    let settings = intake::Settings::read(&variables.into_iter().chain(others).collect()).unwrap();
    let message =
        json!({"resource": "scan", "originalTopic": "t", "typeId": "7", "score": 99.5, "submissionId": SUBMISSION});
    assert_eq!(decide_message(message.to_string().as_bytes(), &settings.filter), start());
    assert_eq!(
        decide_message(review().to_string().as_bytes(), &settings.filter),
        Decision::NotForUs(NotForUs::OtherResource)
    );
}

#[test]
fn reasons_have_stable_names() {
    let names = [
        NotForUs::Tombstone.to_string(),
        NotForUs::EmptyValue.to_string(),
        NotForUs::OtherShape.to_string(),
        NotForUs::OtherResource.to_string(),
        NotForUs::OtherOriginalTopic.to_string(),
        NotForUs::OtherType.to_string(),
        NotForUs::OtherScore.to_string(),
        QuarantineReason::NotARecord.to_string(),
        QuarantineReason::NotBase64.to_string(),
        QuarantineReason::NotJson.to_string(),
        QuarantineReason::UnreadableScore.to_string(),
        QuarantineReason::SubmissionIdMissing.to_string(),
        QuarantineReason::SubmissionIdInvalid.to_string(),
    ];
    assert_eq!(
        names.join(" "),
        "Tombstone EmptyValue OtherShape OtherResource OtherOriginalTopic OtherType OtherScore \
         NotARecord NotBase64 NotJson UnreadableScore SubmissionIdMissing SubmissionIdInvalid"
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        prop::sample::select(vec![
            "review",
            "submission.notification.create",
            "55bbb17d-aac2-45a6-89c3-a8d102863d05",
            "100",
            SUBMISSION
        ])
        .prop_map(Value::from),
    ];
    let name = prop_oneof![
        "[a-z]*",
        prop::sample::select(vec!["resource", "originalTopic", "typeId", "score", "submissionId", "payload"])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(name.clone(), inner, 0..6).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_get_a_decision(bytes: Vec<u8>) {
        let _ = decide(bytes);
    }

    #[test]
    fn damaged_messages_get_a_decision(at in 0..300_usize, byte: u8) {
        let mut message = enveloped(&review()).to_string().into_bytes();
        let at = at % message.len();
        message[at] = byte;
        let _ = decide(message);
    }

    #[test]
    fn valid_json_is_never_quarantined_as_not_json(value in any_json()) {
        prop_assert_ne!(decide(value.to_string()), Decision::Quarantine(QuarantineReason::NotJson));
    }

    #[test]
    fn a_field_of_any_kind_gets_one_decision_bare_or_enveloped(
        field in prop::sample::select(vec!["resource", "originalTopic", "typeId", "score", "submissionId"]),
        value in any_json(),
    ) {
        decide_both(&review_with(field, value));
    }

    #[test]
    fn only_the_required_score_starts(score: f64) {
        prop_assume!(score.is_finite());
        let expected = if score.to_bits() == 100.0_f64.to_bits() { start() } else { Decision::NotForUs(NotForUs::OtherScore) };
        prop_assert_eq!(decide_both(&review_with("score", json!(score))), expected.clone());
        prop_assert_eq!(decide_both(&review_with("score", json!(score.to_string()))), expected);
    }
}
