use serde::{Deserialize, Serialize};

use crate::build_arn::BuildArn;

/// The function's request. Of both forms, only the build's ARN is believed.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Request {
    /// From a build.
    Claim { build: BuildArn },
    /// From EventBridge: a build ended. See
    /// <https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-notifications-ref.html>.
    BuildEnded { detail: EndedBuild },
}

#[derive(Clone, Debug, Deserialize)]
pub struct EndedBuild {
    /// An ARN, whatever it is called.
    #[serde(rename = "build-id")]
    pub build: BuildArn,
}

/// The function's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Done {}
