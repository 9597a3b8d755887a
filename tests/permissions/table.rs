//! Which IAM actions a call needs: `actions.json` and `services.json`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::record::{Call, Fields};

/// A line of `actions.json`: an action that a call needs. Fields of the call stand in braces.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    call: String,
    action: String,
    resource: String,
    /// Condition keys of the request. One whose field the call lacks is absent from the request.
    #[serde(default)]
    context: BTreeMap<String, String>,
    /// The line holds for calls with this field only.
    #[serde(rename = "if")]
    only_if: Option<String>,
    /// The line holds for calls without this field only.
    unless: Option<String>,
    page: String,
}

/// What an AWS service does with a role: a line of `services.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) service: String,
    pub(crate) does: String,
    pub(crate) roles: Vec<String>,
    pub(crate) actions: Vec<String>,
    pub(crate) resource: String,
    #[serde(default)]
    pub(crate) context: BTreeMap<String, String>,
    /// The parameter sets for which it does so. Empty for all.
    #[serde(default)]
    pub(crate) sets: Vec<String>,
    pub(crate) page: String,
}

/// An action on a resource.
#[derive(Debug, Clone)]
pub(crate) struct Need {
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) context: BTreeMap<String, String>,
    pub(crate) page: String,
}

pub(crate) struct Table(Vec<Line>);

impl Table {
    pub(crate) fn read() -> Result<Self> {
        let lines: Vec<Line> = serde_json::from_str(include_str!("actions.json")).context("actions.json")?;
        for line in &lines {
            if !line.page.starts_with("https://docs.aws.amazon.com/") {
                bail!("actions.json: {} needs {}, but no AWS page says so", line.call, line.action);
            }
        }
        Ok(Self(lines))
    }

    /// What a call needs. An error if the table does not know the call.
    pub(crate) fn needs(&self, call: &Call) -> Result<Vec<Need>> {
        let mut lines = self.0.iter().filter(|line| line.call == call.operation).peekable();
        if lines.peek().is_none() {
            bail!(
                "{} calls {}, which tests/permissions/actions.json does not know. Add a line for each action that the Service Authorization Reference names for it.",
                call.caller,
                call.operation
            );
        }
        let has = |field: &Option<String>, otherwise| {
            field.as_ref().map_or(otherwise, |field| call.fields.contains_key(field))
        };
        lines
            .filter(|line| has(&line.only_if, true) && !has(&line.unless, false))
            .map(|line| {
                let resource = filled(&line.resource, &call.fields);
                let resource = resource.with_context(|| format!("{call:?} lacks a field of {}", line.resource))?;
                let context = line
                    .context
                    .iter()
                    .filter_map(|(key, value)| Some((key.clone(), filled(value, &call.fields)?)))
                    .collect();
                Ok(Need { action: line.action.clone(), resource, context, page: line.page.clone() })
            })
            .collect()
    }

    /// The operations that the table knows.
    pub(crate) fn operations(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|line| line.call.as_str())
    }
}

pub(crate) fn services() -> Result<Vec<Service>> {
    let services: Vec<Service> = serde_json::from_str(include_str!("services.json")).context("services.json")?;
    for entry in &services {
        if !entry.page.starts_with("https://docs.aws.amazon.com/") {
            bail!("services.json: no AWS page says that {} {}", entry.service, entry.does);
        }
    }
    Ok(services)
}

/// A text with the fields in place of their names in braces. `None` if one is missing.
pub(crate) fn filled(text: &str, fields: &Fields) -> Option<String> {
    let mut parts = text.split('{');
    let mut whole = parts.next()?.to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}')?;
        whole += fields.get(name)?;
        whole += rest;
    }
    Some(whole)
}
