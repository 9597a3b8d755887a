//! The cases: which fault happens, and how the submission has to end.

#![allow(
    clippy::match_same_arms,
    clippy::unnested_or_patterns,
    clippy::too_many_lines,
    reason = "the matrix is a table, and reads best as one"
)]

use std::collections::BTreeSet;

use domain::{FailureCode, Fault};

use crate::call::Call;
use crate::fault::{Kind, Times};

/// How a submission has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Trained.
    Completed,
    /// The participant's fault.
    Rejected(FailureCode),
    /// The platform's fault.
    Failed(FailureCode),
    /// The execution fails at reporting. Once the fault is lifted, the outcome is reported: completed, or failed with this
    /// code.
    ReportedLater(Option<FailureCode>),
    /// The record is quarantined, and nothing is started.
    Quarantined,
}

impl End {
    fn code(self) -> Option<FailureCode> {
        match self {
            Self::Rejected(code) | Self::Failed(code) | Self::ReportedLater(Some(code)) => Some(code),
            Self::Completed | Self::ReportedLater(None) | Self::Quarantined => None,
        }
    }
}

/// The submission of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sample {
    /// Training succeeds at once.
    Good,
    /// Training fails and leaves a log.
    Failing,
    /// Training takes ten minutes.
    Endless,
    /// Its message cannot be read.
    Unreadable,
    /// The Submission API does not know it.
    Unknown,
    /// It has secrets wherever a submission can, and ends with this code.
    Secrets(FailureCode),
}

/// What else happens during the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The execution is stopped after the fault.
    Abort,
    /// The message is delivered three more times after the fault, and once more at the end.
    Redelivery,
}

/// One line of the matrix.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) call: Call,
    pub(crate) kind: Kind,
    pub(crate) times: Times,
    pub(crate) sample: Sample,
    pub(crate) event: Option<Event>,
    pub(crate) end: End,
    /// Whether it runs with every `make test`.
    pub(crate) representative: bool,
}

const KINDS: [(&str, Kind); 6] = [
    ("throttled", Kind::Throttled),
    ("server error", Kind::ServerError),
    ("connection reset", Kind::Reset),
    ("answer lost", Kind::AnswerLost),
    ("slow", Kind::Slow),
    ("malformed answer", Kind::Malformed),
];
const TIMES: [(&str, Times); 2] = [("once", Times::Once), ("for ever", Times::ForEver)];

/// The whole matrix.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for call in Call::OVER_HTTP.into_iter().chain([Call::StartBuild, Call::CreateTrainingJob]) {
        for (kind_name, kind) in KINDS {
            for (times_name, times) in TIMES {
                // S3's answer to PutObject is not read.
                let unread = kind == Kind::Malformed && matches!(call, Call::Quarantine | Call::StoreOutcome);
                let end = if unread && call == Call::StoreOutcome { End::Completed } else { end_of(call, kind, times) };
                cases.push(Case {
                    name: format!("{call:?}: {kind_name} {times_name}"),
                    call,
                    kind,
                    times,
                    sample: sample_of(call),
                    event: None,
                    end,
                    representative: is_representative(call, kind, times),
                });
            }
        }
    }
    cases.extend(emulated());
    cases.extend(tasks());
    cases.extend(crashes());
    cases.extend(events());
    cases.extend(secrets());
    let codes = cases.iter().filter_map(|case| case.end.code()).collect::<BTreeSet<_>>();
    let missing: Vec<_> = FailureCode::ALL.iter().filter(|code| !codes.contains(code)).collect();
    assert!(missing.is_empty(), "no case ends with {missing:?}");
    cases
}

fn sample_of(call: Call) -> Sample {
    match call {
        Call::FindLog | Call::ReadLog => Sample::Failing,
        Call::Quarantine => Sample::Unreadable,
        Call::ReadOutcome => Sample::Unknown,
        _ => Sample::Good,
    }
}

