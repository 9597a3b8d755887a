//! The cases: an attack, how the system has to answer, and the control that shows the attack at work without its defence.

use std::pin::Pin;
use std::time::Duration;

use anyhow::Result;
use domain::FailureCode;
use domain::outcome::Outcome;

use crate::arena::{Arena, BASE};
use crate::group;
use crate::scene::Scene;

pub(crate) type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Archives,
    Dockerfiles,
    Images,
    Trainings,
    Outputs,
    Predictions,
    Entrance,
    Answers,
}

impl Group {
    pub(crate) const ALL: [Self; 8] = [
        Self::Archives,
        Self::Dockerfiles,
        Self::Images,
        Self::Trainings,
        Self::Outputs,
        Self::Predictions,
        Self::Entrance,
        Self::Answers,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Archives => "archives",
            Self::Dockerfiles => "dockerfiles",
            Self::Images => "images",
            Self::Trainings => "trainings",
            Self::Outputs => "outputs",
            Self::Predictions => "predictions",
            Self::Entrance => "entrance",
            Self::Answers => "answers",
        }
    }
}

/// How a submission has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    /// The participant's fault, after this many builds and training jobs.
    Rejected(FailureCode, usize, usize),
    /// The platform's fault.
    Failed(FailureCode),
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Completed => f.write_str("Completed"),
            Self::Rejected(code, ..) | Self::Failed(code) => f.write_str(code.as_str()),
        }
    }
}

/// A file of a submission: name, content, whether it is executable.
pub(crate) type File = (String, Vec<u8>, bool);

/// The text that an attack needs, made for its scene.
pub(crate) type Text = Box<dyn Fn(&Scene) -> String + Send + Sync>;

/// The bytes that an attack needs, made for its scene.
pub(crate) type Bytes = Box<dyn Fn(&Scene) -> Vec<u8> + Send + Sync>;

/// What a control reads in what a submission came to.
pub(crate) type Reading = Box<dyn Fn(&Scene, &Got) -> Result<String> + Send + Sync>;

/// What an attack or a control does that is not a submission.
pub(crate) type Deed = Box<dyn for<'a> Fn(&'a Arena, &'a Scene) -> Doing<'a, String> + Send + Sync>;

/// Gives a closure the type of a deed.
pub(crate) fn deed(doing: impl for<'a> Fn(&'a Arena, &'a Scene) -> Doing<'a, String> + Send + Sync + 'static) -> Deed {
    Box::new(doing)
}

pub(crate) enum Attack {
    /// An archive, byte by byte.
    Archive(Bytes),
    /// Lines of a Dockerfile after its FROM. The image then trains nothing, successfully.
    Lines(Text),
    /// A whole Dockerfile.
    Dockerfile(Text),
    /// A script that trains.
    Train(Text),
    /// Lines of a Dockerfile, and a script that trains.
    LinesAndTrain(Text, Text),
    /// Something else than a submission. Returns what was got, or fails if that is not as expected.
    Deed(Deed, &'static str),
}

/// The same attack without its defence. It has to work.
pub(crate) enum Control {
    /// Builds and runs in an enclosure without its packet filter.
    Unfiltered(Sign),
    /// Builds and runs in an enclosure of other limits.
    Roomy(Roomy, Sign),
    /// Builds with podman on the host, as a machine without an enclosure would.
    Bare(Sign),
    /// Something else. Returns what was seen.
    Deed(Deed),
    /// The same, on the archive of the attack.
    Unpacked(fn(&Scene, &std::path::Path) -> Result<String>),
    /// The same, on what the attack's own run has left.
    Afterwards(Reading),
}

/// Limits of an enclosure for a control.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Roomy {
    pub(crate) memory: u64,
    pub(crate) disk: u64,
    pub(crate) processes: u32,
}

