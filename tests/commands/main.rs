//! Every command that a page or a screen shows can be pasted: it parses, it exists, both versions of the AWS CLI understand it,
//! and on the local stack it succeeds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pages;
mod rules;
#[cfg(feature = "stack")]
mod run;
mod shell;

#[test]
fn every_shown_command_parses_and_exists() {
    let shown = pages::all();
    let of_page = |name: &str| shown.iter().filter(|shown| shown.page == name).count();
    for page in ["README.md", "docs/deploying.md", "docs/operating.md", "VERIFICATION.md", pages::SCREEN] {
        assert!(of_page(page) > 1, "only {} commands of {page} were found", of_page(page));
    }
    let mut rules = rules::Rules::new();
    let mut wrong = Vec::new();
    for pages::Shown { page, script } in &shown {
        wrong.extend(shell::syntax_error(script).map(|error| format!("{page}: {script}\n  {error}")));
        for command in shell::commands(script) {
            wrong.extend(rules.check(&command).err().map(|error| format!("{page}: {}\n  {error}", command.join(" "))));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_unacceptable_parameter_is_refused_before_anything_starts() {
    for (command, parameter, named) in [
        ("up", "Nope=1", "there is no parameter Nope"),
        ("demo", "MaxRuntimeInSeconds=5", "from 60 to 432000"),
        ("run", "LogLevel=LOUD", "DEBUG or INFO"),
    ] {
        let mut marathon = std::process::Command::new(rules::program());
        marathon.current_dir(pages::root()).arg(command);
        if command == "run" {
            marathon.arg("samples/submissions/regression");
        }
        let output = marathon.args(["--parameter", parameter]).output().unwrap();
        let (written, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(2), "{command} {parameter}: {errors}");
        assert!(written.is_empty(), "{command} {parameter} started something: {written}");
        assert!(errors.contains(named) && errors.lines().count() == 1, "{command} {parameter}: {errors}");
    }
}
