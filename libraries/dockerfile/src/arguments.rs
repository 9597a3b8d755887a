//! Build arguments and their use in the names of images. Follows `buildMetaArgs` and `defaultArgs` in `dockerfile2llb`,
//! `parseWords` in `parser/line_parsers.go`, and `shell/lex.go`.

use std::collections::HashMap;

use crate::directives::Escape;

/// What BuildKit sets for a build for linux/amd64 on linux/amd64.
const PLATFORM: [(&str, &str); 8] = [
    ("TARGETPLATFORM", "linux/amd64"),
    ("TARGETOS", "linux"),
    ("TARGETARCH", "amd64"),
    ("TARGETVARIANT", ""),
    ("BUILDPLATFORM", "linux/amd64"),
    ("BUILDOS", "linux"),
    ("BUILDARCH", "amd64"),
    ("BUILDVARIANT", ""),
];

/// Arguments that a builder may set although nothing gives them a value. Their names also exist in lower case.
const SET_BY_BUILDERS: [&str; 9] = [
    "ALL_PROXY",
    "BUILDOSVERSION",
    "FTP_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "SOURCE_DATE_EPOCH",
    "TARGETOSVERSION",
    "TARGETSTAGE",
];

/// Why a text has no known value. It completes the sentence "uses …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// No default before the first `FROM`.
    NoDefault {
        name: String,
    },
    /// The builder decides.
    Builder {
        name: String,
    },
    /// Declared again without a value, which versions of BuildKit read differently.
    Redeclared {
        name: String,
    },
    Syntax {
        what: &'static str,
    },
}

/// The arguments before the first `FROM`.
#[derive(Debug)]
pub(crate) struct Arguments {
    values: HashMap<String, Result<String, Unknown>>,
    escape: Escape,
}

impl Arguments {
    pub(crate) fn new(escape: Escape) -> Self {
        let known = |(name, value): (&str, &str)| (name.to_owned(), Ok(value.to_owned()));
        Self { values: PLATFORM.into_iter().map(known).collect(), escape }
    }

    /// Adds what an `ARG` instruction declares.
    pub(crate) fn declare(&mut self, declarations: &str) {
        for word in words(declarations, self.escape) {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, self.expand(value)),
                None if self.values.contains_key(&word) => {
                    let name = word.clone();
                    (word.as_str(), Err(Unknown::Redeclared { name }))
                }
                None => continue,
            };
            self.values.insert(name.to_owned(), value);
        }
    }

    /// The text with variables replaced and quotes removed.
    pub(crate) fn expand(&self, text: &str) -> Result<String, Unknown> {
        let mut rest = text;
        let expanded = self.expand_until(&mut rest, None)??;
        Ok(expanded)
    }

    /// The outer error is one of syntax, also in parts that are not used.
    fn expand_until(&self, rest: &mut &str, end: Option<char>) -> Result<Result<String, Unknown>, Unknown> {
        let syntax = |what| Err(Unknown::Syntax { what });
        let mut expanded = Ok(String::new());
        let mut add = |more: Result<String, Unknown>| {
            if let Ok(text) = &mut expanded {
                match more {
                    Ok(more) => text.push_str(&more),
                    Err(unknown) => expanded = Err(unknown),
                }
            }
        };
        let mut is_quoted = false;
        while let Some(char) = rest.chars().next() {
            *rest = &rest[char.len_utf8()..];
            match char {
                '"' => is_quoted = !is_quoted,
                '\\' | '`' => return syntax("an escape character"),
                '$' => add(self.variable(rest)?),
                _ if end == Some(char) && !is_quoted => return Ok(expanded),
                '\'' if !is_quoted => match rest.split_once('\'') {
                    Some((text, after)) => {
                        add(Ok(text.to_owned()));
                        *rest = after;
                    }
                    None => return syntax("a quote that is not closed"),
                },
                _ => add(Ok(char.to_string())),
            }
        }
        if is_quoted {
            return syntax("a quote that is not closed");
        }
        if end.is_some() { syntax("a ${ that is not closed") } else { Ok(expanded) }
    }

    /// The value of the variable whose name is next.
    fn variable(&self, rest: &mut &str) -> Result<Result<String, Unknown>, Unknown> {
        const UNSUPPORTED: Unknown =
            Unknown::Syntax { what: "a $ that is not part of $NAME, ${NAME}, ${NAME:-word} or ${NAME:+word}" };
        let Some(inner) = rest.strip_prefix('{') else {
            let name = name(rest).ok_or(UNSUPPORTED)?;
            *rest = &rest[name.len()..];
            return Ok(self.value(name));
        };
        let name = name(inner).ok_or(UNSUPPORTED)?;
        let inner = &inner[name.len()..];
        if let Some(after) = inner.strip_prefix('}') {
            *rest = after;
            return Ok(self.value(name));
        }
        let (is_default, word) = match (inner.strip_prefix(":-"), inner.strip_prefix(":+")) {
            (Some(word), _) => (true, word),
            (_, Some(word)) => (false, word),
            _ => return Err(UNSUPPORTED),
        };
        *rest = word;
        let word = self.expand_until(rest, Some('}'))?;
        Ok(match (self.value(name), is_default) {
            (Ok(value), true) if !value.is_empty() => Ok(value),
            (Ok(value), false) if !value.is_empty() => word,
            (Ok(_) | Err(Unknown::NoDefault { .. }), true) => word,
            (Ok(_) | Err(Unknown::NoDefault { .. }), false) => Ok(String::new()),
            (Err(unknown), _) => Err(unknown),
        })
    }

    fn value(&self, name: &str) -> Result<String, Unknown> {
        let upper = name.to_ascii_uppercase();
        if SET_BY_BUILDERS.contains(&upper.as_str()) || upper.starts_with("BUILDKIT_") {
            return Err(Unknown::Builder { name: name.to_owned() });
        }
        let declared = self.values.get(name).cloned();
        declared.unwrap_or_else(|| Err(Unknown::NoDefault { name: name.to_owned() }))
    }
}

