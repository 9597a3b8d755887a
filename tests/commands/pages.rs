//! Where commands are shown to people.

use std::path::{Path, PathBuf};

use crate::shell;

/// A block of commands, or one command inside a sentence.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// The page that shows it.
    pub(crate) page: String,
    pub(crate) script: String,
}

pub(crate) fn root() -> PathBuf {
    std::fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap()
}

pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The page of the screen of `marathon up`.
pub(crate) const SCREEN: &str = "the screen of marathon up";

/// Everything that pages, the template and the screen of `marathon up` show.
pub(crate) fn all() -> Vec<Shown> {
    let mut pages = vec!["README.md".to_owned()];
    let mut docs: Vec<String> = std::fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|page| format!("docs/{}", page.unwrap().file_name().to_str().unwrap()))
        .collect();
    docs.sort();
    pages.append(&mut docs);
    pages.push("VERIFICATION.md".to_owned());
    let of_page = |page: &String| of_markdown(page, &read(page));
    let template = read("template.yaml");
    let descriptions: Vec<&str> = template.lines().filter(|line| line.contains("Description: ")).collect();
    let mut shown: Vec<Shown> = pages.iter().flat_map(of_page).collect();
    shown.extend(of_markdown("template.yaml", &descriptions.join("\n\n")));
    shown.extend(of_screen(&read(
        "cli/src/snapshots/marathon__up__tests__the_screen_has_commands_that_work_as_they_stand.snap",
    )));
    shown
}

/// The commands of the screen, which stand alone on their indented lines.
pub(crate) fn of_screen(screen: &str) -> Vec<Shown> {
    let programs = ["export", "aws", "kcat", "curl", "make", "marathon"];
    let is_command = |line: &&str| {
        line.starts_with("  ") && programs.iter().any(|name| line.trim_start().starts_with(&format!("{name} ")))
    };
    screen
        .lines()
        .filter(is_command)
        .map(|line| Shown { page: SCREEN.to_owned(), script: line.trim().to_owned() })
        .collect()
}

/// The fenced `sh` blocks and the commands between backticks, in the order of the page.
fn of_markdown(page: &str, text: &str) -> Vec<Shown> {
    let mut shown = Vec::new();
    let mut paragraph = String::new();
    let mut block: Option<(bool, usize, String)> = None;
    let shown_here = |script: String| Shown { page: page.to_owned(), script };
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut block, fence) {
            (None, Some(language)) => {
                shown.extend(inline(&std::mem::take(&mut paragraph)).into_iter().map(shown_here));
                block = Some((language == "sh", line.len() - line.trim_start().len(), String::new()));
            }
            (Some((is_shell, ..)), Some(_)) => {
                let is_shell = *is_shell;
                let (_, _, script) = block.take().unwrap();
                if is_shell {
                    shown.push(shown_here(script));
                }
            }
            (Some((_, indent, script)), None) => {
                script.push_str(line.get(*indent..).unwrap_or_default());
                script.push('\n');
            }
            (None, None) => {
                // A row of a table, an item of a list and a paragraph each end the code before them.
                if line.trim().is_empty() || line.starts_with(['|', '-']) {
                    shown.extend(inline(&std::mem::take(&mut paragraph)).into_iter().map(shown_here));
                }
                paragraph += line.trim_start();
                paragraph.push(' ');
            }
        }
    }
    shown.extend(inline(&paragraph).into_iter().map(shown_here));
    shown
}

fn inline(paragraph: &str) -> Vec<String> {
    let programs = ["aws", "make", "marathon", "curl", "kcat"];
    let is_command = |code: &&str| {
        code.split_once(' ').is_some_and(|(program, rest)| {
            (programs.contains(&program) || program.ends_with("/marathon")) && !rest.trim().is_empty()
        })
    };
    paragraph.split('`').skip(1).step_by(2).map(str::trim).filter(is_command).map(str::to_owned).collect()
}

/// The statements of everything that is shown, with their pages.
#[cfg(feature = "stack")]
pub(crate) fn statements(shown: &[Shown]) -> Vec<Shown> {
    let of_one = |shown: &Shown| {
        let page = shown.page.clone();
        shell::statements(&shown.script).into_iter().map(move |script| Shown { page: page.clone(), script })
    };
    shown.iter().flat_map(of_one).collect()
}

#[test]
fn blocks_and_inline_commands_are_found() {
    let text = "Run `make test` or `aws s3 ls\ns3://b`.\n\n| `marathon` | `make x` |\n\n```sh\na\n  b\n```\n\n1. One:\n\n   ```sh\n   c\n   ```\n```json\n{}\n```\n`aws/lambda/ x`\n";
    let found: Vec<String> = of_markdown("page", text).into_iter().map(|shown| shown.script).collect();
    assert_eq!(found, ["make test", "aws s3 ls s3://b", "make x", "a\n  b\n", "c\n"]);
}
