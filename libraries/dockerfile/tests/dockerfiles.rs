//! A table of Dockerfiles with their images, or with the line and the words of their refusal.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dockerfile::{AccountId, base_images};

const ACCOUNT: &str = "123456789012";

fn images(dockerfile: impl AsRef<[u8]>) -> Result<Vec<String>, String> {
    let account: AccountId = ACCOUNT.parse().unwrap();
    let images = base_images(dockerfile.as_ref(), Some(&account)).map_err(|problem| problem.to_string())?;
    Ok(images.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn has(dockerfile: impl AsRef<[u8]>, expected: &[&str]) {
    let dockerfile = dockerfile.as_ref();
    let shown = String::from_utf8_lossy(dockerfile);
    assert_eq!(
        images(dockerfile).as_deref(),
        Ok(expected.iter().map(|&image| image.into()).collect::<Vec<String>>().as_slice()),
        "{shown}"
    );
}

#[track_caller]
fn refused(dockerfile: impl AsRef<[u8]>, line: usize, words: &str) {
    let dockerfile = dockerfile.as_ref();
    let shown = String::from_utf8_lossy(dockerfile);
    let problem = images(dockerfile).expect_err(&shown);
    assert!(problem.starts_with(&format!("Line {line} of the Dockerfile ")), "{shown}\n{problem}");
    assert!(problem.contains(words), "{shown}\n{problem}");
}

#[test]
fn an_image_is_found_wherever_an_instruction_names_it() {
    has("FROM python:3.13", &["python:3.13"]);
    has("from\tpython:3.13\n", &["python:3.13"]);
    has("FROM scratch\nCOPY --from=a/b /x /\nCOPY --chown=1 --from=c --link /x /\n", &["a/b", "c"]);
    has("FROM scratch\nRUN --mount=type=bind,from=a,target=/a --mount=FROM=b,target=/b true", &["a", "b"]);
    has("FROM scratch\nRUN --network=none --mount=type=cache,from=a,target=/a true", &["a"]);
    has("FROM scratch\nADD --from=a /x /\n", &["a"]);
    has("FROM scratch\nCOPY --fr\"om=a\" /x /\nRUN --'mount'=\"type=bind,from=b\" '--mount=from=c' true", &["a", "b"]);
    has("FROM --platform=linux/amd64 a AS x\nFROM --platform=$TARGETPLATFORM b", &["a", "b"]);
}

#[test]
fn stages_and_scratch_are_not_images() {
    has("FROM a AS build\nFROM scratch\nCOPY --from=build /x /\nCOPY --from=0 /y /\n", &["a"]);
    has("FROM a AS Build\nFROM build\nCOPY --from=BUILD /x /\nRUN --mount=from=bUiLd,target=/b true\n", &["a"]);
    has("FROM scratch AS a\nCOPY --from=scratch / /\nRUN --mount=from=scratch,target=/b true\n", &[]);
    has("FROM a AS a\nFROM a\n", &["a"]);
    has("FROM b\nFROM c AS b\n", &["b", "c"]);
    has("ARG BASE=build\nFROM a AS build\nFROM ${BASE}\n", &["a"]);
    has("FROM scratch:latest", &["scratch:latest"]);
    has("FROM a AS scratch\nFROM scratch\n", &["a"]);
}

#[test]
fn an_image_is_listed_once_in_the_order_of_the_file() {
    has("FROM b\nFROM a\nCOPY --from=b / /\nFROM a\nCOPY --from=b:latest / /\n", &["b", "a", "b:latest"]);
}

#[test]
fn build_arguments_before_the_first_from_are_replaced() {
    has("ARG V=3.13\nARG IMAGE=\"python:${V}-slim\"\nFROM $IMAGE AS a\nARG V\nFROM ${IMAGE}\n", &["python:3.13-slim"]);
    has("ARG A B=1 C='x'\nFROM $C:$B", &["x:1"]);
    has("ARG V\nFROM python:${V:-3}${V:+x}", &["python:3"]);
    has("FROM x:$TARGETOS-${TARGETARCH}${TARGETVARIANT}", &["x:linux-amd64"]);
    has("ARG V=1\nFROM \"x\":'1'$V", &["x:11"]);
    refused("ARG V\nFROM python:$V", 2, "depends on the build argument \"V\"");
    refused("FROM a\nARG V=1\nFROM python:$V", 3, "no default before the first FROM");
    refused("ARG V=$W\nFROM python:$V", 2, "depends on the build argument \"W\"");
    refused("ARG HTTP_PROXY=x\nFROM python:${HTTP_PROXY:+x}", 2, "Only the build knows its value");
    refused("ARG BUILDKIT_SYNTAX=x\nFROM $BUILDKIT_SYNTAX", 2, "Only the build knows its value");
    refused("ARG V=1\nARG V\nFROM python:$V", 3, "declared a second time");
    refused("ARG V=1\nFROM python:${V%1}", 2, "uses a $ that is not part of");
    refused("FROM python:\\3", 1, "uses an escape character");
    refused("FROM scratch\nARG F=a\nCOPY --from=$F / /", 3, "no variable or quote may stand there");
    refused("FROM scratch\nRUN --mount=from=${F},target=/a true", 2, "no variable or quote may stand there");
    refused("FROM --platform=$X a", 1, "depends on the build argument");
    refused("FROM --platform=linux/arm64 a", 1, "sets the platform \"linux/arm64\"");
}

#[test]
fn lines_are_continued_as_buildkit_continues_them() {
    has("FROM \\\n  python:3\\\n.13\n", &["python:3.13"]);
    has("FROM \\\n# a comment\n  # another \\\n\n\t\npython\n", &["python"]);
    has("FR\\\nOM pyth\\  \non", &["python"]);
    has("\\\nFROM a", &["a"]);
    has("FROM a\nRUN x \\\nFROM b\n", &["a"]);
    has("FROM a\nRUN x \\\\\nFROM b\n", &["a", "b"]);
    has("FROM a\nRUN x `\nFROM b\n", &["a", "b"]);
    has("FROM a\n# x \\\nFROM b\n", &["a", "b"]);
    has("FROM a\nRUN x \\\n# y \\\nFROM b\nFROM c\n", &["a", "c"]);
    has("# escape=`\nFROM a\nRUN x `\nFROM b\nRUN x \\\nFROM c\n", &["a", "c"]);
    has("#ESCAPE = ` \nFROM `\na", &["a"]);
    has("\n# escape=`\nFROM a\nRUN x `\nFROM b\n", &["a", "b"]);
    has("# a comment\n# escape=`\nFROM a\nRUN x `\nFROM b\n", &["a", "b"]);
    has("# syntax=docker/dockerfile:1\n# escape=`\nFROM `\na", &["a"]);
    has("FROM a\r\nRUN x \\\r\nFROM b\r\nFROM c\r\n", &["a", "c"]);
    has("FROM a\nRUN x\n\u{a0}# FROM b\n\u{3000}#\n", &["a"]);
    refused("FROM a\n\\\n", 2, "unknown instruction");
    refused("# escape=x\nFROM a", 1, "sets an escape character other than");
    refused("# escape=`\n# escape=`\nFROM a", 2, "repeats another");
    refused("# check=skip=all\n# escape=`\nFROM a", 2, "after another one");
    refused("#\u{a0}escape=`\nFROM a", 1, "outside ASCII");
}

#[test]
fn the_text_of_a_heredoc_has_no_instructions() {
    has("FROM a\nRUN <<EOF\nFROM b\nEOF\nFROM c\n", &["a", "c"]);
    has("FROM a\nRUN <<-'EOF'\nFROM b\n EOF\n\tEOF\nFROM c\n", &["a", "c"]);
    has("FROM a\nCOPY <<x.py <<\"y.py\" /\nFROM b\nx.py\nFROM c\ny.py\nFROM d\n", &["a", "d"]);
    has("FROM a\nRUN cat \\\n <<EOF\nx \\\nEOF\nFROM c\n", &["a", "c"]);
    has("FROM a\nRUN <<EOF\r\nFROM b\r\nEOF\r\nFROM c\r\n", &["a", "c"]);
    has("FROM a\nRUN cat<<EOF\nFROM b\n", &["a", "b"]);
    has("FROM a\nENV X=<<EOF\nFROM b\n", &["a", "b"]);
    has("FROM a\nRUN echo '<<EOF'\nFROM b\n", &["a", "b"]);
    has("FROM a\nRUN --mount=from=b,target=/b <<EOF\nx\nEOF\n", &["a", "b"]);
    refused("FROM a\nRUN <<EOF\nFROM b\n", 2, "not closed");
    refused("FROM a\nRUN cat << EOF\nFROM b\nEOF\n", 2, "a space after <<");
    refused("FROM a\nRUN [\"cat\"] <<EOF\nFROM b\nEOF\n", 2, "beside a JSON array");
    refused("FROM a\nONBUILD RUN <<EOF\nFROM b\nEOF\n", 2, "in ONBUILD");
}

#[test]
fn only_dockers_own_frontend_is_allowed() {
    for frontend in [
        "docker/dockerfile",
        "docker/dockerfile:1.7-labs",
        "docker.io/docker/dockerfile:1",
        "docker/dockerfile:1 --x=y",
    ] {
        has(format!("# syntax={frontend}\nFROM a"), &["a"]);
        has(format!("#!/usr/bin/env x\n#Syntax = {frontend} \r\nFROM a"), &["a"]);
        has(format!("\u{feff}# syntax={frontend}\nFROM a"), &["a"]);
    }
    let digest = "a".repeat(64);
    has(format!("# syntax=docker/dockerfile@sha256:{digest}\nFROM a"), &["a"]);
    for dockerfile in [
        "# syntax=evil/frontend\nFROM a",
        "\u{feff}#syntax=evil/frontend\nFROM a",
        "// syntax=evil/frontend\nFROM a",
        "#  SYNTAX \t= evil/frontend  \nFROM a",
        "# syntax=docker/dockerfile-upstream:1\nFROM a",
        "# syntax=evil.io/docker/dockerfile:1\nFROM a",
        "# syntax= \nFROM a",
        "# syntax=docker/dockerfile:1\tx\nFROM a",
    ] {
        refused(dockerfile, 1, "sets the frontend");
    }
    refused("# check=x\n# syntax=evil/frontend\nFROM a", 2, "sets the frontend \"evil/frontend\"");
    refused("#!/bin/x\n# syntax=evil/frontend\nFROM a", 2, "sets the frontend");
    refused("#!/bin/x\n// syntax=evil/frontend\nFROM a", 2, "sets the frontend");
    refused("{ \"syntax\": \"evil/frontend\" }", 1, "JSON");
    refused("#!/bin/x\n\n {\n\"syntax\": \"evil/frontend\" }", 3, "JSON");
    // These are comments.
    has("# x\n# syntax=evil/frontend\nFROM a", &["a"]);
    has("\n# syntax=evil/frontend\nFROM a", &["a"]);
    refused("# syntax=docker/dockerfile:1\n# syntax=evil/frontend\nFROM a", 2, "repeats another");
}

#[test]
fn the_triggers_of_a_stage_run_in_the_stages_built_on_it() {
    has("FROM a AS x\nONBUILD RUN true\nONBUILD COPY . /x\nFROM x", &["a"]);
    for trigger in [
        "COPY --from=b / /",
        "copy --from=b / /",
        "RUN --mount=from=b,target=/b true",
        "ONBUILD RUN true",
        "FROM b",
        "ADD --from=0 / /",
    ] {
        refused(format!("FROM a AS x\nONBUILD {trigger}\nFROM x"), 2, "has an ONBUILD whose instruction");
    }
    refused("FROM a\nONBUILD \\\n COPY --fr\\om=b / /", 2, "an escape character");
}

#[test]
fn what_programs_read_differently_is_refused() {
    refused(b"FROM a\nRUN \xff\n", 2, "not UTF-8");
    refused("FROM a\nRUN x\u{0}\n", 2, "control character U+0000");
    refused("FROM a\rFROM b\n", 1, "control character U+000D");
    refused("FROM\u{b}b\n", 1, "control character U+000B");
    refused("FROM a\n\u{a0}FROM b\n\u{feff}FROM c", 3, "unknown instruction");
    refused("\u{feff}\u{feff}FROM a\n", 1, "unknown instruction");
    refused("FROM a\nFROM\u{a0}b\n", 2, "unknown instruction");
    refused("FROM a\nONBU\u{130}LD COPY --from=b / /\n", 2, "unknown instruction");
    refused(format!("FROM a\nRUN {}", "x".repeat(65_536)), 2, "longer than 65535 bytes");
    refused("FROM a\nCOPY --fr\\om=b / /", 2, "an escape character");
    refused("FROM a\nRUN --mount='\"from=b\"' true", 2, "a quote inside a quote");
    refused("FROM a\nCOPY --from=\"b / /", 2, "a quote that is not closed");
    refused("FROM a\nCOPY --x=\u{e0} --from=b / /", 2, "outside ASCII");
    refused("FROM a b", 1, "names something else than an image");
    refused("FROM", 1, "names something else than an image");
    refused("FROM a AS 1st", 1, "names a stage \"1st\"");
    refused("RUN true\nFROM a", 1, "before the first FROM");
    refused("# nothing\n", 2, "there is no FROM");
    refused("ARG A=1", 1, "there is no FROM");
    refused("FORM a", 1, "unknown instruction \"FORM\"");
}

#[test]
fn a_source_that_is_not_before_its_use_is_refused() {
    for from in ["1", "2", "-1", "+0", "99999999999999999999999999999999999"] {
        refused(format!("FROM a\nFROM b\nCOPY --from={from} / /\nFROM c"), 3, "refers to a stage by the number");
    }
    refused("FROM a\nFROM b\nRUN --mount=from=0,target=/x true", 3, "refers to a stage by the number");
    refused("FROM a\nFROM 0", 2, "refers to a stage by the number");
    refused("FROM a AS x\nCOPY --from=X / /", 2, "does not end before this line");
    refused("FROM a\nCOPY --from=x / /\nFROM b AS x", 2, "does not end before this line");
}

#[test]
fn only_well_formed_images_of_public_registries_are_allowed() {
    for image in ["Python", "python:", "x@sha256:0", "http://x/y", "https://x", "x:1:2", "$x:1", "docker-image://x"] {
        refused(
            format!("FROM scratch\nCOPY --from={image} / /"),
            2,
            if image.contains('$') { "variable" } else { "names the image" },
        );
    }
    for host in [
        "localhost",
        "localhost:5000",
        "127.0.0.1:5000",
        "10.1.2.3",
        "169.254.169.254",
        "[::1]:5000",
        "[fd00::1]",
        "registry:5000",
    ] {
        refused(format!("FROM {host}/x"), 1, "no name on the public internet");
    }
    refused(
        format!("FROM {ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/other:latest"),
        1,
        "in the registry of this platform",
    );
    refused(
        format!("FROM scratch\nCOPY --from={ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/x:latest / /"),
        2,
        "in the registry",
    );
    has("FROM 763104351884.dkr.ecr.us-east-1.amazonaws.com/x:1", &["763104351884.dkr.ecr.us-east-1.amazonaws.com/x:1"]);
}

#[test]
fn the_list_is_bounded() {
    let dockerfile = |count: usize, name: &dyn Fn(usize) -> String| {
        (0..count).map(|n| format!("FROM {}", name(n))).collect::<Vec<_>>().join("\n") + "\n"
    };
    let short = |n| format!("x{n}");
    assert_eq!(images(dockerfile(64, &short)).unwrap().len(), 64);
    refused(dockerfile(65, &short), 65, "the limit is 64");
    assert_eq!(images(dockerfile(1000, &|n| format!("x{}", n % 64))).unwrap().len(), 64);

    let long = |n: usize| format!("{n:a>99}");
    let thirty_nine = |length: usize| format!("{}FROM {}\n", dockerfile(39, &long), "b".repeat(length));
    let fits = images(thirty_nine(100)).unwrap();
    assert_eq!(fits.join(" ").len(), 4000);
    refused(thirty_nine(101), 40, "exceed 4000 characters");
}