fn end_of(call: Call, kind: Kind, times: Times) -> End {
    use FailureCode::{
        BuildServiceFault, Internal, SubmissionApiUnavailable, SubmissionNotFound, TrainingServiceFault,
    };
    if times == Times::Once {
        return match call {
            Call::FindLog | Call::ReadLog => End::Rejected(FailureCode::TrainingFailed),
            Call::Quarantine => End::Quarantined,
            Call::ReadOutcome => End::Failed(SubmissionNotFound),
            _ => End::Completed,
        };
    }
    let is_done = matches!(kind, Kind::AnswerLost | Kind::Slow | Kind::Malformed);
    match call {
        // The next attempt looks first and finds what was written.
        Call::CreateReview | Call::UpdateReview | Call::UploadArtifact if is_done => End::Completed,
        // The outcome is stored, although the answer did not say so.
        Call::StoreOutcome if is_done => End::ReportedLater(None),
        Call::Secret => End::ReportedLater(Some(Internal)),
        Call::Token => End::ReportedLater(Some(SubmissionApiUnavailable)),
        Call::Submission | Call::Download => End::Failed(SubmissionApiUnavailable),
        // The archive is pinned by the version id in the answer. The buildspec is not pinned.
        Call::StageBuildspec if kind == Kind::Malformed => End::Completed,
        Call::StageArchive | Call::StageBuildspec | Call::CreateRepository => End::Failed(Internal),
        // The build claims its archive and repository, without which it cannot go on. What was tagged stays tagged.
        Call::TagRepository | Call::TagArchive if kind == Kind::Malformed => End::Completed,
        Call::TagRepository | Call::ReadArchiveTags | Call::TagArchive => End::Failed(BuildServiceFault),
        // Kafka keeps the record until the fault is lifted.
        Call::StartExecution => End::Completed,
        Call::Quarantine => End::Quarantined,
        Call::StartBuild => End::Failed(BuildServiceFault),
        Call::CreateTrainingJob => End::Failed(TrainingServiceFault),
        Call::FindLog | Call::ReadLog => End::Rejected(FailureCode::TrainingFailed),
        Call::ListReviews | Call::CreateReview | Call::UpdateReview | Call::ListArtifacts | Call::UploadArtifact => {
            End::ReportedLater(None)
        }
        Call::StoreOutcome => End::ReportedLater(Some(Internal)),
        Call::ReadOutcome => End::Failed(SubmissionNotFound),
    }
}

/// Quick cases that cover each call, each kind and each duration.
fn is_representative(call: Call, kind: Kind, times: Times) -> bool {
    matches!(
        (call, kind, times),
        (Call::Token, Kind::ServerError, Times::Once)
            | (Call::Token, Kind::Reset, Times::ForEver)
            | (Call::Submission, Kind::Throttled, Times::ForEver)
            | (Call::Download, Kind::Reset, Times::Once)
            | (Call::StageArchive, Kind::ServerError, Times::Once)
            | (Call::CreateRepository, Kind::Throttled, Times::Once)
            | (Call::TagRepository, Kind::Throttled, Times::Once)
            | (Call::TagArchive, Kind::ServerError, Times::ForEver)
            | (Call::StartExecution, Kind::AnswerLost, Times::ForEver)
            | (Call::Quarantine, Kind::Reset, Times::ForEver)
            | (Call::StartBuild, Kind::ServerError, Times::Once)
            | (Call::CreateTrainingJob, Kind::Malformed, Times::Once)
            | (Call::ReadLog, Kind::Throttled, Times::ForEver)
            | (Call::CreateReview, Kind::AnswerLost, Times::Once)
            | (Call::UpdateReview, Kind::Throttled, Times::ForEver)
            | (Call::UploadArtifact, Kind::Malformed, Times::Once)
            | (Call::StoreOutcome, Kind::Reset, Times::Once)
    )
}

/// A fault that the emulator injects into a state.
pub(crate) struct Emulated {
    pub(crate) case: &'static str,
    pub(crate) state: &'static str,
    pub(crate) times: Times,
    pub(crate) error: &'static str,
    end: End,
    sample: Sample,
}

