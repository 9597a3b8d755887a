//! JSON as state machines pass it on: immutable, and cheap to clone. All numbers are doubles, as in JSONata.

use std::fmt::{self, Write};
use std::rc::Rc;

use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// Whole numbers up to this size are exact, and are written without a fraction.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Json {
    #[default]
    Null,
    Bool(bool),
    Number(f64),
    Text(Rc<str>),
    Array(Rc<[Json]>),
    /// In the order in which the fields were written.
    Object(Rc<[(Rc<str>, Json)]>),
}

/// A value that does not have the expected type.
#[derive(Debug, thiserror::Error)]
#[error("{json} is not valid here: {source}")]
pub struct WrongShape {
    json: String,
    source: serde_json::Error,
}

impl Json {
    #[must_use]
    pub fn object<K: Into<Rc<str>>, const N: usize>(fields: [(K, Self); N]) -> Self {
        Self::Object(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// The JSON of a value of the product.
    #[must_use]
    pub fn of(value: &impl Serialize) -> Self {
        let text = serde_json::to_string(value).expect("invariant: the product's values can be written as JSON");
        text.parse().expect("invariant: what was written as JSON can be read")
    }

    /// The value of the product that this JSON is.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, WrongShape> {
        let json = self.to_string();
        serde_json::from_str(&json).map_err(|source| WrongShape { json, source })
    }

    /// A field; null if this is not an object or has no such field.
    #[must_use]
    pub fn get(&self, name: &str) -> &Self {
        self.field(name).unwrap_or(&Self::Null)
    }

    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|(field, _)| &**field == name).map(|(_, value)| value)
    }

    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    #[must_use]
    pub fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<f64> for Json {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Json {
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}

impl std::str::FromStr for Json {
    type Err = serde_json::Error;

    fn from_str(json: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(json)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(bool) => write!(f, "{bool}"),
            #[expect(clippy::cast_possible_truncation, reason = "checked")]
            Self::Number(number) if number.fract() == 0.0 && number.abs() <= EXACT => write!(f, "{}", *number as i64),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write_text(f, text),
            Self::Array(items) => {
                f.write_char('[')?;
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        f.write_char(',')?;
                    }
                    write!(f, "{item}")?;
                }
                f.write_char(']')
            }
            Self::Object(fields) => {
                f.write_char('{')?;
                for (at, (name, value)) in fields.iter().enumerate() {
                    if at > 0 {
                        f.write_char(',')?;
                    }
                    write_text(f, name)?;
                    write!(f, ":{value}")?;
                }
                f.write_char('}')
            }
        }
    }
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let is_plain = !text.bytes().any(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\'));
    if is_plain {
        f.write_char('"')?;
        f.write_str(text)?;
        return f.write_char('"');
    }
    f.write_str(&serde_json::to_string(text).expect("invariant: a text can be written as JSON"))
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyJson)
    }
}

struct AnyJson;

impl<'de> Visitor<'de> for AnyJson {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, bool: bool) -> Result<Json, E> {
        Ok(Json::Bool(bool))
    }

    #[expect(clippy::cast_precision_loss, reason = "JSONata's numbers are doubles too")]
    fn visit_i64<E: Error>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "JSONata's numbers are doubles too")]
    fn visit_u64<E: Error>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut fields: Vec<(Rc<str>, Json)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            fields.push((name.into(), value));
        }
        Ok(Json::Object(fields.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_was_read() {
        for text in [
            "null",
            "true",
            "0",
            "-3",
            "1.5",
            "1209600",
            r#""a \"quoted\" text\n""#,
            "[1,[],{}]",
            r#"{"b":1,"a":{"c":[null,false]}}"#,
        ] {
            assert_eq!(text.parse::<Json>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_field_that_is_absent_is_null() {
        let json: Json = r#"{"a":{"b":"x"}}"#.parse().unwrap();
        assert_eq!(json.get("a").get("b").text(), Some("x"));
        assert_eq!(*json.get("c").get("b"), Json::Null);
    }
}
