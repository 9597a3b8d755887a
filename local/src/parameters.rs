//! The template's parameters and the values that they accept. `sam deploy` finds a bad one only after everything has started,
//! and ignores a name that it does not know.

use std::collections::BTreeMap;

use anyhow::Result;
use regex_lite::Regex;
use serde::Deserialize;
use serde_json::Value;

/// At most this many names are suggested for an unknown one.
const SUGGESTIONS: usize = 3;

/// The parameters of a template.
#[derive(Debug, Deserialize)]
pub struct Parameters {
    #[serde(rename = "Parameters")]
    by_name: BTreeMap<String, Parameter>,
}

/// The constraints of a parameter; see
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html>.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Parameter {
    r#type: String,
    allowed_values: Vec<Value>,
    allowed_pattern: Option<String>,
    constraint_description: Option<String>,
    min_value: Option<f64>,
    max_value: Option<f64>,
    min_length: Option<usize>,
    max_length: Option<usize>,
}

/// Why a `NAME=VALUE` is not used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidParameter {
    #[error("the parameter {0:?} has no value: write NAME=VALUE, such as MaxRuntimeInSeconds=600")]
    NoValue(String),
    #[error("there is no parameter {name}{}docs/configuring.md lists them all", suggestion(.nearest))]
    Unknown { name: String, nearest: Vec<String> },
    /// `allowed` goes on after "it".
    #[error("the parameter {name} does not accept {value:?}: it {allowed}")]
    NotAccepted { name: String, value: String, allowed: String },
}

fn suggestion(nearest: &[String]) -> String {
    if nearest.is_empty() { "; ".to_owned() } else { format!(": did you mean {}? ", alternatives(nearest)) }
}

/// `a`, `a or b`, or `a, b or c`.
fn alternatives(texts: &[String]) -> String {
    match texts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

impl Parameters {
    /// Reads the parameters of a template in YAML.
    pub fn of_template(template: &str) -> Result<Self> {
        serde_saphyr::from_str(template).map_err(|error| anyhow::anyhow!("the template cannot be read: {error}"))
    }

    /// Whether each `NAME=VALUE` names a parameter and has a value that the template accepts.
    pub fn check(&self, overrides: &[String]) -> Result<(), InvalidParameter> {
        overrides.iter().try_for_each(|assignment| self.check_one(assignment))
    }

    fn check_one(&self, assignment: &str) -> Result<(), InvalidParameter> {
        let Some((name, value)) = assignment.split_once('=') else {
            return Err(InvalidParameter::NoValue(assignment.to_owned()));
        };
        let Some(parameter) = self.by_name.get(name) else {
            return Err(InvalidParameter::Unknown { name: name.to_owned(), nearest: self.nearest(name) });
        };
        parameter.check(value).map_err(|allowed| InvalidParameter::NotAccepted {
            name: name.to_owned(),
            value: value.to_owned(),
            allowed,
        })
    }

    /// The names that contain this one or differ from it in a few letters, nearest first.
    fn nearest(&self, name: &str) -> Vec<String> {
        let wanted = name.to_lowercase();
        let tolerance = wanted.len() / 3;
        let mut found: Vec<(usize, &String)> = self
            .by_name
            .keys()
            .map(|known| (known, known.to_lowercase()))
            .filter_map(|(known, lower)| {
                let distance = distance(&wanted, &lower);
                let contains = wanted.len() > 3 && lower.contains(&wanted);
                (contains || distance <= tolerance).then_some((distance, known))
            })
            .collect();
        found.sort();
        found.into_iter().take(SUGGESTIONS).map(|(_, known)| known.clone()).collect()
    }
}

impl Parameter {
    /// What is allowed instead, if the value is not.
    fn check(&self, value: &str) -> Result<(), String> {
        if self.r#type == "Number" {
            self.check_number(value)?;
        } else {
            self.check_length(value.chars().count())?;
        }
        let items: Vec<&str> =
            if self.r#type == "CommaDelimitedList" { value.split(',').map(str::trim).collect() } else { vec![value] };
        let allowed: Vec<String> = self.allowed_values.iter().map(text).collect();
        if !allowed.is_empty() && !items.iter().all(|item| allowed.iter().any(|one| one == item)) {
            return Err(format!("must be {}", alternatives(&allowed)));
        }
        if let Some(pattern) = &self.allowed_pattern {
            // CloudFormation matches the whole value.
            let whole =
                Regex::new(&format!("^(?:{pattern})$")).map_err(|error| format!("cannot be checked: {error}"))?;
            if !items.iter().all(|item| whole.is_match(item)) {
                let description = self.constraint_description.clone();
                return Err(description.unwrap_or_else(|| format!("must match {pattern}")));
            }
        }
        Ok(())
    }

    fn check_number(&self, value: &str) -> Result<(), String> {
        let range = match (self.min_value, self.max_value) {
            (Some(min), Some(max)) => format!("must be a number from {min} to {max}"),
            (Some(min), None) => format!("must be a number of at least {min}"),
            (None, Some(max)) => format!("must be a number of at most {max}"),
            (None, None) => "must be a number".to_owned(),
        };
        let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
        let is_in_range = |number: f64| {
            self.min_value.is_none_or(|min| number >= min) && self.max_value.is_none_or(|max| number <= max)
        };
        if number.is_some_and(is_in_range) { Ok(()) } else { Err(range) }
    }

    fn check_length(&self, length: usize) -> Result<(), String> {
        if self.min_length.is_some_and(|min| length < min) {
            return Err(match self.min_length {
                Some(1) => "must not be empty".to_owned(),
                min => format!("must have at least {} characters", min.unwrap_or_default()),
            });
        }
        match self.max_length {
            Some(max) if length > max => Err(format!("must have at most {max} characters")),
            _ => Ok(()),
        }
    }
}

