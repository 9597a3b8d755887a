//! The part of a buildspec that this repository's uses. The format:
//! <https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html>.

use serde::Deserialize;

/// A buildspec of version 0.2.
#[derive(Debug, Deserialize)]
pub(crate) struct Buildspec {
    env: Environment,
    phases: Phases,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Environment {
    exported_variables: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Phases {
    #[serde(default)]
    install: Commands,
    #[serde(default)]
    pre_build: Commands,
    #[serde(default)]
    build: Commands,
    #[serde(default)]
    post_build: Commands,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Commands {
    commands: Vec<String>,
}

/// A phase of a build, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Installs what the build needs.
    Install,
    /// Prepares the build.
    PreBuild,
    /// Builds.
    Build,
    /// Runs after the build, also after a failed one.
    PostBuild,
}

impl Phase {
    /// Every phase, in order.
    pub(crate) const ALL: [Self; 4] = [Self::Install, Self::PreBuild, Self::Build, Self::PostBuild];

    /// The phase's name in a build's description.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Install => "INSTALL",
            Self::PreBuild => "PRE_BUILD",
            Self::Build => "BUILD",
            Self::PostBuild => "POST_BUILD",
        }
    }

    /// Whether the phase runs after `failed` has failed: only `POST_BUILD` after `BUILD` does. See
    /// <https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details-phases.html>.
    #[must_use]
    pub(crate) fn runs_after(self, failed: Option<Self>) -> bool {
        failed.is_none() || (self == Self::PostBuild && failed == Some(Self::Build))
    }
}

impl Buildspec {
    /// Reads a buildspec.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        serde_saphyr::from_str(text).map_err(|error| anyhow::anyhow!("the buildspec cannot be read: {error}"))
    }

    /// The names of the variables that are handed out with the result.
    pub(crate) fn exported_variables(&self) -> &[String] {
        &self.env.exported_variables
    }

    /// The commands of a phase.
    #[must_use]
    pub(crate) fn commands(&self, phase: Phase) -> &[String] {
        match phase {
            Phase::Install => &self.phases.install.commands,
            Phase::PreBuild => &self.phases.pre_build.commands,
            Phase::Build => &self.phases.build.commands,
            Phase::PostBuild => &self.phases.post_build.commands,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_repositorys_buildspec() {
        let buildspec = Buildspec::parse(include_str!("../../../buildspec.yml")).unwrap();
        assert!(buildspec.commands(Phase::Install)[0].contains("aws lambda invoke"));
        assert!(buildspec.commands(Phase::Build)[1].starts_with("docker build "));
        assert_eq!(buildspec.exported_variables(), ["IMAGE_DIGEST", "BASE_DIGESTS"]);
        assert!(buildspec.commands(Phase::PostBuild)[0].contains("CODEBUILD_BUILD_SUCCEEDING"));
    }

    #[test]
    fn only_post_build_runs_after_a_failed_build() {
        let after = |failed| Phase::ALL.map(|phase| phase.runs_after(Some(failed)));
        assert_eq!(after(Phase::PreBuild), [false; 4]);
        assert_eq!(after(Phase::Build), [false, false, false, true]);
    }
}