/// Faults in the state machine's own calls. A fault lasts for one visit of the state, with its retries.
pub(crate) fn of_state_machine() -> Vec<Emulated> {
    use FailureCode::{BuildServiceFault, Internal};
    let mut cases = Vec::new();
    let mut add = |case, state, times, error, end, sample| {
        cases.push(Emulated { case, state, times, error, end, sample });
    };
    macro_rules! both {
        ($state:literal, $name:literal, $error:expr, $once:expr, $for_ever:expr, $sample:expr) => {
            add(concat!($state, "-", $name, "-once"), $state, Times::Once, $error, $once, $sample);
            add(concat!($state, "-", $name, "-for-ever"), $state, Times::ForEver, $error, $for_ever, $sample);
        };
    }
    macro_rules! image {
        ($name:literal, $error:expr) => {
            both!("ResolveImage", $name, $error, End::Completed, End::Failed(BuildServiceFault), Sample::Good);
        };
    }
    image!("throttled", "Ecr.EcrException");
    image!("server-error", "Ecr.ServerException");
    image!("connection-reset", "Ecr.SdkClientException");
    image!("slow", "States.Timeout");
    // The error of an expression that does not find its field in the answer.
    image!("malformed-answer", "States.QueryEvaluationError");
    macro_rules! function {
        ($state:literal, $once:expr, $for_ever:expr, $sample:expr) => {
            both!($state, "throttled", "Lambda.TooManyRequestsException", $once, $for_ever, $sample);
            both!($state, "server-error", "Lambda.ServiceException", $once, $for_ever, $sample);
            both!($state, "connection-reset", "Lambda.SdkClientException", $once, $for_ever, $sample);
            both!($state, "slow", "States.Timeout", $once, $for_ever, $sample);
        };
    }
    function!("AnnounceStart", End::Completed, End::Completed, Sample::Good);
    function!("FetchSubmission", End::Failed(Internal), End::Failed(Internal), Sample::Good);
    function!("Diagnose", End::Failed(Internal), End::Failed(Internal), Sample::Failing);
    function!("ReportOutcome", End::ReportedLater(Some(Internal)), End::ReportedLater(Some(Internal)), Sample::Good);
    cases
}

fn emulated() -> Vec<Case> {
    let case = |emulated: Emulated| Case {
        name: format!("{}: {}", emulated.state, emulated.case[emulated.state.len() + 1..].replace('-', " ")),
        call: Call::StartExecution,
        kind: Kind::Emulated(emulated.case),
        times: Times::Once,
        sample: emulated.sample,
        event: None,
        end: emulated.end,
        representative: matches!(emulated.case, "ResolveImage-throttled-once" | "Diagnose-server-error-for-ever"),
    };
    of_state_machine().into_iter().map(case).collect()
}

