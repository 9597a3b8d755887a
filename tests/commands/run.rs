//! The shown commands on the local stack, with their placeholders filled in. All share the stack that `marathon up` starts.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use local::challenge::{Files, predictions};
use local::clients::Access;
use local::pack;
use local::stack::SAMPLE_ID;

use crate::pages::{self, SCREEN, Shown, read, root};
use crate::{rules, shell};

/// Longer than any command takes.
const PATIENCE: Duration = Duration::from_secs(45);
/// The id of the submission whose predictions are scored.
const SCORED_ID: &str = "5f3a1c9e-0b7d-4e62-8a41-9c2d7e6f8b10";
/// What the pages write in capitals for everyone to replace.
const PLACEHOLDERS: [(&str, &str); 13] = [
    ("STACK", "marathon-match-local"),
    ("CHALLENGE_ID", "houses"),
    ("USER", "someone"),
    ("OUTPUT_S3_BUCKET", "marathon-match-output"),
    ("SAFE_ID", SAMPLE_ID),
    ("TOPIC", "submission.notification.aggregate"),
    ("PARTITION", "0"),
    ("OFFSET", "7"),
    ("REPORT_TYPE_ID", "0f7c8a52-6f0c-4c6b-9d6f-1f2a7f0f6a11"),
    ("REPORT_REVIEWER_ID", "6e2f7b1d-58d3-4e0a-a9bb-3d5a1c9f7e02"),
    ("CLIENT_ID", "client"),
    ("CLIENT_SECRET", "secret"),
    ("YOU@EXAMPLE.ORG", "you@example.org"),
];
/// Placeholders that only the running stack knows, and commands that tell them.
const ASKED: [(&str, &str); 10] = [
    ("SCORING_STATE_MACHINE_ARN", "ScoringStateMachineArn"),
    ("KAFKA", ""),
    ("STAGING_BUCKET", "StagingBucketName"),
    ("SCORING_BUCKET", "ScoringBucketName"),
    ("SUBMISSIONS_TABLE", "SubmissionsTableName"),
    ("API_KEYS_SECRET_ARN", "ApiKeysSecretArn"),
    ("STATE_MACHINE_ARN", "StateMachineArn"),
    ("DEAD_LETTERS_URL", "DeadLettersUrl"),
    ("SUBMIT_URL", ""),
    ("KEY", ""),
];
/// Commands that do not run here, by how they begin, and why.
const ELSEWHERE: [(&str, &str); 29] = [
    ("marathon verify --stack", "needs submissions that have not run: this test runs it with its own"),
    ("make setup", "installs packages"),
    ("make build-local", "builds what this test runs"),
    ("make demo", "starts a stack of its own, as tests/end_to_end.rs does"),
    ("make run ", "starts a stack of its own, as tests/end_to_end.rs does"),
    ("target/*/debug/marathon run ", "starts a stack of its own, as tests/end_to_end.rs does"),
    ("make up", "starts a stack of its own, as this test does"),
    ("make test", "runs this test"),
    ("make faults", "takes 25 minutes"),
    ("make attack", "takes ten minutes; tests/attack/ runs a part of it with every test"),
    ("make escaped-build", "writes THREATS.md; tests/permissions/ compares its list with every test"),
    ("make fuzz", "compiles everything for coverage and takes minutes"),
    ("make simulate", "takes minutes; tests/simulation/ runs small evenings"),
    ("make lint", "takes minutes and runs before the tests"),
    ("make bench", "takes minutes and compiles with all optimisations"),
    ("make build", "compiles with all optimisations"),
    ("make replay", "compiles the program again; tests/end_to_end.rs runs marathon replay"),
    ("cargo build --release", "compiles with all optimisations"),
    ("marathon score", "is tested by cli/tests/score.rs"),
    ("aws configure", "asks questions"),
    ("aws service-quotas", "the emulator has no quotas"),
    ("curl --write-out", "the URL of a function leads to AWS"),
    ("aws sqs send-message", "version 1 of the AWS CLI takes the endpoint of SQS from the queue's URL"),
    ("aws stepfunctions redrive-execution", "the emulator cannot redrive"),
    ("aws stepfunctions stop-execution", "there is nothing to stop"),
    ("aws lambda update-event-source-mapping", "the poller of the local stack needs no mapping"),
    ("aws sagemaker stop-training-job", "there is nothing to stop"),
    ("aws codebuild", "the emulator does not build"),
    ("aws sagemaker list-training-jobs", "the emulator does not train"),
];
/// Commands that run in another way here.
const INSTEAD: [(&str, &str); 1] = [(
    "make deploy ENV=staging",
    // The functions are built for this machine, and there is no one to confirm.
    "SAM_CLI_TELEMETRY=0 scripts/deploy.sh staging --no-confirm-changeset --no-progressbar",
)];

