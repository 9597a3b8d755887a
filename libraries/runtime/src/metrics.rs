//! CloudWatch metrics in the embedded metric format: one JSON line on standard output, no call to any service. See
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The namespace of every metric of this product.
pub const NAMESPACE: &str = "MarathonMatch";

/// A unit of CloudWatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Count,
    Seconds,
}

impl Unit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Seconds => "Seconds",
        }
    }
}

/// Values measured together under the same dimensions.
#[derive(Debug, Clone)]
pub struct Metrics {
    dimensions: Vec<(&'static str, String)>,
    values: Vec<(&'static str, Unit, f64)>,
    properties: Map<String, Value>,
}

impl Metrics {
    /// Without values yet, with the dimension `Stack`.
    #[must_use]
    pub fn of_stack(stack: &str) -> Self {
        Self { dimensions: vec![("Stack", stack.to_owned())], values: Vec::new(), properties: Map::new() }
    }

    /// CloudWatch records the values once by stack alone and once by all dimensions together.
    #[must_use]
    pub fn dimension(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.dimensions.push((name, value.into()));
        self
    }

    #[must_use]
    pub fn value(mut self, name: &'static str, unit: Unit, value: f64) -> Self {
        self.values.push((name, unit, value));
        self
    }

    /// Adds a field that can be searched for in the log but is not a dimension, such as the submission's id.
    #[must_use]
    pub fn property(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(name.to_owned(), value.into());
        self
    }

    /// The log line from which CloudWatch records the values at the time `at`.
    #[must_use]
    pub fn to_json(&self, at: OffsetDateTime) -> Value {
        let all: Vec<&str> = self.dimensions.iter().map(|(name, _)| *name).collect();
        let mut sets = vec![vec!["Stack"]];
        if all.len() > 1 {
            sets.push(all);
        }
        let milliseconds = i64::try_from(at.unix_timestamp_nanos() / 1_000_000);
        let metrics: Vec<Value> =
            self.values.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit.as_str()})).collect();
        let mut line = self.properties.clone();
        let timestamp = at.format(&Rfc3339).expect("invariant: years up to 9999 have this form");
        line.insert("level".to_owned(), json!("INFO"));
        line.insert("timestamp".to_owned(), json!(timestamp));
        line.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": milliseconds.expect("invariant: years up to 9999 fit"),
                "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": sets, "Metrics": metrics}],
            }),
        );
        line.extend(self.dimensions.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
        line.extend(self.values.iter().map(|(name, _, value)| ((*name).to_owned(), json!(value))));
        Value::Object(line)
    }

    /// Prints the log line with the current time.
    pub fn emit(&self) {
        println!("{}", self.to_json(OffsetDateTime::now_utc()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_follows_the_specification() {
        let line = Metrics::of_stack("mm")
            .dimension("Code", "BuildFailed")
            .value("Outcome", Unit::Count, 1.0)
            .value("Duration", Unit::Seconds, 2.5)
            .property("submissionId", "-kJ-nOos4KQaL3")
            .to_json(OffsetDateTime::from_unix_timestamp(1).unwrap());
        assert_eq!(
            line,
            json!({
                "_aws": {"Timestamp": 1000, "CloudWatchMetrics": [{
                    "Namespace": "MarathonMatch",
                    "Dimensions": [["Stack"], ["Stack", "Code"]],
                    "Metrics": [{"Name": "Outcome", "Unit": "Count"}, {"Name": "Duration", "Unit": "Seconds"}],
                }]},
                "level": "INFO", "timestamp": "1970-01-01T00:00:01Z",
                "Stack": "mm", "Code": "BuildFailed", "Outcome": 1.0, "Duration": 2.5, "submissionId": "-kJ-nOos4KQaL3",
            })
        );
    }
}