/// How builds and training jobs themselves fail.
fn tasks() -> Vec<Case> {
    use FailureCode::{
        BuildFailed, BuildServiceFault, BuildTimedOut, CapacityUnavailable, ImageUnusable, QuotaExceeded,
        TrainingFailed, TrainingOutOfMemory, TrainingServiceFault, TrainingTimedOut,
    };
    let mut cases = Vec::new();
    let mut add = |call, name: &str, times, error, cause, end| {
        let often = if times == Times::Once { "once" } else { "for ever" };
        cases.push(Case {
            name: format!("{}: {name} {often}", if call == Call::StartBuild { "build" } else { "training" }),
            call,
            kind: Kind::TaskFails { error, cause },
            times,
            sample: Sample::Good,
            event: None,
            end,
            representative: matches!(name, "capacity" | "spot interruption") && times == Times::Once,
        });
    };
    macro_rules! build {
        ($name:literal, $status:literal, $phase:literal, $phase_status:literal, $once:expr, $for_ever:expr) => {
            let cause = concat!(
                r#"{"Build":{"Id":"TASK","BuildStatus":""#,
                $status,
                r#"","Phases":[{"PhaseType":""#,
                $phase,
                r#"","PhaseStatus":""#,
                $phase_status,
                r#"","Contexts":[{"Message":"SECRETS"}]}]}}"#
            );
            for (times, end) in [(Times::Once, $once), (Times::ForEver, $for_ever)] {
                add(Call::StartBuild, $name, times, "States.TaskFailed", cause, end);
            }
        };
    }
    let rejected = End::Rejected;
    build!("fault", "FAULT", "PROVISIONING", "FAULT", End::Completed, End::Failed(BuildServiceFault));
    build!("queue timeout", "TIMED_OUT", "QUEUED", "TIMED_OUT", End::Completed, End::Failed(BuildServiceFault));
    build!("registry failure", "FAILED", "INSTALL", "FAILED", End::Completed, End::Failed(BuildServiceFault));
    build!("other registry's failure", "FAILED", "PRE_BUILD", "FAILED", End::Completed, End::Failed(BuildServiceFault));
    build!("push failure", "FAILED", "POST_BUILD", "FAILED", End::Completed, End::Failed(BuildServiceFault));
    build!("timeout", "TIMED_OUT", "BUILD", "TIMED_OUT", rejected(BuildTimedOut), rejected(BuildTimedOut));
    build!("failure", "FAILED", "BUILD", "FAILED", rejected(BuildFailed), rejected(BuildFailed));
    macro_rules! training {
        ($name:literal, $status:literal, $secondary:literal, $reason:literal, $once:expr, $for_ever:expr) => {
            let cause = concat!(
                r#"{"TrainingJobName":"TASK","TrainingJobStatus":""#,
                $status,
                r#"","SecondaryStatus":""#,
                $secondary,
                r#"","FailureReason":""#,
                $reason,
                r#""}"#
            );
            for (times, end) in [(Times::Once, $once), (Times::ForEver, $for_ever)] {
                add(Call::CreateTrainingJob, $name, times, "States.TaskFailed", cause, end);
            }
        };
    }
    training!(
        "out of memory",
        "Failed",
        "Failed",
        "AlgorithmError: , exit code: 137",
        rejected(TrainingOutOfMemory),
        rejected(TrainingOutOfMemory)
    );
    training!(
        "time limit",
        "Stopped",
        "MaxRuntimeExceeded",
        "",
        rejected(TrainingTimedOut),
        rejected(TrainingTimedOut)
    );
    training!(
        "non-zero exit",
        "Failed",
        "Failed",
        "AlgorithmError: , exit code: 1",
        rejected(TrainingFailed),
        rejected(TrainingFailed)
    );
    training!(
        "failure file",
        "Failed",
        "Failed",
        "AlgorithmError: no column feature7 SECRETS, exit code: 1",
        rejected(TrainingFailed),
        rejected(TrainingFailed)
    );
    training!(
        "unusable image",
        "Failed",
        "Failed",
        "AlgorithmError: , exit code: 127",
        rejected(ImageUnusable),
        rejected(ImageUnusable)
    );
    training!(
        "capacity",
        "Failed",
        "Failed",
        "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type.",
        End::Completed,
        End::Failed(CapacityUnavailable)
    );
    training!("spot interruption", "Stopped", "Interrupted", "", End::Completed, End::Failed(CapacityUnavailable));
    training!("spot wait", "Stopped", "MaxWaitTimeExceeded", "", End::Completed, End::Failed(CapacityUnavailable));
    training!(
        "internal error",
        "Failed",
        "Failed",
        "InternalServerError: We encountered an internal error. Please try again.",
        End::Completed,
        End::Failed(TrainingServiceFault)
    );
    for (call, name, error, cause) in [
        (
            Call::StartBuild,
            "quota",
            "CodeBuild.AccountLimitExceededException",
            "Cannot have more than 1 builds in queue for the account",
        ),
        (
            Call::CreateTrainingJob,
            "quota",
            "SageMaker.ResourceLimitExceededException",
            "The account-level service limit is 0 Instances",
        ),
    ] {
        add(call, name, Times::Once, error, cause, End::Completed);
        add(call, name, Times::ForEver, error, cause, End::Failed(QuotaExceeded));
    }
    cases
}