/// `marathon up` until this is dropped.
struct Up {
    child: Child,
    screen: String,
}

impl Up {
    fn start() -> Self {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(rules::program())
            .args(["up", "--wait-scale", "0.01"])
            .current_dir(root())
            .env_remove("KAFKA_URL")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut screen = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            screen += &line.unwrap();
            screen.push('\n');
            if screen.contains("\n  log ") {
                return Self { child, screen };
            }
        }
        let status = child.wait();
        panic!("marathon up ended with {status:?}: {screen}");
    }

    /// The word after a text on the screen.
    fn after(&self, text: &str) -> String {
        let rest = self.screen.split_once(text).unwrap_or_else(|| panic!("{text} is not on the screen")).1;
        rest.split_whitespace().next().unwrap().trim_end_matches([')', '\'']).to_owned()
    }

    /// How to use the emulator, as the screen says.
    fn access(&self) -> Access {
        Access::new(self.after("\n  AWS "), self.after("AWS_SESSION_TOKEN="))
    }

    fn stop(mut self) {
        let stopped = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(stopped.success() && self.child.wait().unwrap().success(), "marathon up did not end well");
    }
}

/// One bash for the commands of a page: later ones see the variables of earlier ones.
struct Session {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

const MARK: &str = "--- status of the statement:";

impl Session {
    fn start(folder: &Path, screen: &str) -> Self {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "bash"])
            .current_dir(folder)
            .env("AWS_PAGER", "")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut session = Self { input: child.stdin.take().unwrap(), child, lines };
        // Every failed command counts, even inside a loop. Without --fail, curl succeeds with any status.
        let mut prepare = "exec 2>&1\nset -o pipefail\nset -E\ntrap 'failed=$?' ERR\n".to_owned();
        prepare += "curl() { command curl --fail-with-body --silent --show-error \"$@\"; }\n";
        writeln!(prepare, "export PATH=\"{}:$PATH\"", rules::program().parent().unwrap().display()).unwrap();
        for shown in pages::of_screen(screen).iter().filter(|shown| shown.script.starts_with("export ")) {
            writeln!(prepare, "{}", shown.script).unwrap();
        }
        session.input.write_all(prepare.as_bytes()).unwrap();
        session
    }

    /// Runs a statement, and returns what it wrote if it fails.
    fn run(&mut self, statement: &str) -> Result<(), String> {
        let script = format!("failed=0\n{{\n{statement}\n}} </dev/null\nprintf '\\n{MARK} %s\\n' \"$failed\"\n");
        self.input.write_all(script.as_bytes()).map_err(|error| error.to_string())?;
        let deadline = Instant::now() + PATIENCE;
        let mut written = String::new();
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            match line.strip_prefix(MARK).map(str::trim) {
                Some("0") => return Ok(()),
                Some(status) => return Err(format!("status {status}\n{written}")),
                None => writeln!(written, "    {line}").unwrap(),
            }
        }
        Err(format!("no end after {} seconds\n{written}", PATIENCE.as_secs()))
    }

    /// Repeats a statement until it succeeds: what it reads appears later.
    fn run_until_it_succeeds(&mut self, statement: &str) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let result = self.run(statement);
            if result.is_ok() || Instant::now() > deadline {
                return result;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A copy of the repository by links, with the files that the pages speak of.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if !["results", "samconfig.toml", ".env"].iter().any(|own| name == *own) {
            std::os::unix::fs::symlink(&path, folder.path().join(name)).unwrap();
        }
    }
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("samconfig.toml", &read("samconfig.toml"));
    let Files { training, tournament, truth } = Files::of_samples();
    write("training.csv", &training);
    write("tournament.csv", &tournament);
    write("truth.csv", &truth);
    write("predictions.csv", &predictions(|at| f64::from(at % 97) / 97.0));
    write("settings.json", &settings_example());
    let work = tempfile::tempdir().unwrap();
    let archive = pack::archive_of(&root().join("samples/submissions/regression"), work.path()).unwrap();
    std::fs::copy(archive, folder.path().join("submission.zip")).unwrap();
    folder
}

