//! The names of attributes in expressions of DynamoDB. A reserved word is refused there, by AWS but not by an emulator.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::parsed::Template;
use crate::sources;

/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html>
const RESERVED: &str = include_str!("reserved_words.txt");
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html>
const SYNTAX: [&str; 17] = [
    "SET",
    "REMOVE",
    "ADD",
    "DELETE",
    "AND",
    "OR",
    "NOT",
    "IN",
    "BETWEEN",
    "attribute_exists",
    "attribute_not_exists",
    "attribute_type",
    "begins_with",
    "contains",
    "size",
    "if_not_exists",
    "list_append",
];

fn is_reserved(name: &str) -> bool {
    RESERVED.split_whitespace().any(|word| word.eq_ignore_ascii_case(name))
}

/// The attributes that an expression names without an alias. A name in braces is filled in at run time.
fn names_in(expression: &str) -> BTreeSet<String> {
    let is_inside = |character: char| character.is_ascii_alphanumeric() || "_:#{}".contains(character);
    expression
        .split(|character| !is_inside(character))
        .filter(|word| word.starts_with(|first: char| first.is_ascii_alphabetic()) && !SYNTAX.contains(word))
        .map(str::to_owned)
        .collect()
}

/// Whether a text between quotes is an expression of DynamoDB.
fn is_expression(text: &str) -> bool {
    ["= :", "< :", "> :", "SET ", "REMOVE ", "attribute_exists(", "attribute_not_exists("]
        .iter()
        .any(|part| text.contains(part))
}

/// The sources that send expressions.
fn with_expressions() -> Vec<(PathBuf, String)> {
    let mut sources = sources::below(&["functions", "libraries", "cli"]);
    sources.retain(|(path, text)| text.contains("_expression(") && path.iter().any(|part| part == "src"));
    sources
}

#[test]
fn no_expression_names_a_reserved_word() {
    let mut found = BTreeSet::new();
    for (path, source) in with_expressions() {
        for expression in source.split('"').skip(1).step_by(2).filter(|text| is_expression(text)) {
            for name in names_in(expression) {
                assert!(!is_reserved(&name), "{}: give {name} an alias in {expression}", path.display());
                found.insert(name);
            }
        }
    }
    for known in ["challengeId", "originality", "compared", "ranking"] {
        assert!(found.contains(known), "{known} was not found among {found:?}");
    }
    // An expression may get the name of a key at run time.
    let template = Template::of_project();
    for table in template.resources().values().filter(|resource| resource["Type"] == "AWS::DynamoDB::Table") {
        for attribute in table["Properties"]["AttributeDefinitions"].as_array().unwrap() {
            let name = attribute["AttributeName"].as_str().unwrap();
            assert!(!is_reserved(name), "the key {name} is a reserved word");
        }
    }
}

#[test]
fn names_differ_from_syntax_values_and_aliases() {
    let names = names_in("SET #result = :result, round = :x REMOVE user.name, a1, {key} AND attribute_exists(metric)");
    assert_eq!(names, ["round", "user", "name", "a1", "metric"].map(str::to_owned).into());
    assert!(is_reserved("user") && is_reserved("Name") && !is_reserved("ranking"));
}
