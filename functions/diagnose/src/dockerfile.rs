//! Finds the step of the Dockerfile at which a build failed, from the build's log. Pure.
//!
//! It reads the formats of Docker with BuildKit, Docker's classic builder and buildah (podman). A submission can print
//! lines in these formats, but that only misleads its own participant.

/// Length limit, in characters, of an instruction and of the builder's error.
const CHARACTERS: usize = 200;

/// A step of a Dockerfile that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DockerfileStep {
    /// As the builder shows it, redacted and shortened.
    pub(crate) instruction: Option<String>,
    /// Its number and the number of all steps, such as `2/5`.
    pub(crate) number: Option<String>,
    /// Its line in the Dockerfile, from 1.
    pub(crate) line: Option<u32>,
    /// The builder's error, redacted and shortened.
    pub(crate) error: String,
}

impl DockerfileStep {
    /// In words, such as `step 2/5, line 7`. Empty if neither is known. Without text from the log, because others read it too.
    pub(crate) fn position(&self) -> String {
        let number = self.number.as_ref().map(|number| format!("step {number}"));
        let line = self.line.map(|line| format!("line {line}"));
        [number, line].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// The instruction, if it is known, and the builder's error.
    pub(crate) fn detail(&self) -> String {
        match &self.instruction {
            Some(instruction) => format!("`{instruction}`: {}", self.error),
            None => self.error.clone(),
        }
    }
}

/// `None` if the lines show no error of the builder.
pub(crate) fn failed_dockerfile_step<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<DockerfileStep> {
    let mut started: Option<(&str, &str)> = None;
    let mut named: Option<(&str, &str)> = None;
    let mut quoted = None;
    let mut line = None;
    let mut error = None;
    for text in lines.into_iter().map(str::trim) {
        if let Some(step) = starts_step(text) {
            started = Some(step);
        } else if let Some(step) = text.strip_prefix("> ").and_then(bracketed) {
            named = Some((step.0, step.1.trim_end_matches(':')));
        } else if let Some(number) = text.strip_prefix("Dockerfile:").and_then(|number| number.parse().ok()) {
            line = Some(number);
        } else if is_error(text) {
            error = Some(text);
            quoted = text.split_once("at STEP \"").and_then(|(_, rest)| Some(rest.split_once("\": ")?.0));
            line = line.or_else(|| parse_error_line(text));
        }
    }
    let error = error?;
    // A file that cannot be parsed has no steps. BuildKit runs steps in parallel and names the one that failed; the others
    // run steps in order.
    let (number, instruction) = match (named, started) {
        _ if parse_error_line(error).is_some() => (None, None),
        (Some((number, instruction)), _) => (Some(number), Some(instruction)),
        (None, Some((number, instruction))) => (Some(number), Some(quoted.unwrap_or(instruction))),
        (None, None) => (None, quoted),
    };
    let redacted = |text: &str| redact::text(text, CHARACTERS);
    Some(DockerfileStep {
        instruction: instruction.map(redacted).filter(|instruction| !instruction.is_empty()),
        number: number.map(str::to_owned),
        line,
        error: redacted(error),
    })
}

/// `Step 3/5 : RUN …` of docker's classic builder, `STEP 3/5: RUN …` of buildah.
fn starts_step(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("Step ").or_else(|| text.strip_prefix("STEP "))?;
    let (number, instruction) = rest.split_once(':')?;
    let number = number.trim_end();
    is_number(number).then_some((number, instruction.trim()))
}

/// `[2/5] RUN …` or `[builder 2/5] RUN …` of BuildKit.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let (name, instruction) = text.strip_prefix('[')?.split_once(']')?;
    let number = name.rsplit(' ').next().unwrap_or(name);
    is_number(number).then_some((number, instruction.trim()))
}

fn is_number(text: &str) -> bool {
    text.len() < 10
        && text.split_once('/').is_some_and(|(step, of)| [step, of].iter().all(|part| part.parse::<u16>().is_ok()))
}

fn is_error(text: &str) -> bool {
    ["ERROR: failed to ", "Error: building at STEP", "Error: creating build container", "Error response from daemon: "]
        .iter()
        .any(|start| text.starts_with(start))
        || (text.starts_with("The command '") && text.contains("returned a non-zero code"))
        || text.starts_with("COPY failed: ")
        || text.starts_with("ADD failed: ")
}

