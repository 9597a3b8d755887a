//! Which page of a leaderboard a request asks for.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::SubmissionId;
use scoring::Metric;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::HttpError;

/// Submissions on a page unless the query says otherwise.
const DEFAULT_LIMIT: i32 = 50;
const MAX_LIMIT: i32 = 100;
const METRIC: &str =
    "metric must be one of logloss, auc, accuracy, rmse, mae and spearman, and can only be used with by=metric.";
const PARAMETERS: [&str; 4] = ["by", "metric", "limit", "next"];
/// Characters of an unknown parameter that an answer quotes.
const MAX_NAME_CHARS: usize = 64;
/// Characters of the longest date in a cursor.
const MAX_DATE_CHARS: usize = 64;

/// The order of a leaderboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SortBy {
    /// Best first, and only ranked submissions: those with this metric that are original and concordant.
    Metric,
    /// Newest first.
    Created,
}

/// Which page of a leaderboard is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub by: SortBy,
    /// The metric to rank by; if absent, the one that the challenge uses at present.
    pub metric: Option<Metric>,
    /// The maximum number of submissions, 1 to 100.
    pub limit: i32,
    /// The last submission of the page before.
    pub after: Option<Cursor>,
}

/// The place of a submission in an index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    pub id: SubmissionId,
    pub place: Place,
}

/// By what an index sorts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// By this metric. The standing itself is not in the cursor: it is exact.
    Metric(Metric),
    /// By its date of creation.
    Created(String),
}

impl Cursor {
    /// The cursor as a text for a URL.
    #[must_use]
    pub fn token(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(json!(self).to_string())
    }

    fn from_token(token: &str) -> Option<Self> {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(token).ok()?).ok()
    }

    fn fits(&self, by: SortBy) -> bool {
        match (&self.place, by) {
            (Place::Metric(_), SortBy::Metric) => true,
            (Place::Created(at), SortBy::Created) => (1..=MAX_DATE_CHARS).contains(&at.len()),
            _ => false,
        }
    }
}

/// The answer to a cursor that is not one of ours.
pub(crate) fn invalid_cursor() -> HttpError {
    HttpError::malformed("next", "next must be the value of next from the page before.")
}

impl Page {
    /// Reads the optional parameters `by` (`metric` or `created`), `metric`, `limit` and `next`.
    ///
    /// # Errors
    /// An [`HttpError`] that names the parameter.
    pub fn read(query: &BTreeMap<String, String>) -> Result<Self, HttpError> {
        if let Some(unknown) = query.keys().find(|name| !PARAMETERS.contains(&name.as_str())) {
            let unknown: String = unknown.chars().take(MAX_NAME_CHARS).collect();
            let message = format!("There is no parameter {unknown:?}. Use {}.", PARAMETERS.join(", "));
            return Err(HttpError::Malformed { field: None, message });
        }
        let by = match query.get("by").map(String::as_str) {
            None | Some("metric") => SortBy::Metric,
            Some("created") => SortBy::Created,
            Some(_) => return Err(HttpError::malformed("by", "by must be \"metric\" or \"created\".")),
        };
        let metric = query.get("metric").map(|name| {
            let metric = name.parse().ok().filter(|_| by == SortBy::Metric);
            metric.ok_or_else(|| HttpError::malformed("metric", METRIC))
        });
        let limit = query.get("limit").map(|limit| {
            let limit = limit.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
            limit.ok_or_else(|| HttpError::malformed("limit", format!("limit must be a number from 1 to {MAX_LIMIT}.")))
        });
        let after = query.get("next").map(|token| {
            let cursor = Cursor::from_token(token).filter(|cursor| cursor.fits(by));
            cursor.ok_or_else(invalid_cursor)
        });
        let (metric, limit, after) =
            (metric.transpose()?, limit.transpose()?.unwrap_or(DEFAULT_LIMIT), after.transpose()?);
        // The pages of a leaderboard are of one metric, even if the challenge changes it meanwhile.
        let metric = match &after {
            Some(Cursor { place: Place::Metric(metric), .. }) => Some(*metric),
            _ => metric,
        };
        Ok(Self { by, metric, limit, after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "_9VOLnz2XYZv8J";

    fn query(pairs: &[(&str, &str)]) -> Result<Page, HttpError> {
        Page::read(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn the_cursor_of_a_page_asks_for_the_next_one() {
        assert_eq!(query(&[]).unwrap(), Page { by: SortBy::Metric, metric: None, limit: 50, after: None });
        let cursor = Cursor { id: ID.parse().unwrap(), place: Place::Metric(Metric::Auc) };
        let page = query(&[("limit", "2"), ("next", &cursor.token())]).unwrap();
        assert_eq!(page, Page { by: SortBy::Metric, metric: Some(Metric::Auc), limit: 2, after: Some(cursor) });
    }

    #[test]
    fn an_invalid_parameter_is_named() {
        let other_index = Cursor { id: ID.parse().unwrap(), place: Place::Created("2026".to_owned()) }.token();
        let bad = BASE64_URL_SAFE_NO_PAD.encode(json!({"id": ID, "place": {"metric": "luck"}}).to_string());
        for (name, value) in [
            ("by", "luck"),
            ("metric", "luck"),
            ("limit", "0"),
            ("limit", "101"),
            ("limit", "many"),
            ("next", "x"),
            ("next", bad.as_str()),
            ("next", other_index.as_str()),
        ] {
            let Err(HttpError::Malformed { field, .. }) = query(&[(name, value)]) else { panic!("{name}={value}") };
            assert_eq!(field, Some(name));
        }
        let unknown = query(&[("sort", "best")]).unwrap_err();
        assert_eq!(unknown.to_string(), "There is no parameter \"sort\". Use by, metric, limit, next.");
        let both = query(&[("by", "created"), ("metric", "auc")]).unwrap_err();
        assert!(matches!(both, HttpError::Malformed { field: Some("metric"), .. }), "{both}");
    }
}