fn name(text: &str) -> Option<&str> {
    let end = text.find(|char: char| !char.is_ascii_alphanumeric() && char != '_').unwrap_or(text.len());
    let name = &text[..end];
    // BuildKit also takes letters outside ASCII for part of a name.
    let goes_on = text[end..].starts_with(|char: char| !char.is_ascii());
    (!goes_on && name.starts_with(|char: char| !char.is_ascii_digit())).then_some(name)
}

/// Splits the arguments of `ARG`. Quotes and escape characters stay in the words.
fn words(text: &str, escape: Escape) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if quote.is_none() && char.is_whitespace() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            continue;
        }
        match quote {
            None if matches!(char, '"' | '\'') => quote = Some(char),
            Some(open) if open == char => quote = None,
            _ => {}
        }
        word.push(char);
        // Nothing is escaped between single quotes.
        if char == escape.char() && quote != Some('\'') {
            word.extend(chars.next());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(lines: &[&str]) -> Arguments {
        let mut arguments = Arguments::new(Escape::Backslash);
        for line in lines {
            arguments.declare(line);
        }
        arguments
    }

    #[test]
    fn variables_are_replaced_as_buildkit_replaces_them() {
        let arguments = arguments(&[
            "TAG=3.11 NAME=\"python\"",
            "IMAGE=$NAME:${TAG}",
            "TAG=4 EMPTY= NOTHING",
            "TARGETOS=plan9",
            "SPACE='a b' IN=\"'$TAG'\"",
        ]);
        for (text, expected) in [
            ("plain", "plain"),
            ("$IMAGE", "python:3.11"),
            ("x${TAG}y", "x4y"),
            ("\"$TAG\"'$TAG'", "4$TAG"),
            ("${EMPTY:-a}${TAG:-a}${NOTHING:-b}${NEVER:-${TAG}}", "a4b4"),
            ("${EMPTY:+a}${TAG:+a}${NOTHING:+b}${NEVER:+c}", "a"),
            ("${TAG:-$NEVER}", "4"),
            ("${NEVER:-\"}\"}", "}"),
            ("$TARGETPLATFORM $TARGETOS $TARGETARCH $BUILDARCH$TARGETVARIANT", "linux/amd64 plan9 amd64 amd64"),
            ("$SPACE $IN", "a b '4'"),
        ] {
            assert_eq!(arguments.expand(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_known_only_during_the_build_has_no_value() {
        let arguments =
            arguments(&["NOTHING", "HTTP_PROXY=x buildkit_syntax=x", "TARGETARCH", "X=1", "X", "Y=$NOTHING"]);
        let named = |unknown: fn(String) -> Unknown, name: &str| Err(unknown(name.to_owned()));
        for name in ["NOTHING", "NEVER"] {
            let expected = named(|name| Unknown::NoDefault { name }, name);
            assert_eq!(arguments.expand(&format!("${name}")), expected);
        }
        assert_eq!(arguments.expand("$Y"), named(|name| Unknown::NoDefault { name }, "NOTHING"));
        for name in ["HTTP_PROXY", "http_proxy", "TARGETSTAGE", "buildkit_syntax", "SOURCE_DATE_EPOCH"] {
            let expected = named(|name| Unknown::Builder { name }, name);
            assert_eq!(arguments.expand(&format!("${{{name}:-x}}")), expected, "{name}");
        }
        for name in ["TARGETARCH", "X"] {
            assert_eq!(arguments.expand(&format!("${name}")), named(|name| Unknown::Redeclared { name }, name));
        }
    }

    #[test]
    fn a_substitution_that_versions_read_differently_has_no_value() {
        let arguments = arguments(&["X=a ESCAPED=a\\ b"]);
        for text in [
            "${X%a}",
            "${X#a}",
            "${X/a/b}",
            "${X-a}",
            "${X+a}",
            "${X:?a}",
            "${X",
            "${X:-a",
            "$1",
            "${1}",
            "$",
            "${}",
            "$X\u{e9}",
            "\\$X",
            "'a",
            "\"a",
            "$ESCAPED",
            "`",
            "${X:-\\}}",
        ] {
            assert!(
                matches!(arguments.expand(text), Err(Unknown::Syntax { .. })),
                "{text}: {:?}",
                arguments.expand(text)
            );
        }
    }
}