/// `dockerfile parse error on line 3: unknown instruction: RUNN`, with and without `on`.
fn parse_error_line(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("parse error ")?;
    let digits = rest.trim_start_matches("on ").strip_prefix("line ")?;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(log: &str) -> DockerfileStep {
        failed_dockerfile_step(log.lines()).unwrap()
    }

    #[test]
    fn buildkit_names_the_step_and_the_line() {
        let step = found(
            "#7 [2/3] RUN pip install -r requirements.txt\n#7 0.9 ERROR: No matching distribution found for numpyy\n\
             #8 [other 1/2] COPY . .\n#8 DONE 0.1s\n\
             #7 ERROR: process \"/bin/sh -c pip install -r requirements.txt\" did not complete successfully: exit code: 1\n\
             ------\n > [2/3] RUN pip install -r requirements.txt:\n0.9 ERROR: No matching distribution found for numpyy\n\
             ------\nDockerfile:3\n--------------------\n   3 | >>> RUN pip install -r requirements.txt\n--------------------\n\
             ERROR: failed to solve: process \"/bin/sh -c pip install -r requirements.txt\" did not complete successfully: exit code: 1\n",
        );
        assert_eq!(step.position(), "step 2/3, line 3");
        assert!(step.detail().starts_with("`RUN pip install -r requirements.txt`: "), "{}", step.detail());
        assert!(step.error.ends_with("did not complete successfully: exit code: 1"), "{}", step.error);
        let step = found(" > [builder 4/9] COPY a b:\nERROR: failed to build: failed to solve: \"/a\": not found");
        assert_eq!(step.position(), "step 4/9");
        assert!(step.detail().starts_with("`COPY a b`: "), "{}", step.detail());
    }

    #[test]
    fn the_classic_builder_names_the_step() {
        let step = found(
            "Step 1/2 : FROM busybox\n ---> 1\nStep 2/2 : RUN false\n ---> Running in 2\n\
             The command '/bin/sh -c false' returned a non-zero code: 1\n",
        );
        assert_eq!(step.position(), "step 2/2");
        assert!(step.detail().starts_with("`RUN false`: "), "{}", step.detail());
        let step = found("Step 2/3 : COPY a b\nCOPY failed: file not found in build context");
        assert_eq!(step.position(), "step 2/3");
        assert!(step.detail().starts_with("`COPY a b`: "), "{}", step.detail());
    }

    #[test]
    fn buildah_names_the_step() {
        let step = found(
            "STEP 1/2: FROM busybox\nSTEP 2/2: RUN cat requirements.txt\ncat: can't open 'requirements.txt'\n\
             Error: building at STEP \"RUN cat requirements.txt\": while running runtime: exit status 1\n",
        );
        assert_eq!(step.position(), "step 2/2");
        assert!(step.detail().starts_with("`RUN cat requirements.txt`: "), "{}", step.detail());
        let copied = found(
            "STEP 1/1: COPY a /a\nError: building at STEP \"COPY a /a\": checking on sources under \"/tmp/b\": copier: stat: \"/a\": no such file\n",
        );
        assert_eq!(copied.position(), "step 1/1");
        assert!(copied.detail().starts_with("`COPY a /a`: "), "{}", copied.detail());
    }

    #[test]
    fn a_file_that_cannot_be_parsed_has_only_a_line() {
        for log in [
            "ERROR: failed to solve: dockerfile parse error on line 3: unknown instruction: RUNN",
            "Error response from daemon: dockerfile parse error line 3: unknown instruction: RUNN",
        ] {
            assert_eq!(found(log).position(), "line 3");
        }
    }

    #[test]
    fn a_failure_outside_the_builder_has_no_step() {
        assert_eq!(failed_dockerfile_step(["Step 1/1 : FROM x", "The image is for linux/arm64"]), None);
    }

    proptest! {
        #[test]
        fn any_log_is_read(lines in prop::collection::vec(
            "(Step |STEP |> \\[|ERROR: failed to |Error: building at STEP \"|Dockerfile:|dockerfile parse error line )?.{0,40}", 0..20)) {
            if let Some(step) = failed_dockerfile_step(lines.iter().map(String::as_str)) {
                let is_plain = |char: char| char.is_ascii_alphanumeric() || " /,".contains(char);
                prop_assert!(step.position().len() < 40 && step.position().chars().all(is_plain), "{}", step.position());
                prop_assert!(step.detail().chars().count() < 500 && !step.detail().chars().any(char::is_control));
            }
        }
    }
}
