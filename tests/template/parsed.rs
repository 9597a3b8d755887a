//! A template as CloudFormation reads it: short tags such as `!Ref` are the same as `Ref: …`.

use std::collections::BTreeSet;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use serde_saphyr::Tagged;

/// A value in which every intrinsic function is an object with one key, as in JSON.
struct Node(Value);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Tagged(Untagged(value), tag) = Tagged::deserialize(deserializer)?;
        Ok(Self(match tag.as_deref().and_then(|tag| tag.strip_prefix('!')) {
            None => value,
            Some(name @ ("Ref" | "Condition")) => json!({ name: value }),
            Some(name) => json!({ format!("Fn::{name}"): value }),
        }))
    }
}

struct Untagged(Value);

impl<'de> Deserialize<'de> for Untagged {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values).map(Self)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Value;

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Node(value)) = sequence.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some((name, Node(value))) = map.next_entry::<String, Node>()? {
            values.insert(name, value);
        }
        Ok(values.into())
    }
}

pub(crate) struct Template {
    all: Value,
}

impl Template {
    pub(crate) fn parse(text: &str) -> Self {
        let Node(all) = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("the template: {error}"));
        Self { all }
    }

    pub(crate) fn of_project() -> Self {
        Self::parse(include_str!("../../template.yaml"))
    }

    pub(crate) fn resources(&self) -> &Map<String, Value> {
        self.all["Resources"].as_object().unwrap()
    }

    pub(crate) fn parameter(&self, name: &str) -> &Value {
        &self.all["Parameters"][name]
    }

    pub(crate) fn default_of(&self, parameter: &str) -> &Value {
        &self.parameter(parameter)["Default"]
    }

    pub(crate) fn condition(&self, name: &str) -> &Value {
        &self.all["Conditions"][name]
    }

    /// The resources that `Ref`, `Fn::GetAtt` and `Fn::Sub` in a value name.
    pub(crate) fn resources_in(&self, value: &Value) -> BTreeSet<String> {
        let mut named = Names::in_value(value).references;
        named.retain(|name| self.resources().contains_key(name));
        named
    }

    /// The parameters that decide a value, also through conditions.
    pub(crate) fn parameters_in(&self, value: &Value) -> BTreeSet<String> {
        let names = Names::in_value(value);
        let mut parameters: BTreeSet<String> =
            names.references.into_iter().filter(|name| self.parameter(name).is_object()).collect();
        for condition in names.conditions {
            parameters.append(&mut self.parameters_in(self.condition(&condition)));
        }
        parameters
    }

    /// The parameters that decide whether a resource exists.
    pub(crate) fn parameters_of_existence(&self, resource: &Value) -> BTreeSet<String> {
        let condition = &resource["Condition"];
        if condition.is_null() { BTreeSet::new() } else { self.parameters_in(&json!({ "Condition": condition })) }
    }
}

/// What a value names.
#[derive(Default)]
struct Names {
    references: BTreeSet<String>,
    conditions: BTreeSet<String>,
}

impl Names {
    fn in_value(value: &Value) -> Self {
        let mut names = Self::default();
        names.gather(value);
        names
    }

    fn gather(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.gather(item)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.gather_field(name, value);
                }
            }
            _ => {}
        }
    }

    fn gather_field(&mut self, name: &str, value: &Value) {
        match (name, value) {
            ("Ref", Value::String(name)) => {
                self.references.insert(name.clone());
            }
            ("Condition", Value::String(name)) => {
                self.conditions.insert(name.clone());
            }
            ("Fn::GetAtt", Value::String(attribute)) => self.insert_resource_of(attribute),
            ("Fn::GetAtt", Value::Array(path)) => self.insert_resource_of(path[0].as_str().unwrap()),
            ("Fn::Sub", Value::String(text)) => self.insert_substitutions(text, &Map::new()),
            ("Fn::Sub", Value::Array(arguments)) => {
                let given = arguments[1].as_object().unwrap();
                self.insert_substitutions(arguments[0].as_str().unwrap(), given);
                self.gather(&arguments[1]);
            }
            ("Fn::If", Value::Array(arguments)) => {
                self.conditions.insert(arguments[0].as_str().unwrap().to_owned());
                arguments[1..].iter().for_each(|argument| self.gather(argument));
            }
            (_, value) => self.gather(value),
        }
    }

    fn insert_resource_of(&mut self, attribute: &str) {
        self.references.insert(attribute.split('.').next().unwrap().to_owned());
    }

    fn insert_substitutions(&mut self, text: &str, given: &Map<String, Value>) {
        for name in text.split("${").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)) {
            if !name.starts_with('!') && !given.contains_key(name) {
                self.insert_resource_of(name);
            }
        }
    }
}

#[test]
fn every_form_of_a_reference_is_found() {
    let template = Template::parse(
        r#"
Parameters: { P: {}, Q: {}, R: {} }
Conditions:
  HasP: !Not [!Equals [!Ref P, ""]]
  HasBoth: !And [Condition: HasP, !Condition HasQ]
  HasQ: { Fn::Equals: [{ Ref: Q }, x] }
Resources:
  A: {}
  B: {}
  C: {}
  D: {}
  E: {}
  F:
    Condition: HasBoth
    Properties:
      One: !GetAtt A.Arn
      Two: { Fn::GetAtt: [B, Arn] }
      Three: !Sub "${C.Arn}/${!No}/${AWS::Region}"
      Four: !Sub ["${Given}/${D}", { Given: !Ref E }]
      Five: &shared !If [HasQ, !Ref R, !Ref AWS::NoValue]
      Six: *shared
"#,
    );
    let f = &template.resources()["F"];
    let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<String>>();
    assert_eq!(template.resources_in(f), set(&["A", "B", "C", "D", "E"]));
    assert_eq!(template.parameters_in(&f["Properties"]["Six"]), set(&["Q", "R"]));
    assert_eq!(template.parameters_in(&f["Properties"]), set(&["Q", "R"]));
    assert_eq!(template.parameters_of_existence(f), set(&["P", "Q"]));
}
