//! Records and leaderboards as they are shown, and the way from one page to the next. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};
use shared::records::Part;
use shared::{Round, SubmissionId};

use crate::http::Refusal;

/// Submissions on a page unless asked otherwise, and at most.
const PAGE: (i32, i32) = (50, 100);

/// What a leaderboard is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The metric, the best first; submissions without a score are not on it.
    Metric,
    /// The date of creation, the newest first.
    Created,
}

/// A page of a leaderboard.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// What it is sorted by.
    pub by: By,
    /// Submissions on it at most.
    pub limit: i32,
    /// The last submission of the page before.
    pub after: Option<Place>,
}

/// Where a submission stands in an index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The submission.
    pub id: SubmissionId,
    /// Its standing, as DynamoDB writes numbers, or its date of creation.
    pub at: String,
}

impl Place {
    /// As text for a URL.
    #[must_use]
    pub fn token(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(json!(self).to_string())
    }
}

impl Page {
    /// Reads `by` (`metric` or `created`), `limit` and `next`, each of which may be absent.
    ///
    /// # Errors
    /// A refusal that names the parameter.
    pub fn read(query: &BTreeMap<String, String>) -> Result<Self, Refusal> {
        let malformed = |field, message: String| Refusal::Malformed { field: Some(field), message };
        let by = match query.get("by").map(String::as_str) {
            None | Some("metric") => By::Metric,
            Some("created") => By::Created,
            Some(_) => return Err(malformed("by", "by has to be metric or created.".to_owned())),
        };
        let limit = match query.get("limit") {
            None => PAGE.0,
            Some(limit) => limit
                .parse()
                .ok()
                .filter(|limit| (1..=PAGE.1).contains(limit))
                .ok_or_else(|| malformed("limit", format!("limit has to be a number from 1 to {}.", PAGE.1)))?,
        };
        let after = query.get("next").map(|token| {
            let json = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
            let place: Option<Place> = json.and_then(|json| serde_json::from_slice(&json).ok());
            let is_at = |place: &Place| match by {
                By::Metric => place.at.parse::<f64>().is_ok_and(f64::is_finite),
                By::Created => !place.at.is_empty() && place.at.len() <= 64,
            };
            place
                .filter(is_at)
                .ok_or_else(|| malformed("next", "next has to be the one of a page that was answered.".to_owned()))
        });
        Ok(Self { by, limit, after: after.transpose()? })
    }
}

/// A submission's record.
#[must_use]
pub fn record(attributes: &Map<String, Value>) -> Value {
    let mut shown = head(attributes);
    let mut failures = Map::new();
    for part in Part::ALL {
        shown.insert(part.attribute().to_owned(), judgement(attributes, part));
        if let Some(failure) = attributes.get(part.failure_attribute()) {
            failures.insert(part.attribute().to_owned(), failure.clone());
        }
    }
    shown.insert("failures".to_owned(), Value::Object(failures));
    Value::Object(shown)
}

/// A page of a leaderboard.
#[must_use]
pub fn leaderboard(round: &Round, by: By, items: &[Map<String, Value>], next: Option<&Place>) -> Value {
    let submissions: Vec<Value> = items.iter().map(row).collect();
    json!({"round": round, "by": by, "submissions": submissions, "next": next.map(Place::token)})
}

fn row(attributes: &Map<String, Value>) -> Value {
    let mut shown = head(attributes);
    shown.remove("round");
    let field = |part: Part, name: &str| attributes.get(part.attribute()).and_then(|value| value.get(name)).cloned();
    for (name, value) in [
        ("metric", attributes.get(Part::Metric.attribute()).map(|_| judgement(attributes, Part::Metric))),
        ("concordant", field(Part::Concordance, "concordant")),
        ("concordance", field(Part::Concordance, "score").map(fraction)),
        ("original", field(Part::Originality, "original")),
    ] {
        shown.insert(name.to_owned(), value.unwrap_or(Value::Null));
    }
    Value::Object(shown)
}

fn head(attributes: &Map<String, Value>) -> Map<String, Value> {
    let names = [("submission_id", "submissionId"), ("user_id", "userId"), ("round", "round"), ("created", "created")];
    let value = |attribute| attributes.get(attribute).cloned().unwrap_or(Value::Null);
    names.into_iter().map(|(name, attribute)| (name.to_owned(), value(attribute))).collect()
}

/// A judgement without what only sorting needs.
fn judgement(attributes: &Map<String, Value>, part: Part) -> Value {
    let mut judgement = attributes.get(part.attribute()).cloned().unwrap_or(Value::Null);
    if let Some(fields) = judgement.as_object_mut() {
        fields.remove("standing");
    }
    judgement
}

/// DynamoDB gives 1 for 1.0: a score is a fraction also then.
fn fraction(value: Value) -> Value {
    value.as_f64().and_then(Number::from_f64).map_or(value, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "_9VOLnz2XYZv8J";

    fn query(pairs: &[(&str, &str)]) -> Result<Page, Refusal> {
        Page::read(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_page_leads_to_the_next() {
        assert_eq!(query(&[]).unwrap(), Page { by: By::Metric, limit: 50, after: None });
        let place = Place { id: ID.parse().unwrap(), at: "-0.25".to_owned() };
        let page = query(&[("limit", "2"), ("next", &place.token())]).unwrap();
        assert_eq!(page, Page { by: By::Metric, limit: 2, after: Some(place) });
    }

    #[test]
    fn a_parameter_that_is_malformed_is_named() {
        let bad = Place { id: ID.parse().unwrap(), at: "NaN".to_owned() }.token();
        for (name, value) in
            [("by", "luck"), ("limit", "0"), ("limit", "101"), ("limit", "many"), ("next", "x"), ("next", bad.as_str())]
        {
            let Err(Refusal::Malformed { field, .. }) = query(&[(name, value)]) else { panic!("{name}={value}") };
            assert_eq!(field, Some(name));
        }
    }

    #[test]
    fn what_is_not_known_yet_is_null() {
        let Value::Object(attributes) = json!({
            "submissionId": ID, "userId": "u", "round": "r", "created": "2026-01-01T00:00:00Z", "predictionsKey": "p.csv",
            "predictions": {"rows": 3}, "concordance": {"concordant": true, "score": 0, "regions": []}, "standing": -1,
            "metric": {"name": "logloss", "score": 1, "standing": -1},
            "originalityFailure": {"code": "ScoringFault", "message": "m"},
        }) else {
            panic!("no object")
        };
        assert_eq!(
            record(&attributes),
            json!({"submission_id": ID, "user_id": "u", "round": "r", "created": "2026-01-01T00:00:00Z",
                "predictions": {"rows": 3}, "originality": null, "metric": {"name": "logloss", "score": 1},
                "concordance": {"concordant": true, "score": 0, "regions": []},
                "failures": {"originality": {"code": "ScoringFault", "message": "m"}}})
        );
        let board = leaderboard(&"r".parse().unwrap(), By::Metric, &[attributes], None);
        assert_eq!(
            board,
            json!({"round": "r", "by": "metric", "next": null, "submissions": [
                {"submission_id": ID, "user_id": "u", "created": "2026-01-01T00:00:00Z", "original": null,
                 "metric": {"name": "logloss", "score": 1}, "concordant": true, "concordance": 0.0}]})
        );
    }
}
