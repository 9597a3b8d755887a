//! What `buildspec.yml` does before the participant's first line and after the last, with programs that record how they are called
//! in place of docker and iptables, and with a real client and registries that answer each way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;
use tempfile::TempDir;

#[derive(Deserialize)]
struct Buildspec {
    phases: Phases,
}

#[derive(Deserialize)]
struct Phases {
    install: Commands,
    pre_build: Commands,
    build: Commands,
    post_build: Commands,
}

#[derive(Deserialize)]
struct Commands {
    commands: Vec<String>,
}

fn buildspec() -> Buildspec {
    serde_saphyr::from_str(include_str!("../buildspec.yml")).unwrap()
}

const ARN: &str = "arn:aws:codebuild:eu-west-1:1:build/mm-build:0aa1b2c3";

/// A machine on which commands of the buildspec run.
struct Machine {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Machine {
    /// `programs` are scripts by name. Each call is recorded. `sleep` takes no time.
    fn new(programs: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        let machine = Self { folder, variables: Vec::new() };
        let quiet = ["docker", "iptables", "curl", "aws", "sleep"].map(|name| (name, "exit 0"));
        for (name, script) in quiet.iter().chain(programs) {
            let path = machine.path(&format!("bin/{name}"));
            let record = machine.path("calls");
            let text = format!("#!/bin/bash\necho \"{name} $*\" >>{}\n{script}\n", record.display());
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(machine.path("Dockerfile"), "FROM scratch\n").unwrap();
        machine
            .with("BUILD_CONTEXT", ".")
            .with("IMAGE_REPOSITORY_URI", "1.dkr.ecr.eu-west-1.amazonaws.com/d01c")
            .with("IMAGE_TAG", "build-0-1")
            .with("MAX_IMAGE_BYTES", "1000")
            .with("CLAIM_FUNCTION", "mm-claim")
            .with("ARCHIVE_BUCKET", "staging")
            .with("ARCHIVE_KEY", "submissions/d01c/submission.zip")
            .with("ARCHIVE_VERSION", "v1")
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs commands one after another in one shell, as CodeBuild does, until one fails. Then prints what is exported.
    fn run(&self, commands: &[&str]) -> Ran {
        let lines = commands.iter().map(|command| format!("{command}\n[ $? = 0 ] || exit $?\n"));
        let mut script: String = lines.collect();
        script += "printf '%s\\n' \"MISSING=$MISSING_IMAGE\" \"BASES=$BASE_DIGESTS\" \"DIGEST=$IMAGE_DIGEST\"";
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap()))
            .env("CODEBUILD_SRC_DIR", self.folder.path())
            .env("CODEBUILD_BUILD_ARN", ARN)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .output()
            .unwrap();
        Ran { output, calls: fs::read_to_string(self.path("calls")).unwrap_or_default() }
    }
}

struct Ran {
    output: Output,
    calls: String,
}

impl Ran {
    fn value(&self, name: &str) -> String {
        let text = String::from_utf8_lossy(&self.output.stdout);
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("{name} is not set: {text}")).to_owned()
    }

    fn succeeded(&self) -> bool {
        self.output.status.success()
    }
}

/// The commands of the phases `install` and `pre_build` that pull, and those that fence.
fn pulls() -> Vec<String> {
    let Phases { install, pre_build, .. } = buildspec().phases;
    let mut commands: Vec<String> =
        install.commands.into_iter().filter(|command| command.contains("MISSING_IMAGE")).collect();
    assert_eq!(commands.len(), 1);
    commands.extend(pre_build.commands);
    commands
}

fn claim() -> String {
    buildspec().phases.install.commands.into_iter().find(|command| command.contains("aws lambda invoke")).unwrap()
}

fn fence() -> String {
    buildspec().phases.install.commands.into_iter().find(|command| command.contains("iptables")).unwrap()
}