/// By what an attack is seen to work.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sign {
    /// A canary server was asked.
    Asked,
    /// The canary process has ended.
    Killed,
    /// A process of the attack is left.
    Left,
    /// The output has the secret.
    Secret,
    /// The output has the secret, and the canary file was changed.
    SecretAndChange,
    /// The output has the secret of another participant's image.
    OtherSecret,
    /// The emulator has a function of the attack.
    Function,
    /// The output has this word, which stands after the attack's last step.
    Word(&'static str),
}

/// What a submission came to.
pub(crate) struct Got {
    pub(crate) outcome: Outcome,
    pub(crate) builds: usize,
    pub(crate) trainings: usize,
    pub(crate) took: Duration,
    /// What was reported about it: the outcome, the reviews and the files for participant and operator.
    pub(crate) reported: Vec<Vec<u8>>,
    /// What was kept of it besides: logs and objects.
    pub(crate) kept: Vec<Vec<u8>>,
}

impl Got {
    pub(crate) fn reported(&self, text: &str) -> bool {
        self.reported.iter().any(|reported| has(reported, text))
    }

    pub(crate) fn kept(&self, text: &str) -> bool {
        self.kept.iter().any(|kept| has(kept, text))
    }

    pub(crate) fn has(&self, text: &str) -> bool {
        self.reported(text) || self.kept(text)
    }
}

/// The files of an attack that is a folder.
pub(crate) fn files(attack: &Attack, scene: &Scene) -> Option<Vec<File>> {
    const SUCCEED: &str = "exit 0";
    let from = |lines: String| format!("FROM {BASE}\n{lines}\nCOPY train /bin/train\n");
    let (dockerfile, train) = match attack {
        Attack::Lines(lines) => (from(lines(scene)), SUCCEED.to_owned()),
        Attack::Dockerfile(text) => (text(scene), SUCCEED.to_owned()),
        Attack::Train(train) => (from(String::new()), train(scene)),
        Attack::LinesAndTrain(lines, train) => (from(lines(scene)), train(scene)),
        Attack::Archive(_) | Attack::Deed(..) => return None,
    };
    let train = format!("#!/bin/sh\n{train}\n");
    Some(vec![
        ("Dockerfile".to_owned(), dockerfile.into_bytes(), false),
        ("train".to_owned(), train.into_bytes(), true),
    ])
}

pub(crate) fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

pub(crate) struct Case {
    pub(crate) group: Group,
    pub(crate) name: String,
    /// Which defence answers, in a word or two.
    pub(crate) defence: &'static str,
    pub(crate) attack: Attack,
    pub(crate) end: End,
    /// Whether the internet's canary has to be asked.
    pub(crate) reaches_the_internet: bool,
    /// A text that what was reported must have.
    pub(crate) says: Option<&'static str>,
    /// Texts that nothing reported may have.
    pub(crate) hides: Vec<String>,
    pub(crate) control: Control,
    pub(crate) limit: Duration,
    /// Whether it runs with every `make test`.
    pub(crate) representative: bool,
}

impl Case {
    pub(crate) fn new(
        group: Group,
        name: impl Into<String>,
        defence: &'static str,
        attack: Attack,
        end: End,
        control: Control,
    ) -> Self {
        Self {
            group,
            name: name.into(),
            defence,
            attack,
            end,
            reaches_the_internet: false,
            says: None,
            hides: Vec::new(),
            control,
            limit: Duration::from_mins(3),
            representative: false,
        }
    }

    pub(crate) fn representative(mut self) -> Self {
        self.representative = true;
        self
    }

    pub(crate) fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    pub(crate) fn reaching_the_internet(mut self) -> Self {
        self.reaches_the_internet = true;
        self
    }

    pub(crate) fn saying(mut self, text: &'static str) -> Self {
        self.says = Some(text);
        self
    }

    pub(crate) fn hiding(mut self, texts: &[&str]) -> Self {
        self.hides = texts.iter().map(|&text| text.to_owned()).collect();
        self
    }
}

/// Every case.
pub(crate) fn all() -> Vec<Case> {
    group::all()
}
