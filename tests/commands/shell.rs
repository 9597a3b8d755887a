//! Enough of the shell's grammar to find the commands of a script.

use std::process::{Command, Stdio};

/// Why bash cannot parse a script, if it cannot.
pub(crate) fn syntax_error(script: &str) -> Option<String> {
    let output = Command::new("bash").args(["-n", "-c", script]).stdin(Stdio::null()).output().unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The statements of a script: each is made of the lines that bash can only parse together.
pub(crate) fn statements(script: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut statement = String::new();
    for line in script.lines() {
        if statement.is_empty() && (line.trim().is_empty() || line.trim_start().starts_with('#')) {
            continue;
        }
        statement += line;
        if line.ends_with('\\') || syntax_error(&statement).is_some() {
            statement.push('\n');
        } else {
            statements.push(std::mem::take(&mut statement));
        }
    }
    // An incomplete rest is one statement, which fails the check of its syntax.
    if !statement.is_empty() {
        statements.push(statement);
    }
    statements
}

/// The simple commands of a script as words without quotes, also those in `$(…)`. Redirections, assignments before a command
/// and keywords are left out.
pub(crate) fn commands(script: &str) -> Vec<Vec<String>> {
    let mut lexer = Lexer::default();
    lexer.read(script);
    lexer.commands
}

#[derive(Default)]
struct Lexer {
    commands: Vec<Vec<String>>,
    words: Vec<String>,
    word: Option<String>,
    is_target: bool,
}

impl Lexer {
    fn read(&mut self, script: &str) {
        let chars: Vec<char> = script.chars().collect();
        let mut at = 0;
        while at < chars.len() {
            let rest = &chars[at..];
            at += match rest {
                ['\\', '\n', ..] => 2,
                ['\\', escaped, ..] => self.push(&[*escaped], 2),
                ['\'', ..] => self.quoted(rest),
                ['"', ..] => self.double_quoted(rest),
                ['$', '(', ..] => self.substitution(rest),
                ['#', ..] if self.word.is_none() => rest.iter().position(|&char| char == '\n').unwrap_or(rest.len()),
                ['>' | '<', ..] => {
                    // A number before it is the file descriptor.
                    if self.word.as_ref().is_some_and(|word| word.chars().all(|char| char.is_ascii_digit())) {
                        self.word = None;
                    }
                    self.end_word();
                    self.is_target = true;
                    1
                }
                ['&', ..] if self.is_target && self.word.is_none() => 1,
                ['\n' | ';' | '|' | '&' | '(' | ')', ..] => {
                    self.end_command();
                    1
                }
                [' ' | '\t', ..] => {
                    self.end_word();
                    1
                }
                [char, ..] => self.push(&[*char], 1),
                [] => unreachable!("the index is inside"),
            };
        }
        self.end_command();
    }

    fn push(&mut self, chars: &[char], read: usize) -> usize {
        self.word.get_or_insert_default().extend(chars);
        read
    }

    fn quoted(&mut self, rest: &[char]) -> usize {
        let end = rest[1..].iter().position(|&char| char == '\'').map_or(rest.len(), |end| end + 1);
        self.push(&rest[1..end], (end + 1).min(rest.len()))
    }

    fn double_quoted(&mut self, rest: &[char]) -> usize {
        self.word.get_or_insert_default();
        let mut at = 1;
        while at < rest.len() && rest[at] != '"' {
            at += match &rest[at..] {
                ['\\', escaped, ..] => self.push(&[*escaped], 2),
                inner @ ['$', '(', ..] => self.substitution(inner),
                [char, ..] => self.push(&[*char], 1),
                [] => unreachable!("the index is inside"),
            };
        }
        at + 1
    }

    /// `$(…)` is part of a word, and its commands are commands of their own.
    fn substitution(&mut self, rest: &[char]) -> usize {
        let mut depth = 0;
        let end = rest.iter().position(|char| {
            depth += match char {
                '(' => 1,
                ')' => -1,
                _ => 0,
            };
            *char == ')' && depth == 0
        });
        let end = end.unwrap_or(rest.len() - 1);
        let inner: String = rest[2..end].iter().collect();
        self.commands.extend(commands(&inner));
        self.push(&rest[..=end], end + 1)
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take()
            && !std::mem::take(&mut self.is_target)
        {
            self.words.push(word);
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        self.is_target = false;
        let mut words = std::mem::take(&mut self.words).into_iter().peekable();
        let keywords = ["do", "then", "else", "if", "while", "until", "{", "}", "!", "done", "fi"];
        while words.next_if(|word| keywords.contains(&word.as_str()) || is_assignment(word)).is_some() {}
        let command: Vec<String> = words.collect();
        if command.first().is_some_and(|first| first != "for") {
            self.commands.push(command);
        }
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

#[test]
fn commands_are_found_in_loops_pipes_quotes_and_substitutions() {
    let script = "S=$(aws a b --query \"c[?d=='e'].f\") && echo \"$S\" | wc -l >out 2>&1 # aws no\n\
        for f in x y; do aws s3 cp 'a b' \\\n  - ; done\nput() { aws c d; }\nA=1 make t B=2\n";
    let found = commands(script);
    let expected: &[&[&str]] = &[
        &["aws", "a", "b", "--query", "c[?d=='e'].f"],
        &["echo", "$S"],
        &["wc", "-l"],
        &["aws", "s3", "cp", "a b", "-"],
        &["put"],
        &["aws", "c", "d"],
        &["make", "t", "B=2"],
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_statement_is_what_bash_can_only_parse_together() {
    let script = "# comment\na b\n\nc \\\n  d\nfor x in y; do\n  z\ndone\ne 'f\ng' # h\n";
    assert_eq!(statements(script), ["a b", "c \\\n  d", "for x in y; do\n  z\ndone", "e 'f\ng' # h"]);
}