/// The settings of a challenge as docs/scoring.md shows them.
fn settings_example() -> String {
    let page = read("docs/scoring.md");
    page.split("```json\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

/// A statement with its placeholders filled in. `STACK=name` is an argument of make and none of them.
fn filled(statement: &str, placeholders: &[(String, String)]) -> String {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let mut filled = statement.to_owned();
    for (name, value) in placeholders {
        let mut text = String::new();
        let mut rest = filled.as_str();
        while let Some(at) = rest.find(name.as_str()) {
            let (before, after) = (&rest[..at], &rest[at + name.len()..]);
            let stands_alone = !before.ends_with(|char| is_part(char) || char == '$')
                && !after.starts_with(|char| is_part(char) || char == '=');
            text += before;
            text += if stands_alone { value } else { name };
            rest = after;
        }
        filled = text + rest;
    }
    filled
}

/// What a command waits for before it can succeed: an outcome that is still being made.
fn waits(statement: &str) -> bool {
    ["outcome.json", "/leaderboard"].iter().any(|text| statement.contains(text))
}

#[test]
fn every_shown_command_that_can_run_here_succeeds() {
    let shown = pages::statements(&pages::all());
    for (start, reason) in ELSEWHERE {
        assert!(shown.iter().any(|one| one.script.starts_with(start)), "no page shows {start} any more ({reason})");
    }
    let up = Up::start();
    let folder = folder();
    let mut placeholders: Vec<(String, String)> =
        PLACEHOLDERS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    for (name, output) in ASKED {
        let value = match name {
            "KAFKA" => up.after("\n  Kafka "),
            "SUBMIT_URL" => up.after("\n  scoring API "),
            "KEY" => up.after("(a key: "),
            _ => output_of(&up, folder.path(), output),
        };
        placeholders.push((name.to_owned(), value));
    }
    assert!(up.after("(a key: ").bytes().all(|byte| byte.is_ascii_alphanumeric()), "the key is not plain");

    // The screen first: what it starts, other pages look at. Deploying takes a stack of its own and half of the time.
    let mut failures = failing(&up.screen, &placeholders, &pages::of_screen(&up.screen));
    let on_pages = shown.into_iter().filter(|shown| shown.page != SCREEN);
    let (deploying, others): (Vec<Shown>, Vec<Shown>) = on_pages.partition(|shown| shown.page == "docs/deploying.md");
    std::thread::scope(|scope| {
        let deploying = scope.spawn(|| failing(&up.screen, &placeholders, &deploying));
        failures.extend(failing(&up.screen, &placeholders, &others));
        failures.extend(deploying.join().unwrap());
    });
    let mut session = Session::start(folder.path(), &up.screen);
    let scored =
        filled(&format!("curl -H 'x-api-key: KEY' SUBMIT_URL/submissions/{SCORED_ID} | grep logloss"), &placeholders);
    if let Err(error) = session.run_until_it_succeeds(&scored) {
        failures.push(format!("the settings and predictions of docs/scoring.md gave no metric: {error}"));
    }
    let quiet = "quiet=$(aws cloudwatch describe-alarms --alarm-name-prefix marathon-match-local- --output text \
        --query \"MetricAlarms[?StateValue!='ALARM'].AlarmName\"); echo \"$quiet\"; [ -z \"$quiet\" ]";
    if let Err(error) = session.run(quiet) {
        failures.push(format!("VERIFICATION.md does not raise every alarm: {error}"));
    }
    drop(session);
    verify_passes_and_skips_what_the_emulator_lacks(&up);
    an_interrupted_verify_restores_the_settings(&up);
    up.stop();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// `marathon verify` on the stack, with two samples that are new to it.
fn verify(up: &Up, folder: &Path) -> Command {
    let served = PathBuf::from(up.after("(serves ").trim_end_matches(':'));
    let work = tempfile::tempdir().unwrap();
    let mut command = Command::new(rules::program());
    command.args(["verify", "--json", "--stack", "marathon-match-local"]).current_dir(folder);
    for (option, sample) in [("--good", "regression"), ("--broken", "failing-training")] {
        let id = uuid::Uuid::new_v4().to_string();
        let archive = pack::archive_of(&root().join("samples/submissions").join(sample), work.path()).unwrap();
        std::fs::copy(archive, served.join(format!("{id}.zip"))).unwrap();
        command.args([option, &id]);
    }
    command.envs(up.access().environment());
    command
}

fn verify_passes_and_skips_what_the_emulator_lacks(up: &Up) {
    let folder = tempfile::tempdir().unwrap();
    let output = verify(up, folder.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let checks: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |result: &str| -> Vec<String> {
        let checks = checks.as_array().unwrap().iter().filter(|check| check["result"] == result);
        checks.map(|check| check["name"].as_str().unwrap().to_owned()).collect()
    };
    let skipped = [
        "build-quota",
        "training-quota",
        "kafka-secret",
        "training-log-retention",
        "kms-key",
        "good-training",
        "redrive",
        "broken-outcome",
        "broken-review",
        "metrics",
        "alarm",
    ];
    assert_eq!(of("skipped"), skipped, "{errors}");
    let passed = [
        "functions",
        "api-credentials",
        "api-keys",
        "training-data",
        "output-retention",
        "test-challenge",
        "good-first-run",
        "broken-first-run",
        "good-execution",
        "good-outcome",
        "good-image",
        "good-model",
        "good-review",
        "logs",
        "fault",
        "fault-outcome",
        "fault-review",
        "settings-restored",
    ];
    assert_eq!(of("passed"), passed, "{errors}");
    assert_eq!(of("warned"), ["event-source", "concurrency"], "{errors}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the copy of the settings stays");
}

fn an_interrupted_verify_restores_the_settings(up: &Up) {
    let folder = tempfile::tempdir().unwrap();
    let settings = || {
        let mut aws = Command::new(root().join(".local/tools/bin/aws"));
        aws.args(["ssm", "get-parameter", "--output", "text", "--query", "Parameter.Value", "--name"]);
        aws.arg(format!("/marathon-match-local/challenges/{}", local::challenge::CHALLENGE));
        aws.envs(up.access().environment());
        String::from_utf8(aws.output().unwrap().stdout).unwrap()
    };
    let before = settings();
    let mut running = verify(up, folder.path()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(running.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut rest = lines.skip_while(|line| !line.contains("settings become invalid now"));
    assert!(rest.next().is_some(), "verify did not get to the settings");
    let interrupt = Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let rest: Vec<String> = rest.collect();
    assert_eq!(running.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("settings-restored")), "{rest:?}");
    assert_eq!(settings(), before);
}

/// Runs the statements of some pages, each page in a session of its own. Returns those that failed, with their errors.
fn failing(screen: &str, placeholders: &[(String, String)], statements: &[Shown]) -> Vec<String> {
    let folder = folder();
    let mut failures = Vec::new();
    for of_page in statements.chunk_by(|one, other| one.page == other.page) {
        let page = of_page[0].page.as_str();
        // docs/scoring.md scores predictions without training; elsewhere, submissions have an outcome.
        let submission = if page == "docs/scoring.md" { SCORED_ID } else { SAMPLE_ID };
        let placeholders = [placeholders, &[("SUBMISSION_ID".to_owned(), submission.to_owned())]].concat();
        let mut session = Session::start(folder.path(), screen);
        prepare(page, &mut session, &placeholders);
        for Shown { script, .. } in of_page {
            let begun = Instant::now();
            let result = if ELSEWHERE.iter().any(|(start, _)| script.starts_with(start)) {
                check_arguments(&mut session, &filled(script, &placeholders))
            } else {
                let instead = INSTEAD.iter().find(|(shown, _)| shown == script);
                let statement = instead.map_or_else(|| filled(script, &placeholders), |(_, other)| (*other).to_owned());
                if waits(&statement) { session.run_until_it_succeeds(&statement) } else { session.run(&statement) }
            };
            eprintln!("{:5.1} s {page}: {}", begun.elapsed().as_secs_f64(), script.lines().next().unwrap_or_default());
            failures.extend(result.err().map(|error| format!("{page}: {script}\n  {error}")));
        }
    }
    failures
}

fn output_of(up: &Up, folder: &Path, output: &str) -> String {
    let query = format!("Stacks[0].Outputs[?OutputKey=='{output}'].OutputValue");
    let aws: PathBuf = root().join(".local/tools/bin/aws");
    let answer = Command::new(aws)
        .args([
            "cloudformation",
            "describe-stacks",
            "--stack-name",
            "marathon-match-local",
            "--output",
            "text",
            "--query",
        ])
        .arg(query)
        .current_dir(folder)
        .envs(up.access().environment())
        .output()
        .unwrap();
    String::from_utf8(answer.stdout).unwrap().trim().to_owned()
}

/// What a page takes for granted.
fn prepare(page: &str, session: &mut Session, placeholders: &[(String, String)]) {
    let steps: &[&str] = match page {
        // A record that cannot be read, and a key to be replaced.
        "docs/operating.md" => &[
            r#"printf '{"topic": "TOPIC", "partition": PARTITION, "offset": OFFSET, "reason": "NotJson", "value": "aGk="}' >object.json"#,
            "aws s3 cp object.json s3://STAGING_BUCKET/quarantine/TOPIC/PARTITION/OFFSET.json",
        ],
        // An MSK cluster in the account's default network.
        "docs/deploying.md" => &[
            "echo certificate >client.pem; echo key >client.key",
            "group=$(aws ec2 describe-security-groups --query 'SecurityGroups[0].GroupId' --output text)",
            "subnets=$(aws ec2 describe-subnets --query 'Subnets[:2].SubnetId' --output json)",
            r#"printf '{"InstanceType": "kafka.t3.small", "ClientSubnets": %s, "SecurityGroups": ["%s"]}' "$subnets" "$group" >brokers.json"#,
            "aws kafka create-cluster --cluster-name bus --kafka-version 3.6.0 --number-of-broker-nodes 2 --broker-node-group-info file://brokers.json",
        ],
        // What a run keeps.
        "docs/rehearsing.md" => &[
            "mkdir -p results/ID/challenge",
            "cp predictions.csv results/ID/",
            "cp training.csv truth.csv tournament.csv results/ID/challenge/",
        ],
        "VERIFICATION.md" => &[r#"echo '"x"' >x.json"#],
        _ => &[],
    };
    for step in steps {
        session.run(&filled(step, placeholders)).unwrap_or_else(|error| panic!("{page}: {step}\n{error}"));
    }
}

/// Whether the AWS CLI knows the operation and the options of the commands that do not run here: it writes the skeleton of
/// their input without calling AWS.
fn check_arguments(session: &mut Session, statement: &str) -> Result<(), String> {
    for command in shell::commands(statement).iter().filter(|command| command[0] == "aws") {
        let operation = rules::operation(&command[1..]);
        if ["s3 ", "configure"].iter().any(|custom| operation.starts_with(custom)) {
            continue;
        }
        let quoted: Vec<String> = command.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
        session.run(&format!("{} --generate-cli-skeleton", quoted.join(" ")))?;
    }
    Ok(())
}