/// What docker prints when it cannot pull, and whether the image is to blame. Sources: the pages and threads beside them.
const PULLS: [(&str, bool); 12] = [
    // https://github.com/docker/hub-feedback/issues/2429 and 2505
    (
        "Error response from daemon: toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: https://www.docker.com/increase-rate-limits",
        false,
    ),
    (
        "Error response from daemon: toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit",
        false,
    ),
    // https://github.com/docker-library/docker/issues/192
    ("Error response from daemon: received unexpected HTTP status: 503 Service Unavailable", false),
    // https://github.com/docker/for-linux/issues/1078; the two after it are constructed
    (
        "Error response from daemon: Get \"https://registry-1.docker.io/v2/\": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
        false,
    ),
    (
        "Error response from daemon: Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io on 10.0.0.2:53: server misbehaving",
        false,
    ),
    ("Error response from daemon: Get \"https://registry-1.docker.io/v2/\": net/http: TLS handshake timeout", false),
    // https://github.com/docker/hub-feedback/issues/2246; the first and the third are constructed
    ("Error response from daemon: manifest for busybox:nope not found: manifest unknown: manifest unknown", true),
    (
        "Error response from daemon: pull access denied for nope, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
        true,
    ),
    ("no matching manifest for linux/amd64 in the manifest list entries", true),
    // https://github.com/gpustack/gpustack/issues/4860, with the containerd image store
    (
        "Error response from daemon: failed to resolve reference \"docker.io/library/busybox:nope\": docker.io/library/busybox:nope: not found",
        true,
    ),
    // https://github.com/awslabs/amazon-ecr-credential-helper/issues/456 and https://github.com/tusc/ntopng-udm/issues/1
    (
        "Error response from daemon: Head \"https://1.dkr.ecr.eu-west-1.amazonaws.com/v2/x/manifests/latest\": no basic auth credentials",
        true,
    ),
    ("Error response from daemon: unauthorized: access to the requested resource is not authorized", true),
];

