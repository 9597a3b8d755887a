//! DynamoDB's attribute values as JSON and back.
//!
//! Written by hand because `serde_dynamo` writes any number as it is, and DynamoDB refuses those outside its range: a log
//! loss of 1e-200 would fail the update. Here such a number becomes the nearest one that DynamoDB can hold.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Number, Value};

/// The range of magnitudes that DynamoDB can hold besides 0; see
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>.
const SMALLEST: f64 = 1e-130;
const LARGEST: f64 = 9.9e125;

/// A JSON value as an attribute value. A number outside DynamoDB's range becomes the nearest one inside.
#[must_use]
pub fn to_attribute(value: Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(value) => AttributeValue::Bool(value),
        Value::Number(number) => AttributeValue::N(in_range(&number)),
        Value::String(text) => AttributeValue::S(text),
        Value::Array(values) => AttributeValue::L(values.into_iter().map(to_attribute).collect()),
        Value::Object(fields) => {
            AttributeValue::M(fields.into_iter().map(|(name, value)| (name, to_attribute(value))).collect())
        }
    }
}

fn in_range(number: &Number) -> String {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(value) if value.abs() < SMALLEST => "0".to_owned(),
        Some(value) if value.abs() > LARGEST => format!("{:e}", LARGEST.copysign(value)),
        _ => number.to_string(),
    }
}

/// An item as a JSON object, without binary attributes and sets.
#[must_use]
#[allow(clippy::implicit_hasher, reason = "the SDK's items have the default one")]
pub fn from_item(item: HashMap<String, AttributeValue>) -> Map<String, Value> {
    item.into_iter().filter_map(|(name, value)| Some((name, from_attribute(value)?))).collect()
}

fn from_attribute(value: AttributeValue) -> Option<Value> {
    Some(match value {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(value) => Value::Bool(value),
        AttributeValue::N(digits) => number(&digits)?,
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::L(values) => Value::Array(values.into_iter().filter_map(from_attribute).collect()),
        AttributeValue::M(fields) => Value::Object(from_item(fields)),
        _ => return None,
    })
}

/// DynamoDB returns integers without a decimal point, even if 1.0 was stored.
fn number(digits: &str) -> Option<Value> {
    digits.parse::<i64>().map(Value::from).ok().or_else(|| Number::from_f64(digits.parse().ok()?).map(Value::Number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_read_as_they_were_written() {
        let value = json!({"a": [1, 2.5, "x", null, true], "b": {"c": -0.001, "d": 1e-19}});
        let AttributeValue::M(item) = to_attribute(value.clone()) else { panic!("not a map") };
        assert_eq!(Value::Object(from_item(item)), value);
    }

    #[test]
    fn numbers_outside_of_dynamodbs_range_become_the_nearest_inside() {
        assert_eq!(to_attribute(json!(5e-324)), AttributeValue::N("0".to_owned()));
        assert_eq!(to_attribute(json!(-1e308)), AttributeValue::N("-9.9e125".to_owned()));
        let item = HashMap::from([("bytes".to_owned(), AttributeValue::B(vec![1].into()))]);
        assert!(from_item(item).is_empty());
    }

    proptest! {
        #[test]
        fn numbers_keep_every_bit(value in -1.0..1.0_f64) {
            let item = HashMap::from([("n".to_owned(), to_attribute(json!(value)))]);
            prop_assert_eq!(from_item(item)["n"].as_f64().map(f64::to_bits), Some((value + 0.0).to_bits()));
        }
    }
}
