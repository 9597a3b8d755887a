//! What has to be documented is, and documents name only what exists.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "shared/sources.rs"]
mod sources;

use std::path::{Path, PathBuf};

use domain::FailureCode;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Markdown page of the repository.
fn pages() -> Vec<(String, String)> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    let docs = docs.map(|page| format!("docs/{}", page.unwrap().file_name().to_str().unwrap()));
    let other = ["README.md", "ARCHITECTURE.md", "VERIFICATION.md", "THREATS.md", "bench/README.md"].map(str::to_owned);
    docs.chain(other).map(|path| (path.clone(), read(&path))).collect()
}

/// Whether a page has a table row for this name.
fn has_row(page: &str, name: &str) -> bool {
    page.lines().any(|line| line.starts_with('|') && line.contains(&format!("`{name}`")))
}

#[test]
fn every_failure_code_is_documented() {
    let page = read("docs/troubleshooting.md");
    for code in FailureCode::ALL {
        assert!(has_row(&page, code.as_str()), "docs/troubleshooting.md lacks {code}");
    }
}

/// The parameters of the template with their defaults.
fn parameters() -> Vec<(String, Option<String>)> {
    let template = read("template.yaml");
    let block = template.split("\nParameters:\n").nth(1).unwrap().split("\nRules:\n").next().unwrap();
    let mut parameters: Vec<(String, Option<String>)> = Vec::new();
    for line in block.lines() {
        if let Some(name) = line.strip_prefix("  ").and_then(|line| line.strip_suffix(':'))
            && !name.starts_with([' ', '#'])
        {
            parameters.push((name.to_owned(), None));
        } else if let Some(default) = line.strip_prefix("    Default: ") {
            parameters.last_mut().unwrap().1 = Some(default.trim_matches('"').to_owned());
        }
    }
    parameters
}

/// The name of a parameter in `.env`.
fn variable(parameter: &str) -> String {
    let mut name = String::new();
    for char in parameter.chars() {
        if char.is_ascii_uppercase()
            && name.ends_with(|before: char| before.is_ascii_lowercase() || before.is_ascii_digit())
        {
            name.push('_');
        }
        name.push(char);
    }
    name.to_ascii_uppercase()
}

#[test]
fn the_specifications_names_configure_a_deployment() {
    let parameters: Vec<String> = parameters().into_iter().map(|(name, _)| variable(&name)).collect();
    let example = read(".env.example");
    let in_example: Vec<&str> = example.lines().filter_map(|line| line.strip_suffix('=')).collect();
    for name in &in_example {
        assert!(
            parameters.iter().any(|parameter| parameter == name),
            ".env.example names {name}, which is not a parameter"
        );
    }
    let page = read("docs/configuring.md");
    for name in [
        "KAFKA_URL",
        "KAFKA_SUBMISSION_AGGREGATE_TOPIC",
        "SUBMISSION_API_URL",
        "AUTH0_URL",
        "AUTH0_AUDIENCE",
        "AUTH0_PROXY_SERVER_URL",
        "TOKEN_CACHE_TIME",
        "INPUT_S3_BUCKET",
        "INPUT_FOLDER_PREFIX",
        "OUTPUT_S3_BUCKET",
        "INSTANCE_TYPE",
        "INSTANCE_NUMBER",
        "IAM_ROLE",
    ] {
        assert!(in_example.contains(&name), ".env.example lacks {name}");
    }
    for name in ["KAFKA_CLIENT_CERT", "KAFKA_CLIENT_CERT_KEY", "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET"] {
        assert!(page.contains(&format!("`{name}`")), "docs/configuring.md does not say where {name} goes");
    }
}

#[test]
fn every_parameter_is_documented_with_its_default() {
    let page = read("docs/configuring.md");
    let parameters = parameters();
    assert!(parameters.len() > 50, "only {} parameters were found", parameters.len());
    for (name, default) in parameters {
        let shown = match default.as_deref() {
            None => "*required*".to_owned(),
            Some("") => "—".to_owned(),
            Some(default) => format!("`{default}`"),
        };
        let row = format!("| `{name}` | {shown} |");
        assert!(page.lines().any(|line| line.starts_with(&row)), "docs/configuring.md lacks the row {row}");
    }
}

#[test]
fn every_alarm_is_documented() {
    let (template, page) = (read("template.yaml"), read("docs/operating.md"));
    let alarms: Vec<&str> =
        template.lines().filter_map(|line| line.trim().strip_prefix("AlarmName: !Sub ${AWS::StackName}-")).collect();
    assert!(alarms.len() > 10, "only {alarms:?} were found");
    for alarm in alarms {
        assert!(has_row(&page, alarm), "docs/operating.md lacks the alarm {alarm}");
    }
}