fn pulling(images: &str, docker: &str) -> Ran {
    let machine = Machine::new(&[("docker", docker)]).with("BASE_IMAGES", images);
    let pulls = pulls();
    machine.run(&pulls.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_missing_image_is_the_participants_fault_and_a_registry_that_fails_is_not() {
    for (said, is_missing) in PULLS {
        let docker = format!("[ \"$1\" != image ] || exit 1\ncat >&2 <<'X'\n{said}\nX\nexit 1");
        let ran = pulling("python:3.13", &docker);
        assert_eq!(ran.succeeded(), is_missing, "{said}");
        if is_missing {
            assert_eq!(ran.value("MISSING"), "python:3.13", "{said}");
        } else {
            assert_eq!(ran.calls.matches("docker pull").count(), 4, "{said}");
        }
    }
    let build = buildspec().phases.build.commands;
    let machine = Machine::new(&[]).with("MISSING_IMAGE", "python:3.13");
    let ran = machine.run(&[&build[0]]);
    assert!(!ran.succeeded());
    assert!(String::from_utf8_lossy(&ran.output.stdout).contains("The image python:3.13 does not exist"));
}

#[test]
fn an_image_that_does_not_fit_on_the_disk_is_the_participants_fault() {
    // https://github.com/moby/moby/issues/32811
    let said =
        "failed to register layer: Error processing tar file(exit status 1): write /usr/lib/x: no space left on device";
    let docker = format!("[ \"$1\" != image ] || exit 1\necho '{said}' >&2\nexit 1");
    let mut commands = pulls();
    commands.push(buildspec().phases.build.commands[0].clone());
    let machine = Machine::new(&[("docker", &docker)]).with("BASE_IMAGES", "python:3.13");
    let ran = machine.run(&commands.iter().map(String::as_str).collect::<Vec<_>>());
    let output = String::from_utf8_lossy(&ran.output.stdout);
    assert!(!ran.succeeded() && output.contains("The image python:3.13 does not fit on the disk"), "{output}");
    assert_eq!(ran.calls.matches("docker pull").count(), 1);
}

#[test]
fn a_registry_of_the_participants_choice_is_pulled_from_in_a_phase_of_its_own() {
    let fails = "case \"$1\" in
        pull) [[ \"$*\" != *example.com* ]] && echo \"${@: -1}\" >>pulled ;;
        image) grep -qxs \"${@: -1}\" pulled ;;
        esac";
    let Phases { install, pre_build, .. } = buildspec().phases;
    let images = "python:3.13 quay.io/x/y registry.example.com/x registry.example.com:5000/y public.ecr.aws/z/z:1";
    let machine = Machine::new(&[("docker", fails)]).with("BASE_IMAGES", images);
    let install = install.commands.iter().find(|command| command.contains("MISSING_IMAGE")).unwrap();
    let ran = machine.run(&[install]);
    assert!(ran.succeeded(), "the install phase pulls only from registries that everyone uses");
    assert!(
        !ran.calls.contains("example.com")
            && ran.calls.contains("docker pull --quiet --platform linux/amd64 quay.io/x/y")
    );
    let ran = machine.run(&[install, &pre_build.commands[0]]);
    assert!(!ran.succeeded() && ran.calls.contains("registry.example.com/x"));
}

#[test]
fn an_image_whose_triggers_use_other_images_is_the_participants_fault() {
    let triggering = |triggers: &str| {
        // As docker prints it.
        let image = format!("[\n  \"OnBuild\": {triggers},\n  \"Cmd\": [\"from=\"]\n]");
        let docker = format!("cat <<'X'\n{image}\nX");
        let mut commands = pulls();
        commands.push(buildspec().phases.build.commands[0].clone());
        let machine = Machine::new(&[("docker", &docker)]).with("BASE_IMAGES", "python:3.13");
        machine.run(&commands.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let refused = triggering("[\n    \"COPY --from=x /a /b\"\n  ]");
    assert!(!refused.succeeded());
    assert!(String::from_utf8_lossy(&refused.output.stdout).contains("An ONBUILD trigger of the image python:3.13"));
    assert!(!triggering("[\n    \"RUN --mount=type=bind,from=x true\"\n  ]").succeeded());
    assert!(triggering("[\n    \"RUN pip install .\"\n  ]").succeeded() && triggering("null").succeeded());
}

#[test]
fn the_digests_of_the_pulled_images_are_handed_out() {
    let digest = "7".repeat(64);
    // An image exists once it was pulled.
    let docker = format!(
        "case \"$1\" in
        pull) touch pulled ;;
        image) [ -e pulled ] || exit 1
            printf '%s\\n' '[' '\"RepoDigests\": [' '  \"x@sha256:{digest}\",' '  \"y@sha256:{}\"' ']' ']' ;;
        esac",
        "8".repeat(64)
    );
    let ran = pulling("python:3.13 registry.example.com/x", &docker);
    assert_eq!(ran.value("BASES"), format!("python:3.13=sha256:{digest} registry.example.com/x=sha256:{digest}"));
    assert_eq!(ran.calls.matches("docker pull").count(), 1);
}

/// `aws` as a build has it: the answer to `lambda invoke`, and the status of `s3api get-object`. The request is shown.
fn aws(invoked: &str, downloaded: &str) -> String {
    format!(
        "case \"$1 $2\" in
        'lambda invoke') for word; do [[ \"$word\" != fileb://* ]] || cat \"${{word#fileb://}}\"; done >>requests
            echo '{{\"errorMessage\": \"The build has ended\"}}' >\"${{@: -1}}\"; {invoked} ;;
        's3api get-object') {downloaded} ;;
        esac"
    )
}

#[test]
fn a_build_claims_its_archive_before_it_downloads_that_version_and_fences_itself() {
    let works = aws("echo None", "echo zip >\"${@: -1}\"");
    let Phases { install, .. } = buildspec().phases;
    let place = |text: &str| install.commands.iter().position(|command| command.contains(text)).unwrap();
    assert!(place("aws lambda invoke") < place("iptables") && place("iptables") < place("unzip"));
    assert!(place("unzip") < place("sed -i") && place("unzip") < place("MISSING_IMAGE"));
    let others = install.commands.iter().enumerate().filter(|(at, _)| *at != place("aws lambda invoke"));
    for (_, command) in others {
        let calls = |line: &str| line.trim().starts_with("aws ") || line.contains("$(aws ");
        assert!(!command.lines().any(calls), "it needs credentials, which the fence takes away: {command}");
    }
    let machine = Machine::new(&[("aws", &works)]);
    let ran = machine.run(&[&claim()]);
    assert!(ran.succeeded(), "{:?}", ran.output);
    assert_eq!(fs::read_to_string(machine.path("requests")).unwrap(), format!("{{\"build\": \"{ARN}\"}}"));
    let claimed = ran.calls.find("aws lambda invoke --function-name mm-claim --payload fileb://").unwrap();
    let version = "--bucket staging --key submissions/d01c/submission.zip --version-id v1 ";
    assert!(claimed < ran.calls.find(&format!("aws s3api get-object {version}")).unwrap(), "{}", ran.calls);
}

#[test]
fn a_new_tag_is_waited_for_and_a_failed_claim_fails_the_phase() {
    let once = |action: &str| format!("if [ -e tried ]; then {action}; else touch tried; exit 1; fi");
    for works in [
        aws("echo None", &once("true")),
        aws(&once("echo None"), "true"),
        aws(&once("echo None").replace("exit 1", "echo Unhandled"), "true"),
    ] {
        let ran = Machine::new(&[("aws", &works)]).run(&[&claim()]);
        assert!(ran.succeeded() && ran.calls.contains("sleep 2\n"), "{}", ran.calls);
    }
    for (fails, calls, says) in [
        (aws("echo Unhandled", "true"), [5, 0], "The build has ended"),
        (aws("exit 254", "true"), [5, 0], "could not claim"),
        (aws("echo None", "exit 254"), [1, 5], "could not download"),
    ] {
        let ran = Machine::new(&[("aws", &fails)]).run(&[&claim()]);
        assert!(!ran.succeeded());
        let made = ["aws lambda invoke", "aws s3api get-object"].map(|call| ran.calls.matches(call).count());
        assert_eq!(made, calls, "{}", ran.calls);
        assert!(String::from_utf8_lossy(&ran.output.stdout).contains(says), "{:?}", ran.output);
    }
}

#[test]
fn the_archive_is_unpacked_with_its_modes_and_a_warning_is_no_failure() {
    let unpack = buildspec().phases.install.commands.into_iter().find(|command| command.contains("unzip")).unwrap();
    let machine = Machine::new(&[]);
    let archive = machine.path("submission.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&archive).unwrap());
    let executable = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
    zip.start_file("code/train", executable).unwrap();
    zip.finish().unwrap();
    let machine = machine.with("ARCHIVE", &archive.display().to_string());
    assert!(machine.run(&[&unpack]).succeeded());
    let mode = fs::metadata(machine.path("code/train")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    for (status, succeeds) in [(0, true), (1, true), (2, false), (9, false), (50, false)] {
        let ran = Machine::new(&[("unzip", &format!("exit {status}"))]).with("ARCHIVE", "a.zip").run(&[&unpack]);
        assert_eq!(ran.succeeded(), succeeds, "unzip ended with {status}");
    }
}

#[test]
fn the_directive_for_a_frontend_is_taken_out_and_nothing_else_changes() {
    let command = buildspec().phases.install.commands.into_iter().find(|command| command.contains("sed -i")).unwrap();
    let cases = [
        ("# syntax=docker/dockerfile:1\nFROM x\n# syntax=y\n", "# ignored=docker/dockerfile:1\nFROM x\n# syntax=y\n"),
        ("# escape=`\n#SYNTAX = docker/dockerfile\nFROM x\n", "# escape=`\n#ignored = docker/dockerfile\nFROM x\n"),
        ("\u{feff}# syntax=docker/dockerfile:1\nFROM x", "# ignored=docker/dockerfile:1\nFROM x"),
        ("FROM x\nRUN <<EOF\n# syntax=z\nEOF\n", "FROM x\nRUN <<EOF\n# syntax=z\nEOF\n"),
        ("\r\n# syntax=z\r\nFROM x\r\n", "\r\n# syntax=z\r\nFROM x\r\n"),
    ];
    for (before, after) in cases {
        let machine = Machine::new(&[]);
        fs::write(machine.path("Dockerfile"), before).unwrap();
        assert!(machine.run(&[&command]).succeeded());
        assert_eq!(fs::read_to_string(machine.path("Dockerfile")).unwrap(), after, "{before:?}");
    }
}

#[test]
fn no_build_starts_unless_the_fence_is_seen_to_hold() {
    let refused = ("curl", "exit 7");
    // What a probe in a container does is docker's exit status.
    let probe = ("docker", "[[ \"$*\" != *curl* ]] || exit 7");
    let runs = |programs: &[(&str, &str)]| Machine::new(programs).run(&[&fence()]);
    let ran = runs(&[refused, probe]);
    assert!(ran.succeeded(), "{:?}", ran.output);
    for address in ["169.254.170.2", "169.254.169.254"] {
        let probed = ran.calls.find(&format!("/dev/null http://{address}/")).unwrap();
        for chain in ["DOCKER-USER", "OUTPUT"] {
            let rule = format!("iptables --insert {chain} --destination {address} --jump REJECT");
            assert!(ran.calls.find(&rule).unwrap() < probed, "{rule} comes after the probe");
        }
    }
    assert!(!runs(&[refused, probe, ("iptables", "exit 1")]).succeeded(), "without the rules");
    for status in [0, 28, 127] {
        let ends = format!("exit {status}");
        assert!(!runs(&[("curl", ends.as_str()), probe]).succeeded(), "the build's probe ends with {status}");
        let container = format!("[[ \"$*\" != *curl* ]] || exit {status}");
        assert!(
            !runs(&[refused, ("docker", container.as_str())]).succeeded(),
            "a container's probe ends with {status}"
        );
    }
    assert!(!runs(&[refused, ("docker", "[ \"$1\" != run ] || exit 125")]).succeeded(), "the probe cannot run");
}

#[test]
fn the_pushed_digest_is_handed_out_and_a_push_without_one_fails() {
    let post_build = buildspec().phases.post_build.commands;
    let commands: Vec<&str> = post_build.iter().map(String::as_str).collect();
    let digest = format!("sha256:{}", "a".repeat(64));
    let push = |line: &str, status: u8| {
        let docker =
            format!("[ \"$1\" != push ] || {{ echo 'The push refers to repository'; echo '{line}'; exit {status}; }}");
        Machine::new(&[("docker", &docker)]).with("CODEBUILD_BUILD_SUCCEEDING", "1").run(&commands)
    };
    let pushed = push(&format!("build-0-1: digest: {digest} size: 528"), 0);
    assert!(pushed.succeeded());
    assert_eq!(pushed.value("DIGEST"), digest);
    let order = [
        "iptables --delete OUTPUT",
        "docker login",
        "docker push 1.dkr.ecr.eu-west-1.amazonaws.com/d01c:build-0-1",
        "docker push 1.dkr.ecr.eu-west-1.amazonaws.com/d01c:latest",
    ];
    let places: Vec<_> = order.iter().map(|call| pushed.calls.find(call).unwrap_or_else(|| panic!("{call}"))).collect();
    assert!(places.is_sorted(), "{}", pushed.calls);
    assert!(!push("build-0-1: digest: sha256:short size: 528", 0).succeeded());
    let refused = push(&format!("build-0-1: digest: {digest} size: 528"), 1);
    assert!(!refused.succeeded() && refused.calls.matches("docker push").count() == 5, "{}", refused.calls);
    let once = format!(
        "[ \"$1\" != push ] || {{ [ -e tried ] || {{ touch tried; exit 1; }}; echo 'build-0-1: digest: {digest} size: 528'; }}"
    );
    let machine = Machine::new(&[("docker", &once)]).with("CODEBUILD_BUILD_SUCCEEDING", "1");
    assert_eq!(machine.run(&commands).value("DIGEST"), digest, "a new tag of the repository is not waited for");
    let failed = Machine::new(&[]).with("CODEBUILD_BUILD_SUCCEEDING", "0").run(&commands);
    assert!(!failed.succeeded() && !failed.calls.contains("docker push"), "a failed build is not pushed");
}

/// Real registries on the loopback interface, each with one answer, and the client of the local stack.
#[cfg(feature = "stack")]
mod registries {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// A registry that gives every request the same answer. It has no end of its own: the test's process ends it.
    fn registry(answer: &'static str) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                let read = stream.read(&mut request).unwrap_or(0);
                let is_ping = request[..read].starts_with(b"GET /v2/ ");
                let ping = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
                // A client that gives up early is none of the test's business.
                let _ = stream.write_all(if is_ping { ping } else { answer }.as_bytes());
            }
        });
        port
    }

    #[test]
    fn real_answers_of_registries_are_told_apart() {
        let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("../local/engine/trusted/docker");
        let docker = format!("exec {} \"$@\"", client.display());
        let cases = [
            (
                "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 60\r\nConnection: close\r\n\r\n{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"unknown\"}]} ",
                true,
            ),
            (
                "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 56\r\nConnection: close\r\n\r\n{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"denied\"}]} ",
                true,
            ),
            (
                "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Type: application/json\r\nContent-Length: 59\r\nConnection: close\r\n\r\n{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"limited\"}]}",
                false,
            ),
            ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false),
            ("", false),
        ];
        for (answer, is_missing) in cases {
            let image = format!("127.0.0.1:{}/x:1", registry(answer));
            let ran = pulling(&image, &docker);
            let text = String::from_utf8_lossy(&ran.output.stdout).into_owned();
            assert_eq!(ran.succeeded(), is_missing, "{answer}: {text}");
            if is_missing {
                assert_eq!(ran.value("MISSING"), image, "{text}");
            }
        }
    }
}
