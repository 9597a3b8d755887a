//! Parser directives: the comments at the start that say how to read the rest. Follows `parser/directives.go`.

use domain::Quoted;

use crate::problem::{Problem, Reason};
use crate::reference::ImageReference;

/// The repository of Docker's own frontends, which read what the built-in one reads.
const OFFICIAL_FRONTEND: &str = "docker.io/docker/dockerfile";

/// The character that continues a line at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    Backslash,
    Backtick,
}

impl Escape {
    pub(crate) fn char(self) -> char {
        match self {
            Self::Backslash => '\\',
            Self::Backtick => '`',
        }
    }
}

/// Reads the directives. Refuses a frontend that is not Docker's own.
pub(crate) fn read(lines: &[&str]) -> Result<Escape, Problem> {
    check_frontend(lines)?;
    let mut escape = None;
    let (mut has_syntax, mut has_check) = (false, false);
    for (at, line) in lines.iter().enumerate() {
        let Some((key, value)) = directive(line.trim_start(), "#") else { break };
        let problem = |what| Problem { line: at + 1, reason: Reason::Directive { what } };
        // Versions of BuildKit disagree about the spaces that may stand in a directive.
        if !line.is_ascii() {
            return Err(problem("has a character outside ASCII"));
        }
        let repeated = match key {
            Directive::Syntax => std::mem::replace(&mut has_syntax, true),
            Directive::Check => std::mem::replace(&mut has_check, true),
            Directive::Escape => escape.is_some(),
        };
        if repeated {
            return Err(problem("repeats another"));
        }
        if key == Directive::Escape {
            // A version that does not know `check` stops reading directives there.
            if has_check {
                return Err(problem("sets the escape character after another one for checks"));
            }
            escape = Some(match value {
                "\\" => Escape::Backslash,
                "`" => Escape::Backtick,
                _ => return Err(problem("sets an escape character other than \\ and `")),
            });
        }
    }
    Ok(escape.unwrap_or(Escape::Backslash))
}

/// Looks for a frontend as BuildKit does: in comments with `#`, then with `//`, then in a JSON document, each after a
/// shebang line.
fn check_frontend(lines: &[&str]) -> Result<(), Problem> {
    let skipped = usize::from(lines.first().is_some_and(|line| line.starts_with("#!")));
    for prefix in ["#", "//"] {
        let directives = lines.iter().enumerate().skip(skipped);
        let directives = directives.map_while(|(at, line)| Some((at, directive(line, prefix)?)));
        for (at, (key, frontend)) in directives {
            if key == Directive::Syntax {
                let problem =
                    || Problem { line: at + 1, reason: Reason::Frontend { name: Quoted::new(frontend.as_bytes()) } };
                // What follows the space is passed to the frontend.
                let image = frontend.split(' ').next().and_then(|image| ImageReference::parse(image).ok());
                return match image {
                    Some(image) if image.repository() == OFFICIAL_FRONTEND => Ok(()),
                    _ => Err(problem()),
                };
            }
        }
    }
    let first = lines.iter().enumerate().skip(skipped).find(|(_, line)| !line.trim().is_empty());
    match first {
        Some((at, line)) if line.trim_start().starts_with('{') => Err(Problem { line: at + 1, reason: Reason::Json }),
        _ => Ok(()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Directive {
    Syntax,
    Escape,
    Check,
}

/// The directive in a line and its value. Any other line ends the directives.
fn directive<'a>(line: &'a str, prefix: &str) -> Option<(Directive, &'a str)> {
    let (key, value) = line.strip_prefix(prefix)?.split_once('=')?;
    let key = match key.trim().to_ascii_lowercase().as_str() {
        "syntax" => Directive::Syntax,
        "escape" => Directive::Escape,
        "check" => Directive::Check,
        _ => return None,
    };
    // BuildKit takes a value of spaces for a value.
    (!value.is_empty()).then(|| (key, value.trim_matches([' ', '\t'])))
}
