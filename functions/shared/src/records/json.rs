//! DynamoDB's attribute values and JSON.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Number, Value};

/// Magnitudes beyond which DynamoDB holds no number, see
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>.
const SMALLEST: f64 = 1e-130;
const LARGEST: f64 = 9.9e125;

/// A JSON value as an attribute value. Numbers beyond DynamoDB's range become the nearest that it holds.
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

/// An item as a JSON object; binary attributes and sets are left out.
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

/// DynamoDB writes whole numbers without a point, also where a fraction was stored.
fn number(digits: &str) -> Option<Value> {
    digits.parse::<i64>().map(Value::from).ok().or_else(|| Number::from_f64(digits.parse().ok()?).map(Value::Number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let value = json!({"a": [1, 2.5, "x", null, true], "b": {"c": -0.001, "d": 1e-19}});
        let AttributeValue::M(item) = to_attribute(value.clone()) else { panic!("no map") };
        assert_eq!(Value::Object(from_item(item)), value);
    }

    #[test]
    fn what_dynamodb_cannot_hold_comes_as_near_as_it_can() {
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
