//! Problems of Dockerfiles, in messages that a participant can act on.

use domain::{Coded, FailureCode, Quoted};

/// Why a Dockerfile is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Line {line} of the Dockerfile {reason}, then submit again.")]
pub struct Problem {
    /// The line on which the instruction starts, from 1.
    pub line: usize,
    pub reason: Reason,
}

/// Completes the sentence "Line 1 of the Dockerfile …, then submit again."
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("is not UTF-8. Save the file as UTF-8")]
    NotUtf8,
    #[error("has the control character U+{code:04X}. Remove it")]
    ControlCharacter { code: u32 },
    #[error("is longer than {limit} bytes. Continue it on more lines")]
    LineTooLong { limit: usize },
    #[error(
        "sets the frontend {name}. Only docker/dockerfile is allowed. Remove the line, or change it to `# syntax=docker/dockerfile:1`"
    )]
    Frontend { name: Quoted },
    #[error("starts a JSON document. Write the instructions of a Dockerfile instead")]
    Json,
    #[error("is a parser directive that {what}. Correct or remove it")]
    Directive { what: &'static str },
    #[error("has the unknown instruction {name}. Correct it")]
    UnknownInstruction { name: Quoted },
    #[error("has a flag with {what}. Write it as --name=value, without escape characters and in ASCII")]
    Flag { what: &'static str },
    #[error(
        "has a heredoc, or text that looks like one, {what}. Write it as `<<NAME` with a space before and after it, or leave out the <<"
    )]
    Heredoc { what: &'static str },
    #[error("has an instruction before the first FROM. Only ARG may stand there. Start with a FROM")]
    BeforeFrom,
    #[error(
        "is the last one, and there is no FROM. Start with the image that yours is built on, such as `FROM python:3.13`"
    )]
    NoFrom,
    #[error("has a FROM that names something else than an image. Write it as `FROM image` or `FROM image AS name`")]
    From,
    #[error("names a stage {name}. Start the name with a letter and use only letters, digits, and _ - . for the rest")]
    StageName { name: Quoted },
    #[error("sets the platform {platform}. Images are built for linux/amd64 only. Remove the flag --platform")]
    Platform { platform: Quoted },
    #[error(
        "names the image {text}, which depends on the build argument {name}. It has no default before the first FROM. Add one, such as `ARG VERSION=1.0`, or write the image's name out"
    )]
    NoDefault { text: Quoted, name: Quoted },
    #[error(
        "names the image {text}, which depends on {name}. Only the build knows its value. Write the image's name out"
    )]
    SetByBuilder { text: Quoted, name: Quoted },
    #[error(
        "names the image {text}, which depends on the build argument {name}. It is declared a second time without a value. Remove the second declaration"
    )]
    Redeclared { text: Quoted, name: Quoted },
    #[error("names the image {text}, which uses {what}. Write the image's name out")]
    Substitution { text: Quoted, what: &'static str },
    #[error(
        "takes files from {name}, and no variable or quote may stand there. Name the image in a FROM with AS, and take the files from that stage"
    )]
    VariableSource { name: Quoted },
    #[error(
        "refers to a stage by the number {name}. Only COPY may, and only to a stage before its own, counted from 0. Refer to the stage by its name"
    )]
    StageNumber { name: Quoted },
    #[error(
        "takes files from the stage {name}, which does not end before this line. Move that stage to before this one"
    )]
    LaterStage { name: Quoted },
    #[error("has an ONBUILD whose instruction pulls an image or needs a stage. Write the instruction without ONBUILD")]
    OnBuild,
    #[error("names the image {name}, which {what}. Correct the name")]
    Reference { name: Quoted, what: &'static str },
    #[error(
        "names the image {name}, whose registry has no name on the public internet. Use an image of a public registry"
    )]
    NotPublic { name: Quoted },
    #[error(
        "names the image {name} in the registry of this platform, which holds the submissions. Use an image of a public registry"
    )]
    OwnRegistry { name: Quoted },
    #[error("names one image too many: the limit is {limit}. Use fewer images")]
    TooManyImages { limit: usize },
    #[error(
        "names an image with which the names of all images exceed {limit} characters. Use fewer images or shorter names"
    )]
    ImagesTooLong { limit: usize },
}

impl Coded for Problem {
    fn code(&self) -> FailureCode {
        FailureCode::BuildFailed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_names_the_line_and_says_what_to_do() {
        let name = || Quoted::new(b"evil/frontend");
        let text = || Quoted::new(b"python:$VERSION");
        let variable = || Quoted::new(b"VERSION");
        let reasons = [
            Reason::NotUtf8,
            Reason::ControlCharacter { code: 0 },
            Reason::LineTooLong { limit: 65_535 },
            Reason::Frontend { name: name() },
            Reason::Json,
            Reason::Directive { what: "repeats another" },
            Reason::UnknownInstruction { name: Quoted::new(b"FORM") },
            Reason::Flag { what: "an escape character" },
            Reason::Heredoc { what: "with a space after <<" },
            Reason::BeforeFrom,
            Reason::NoFrom,
            Reason::From,
            Reason::StageName { name: Quoted::new(b"1st") },
            Reason::Platform { platform: Quoted::new(b"linux/arm64") },
            Reason::NoDefault { text: text(), name: variable() },
            Reason::SetByBuilder { text: text(), name: variable() },
            Reason::Redeclared { text: text(), name: variable() },
            Reason::Substitution { text: text(), what: "a quote that is not closed" },
            Reason::VariableSource { name: text() },
            Reason::StageNumber { name: Quoted::new(b"7") },
            Reason::LaterStage { name: Quoted::new(b"builder") },
            Reason::OnBuild,
            Reason::Reference { name: Quoted::new(b"Python"), what: "has an upper-case letter in its name" },
            Reason::NotPublic { name: Quoted::new(b"localhost:5000/x") },
            Reason::OwnRegistry { name: Quoted::new(b"123456789012.dkr.ecr.us-east-1.amazonaws.com/x") },
            Reason::TooManyImages { limit: 64 },
            Reason::ImagesTooLong { limit: 4000 },
        ];
        let texts = reasons.into_iter().map(|reason| Problem { line: 3, reason }.to_string());
        insta::assert_snapshot!(texts.collect::<Vec<_>>().join("\n\n"));
    }
}
