//! What holds of a command before anyone runs it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

use crate::pages::read;

/// Options that only version 2 of the AWS CLI has; see
/// <https://docs.aws.amazon.com/cli/latest/userguide/cliv2-migration-changes.html> and
/// <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-options.html>.
const ONLY_IN_VERSION_2: [&str; 6] = [
    "--cli-binary-format",
    "--no-cli-pager",
    "--cli-auto-prompt",
    "--no-cli-auto-prompt",
    "--copy-props",
    "--cli-error-format",
];
/// Commands that only one version has.
const ONLY_IN_ONE_VERSION: [&str; 8] = [
    "logs tail",
    "sso login",
    "sso logout",
    "configure sso",
    "configure import",
    "configure list-profiles",
    "ddb select",
    "ecr get-login",
];
/// Options that take a blob: version 1 reads them as they are, version 2 as Base64, and both read `fileb://` as it is.
const BLOBS: [&str; 6] =
    ["--payload", "--zip-file", "--secret-binary", "--client-context", "--ciphertext-blob", "--plaintext"];

pub(crate) struct Rules {
    targets: Vec<String>,
    program: PathBuf,
    helps: HashMap<Vec<String>, Option<String>>,
}

impl Rules {
    pub(crate) fn new() -> Self {
        let makefile = read("Makefile");
        let phony = makefile.lines().find_map(|line| line.strip_prefix(".PHONY:")).unwrap();
        Self {
            targets: phony.split_whitespace().map(str::to_owned).collect(),
            program: program(),
            helps: HashMap::new(),
        }
    }

    /// What is wrong with a command, if something is.
    pub(crate) fn check(&mut self, words: &[String]) -> Result<(), String> {
        if let Some(word) = words.iter().find(|word| word.contains("/dev/stdout")) {
            return Err(format!("{word}: redirected to a file, it empties the file"));
        }
        let arguments = words.get(1..).unwrap_or_default();
        match words.first().map(String::as_str) {
            Some("make") => self.check_make(arguments),
            Some("aws") => check_aws(arguments),
            Some(program) if program == "marathon" || program.ends_with("/marathon") => self.check_marathon(arguments),
            _ => Ok(()),
        }
    }

    fn check_make(&self, arguments: &[String]) -> Result<(), String> {
        let mut targets = arguments.iter().filter(|word| !word.contains('='));
        match targets.find(|target| !self.targets.contains(target)) {
            Some(target) => Err(format!("the Makefile has no target {target}")),
            None => Ok(()),
        }
    }

    /// Follows the subcommands, then looks for every long option in the help.
    fn check_marathon(&mut self, arguments: &[String]) -> Result<(), String> {
        let mut path: Vec<String> = Vec::new();
        let mut help = self.help(&path).ok_or("marathon --help fails")?;
        for word in arguments.iter().take_while(|word| !word.starts_with('-')) {
            let lists =
                help.lines().any(|line| line.strip_prefix("  ").and_then(|line| line.split(' ').next()) == Some(word));
            if !lists {
                break;
            }
            path.push(word.clone());
            help = self.help(&path).ok_or_else(|| format!("there is no marathon {}", path.join(" ")))?;
        }
        if path.is_empty() {
            return Err(format!("there is no marathon {}", arguments.first().map_or("", String::as_str)));
        }
        for option in arguments.iter().take_while(|word| *word != "--").filter(|word| word.starts_with("--")) {
            let name = option.split('=').next().unwrap_or_default();
            if !help.split([' ', '\n', ',']).any(|word| word == name) {
                return Err(format!("marathon {} has no option {name}", path.join(" ")));
            }
        }
        Ok(())
    }

    fn help(&mut self, path: &[String]) -> Option<String> {
        let program = &self.program;
        let ask = || {
            let output = Command::new(program).args(path).arg("--help").output();
            let output = output.unwrap_or_else(|error| panic!("{}: {error}: run cargo build first", program.display()));
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        };
        self.helps.entry(path.to_vec()).or_insert_with(ask).clone()
    }
}

/// The program `marathon`, which is compiled beside this test.
pub(crate) fn program() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("marathon")
}

/// The service and the operation of a command of the AWS CLI. Global options before them have values.
pub(crate) fn operation(arguments: &[String]) -> String {
    let mut words = arguments;
    while let [option, _, rest @ ..] = words
        && option.starts_with("--")
    {
        words = rest;
    }
    words.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Whether both versions of the AWS CLI understand a command in the same way.
fn check_aws(arguments: &[String]) -> Result<(), String> {
    let operation = operation(arguments);
    if ONLY_IN_ONE_VERSION.contains(&operation.as_str()) {
        return Err(format!("only one version of the AWS CLI has {operation}"));
    }
    for (at, word) in arguments.iter().enumerate() {
        let (option, given) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        if !option.starts_with("--") {
            continue;
        }
        let value = given.or_else(|| arguments.get(at + 1).map(String::as_str)).unwrap_or_default();
        if ONLY_IN_VERSION_2.contains(&option) {
            return Err(format!("version 1 of the AWS CLI has no option {option}"));
        }
        if option == "--v2-debug" {
            return Err("version 2 of the AWS CLI has no option --v2-debug".to_owned());
        }
        if option == "--output" && !["text", "json", "table"].contains(&value) {
            return Err(format!("version 1 of the AWS CLI has no output {value}"));
        }
        if BLOBS.contains(&option) && !value.starts_with("fileb://") {
            return Err(format!("{option} {value}: only fileb:// means the same to both versions of the AWS CLI"));
        }
        if value.starts_with("http") && value.contains("://") && !["--endpoint-url", "--queue-url"].contains(&option) {
            return Err(format!("{option} {value}: version 1 of the AWS CLI fetches the URL"));
        }
    }
    let output_file = arguments.last().is_some_and(|word| !word.starts_with('-') && !word.contains("://"));
    if operation == "lambda invoke" && !output_file {
        return Err("lambda invoke needs a file for the answer as its last word".to_owned());
    }
    Ok(())
}

#[test]
fn commands_that_fail_for_someone_are_refused() {
    let mut rules = Rules::new();
    let mut refused = |script: &str| {
        let commands = crate::shell::commands(script);
        rules.check(&commands[0]).expect_err(script)
    };
    for script in [
        "make nothing",
        "marathon nothing",
        "marathon replay --stack s --nothing",
        "aws lambda invoke --function-name f --payload fileb://e --cli-binary-format raw-in-base64-out a.json",
        "aws lambda invoke --function-name f --payload '{}' a.json",
        "aws lambda invoke --function-name f --payload=file://e a.json",
        "aws lambda invoke --function-name f --payload fileb://e",
        "aws lambda invoke --function-name f --payload fileb://e /dev/stdout",
        "aws --region r logs tail g",
        "aws s3api list-buckets --output yaml",
        "aws ssm put-parameter --name n --value https://example.org",
        "aws ecr get-login",
    ] {
        refused(script);
    }
}
