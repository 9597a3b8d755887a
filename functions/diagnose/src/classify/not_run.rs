//! Images whose `train` could not be run, and why. Pure.

use domain::FailureCode;

use super::Classification;

/// Beginnings of the lines that the container runtime, podman or docker write when they cannot run the program: see
/// <https://github.com/opencontainers/runc/blob/main/libcontainer/standard_init_linux.go>.
const OF_RUNTIME: [&str; 9] = [
    "exec ",
    "standard_init_linux.go:",
    "runc create failed: ",
    "crun: ",
    "Error: runc: ",
    "Error: crun: ",
    "Error: OCI runtime error: ",
    "docker: Error response from daemon: ",
    "Run 'docker run --help'",
];

/// Why `train` could not be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotRun {
    /// There is no program of this name that can be executed.
    NotFound,
    NoInterpreter,
    NotExecutable,
    /// Neither a program for this processor nor a script with an interpreter.
    OtherFormat,
}

impl NotRun {
    /// The exit statuses of containers that could not be started: see
    /// <https://docs.docker.com/engine/containers/run/#exit-status>.
    pub(super) fn of_exit_status(status: &str) -> Option<Self> {
        match status {
            "126" => Some(Self::NotExecutable),
            "127" => Some(Self::NotFound),
            _ => None,
        }
    }

    fn of_line(line: &str) -> Option<Self> {
        let line = line.trim_end().trim_end_matches('"');
        let ends = |end: &str| line.ends_with(end);
        if line.contains("executable file not found in $PATH") {
            Some(Self::NotFound)
        } else if ends("no such file or directory") {
            Some(Self::NoInterpreter)
        } else if ends("exec format error") {
            Some(Self::OtherFormat)
        } else if ends("permission denied") {
            Some(Self::NotExecutable)
        } else {
            None
        }
    }
}

/// What a log says about whether the program ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InLog {
    /// Only the container runtime wrote something: why the program did not run.
    NotRun(NotRun),
    /// The program wrote something.
    Ran,
    Unknown,
}

impl InLog {
    pub(super) fn read<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut why = None;
        for line in lines.filter(|line| !line.trim().is_empty()) {
            if !OF_RUNTIME.iter().any(|start| line.starts_with(start)) {
                return Self::Ran;
            }
            why = why.or_else(|| NotRun::of_line(line));
        }
        why.map_or(Self::Unknown, Self::NotRun)
    }
}

/// The image cannot be used; `None` if nothing says why.
pub(super) fn unusable(why: Option<NotRun>) -> Classification {
    let advice = match why {
        Some(NotRun::NotFound) => {
            "it was not found on the PATH, or is not executable. Put `train` on the PATH or make it the entry point, and add `RUN chmod 755 PATH_OF_TRAIN` to the Dockerfile."
        }
        Some(NotRun::NoInterpreter) => {
            "its interpreter was not found. If it is a script, install the interpreter that its first line names, and save it with Unix line endings: with Windows line endings, the interpreter is not found."
        }
        Some(NotRun::NotExecutable) => "it is not executable. Add `RUN chmod 755 PATH_OF_TRAIN` to the Dockerfile.",
        Some(NotRun::OtherFormat) => {
            "it is built for another platform, or it is a script whose first line names no interpreter. Build the image with `docker build --platform linux/amd64`, or begin the script with a line such as `#!/bin/sh`."
        }
        None => {
            "it was not found on the PATH, is not executable, or its interpreter was not found. Put `train` on the PATH or make it the entry point, and add `RUN chmod 755 PATH_OF_TRAIN` to the Dockerfile. If it is a script, install the interpreter that its first line names, and save it with Unix line endings: with Windows line endings, the interpreter is not found. Build the image for linux/amd64."
        }
    };
    Classification::new(
        FailureCode::ImageUnusable,
        format!(
            "The image could not run `train`: {advice} Check the image with `docker run IMAGE train`, then submit again."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> InLog {
        InLog::read(lines.iter().copied())
    }

    #[test]
    fn the_lines_of_the_container_runtime_say_why_the_program_never_started() {
        let podman = "Error: runc: runc create failed: unable to start container process: exec: \"train\": executable file not found in $PATH: OCI runtime attempted to invoke a command that was not found";
        for (line, why) in [
            ("exec /bin/train: no such file or directory", NotRun::NoInterpreter),
            ("exec train: exec format error\r", NotRun::OtherFormat),
            ("exec /train: permission denied", NotRun::NotExecutable),
            ("standard_init_linux.go:228: exec user process caused: no such file or directory", NotRun::NoInterpreter),
            ("standard_init_linux.go:211: exec user process caused \"exec format error\"", NotRun::OtherFormat),
            (podman, NotRun::NotFound),
        ] {
            assert_eq!(of(&[line, ""]), InLog::NotRun(why), "{line}");
            assert_eq!(of(&["hello", line]), InLog::Ran, "the program wrote a line before it");
        }
        assert_eq!((of(&[]), of(&["exec /bin/train"])), (InLog::Unknown, InLog::Unknown));
        assert_eq!(of(&["cat: x: no such file or directory"]), InLog::Ran);
    }

    #[test]
    fn each_cause_has_advice_of_its_own() {
        use NotRun::{NoInterpreter, NotExecutable, NotFound, OtherFormat};
        let all = [Some(NotFound), Some(NoInterpreter), Some(NotExecutable), Some(OtherFormat), None];
        insta::assert_snapshot!(all.map(|why| unusable(why).message.into_owned()).join("\n\n"));
    }
}
