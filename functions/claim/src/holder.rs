use domain::tags;

use crate::build_arn::BuildArn;

/// The tags that name the build which may use an archive or a repository: by its ARN, and by the session in which it has the role
/// of all builds. AWS documents that requests of a build carry its ARN, but not that those with ECR's token do; of these, reports
/// show the session: <https://github.com/aws-samples/aws-modern-application-workshop/issues/95>. Either is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder([(&'static str, String); 2]);

impl Holder {
    /// `role` is the unique id of the role, as `aws:userid` has it:
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-userid>.
    pub(crate) fn new(build: &BuildArn, role: &str) -> Self {
        let session = format!("{role}:AWSCodeBuild-{}", build.uuid());
        Self([(tags::BUILD, build.as_str().to_owned()), (tags::BUILD_SESSION, session)])
    }

    pub(crate) fn tags(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// Whether a tag names a build, this or another.
    pub(crate) fn has_key(&self, key: &str) -> bool {
        self.tags().any(|(own, _)| own == key)
    }

    /// Whether a tag names this build.
    pub(crate) fn has(&self, key: &str, value: &str) -> bool {
        self.tags().any(|own| own == (key, value))
    }
}
