//! Random Dockerfiles.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use dockerfile::{ImageReference, base_images};
use proptest::collection::vec;
use proptest::prelude::*;

/// One instruction, and how it is written.
#[derive(Clone, Debug)]
enum Line {
    Image(String),
    Copy(String),
    Mount(String),
    /// Takes files from the stage before.
    CopyStage,
    Comment(String),
    Heredoc(String),
    Run(String),
}

fn image() -> impl Strategy<Value = String> {
    "([a-z]{1,5}\\.io/)?[a-z]{1,5}(/[a-z0-9]{1,5}){0,2}(:[0-9]{1,2}(\\.[0-9])?)?"
}

/// Text that looks like instructions.
fn hidden() -> impl Strategy<Value = String> {
    prop_oneof![
        image().prop_map(|image| format!("FROM {image}")),
        "COPY --from=[a-z]{1,5} / /",
        "[a-z]([a-z =]{0,18}[a-z])?"
    ]
}

fn line() -> impl Strategy<Value = Line> {
    prop_oneof![
        image().prop_map(Line::Image),
        image().prop_map(Line::Copy),
        image().prop_map(Line::Mount),
        Just(Line::CopyStage),
        hidden().prop_map(Line::Comment),
        hidden().prop_map(Line::Heredoc),
        hidden().prop_map(Line::Run),
    ]
}

/// Splits an instruction at a space, with a comment between.
fn continued(instruction: &str, cut: usize, escape: char) -> String {
    let spaces: Vec<usize> = instruction.match_indices(' ').map(|(at, _)| at).collect();
    match spaces.get(cut) {
        Some(at) => format!("{} {escape}  \n  # FROM hidden {escape}\n{}", &instruction[..*at], &instruction[at + 1..]),
        None => instruction.to_owned(),
    }
}

/// The text of a Dockerfile, and its images.
fn written(lines: &[(Line, usize, bool)], backtick: bool, crlf: bool) -> (String, Vec<String>) {
    let escape = if backtick { '`' } else { '\\' };
    let mut images: Vec<String> = vec!["first/image".to_owned()];
    let mut text = if backtick { "# escape=`\n" } else { "" }.to_owned();
    text.push_str("FROM first/image AS stage0\n");
    let mut stages = 1;
    for (line, cut, lower) in lines {
        let mut add = |image: &String| {
            if !images.contains(image) {
                images.push(image.clone());
            }
        };
        let instruction = match line {
            Line::Image(image) => {
                add(image);
                stages += 1;
                format!("FROM {image} AS stage{}", stages - 1)
            }
            Line::Copy(image) => {
                add(image);
                format!("COPY --chown=1:1 --from={image} /a /b")
            }
            Line::Mount(image) => {
                add(image);
                format!("RUN --mount=type=cache,target=/c --mount=type=bind,from={image},target=/d true")
            }
            Line::CopyStage if stages > 1 => format!("COPY --from=stage{} /a /b", stages - 2),
            Line::CopyStage => "COPY /a /b".to_owned(),
            Line::Comment(hidden) => {
                writeln!(text, "# {hidden} {escape}").unwrap();
                continue;
            }
            Line::Heredoc(hidden) => {
                writeln!(text, "RUN cat <<EOF\n{hidden}\n{hidden} {escape}\nEOF").unwrap();
                continue;
            }
            Line::Run(hidden) => format!("RUN echo {hidden}"),
        };
        let (keyword, rest) = instruction.split_once(' ').unwrap();
        let keyword = if *lower { keyword.to_lowercase() } else { keyword.to_owned() };
        writeln!(text, "{}", continued(&format!("{keyword} {rest}"), *cut, escape)).unwrap();
    }
    (if crlf { text.replace('\n', "\r\n") } else { text }, images)
}

proptest! {
    #[test]
    fn every_image_is_found_and_nothing_else(
        lines in vec((line(), 0..6_usize, any::<bool>()), 0..12), backtick in any::<bool>(), crlf in any::<bool>(),
    ) {
        let (text, images) = written(&lines, backtick, crlf);
        let found = base_images(text.as_bytes(), None);
        let found = found.map_err(|problem| TestCaseError::fail(format!("{text}\n{problem}")))?;
        prop_assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), images, "{}", text);
    }

    #[test]
    fn an_image_cannot_hide_behind_changed_bytes(
        lines in vec((line(), 0..6_usize, any::<bool>()), 0..8), backtick in any::<bool>(),
        changes in vec((any::<prop::sample::Index>(), "[\\\\`'\"#<$ \t\n=\\[-]"), 0..6),
    ) {
        let (mut text, _) = written(&lines, backtick, false);
        for (at, change) in changes {
            let at = at.index(text.len());
            if text.is_char_boundary(at) {
                text.insert_str(at, &change);
            }
        }
        text.push_str("\nFROM the/last\n");
        match base_images(text.as_bytes(), None) {
            Ok(images) => {
                // A line that nothing before it swallows, as a heredoc or a continuation would.
                let is_open = text.contains(['\\', '`']) || text.contains("<<");
                prop_assert!(is_open || images.iter().any(|image| image.as_str() == "the/last"), "{}", text);
            }
            Err(problem) => prop_assert!(problem.line >= 1 && problem.line <= text.lines().count() + 1),
        }
    }

    #[test]
    fn random_bytes_give_images_or_a_line(bytes in vec(any::<u8>(), 0..300), from in any::<bool>()) {
        let dockerfile = [if from { &b"FROM a\n"[..] } else { b"" }, &bytes].concat();
        match base_images(&dockerfile, None) {
            Ok(images) => for image in images.iter() {
                prop_assert!(ImageReference::parse(image.as_str()).is_ok());
            },
            Err(problem) => prop_assert!(problem.to_string().ends_with(", then submit again.")),
        }
    }

    #[test]
    fn a_reference_has_no_character_that_a_shell_reads(text in "[a-z0-9./:@_ $;&|'\"\\\\\n-]{0,40}") {
        if let Ok(image) = ImageReference::parse(&text) {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@[]".contains(&byte);
            prop_assert!(image.as_str().bytes().all(is_plain) && !image.as_str().starts_with('-'));
        }
    }
}
