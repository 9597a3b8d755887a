//! From instructions to images. Follows `instructions/parse.go`, `instructions/commands_runmount.go` and
//! `dockerfile2llb/convert.go`.

use domain::Quoted;

use crate::account::AccountId;
use crate::arguments::{Arguments, Unknown};
use crate::directives::Escape;
use crate::images::BaseImages;
use crate::instruction::{Instruction, Keyword};
use crate::problem::{Problem, Reason};
use crate::reference::ImageReference;

/// Stands for no image.
const SCRATCH: &str = "scratch";
/// The ways to write the platform of the machines that build and train.
const PLATFORMS: [&str; 4] = ["linux/amd64", "linux/x86_64", "amd64", "x86_64"];

/// The images of a Dockerfile of `lines` lines.
pub(crate) fn base_images(
    instructions: &[Instruction],
    escape: Escape,
    lines: usize,
    account: Option<&AccountId>,
) -> Result<BaseImages, Problem> {
    let names = stage_names(instructions)?;
    if names.is_empty() {
        return Err(Problem { line: lines, reason: Reason::NoFrom });
    }
    let mut reader =
        Reader { names, begun: 0, arguments: Arguments::new(escape), images: BaseImages::default(), account };
    for instruction in instructions {
        reader.read(instruction).map_err(|reason| Problem { line: instruction.line, reason })?;
    }
    Ok(reader.images)
}

/// The name of each stage, in lower case.
fn stage_names(instructions: &[Instruction]) -> Result<Vec<Option<String>>, Problem> {
    let stages = instructions.iter().filter(|instruction| instruction.keyword == Keyword::From);
    let name = |from: &Instruction| {
        let stage = stage(&from.arguments).map_err(|reason| Problem { line: from.line, reason })?;
        Ok(stage.name.map(str::to_ascii_lowercase))
    };
    stages.map(name).collect()
}

/// The arguments of a `FROM`.
struct Stage<'a> {
    base: &'a str,
    name: Option<&'a str>,
}

fn stage(arguments: &str) -> Result<Stage<'_>, Reason> {
    // BuildKit separates at fewer characters than Unicode has spaces.
    let words: Vec<&str> = arguments.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    let (base, name) = match words[..] {
        [base] => (base, None),
        [base, as_, name] if as_.eq_ignore_ascii_case("as") => (base, Some(name)),
        _ => return Err(Reason::From),
    };
    let is_name = |name: &str| {
        name.starts_with(|char: char| char.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    match name {
        Some(name) if !is_name(name) => Err(Reason::StageName { name: Quoted::new(name.as_bytes()) }),
        _ => Ok(Stage { base, name }),
    }
}

/// Where an instruction names a source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// `COPY --from`, which takes a stage's number too.
    Copy,
    /// `RUN --mount`.
    Mount,
}

struct Reader<'a> {
    names: Vec<Option<String>>,
    /// The number of stages up to here.
    begun: usize,
    arguments: Arguments,
    images: BaseImages,
    account: Option<&'a AccountId>,
}