/// A function's process is killed during one of its calls.
fn crashes() -> Vec<Case> {
    let mut cases = Vec::new();
    for (function, call, sample, for_ever) in [
        ("intake", Call::StartExecution, Sample::Good, End::Completed),
        ("fetch", Call::Download, Sample::Good, End::Failed(FailureCode::Internal)),
        ("diagnose", Call::FindLog, Sample::Failing, End::Failed(FailureCode::Internal)),
        ("report at the start", Call::CreateReview, Sample::Good, End::ReportedLater(None)),
        ("report at the end", Call::UpdateReview, Sample::Good, End::ReportedLater(None)),
    ] {
        for (often, times) in TIMES {
            let once =
                if sample == Sample::Failing { End::Rejected(FailureCode::TrainingFailed) } else { End::Completed };
            cases.push(Case {
                name: format!("crash of {function} {often}"),
                call,
                kind: Kind::Crash,
                times,
                sample,
                event: None,
                end: if times == Times::Once { once } else { for_ever },
                representative: function == "fetch" && times == Times::Once,
            });
        }
    }
    cases
}

/// Secrets in a submission, in the settings of its challenge and in an answer of the Submission API, for codes that have no
/// other case.
fn secrets() -> Vec<Case> {
    use FailureCode::{
        ArchiveInvalid, ArchiveTooLarge, ArchiveUnsafe, BuildFailed, DockerfileMissing, ImageUnusable,
        PredictionsInvalid, PredictionsMissing, ScoringFault, SubmissionApiDenied, TrainingFailed,
    };
    let codes = [
        ArchiveInvalid,
        ArchiveUnsafe,
        ArchiveTooLarge,
        DockerfileMissing,
        BuildFailed,
        ImageUnusable,
        TrainingFailed,
        PredictionsMissing,
        PredictionsInvalid,
        ScoringFault,
        SubmissionApiDenied,
    ];
    let case = |code: FailureCode| Case {
        name: format!("secrets of {code}"),
        call: Call::Download,
        kind: if code == SubmissionApiDenied { Kind::Denied } else { Kind::Seen },
        times: Times::ForEver,
        sample: Sample::Secrets(code),
        event: None,
        end: match code.fault() {
            Fault::Participant => End::Rejected(code),
            Fault::Platform => End::Failed(code),
        },
        representative: matches!(
            code,
            ArchiveUnsafe | BuildFailed | TrainingFailed | PredictionsInvalid | ScoringFault | SubmissionApiDenied
        ),
    };
    codes.into_iter().map(case).collect()
}

/// An execution is aborted, or its message is redelivered, during a call.
fn events() -> Vec<Case> {
    let mut cases = Vec::new();
    for (place, call) in [
        ("announcing the start", Call::CreateReview),
        ("fetching", Call::Download),
        ("building", Call::StartBuild),
        ("training", Call::CreateTrainingJob),
        ("reporting the outcome", Call::UploadArtifact),
    ] {
        let is_task = matches!(call, Call::StartBuild | Call::CreateTrainingJob);
        cases.push(Case {
            name: format!("aborted while {place}"),
            call,
            // The emulator does not stop tasks.
            kind: if is_task { Kind::Seen } else { Kind::Slow },
            times: Times::Once,
            sample: if call == Call::CreateTrainingJob { Sample::Endless } else { Sample::Good },
            event: Some(Event::Abort),
            // The outcome is already stored and only has to be sent.
            end: if call == Call::UploadArtifact { End::Completed } else { End::Failed(FailureCode::Aborted) },
            representative: call == Call::CreateTrainingJob,
        });
        cases.push(Case {
            name: format!("redelivered while {place}"),
            call,
            kind: Kind::Seen,
            times: Times::Once,
            sample: Sample::Good,
            event: Some(Event::Redelivery),
            end: End::Completed,
            representative: call == Call::StartBuild,
        });
    }
    cases.push(Case {
        name: "aborted while waiting for capacity".to_owned(),
        call: Call::CreateTrainingJob,
        kind: Kind::TaskFails {
            error: "States.TaskFailed",
            cause: r#"{"TrainingJobName":"TASK","TrainingJobStatus":"Failed","FailureReason":"CapacityError: none"}"#,
        },
        times: Times::ForEver,
        sample: Sample::Good,
        event: Some(Event::Abort),
        end: End::Failed(FailureCode::Aborted),
        representative: false,
    });
    cases
}
