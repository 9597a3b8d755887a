use std::fmt;

use serde::Deserialize;

/// The ARN of a build, `arn:PARTITION:codebuild:REGION:ACCOUNT:build/PROJECT:UUID`, which no other build ever has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct BuildArn(String);

/// Why a text is not the ARN of a build.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the ARN of a build")]
pub struct NotABuild(String);

impl TryFrom<String> for BuildArn {
    type Error = NotABuild;

    fn try_from(text: String) -> Result<Self, NotABuild> {
        let parts: Vec<&str> = text.split(':').collect();
        let is_word = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        match parts.as_slice() {
            ["arn", partition, "codebuild", region, account, resource, uuid]
                if [*partition, *region, *account, *uuid].into_iter().all(is_word)
                    && resource.strip_prefix("build/").is_some_and(is_word) =>
            {
                Ok(Self(text))
            }
            _ => Err(NotABuild(text)),
        }
    }
}

impl BuildArn {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `PROJECT:UUID`.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.split_once('/').expect("invariant: it has the form of a build's ARN").1
    }

    #[must_use]
    pub fn project(&self) -> &str {
        self.id().split(':').next().unwrap_or_default()
    }

    #[must_use]
    pub fn uuid(&self) -> &str {
        self.id().split(':').next_back().unwrap_or_default()
    }

    /// The ARN of a repository in the account and region of the build.
    #[must_use]
    pub fn repository(&self, name: &str) -> String {
        let parts: Vec<&str> = self.0.split(':').collect();
        format!("arn:{}:ecr:{}:{}:repository/{name}", parts[1], parts[3], parts[4])
    }
}

impl fmt::Display for BuildArn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_the_build_its_project_and_repositories_beside_it() {
        let arn = BuildArn::try_from("arn:aws-cn:codebuild:cn-north-1:123456789012:build/mm-build:0aa1-b2".to_owned());
        let arn = arn.unwrap();
        assert_eq!((arn.id(), arn.project(), arn.uuid()), ("mm-build:0aa1-b2", "mm-build", "0aa1-b2"));
        assert_eq!(arn.repository("d01c"), "arn:aws-cn:ecr:cn-north-1:123456789012:repository/d01c");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "mm-build:0aa1",
            "arn:aws:codebuild:us-east-1:123456789012:project/mm-build",
            "arn:aws:codebuild:us-east-1:123456789012:build/mm-build",
            "arn:aws:codebuild:us-east-1:123456789012:build/mm-build:",
            "arn:aws:codebuild:us-east-1:123456789012:build/:0aa1",
            "arn:aws:codebuild:us-east-1:123456789012:build/a/b:0aa1",
            "arn:aws:codebuild:us-east-1:123456789012:build-batch/mm-build:0aa1",
            "arn:aws:codebuild:us-east-1:123456789012:build/mm-build:0aa1:x",
            "arn:aws:s3:us-east-1:123456789012:build/mm-build:0aa1",
            "arn:aws:codebuild:us-east-1:123456789012:build/mm-build:0aa1\n",
            "arn:aws:codebuild:${x}:123456789012:build/mm-build:0aa1",
        ] {
            assert!(BuildArn::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }
}
