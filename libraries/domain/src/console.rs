//! Links into the AWS console. They name the account and its resources, so only operators may see them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The AWS console of a region.
///
/// ```
/// # use domain::console::Console;
/// let url = Console::of_region("eu-west-1").training_job("x2d-0-1");
/// assert_eq!(url, "https://eu-west-1.console.aws.amazon.com/sagemaker/home?region=eu-west-1#/jobs/x2d-0-1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    host: String,
    region: String,
}

impl Console {
    /// The partitions of China and of the US government have their own hosts:
    /// <https://docs.aws.amazon.com/awsconsolehelpdocs/latest/gsg/working-with-console.html>.
    #[must_use]
    pub fn of_region(region: &str) -> Self {
        let host = if region.starts_with("cn-") {
            format!("{region}.console.amazonaws.cn")
        } else if region.starts_with("us-gov-") {
            format!("{region}.console.amazonaws-us-gov.com")
        } else {
            format!("{region}.console.aws.amazon.com")
        };
        Self { host, region: region.to_owned() }
    }

    /// The page of an execution.
    #[must_use]
    pub fn execution(&self, arn: &str) -> String {
        self.url("states/home", &format!("#/v2/executions/details/{arn}"))
    }

    /// The page of a training job.
    #[must_use]
    pub fn training_job(&self, name: &str) -> String {
        self.url("sagemaker/home", &format!("#/jobs/{}", percent_encoded(name)))
    }

    /// The page of a build. `None` unless the ARN has the form `arn:…:build/PROJECT:UUID`.
    #[must_use]
    pub fn build(&self, arn: &str) -> Option<String> {
        let mut parts = arn.splitn(6, ':').skip(4);
        let (account, id) = (parts.next()?, parts.next()?.strip_prefix("build/")?);
        let (project, _) = id.split_once(':')?;
        let path = format!(
            "codesuite/codebuild/{}/projects/{}/build/{}/",
            percent_encoded(account),
            percent_encoded(project),
            percent_encoded(id)
        );
        Some(self.url(&path, ""))
    }

    /// The page of one log stream, or of the streams whose names start with a prefix.
    #[must_use]
    pub fn log(&self, group: &str, stream: &LogName<'_>) -> String {
        // The console expects its fragment percent-encoded twice, with `$` in place of the second `%`.
        let twice = |name: &str| percent_encoded(&percent_encoded(name)).replace('%', "$");
        let group = twice(group);
        let streams = format!("#logsV2:log-groups/log-group/{group}");
        let fragment = match stream {
            LogName::Whole(name) => format!("{streams}/log-events/{}", twice(name)),
            LogName::Prefix(prefix) => format!("{streams}$3FlogStreamNameFilter$3D{}", twice(prefix)),
        };
        self.url("cloudwatch/home", &fragment)
    }

    fn url(&self, path: &str, fragment: &str) -> String {
        format!("https://{}/{path}?region={}{fragment}", self.host, self.region)
    }
}

/// The name of a log stream, or its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogName<'a> {
    Whole(&'a str),
    Prefix(&'a str),
}

/// All characters except the unreserved ones of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_link_has_account_project_and_id() {
        let console = Console::of_region("us-east-1");
        assert_eq!(
            console.build("arn:aws:codebuild:us-east-1:123456789012:build/mm-build:0aa-1").as_deref(),
            Some(
                "https://us-east-1.console.aws.amazon.com/codesuite/codebuild/123456789012/projects/mm-build/build/mm-build%3A0aa-1/?region=us-east-1"
            )
        );
        for arn in ["", "mm-build:0aa-1", "arn:aws:codebuild:us-east-1:123456789012:project/mm-build"] {
            assert_eq!(console.build(arn), None, "{arn}");
        }
    }

    #[test]
    fn log_names_are_encoded_twice() {
        let console = Console::of_region("us-east-1");
        assert_eq!(
            console.log("/aws/codebuild/mm", &LogName::Whole("0aa-1")),
            "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logsV2:log-groups/log-group/$252Faws$252Fcodebuild$252Fmm/log-events/0aa-1"
        );
        let job = console.log("/aws/sagemaker/TrainingJobs", &LogName::Prefix("x-0-1/"));
        assert!(job.ends_with("$252Faws$252Fsagemaker$252FTrainingJobs$3FlogStreamNameFilter$3Dx-0-1$252F"), "{job}");
    }

    #[test]
    fn every_partition_has_its_own_host() {
        for (region, host) in [
            ("eu-central-1", "https://eu-central-1.console.aws.amazon.com/"),
            ("cn-north-1", "https://cn-north-1.console.amazonaws.cn/"),
            ("us-gov-west-1", "https://us-gov-west-1.console.amazonaws-us-gov.com/"),
        ] {
            assert!(Console::of_region(region).execution("arn:x").starts_with(host), "{region}");
        }
    }
}