impl Reader<'_> {
    fn read(&mut self, instruction: &Instruction) -> Result<(), Reason> {
        match instruction.keyword {
            Keyword::Arg if self.begun == 0 => self.arguments.declare(&instruction.arguments),
            Keyword::From => self.from(instruction)?,
            _ if self.begun == 0 => return Err(Reason::BeforeFrom),
            Keyword::OnBuild => check_trigger(instruction)?,
            Keyword::Copy | Keyword::Run => {
                for (source, name) in sources(instruction)? {
                    self.source(source, &name)?;
                }
            }
            Keyword::Arg | Keyword::Other => {}
        }
        Ok(())
    }

    fn from(&mut self, instruction: &Instruction) -> Result<(), Reason> {
        for flag in &instruction.flags {
            if let Some(platform) = flag.strip_prefix("--platform=") {
                let expanded = self.expand(platform)?;
                if !PLATFORMS.contains(&expanded.as_str()) {
                    return Err(Reason::Platform { platform: Quoted::new(expanded.as_bytes()) });
                }
            }
        }
        let base = self.expand(stage(&instruction.arguments)?.base)?;
        let is_stage = self.names[..self.begun].iter().flatten().any(|name| *name == base);
        self.begun += 1;
        if is_stage { Ok(()) } else { self.image(&base) }
    }

    fn expand(&self, text: &str) -> Result<String, Reason> {
        self.arguments.expand(text).map_err(|unknown| {
            let text = Quoted::new(text.as_bytes());
            match unknown {
                Unknown::NoDefault { name } => Reason::NoDefault { text, name: Quoted::new(name.as_bytes()) },
                Unknown::Builder { name } => Reason::SetByBuilder { text, name: Quoted::new(name.as_bytes()) },
                Unknown::Redeclared { name } => Reason::Redeclared { text, name: Quoted::new(name.as_bytes()) },
                Unknown::Syntax { what } => Reason::Substitution { text, what },
            }
        })
    }

    fn source(&mut self, source: Source, name: &str) -> Result<(), Reason> {
        let quoted = || Quoted::new(name.as_bytes());
        if name.contains(['$', '"', '\'']) {
            return Err(Reason::VariableSource { name: quoted() });
        }
        // BuildKit also takes a sign for part of a number.
        let digits = name.strip_prefix(['+', '-']).unwrap_or(name);
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let is_before = name.parse::<usize>().is_ok_and(|number| number + 1 < self.begun);
            let is_stage = source == Source::Copy && is_before && digits == name;
            return if is_stage { Ok(()) } else { Err(Reason::StageNumber { name: quoted() }) };
        }
        let lower = name.to_lowercase();
        let is_stage = |names: &[Option<String>]| names.iter().flatten().any(|stage| *stage == lower);
        let (before, rest) = self.names.split_at(self.begun - 1);
        if is_stage(before) {
            return Ok(());
        }
        if is_stage(rest) {
            return Err(Reason::LaterStage { name: quoted() });
        }
        self.image(name)
    }

    fn image(&mut self, name: &str) -> Result<(), Reason> {
        if name == SCRATCH {
            return Ok(());
        }
        let quoted = || Quoted::new(name.as_bytes());
        let image = ImageReference::parse(name).map_err(|what| Reason::Reference { name: quoted(), what })?;
        // Old builders take a number for a stage.
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Reason::StageNumber { name: quoted() });
        }
        if !image.is_public() {
            return Err(Reason::NotPublic { name: quoted() });
        }
        if self.account.is_some_and(|account| account.owns(&image)) {
            return Err(Reason::OwnRegistry { name: quoted() });
        }
        self.images.add(image)
    }
}

/// What a `COPY` or `RUN` takes files from. A name that is left empty is the build context.
fn sources(instruction: &Instruction) -> Result<Vec<(Source, String)>, Reason> {
    let mut sources = Vec::new();
    for flag in &instruction.flags {
        let Some((name, value)) = flag[2..].split_once('=') else { continue };
        if name.eq_ignore_ascii_case("from") {
            sources.push((Source::Copy, value.to_owned()));
        } else if name.eq_ignore_ascii_case("mount") {
            // A quote would begin a quoted field.
            if value.contains('"') {
                return Err(Reason::Flag { what: "a quote inside a quote" });
            }
            let fields = value.split(',').filter_map(|field| field.split_once('='));
            let from = fields.filter(|(key, _)| key.eq_ignore_ascii_case("from"));
            sources.extend(from.map(|(_, name)| (Source::Mount, name.to_owned())));
        }
    }
    sources.retain(|(_, name)| !name.is_empty());
    Ok(sources)
}

/// A trigger runs in the stages and images that are built on this stage, so that what it names depends on them.
fn check_trigger(instruction: &Instruction) -> Result<(), Reason> {
    let trigger = Instruction::parse(instruction.line, &instruction.arguments).map_err(|problem| problem.reason)?;
    let is_harmless = match trigger.keyword {
        Keyword::Copy | Keyword::Run => sources(&trigger)?.is_empty(),
        Keyword::Arg | Keyword::Other => true,
        Keyword::From | Keyword::OnBuild => false,
    };
    if is_harmless { Ok(()) } else { Err(Reason::OnBuild) }
}