/// The names of metrics in a function's sources: the first argument of `.value(…)` and the counts of `intake`.
fn metrics() -> Vec<String> {
    let mut names = Vec::new();
    for function in ["intake", "fetch", "claim", "diagnose", "report", "score", "submit"] {
        for file in std::fs::read_dir(root().join("functions").join(function).join("src")).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let source = std::fs::read_to_string(path).unwrap();
            for pattern in [".value(\"", "            (\""] {
                let quoted = source.split(pattern).skip(1).filter_map(|rest| rest.split_once('"'));
                names.extend(
                    quoted
                        .filter(|(name, rest)| {
                            pattern == ".value(\""
                                || (rest.starts_with(", self.")
                                    && name.starts_with(|first: char| first.is_ascii_uppercase()))
                        })
                        .map(|(name, _)| name.to_owned()),
                );
            }
        }
    }
    names
}

#[test]
fn every_metric_is_documented() {
    let page = read("docs/operating.md");
    let metrics = metrics();
    for known in ["Started", "Outcome", "Scored", "Unreported"] {
        assert!(metrics.iter().any(|name| name == known), "{known} was not found among {metrics:?}");
    }
    for name in metrics {
        assert!(has_row(&page, &name), "docs/operating.md lacks the metric {name}");
    }
}

#[test]
fn every_make_target_is_documented_and_every_documented_target_exists() {
    let makefile = read("Makefile");
    let targets: Vec<&str> = makefile
        .lines()
        .filter(|line| line.contains(": ") && line.contains("## "))
        .filter_map(|line| line.split(':').next())
        .filter(|target| target.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'))
        .collect();
    assert!(targets.len() > 10, "only {targets:?} were found");
    let text: String = pages().into_iter().map(|(_, page)| page).collect();
    let undocumented = ["help", "setup", "clean"];
    for target in &targets {
        assert!(
            undocumented.contains(target) || text.contains(&format!("make {target}")),
            "no page says what make {target} is for"
        );
    }
    for named in text.split("`make ").skip(1).filter_map(|rest| rest.split([' ', '`', '\n']).next()) {
        assert!(targets.contains(&named), "a page names make {named}, which does not exist");
    }
}

#[test]
fn every_link_leads_somewhere() {
    for (path, page) in pages() {
        let folder = root().join(&path).parent().unwrap().to_owned();
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            let file = link.split('#').next().unwrap();
            assert!(file.is_empty() || folder.join(file).exists(), "{path} links to {link}");
        }
    }
}

#[test]
fn verification_and_threats_name_only_tests_that_exist() {
    let sources = sources::below(&["tests", "functions", "libraries", "cli", "local"]);
    let is_test = |name: &str| sources.iter().any(|(_, source)| source.contains(&format!("fn {name}(")));
    let attacks = sources::below(&["tests/attack"]);
    let is_case = |name: &str| attacks.iter().any(|(_, source)| source.contains(&format!("\"{name}\"")));
    let (page, threats) = (read("VERIFICATION.md"), read("THREATS.md"));
    for name in page.split('`').skip(1).step_by(2).chain(threats.split('`').skip(1).step_by(2)) {
        if let Some((group, case)) = name.split_once(": ")
            && root().join("tests/attack/group").join(group).with_extension("rs").exists()
        {
            assert!(is_case(case), "a page names the case {name}, which does not exist");
        } else if name.len() > 8
            && name.contains('_')
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        {
            assert!(is_test(name), "a page names {name}, which is not a test");
        } else if is_path(name) {
            assert!(root().join(name).exists(), "a page names {name}, which does not exist");
        }
    }
}

/// Whether a name is a path of this repository, not of a bucket.
fn is_path(name: &str) -> bool {
    let folders = ["tests/", "functions/", "libraries/", "cli/", "scripts/", "docs/", "bench/"];
    folders.iter().any(|folder| name.starts_with(folder)) && !name.contains(' ')
}

#[test]
fn the_readme_shows_the_steps_of_the_definition() {
    let definition: Value = serde_json::from_str(&read("statemachine/processing.asl.json")).unwrap();
    let readme = read("README.md");
    let steps: Vec<&str> =
        readme.lines().filter_map(|line| line.trim().strip_prefix("✓ ")?.split_whitespace().next()).collect();
    assert!(steps.len() >= 8, "{steps:?}");
    for step in steps {
        assert!(definition["States"][step].is_object(), "README.md shows the step {step}");
    }
}

#[test]
fn organisers_read_what_surprises_them_where_they_need_it() {
    let page = read("docs/scoring.md");
    let section = |title: &str| {
        let rest = page.split(&format!("\n## {title}\n")).nth(1).unwrap_or_else(|| panic!("there is no {title}"));
        rest.split("\n## ").next().unwrap().to_owned()
    };
    let records = section("Score predictions without training");
    assert!(records.contains("a UUID, 24 hexadecimal digits, or 14 characters of `[A-Za-z0-9_-]`"), "the rule for ids");
    assert!(records.contains("earlier `created`"), "an earlier copy that arrives late");
    // ChallengeInstanceTypes is empty by default: an example with an instance type would be refused.
    let settings = section("Settings of a challenge");
    let example = settings.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let example: Value = serde_json::from_str(example).unwrap();
    assert!(example["scoring"].is_object() && example["training"]["instance_type"].is_null(), "{example}");
}
