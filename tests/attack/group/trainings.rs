//! Programs that train.

use anyhow::{Context, ensure};
use domain::FailureCode::{self, CapacityUnavailable, TrainingFailed, TrainingOutOfMemory, TrainingServiceFault};

use super::{AMPLE, DONE};
use crate::case::{Attack, Case, Control, End, Group, Sign};
use crate::scene::Scene;
use crate::world::{HOST_INSIDE, INTERNET, NEIGHBOUR, REFUSED, get};

const FAILED: End = End::Rejected(TrainingFailed, 1, 1);

fn train(
    name: impl Into<String>,
    defence: &'static str,
    script: impl Fn(&Scene) -> String + Send + Sync + 'static,
    end: End,
    control: Control,
) -> Case {
    Case::new(Group::Trainings, name, defence, Attack::Train(Box::new(script)), end, control)
}

fn cases_of_the_network() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, address) in [("the internet", INTERNET), ("credentials", REFUSED[0]), ("a neighbour", NEIGHBOUR)] {
        let ask = move |scene: &Scene| format!("{}; true", get(address, 80, &scene.token));
        let case =
            train(format!("training asks {name}"), "no network", ask, End::Completed, Control::Unfiltered(Sign::Asked));
        cases.push(if address == INTERNET { case.representative() } else { case });
    }
    let ask = |scene: &Scene| format!("{}; true", get(HOST_INSIDE, scene.port, &scene.token));
    cases.push(train(
        "training asks the host's loopback",
        "no network",
        ask,
        End::Completed,
        Control::Unfiltered(Sign::Asked),
    ));
    cases
}

/// The rule by which words anywhere in the reason decided, once.
fn by_words_anywhere(reason: &str) -> FailureCode {
    if reason.contains("CapacityError") {
        CapacityUnavailable
    } else if reason.contains("InternalServerError") {
        TrainingServiceFault
    } else if reason.contains("exit code: 137") {
        TrainingOutOfMemory
    } else {
        TrainingFailed
    }
}

/// Texts in the failure file that are to blame somebody else.
fn cases_of_blame() -> Vec<Case> {
    let blame = |name: &str, text: &'static str| {
        let control = Control::Afterwards(Box::new(move |_, got| {
            let detail =
                got.outcome.failure.as_ref().and_then(|failure| failure.detail.as_deref()).context("no detail")?;
            let blamed = by_words_anywhere(detail);
            ensure!(blamed != TrainingFailed, "{detail}");
            Ok(format!("a rule that looks for words anywhere says {blamed}"))
        }));
        let script = move |_: &Scene| format!("echo '{text}' >/opt/ml/output/failure; exit 1");
        train(name, "prefix decides", script, FAILED, control)
    };
    vec![
        blame(
            "a failure file that says CapacityError",
            "CapacityError: Unable to provision requested ML compute capacity",
        ),
        blame("a failure file that says InternalServerError", "InternalServerError: We encountered an internal error"),
        blame("a failure file that says exit code: 137", "x, exit code: 137"),
    ]
}

fn cases_of_limits() -> Vec<Case> {
    vec![
        train(
            "training takes 1 GB of memory",
            "memory of the container",
            |_| format!("exec awk 'BEGIN {{ t = \"x\"; while (length(t) < 500000000) t = t t; print \"{DONE}\" }}'"),
            End::Rejected(TrainingOutOfMemory, 1, 1),
            Control::Roomy(AMPLE, Sign::Word(DONE)),
        ),
        train(
            "training starts 1,500 processes",
            "processes of the container",
            |scene| format!("for i in $(seq 1500); do sleep {} & done && echo {DONE}", scene.seconds),
            FAILED,
            Control::Roomy(AMPLE, Sign::Word(DONE)),
        ),
        train(
            "training writes 1.5 GB",
            "disk of the enclosure",
            |_| format!("head -c 1500m /dev/zero >/opt/ml/model/big && echo {DONE}"),
            FAILED,
            Control::Roomy(AMPLE, Sign::Word(DONE)),
        ),
    ]
}

/// More characters of a line than anyone is shown.
const LINE: &str = match std::str::from_utf8(&[b'x'; 4000]) {
    Ok(line) => line,
    Err(_) => panic!("invariant: x is UTF-8"),
};

/// What the log has and is not reported.
fn cases_of_logs() -> Vec<Case> {
    let log = |name: &str, defence, script: &'static str, secrets: &'static [&'static str]| {
        let control = Control::Afterwards(Box::new(move |_, got| {
            for secret in secrets {
                ensure!(got.kept(secret), "the log as it was written lacks {secret:?}");
            }
            Ok(format!("the log as it was written has what is hidden, {} of {0} texts", secrets.len()))
        }));
        train(name, defence, move |_| format!("{script}\nexit 1"), FAILED, control).hiding(secrets)
    };
    vec![
        log(
            "a log with keys of AWS",
            "redaction",
            "echo AKIAIOSFODNN7EXAMPLE; echo aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n\
             echo '{\\\"SecretAccessKey\\\":\\\"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEZ\\\"}'",
            &["AKIAIOSFODNN7EXAMPLE", "bPxRfiCYEXAMPLEKEY", "bPxRfiCYEXAMPLEKEZ"],
        ),
        log(
            "a log with tokens",
            "redaction",
            "echo ghp_abcdefghijklmnopqrstuvwxyz0123456789; echo hf_abcdefghijklmnopqrstuvwxyzABCDEFGH\n\
             echo 'Authorization: Bearer abc.def.ghi-jkl'; echo 'https://user:hunter2hunter2@example.org/x'",
            &["ghp_abcdefghijklmnop", "hf_abcdefghijklmnop", "abc.def.ghi-jkl", "hunter2hunter2"],
        ),
        log(
            "a log with terminal escapes and invisible characters",
            "redaction",
            "printf 'a\\033[31mb\\033]0;title\\007c\\342\\200\\256d\\330\\234e\\n'",
            &["\u{1b}[31m", "\u{7}", "\u{202e}", "\u{61c}"],
        ),
        log("a line of 10 MB", "bounds", "head -c 10485760 /dev/zero | tr '\\0' x; echo", &[LINE]),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    [cases_of_the_network(), cases_of_blame(), cases_of_limits(), cases_of_logs()].into_iter().flatten().collect()
}
