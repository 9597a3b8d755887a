//! The instructions of a Dockerfile. Follows `parser/parser.go` and `parser/split_command.go`.

use domain::Quoted;

use crate::directives::Escape;
use crate::heredoc;
use crate::problem::{Problem, Reason};

/// What an instruction does, as far as images depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    Arg,
    From,
    /// `COPY` or `ADD`, which BuildKit gives no `--from`.
    Copy,
    Run,
    OnBuild,
    /// Pulls nothing.
    Other,
}

impl Keyword {
    fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "arg" => Self::Arg,
            "from" => Self::From,
            "copy" | "add" => Self::Copy,
            "run" => Self::Run,
            "onbuild" => Self::OnBuild,
            "cmd" | "entrypoint" | "env" | "expose" | "healthcheck" | "label" | "maintainer" | "shell"
            | "stopsignal" | "user" | "volume" | "workdir" => Self::Other,
            _ => return None,
        })
    }
}

/// An instruction, without comments and line continuations.
#[derive(Debug)]
pub(crate) struct Instruction {
    /// The line that it starts on, from 1.
    pub(crate) line: usize,
    pub(crate) keyword: Keyword,
    /// Each `--name=value` after the keyword, without quotes.
    pub(crate) flags: Vec<String>,
    /// The rest of it.
    pub(crate) arguments: String,
}

impl Instruction {
    /// The instruction that starts on a line. `text` has no continuations.
    pub(crate) fn parse(line: usize, text: &str) -> Result<Self, Problem> {
        let text = text.trim();
        let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let keyword = Keyword::parse(word);
        let unknown = || Problem { line, reason: Reason::UnknownInstruction { name: Quoted::new(word.as_bytes()) } };
        let keyword = keyword.ok_or_else(unknown)?;
        let (flags, arguments) = split_flags(rest).map_err(|reason| Problem { line, reason })?;
        Ok(Self { line, keyword, flags, arguments: arguments.trim().to_owned() })
    }

    /// Whether its arguments could be a JSON array of strings, in which `<<` is only text.
    fn may_be_json(&self) -> bool {
        self.arguments.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with(['"', ']']))
    }

    fn heredocs(&self, text: &str) -> Result<Vec<heredoc::Heredoc>, Reason> {
        if !text.contains("<<") {
            return Ok(Vec::new());
        }
        match self.keyword {
            Keyword::Run | Keyword::Copy if self.may_be_json() => {
                // Versions of BuildKit disagree about what may follow the array.
                Err(Reason::Heredoc { what: "beside a JSON array" })
            }
            Keyword::Run | Keyword::Copy => heredoc::of_instruction(text),
            Keyword::OnBuild => Err(Reason::Heredoc { what: "in ONBUILD" }),
            Keyword::Arg | Keyword::From | Keyword::Other => Ok(Vec::new()),
        }
    }
}

/// Reads the instructions. Skips comments and the text of heredocs.
pub(crate) fn read(lines: &[&str], escape: Escape) -> Result<Vec<Instruction>, Problem> {
    let mut instructions = Vec::new();
    let mut rest = lines.iter().enumerate();
    while let Some((at, first)) = rest.next() {
        if is_comment(first) {
            continue;
        }
        let (first, mut continues) = continuation(first.trim_start(), escape);
        let mut text = first.to_owned();
        while continues && let Some((_, next)) = rest.next() {
            // A comment or an empty line does not end the instruction.
            if is_comment(next) || next.trim_start().is_empty() {
                continue;
            }
            let (next, more) = continuation(next, escape);
            text.push_str(next);
            continues = more;
        }
        // An escape character alone on its line, before the end of the file, counts as an instruction: it is unknown.
        if text.is_empty() && !continues {
            continue;
        }
        let instruction = Instruction::parse(at + 1, &text)?;
        let problem = |reason| Problem { line: at + 1, reason };
        for heredoc in instruction.heredocs(&text).map_err(problem)? {
            if !rest.any(|(_, line)| heredoc.ends_with(line)) {
                return Err(problem(Reason::Heredoc { what: "that is not closed by a line with its name" }));
            }
        }
        instructions.push(instruction);
    }
    Ok(instructions)
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// Cuts the escape character at the end of a line, and says whether the next line continues this one. Two escape characters
/// at the end are text.
fn continuation(line: &str, escape: Escape) -> (&str, bool) {
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape.char()) {
        Some(start) if !start.ends_with(escape.char()) => (start, true),
        _ => (line, false),
    }
}

/// Splits the flags from the arguments.
fn split_flags(rest: &str) -> Result<(Vec<String>, &str), Reason> {
    let mut flags = Vec::new();
    let mut rest = rest.trim_start_matches([' ', '\t']);
    while rest.starts_with("--") {
        let (flag, after) = flag(rest)?;
        rest = after.trim_start_matches([' ', '\t']);
        if flag == "--" {
            break;
        }
        flags.push(flag);
    }
    Ok((flags, rest))
}

/// Cuts one flag. BuildKit reads it byte by byte, and versions of it disagree about escape characters.
fn flag(text: &str) -> Result<(String, &str), Reason> {
    let mut flag = String::new();
    let mut quote = None;
    for (at, char) in text.char_indices() {
        match char {
            '\\' | '`' => return Err(Reason::Flag { what: "an escape character" }),
            ' ' | '\t' if quote.is_none() => return Ok((flag, &text[at..])),
            '"' | '\'' if quote.is_none() => quote = Some(char),
            _ if quote == Some(char) => quote = None,
            _ if !char.is_ascii() => return Err(Reason::Flag { what: "a character outside ASCII" }),
            _ => flag.push(char),
        }
    }
    if quote.is_some() { Err(Reason::Flag { what: "a quote that is not closed" }) } else { Ok((flag, "")) }
}
