//! A definition as it is written. A field that is not listed here is refused.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

use crate::json::Json;

/// Fields of the machine beside those of its flow: serde cannot refuse unknown fields of a flattened struct.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Whole {
    #[serde(default, rename = "Comment")]
    _comment: IgnoredAny,
    query_language: String,
    timeout_seconds: Option<f64>,
    start_at: String,
    states: BTreeMap<String, State>,
}

#[derive(Deserialize)]
#[serde(from = "Whole")]
pub(super) struct StateMachine {
    pub(super) query_language: String,
    pub(super) timeout_seconds: Option<f64>,
    pub(super) flow: Flow,
}

impl From<Whole> for StateMachine {
    fn from(whole: Whole) -> Self {
        let Whole { query_language, timeout_seconds, start_at, states, .. } = whole;
        Self { query_language, timeout_seconds, flow: Flow { start_at, states } }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Flow {
    pub(super) start_at: String,
    pub(super) states: BTreeMap<String, State>,
}

#[derive(Deserialize)]
#[serde(tag = "Type")]
pub(super) enum State {
    Pass(Pass),
    Task(Box<Task>),
    Choice(Choice),
    Wait(Wait),
    Parallel(Parallel),
    Succeed(Succeed),
    Fail(Fail),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Pass {
    #[serde(default, rename = "Comment")]
    _comment: IgnoredAny,
    pub(super) assign: Option<Json>,
    #[serde(default, deserialize_with = "present")]
    pub(super) output: Option<Json>,
    pub(super) next: Option<String>,
    #[serde(default)]
    pub(super) end: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Task {
    #[serde(default, rename = "Comment")]
    _comment: IgnoredAny,
    pub(super) resource: String,
    #[serde(default, deserialize_with = "present")]
    pub(super) arguments: Option<Json>,
    pub(super) timeout_seconds: Option<Json>,
    pub(super) assign: Option<Json>,
    #[serde(default, deserialize_with = "present")]
    pub(super) output: Option<Json>,
    #[serde(default)]
    pub(super) retry: Vec<Retrier>,
    #[serde(default)]
    pub(super) catch: Vec<Catcher>,
    pub(super) next: Option<String>,
    #[serde(default)]
    pub(super) end: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Choice {
    #[serde(default, rename = "Comment")]
    _comment: IgnoredAny,
    pub(super) choices: Vec<Rule>,
    pub(super) default: Option<String>,
    pub(super) assign: Option<Json>,
    #[serde(default, deserialize_with = "present")]
    pub(super) output: Option<Json>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Rule {
    #[serde(default, rename = "Comment")]
    _comment: IgnoredAny,
    pub(super) condition: Json,
    pub(super) assign: Option<Json>,
    #[serde(default, deserialize_with = "present")]
    pub(super) output: Option<Json>,
    pub(super) next: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Wait {
    #[serde(default, rename = "Comment")]
    _comment: IgnoredAny,
    pub(super) seconds: Json,
    pub(super) assign: Option<Json>,
    #[serde(default, deserialize_with = "present")]
    pub(super) output: Option<Json>,
    pub(super) next: Option<String>,
    #[serde(default)]
    pub(super) end: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Parallel {
    #[serde(default, rename = "Comment")]
    _comment: IgnoredAny,
    pub(super) branches: Vec<Flow>,
    pub(super) assign: Option<Json>,
    #[serde(default, deserialize_with = "present")]
    pub(super) output: Option<Json>,
    #[serde(default)]
    pub(super) retry: Vec<Retrier>,
    #[serde(default)]
    pub(super) catch: Vec<Catcher>,
    pub(super) next: Option<String>,
    #[serde(default)]
    pub(super) end: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Succeed {
    #[serde(default, rename = "Comment")]
    _comment: IgnoredAny,
    #[serde(default, deserialize_with = "present")]
    pub(super) output: Option<Json>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Fail {
    #[serde(default, rename = "Comment")]
    _comment: IgnoredAny,
    pub(super) error: Option<Json>,
    pub(super) cause: Option<Json>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Retrier {
    #[serde(default, rename = "Comment")]
    _comment: IgnoredAny,
    pub(super) error_equals: Vec<String>,
    #[serde(default = "one")]
    pub(super) interval_seconds: f64,
    #[serde(default = "two")]
    pub(super) backoff_rate: f64,
    pub(super) max_delay_seconds: Option<f64>,
    #[serde(default = "three")]
    pub(super) max_attempts: u32,
    #[serde(default)]
    pub(super) jitter_strategy: JitterStrategy,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum JitterStrategy {
    /// A retrier waits a random time up to the computed one.
    Full,
    #[default]
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Catcher {
    #[serde(default, rename = "Comment")]
    _comment: IgnoredAny,
    pub(super) error_equals: Vec<String>,
    pub(super) assign: Option<Json>,
    #[serde(default, deserialize_with = "present")]
    pub(super) output: Option<Json>,
    pub(super) next: String,
}

// The defaults of a retrier: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
fn one() -> f64 {
    1.0
}

fn two() -> f64 {
    2.0
}

fn three() -> u32 {
    3
}

/// A null that is written is a value, not an absent field.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}