/// A scalar as CloudFormation compares it.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// How many characters have to be inserted, removed or replaced to get from one text to the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (at, left) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, right) in to.chars().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[row.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(assignment: &str) -> String {
        let parameters = Parameters::of_template(include_str!("../../template.yaml")).unwrap();
        parameters.check(&[assignment.to_owned()]).expect_err(assignment).to_string()
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Defaults {
        parameters: BTreeMap<String, Value>,
    }

    #[test]
    fn the_template_has_parameters_and_accepts_its_own_defaults() {
        let template = include_str!("../../template.yaml");
        let parameters = Parameters::of_template(template).unwrap();
        assert!(parameters.by_name.len() > 50, "only {} parameters were read", parameters.by_name.len());
        let defaults: Defaults = serde_saphyr::from_str(template).unwrap();
        for (name, parameter) in defaults.parameters {
            if let Some(default) = parameter.get("Default") {
                parameters.check(&[format!("{name}={}", text(default))]).unwrap();
            }
        }
    }

    #[test]
    fn values_inside_the_constraints_are_accepted() {
        let parameters = Parameters::of_template(include_str!("../../template.yaml")).unwrap();
        for assignment in [
            "MaxRuntimeInSeconds=60",
            "MaxRuntimeInSeconds=432000",
            "LogRetentionDays=3653",
            "UseSpotInstances=true",
            "ChallengeInstanceTypes=ml.m5.large,ml.c5.xlarge",
            "KafkaUrl=one.example.org:9093,two.example.org:9093",
            "SubmissionApiUrl=https://api.example.org/v5?a=b",
            "KafkaUrl=",
            "KafkaConsumerGroup=",
            "InputFolderPrefix=training/2026/",
            "InstanceType=ml.p6-b200.48xlarge",
            "Auth0SecretArn=arn:aws:secretsmanager:us-east-1:123456789012:secret:auth0-AbCdEf",
        ] {
            parameters.check(&[assignment.to_owned()]).unwrap();
        }
    }

    #[test]
    fn each_refusal_names_the_parameter_the_value_and_what_is_allowed() {
        let refusals = [
            "Nope",
            "Nope=1",
            "MaxRuntimeInSecond=600",
            "maxruntimeinseconds=600",
            "Runtime=600",
            "MaxRuntimeInSeconds=5",
            "MaxRuntimeInSeconds=ten",
            "MaxRuntimeInSeconds=NaN",
            "KafkaBatchSize=10001",
            "MaxEntries=0",
            "RequiredScore=clean",
            "SubmissionApiVersion=v7",
            "LogRetentionDays=2",
            "Auth0Audience=",
            "SubmissionApiUrl=https://api.example.org/v5/",
            "InputS3Bucket=Not_A_Bucket",
            "InputFolderPrefix=training",
            "InputFolderPrefix=it's/",
            "InputFolderPrefix=*/",
            "Auth0SecretArn=arn:aws:secretsmanager:us-east-1:123456789012:secret:auth0",
            "KafkaStartingPosition=LATEST",
            "KafkaConsumerGroup=*",
            "LogLevel=WARN",
            "LogLevel=TRACE",
            "ImageRetentionDays=27",
            "StagingRetentionDays=27",
        ]
        .map(refused);
        insta::assert_snapshot!(refusals.join("\n"));
    }

    #[test]
    fn the_distance_counts_changed_letters() {
        for (from, to, expected) in
            [("", "", 0), ("", "ab", 2), ("ab", "", 2), ("abc", "abc", 0), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }
}
