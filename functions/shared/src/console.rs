//! Where AWS' consoles show things. Links are for operators: they name the account and its resources.

use std::fmt::Write as _;

/// The console of a region, by its host and its own address for it.
///
/// ```
/// # use shared::console::Console;
/// let url = Console::of_region("eu-west-1").training_job("x2d-0-1");
/// assert_eq!(url, "https://eu-west-1.console.aws.amazon.com/sagemaker/home?region=eu-west-1#/jobs/x2d-0-1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    host: String,
    region: String,
}

impl Console {
    /// The console of this region. Partitions other than the commercial one have hosts of their own:
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

    /// An execution, by its ARN.
    #[must_use]
    pub fn execution(&self, arn: &str) -> String {
        self.url("states/home", &format!("#/v2/executions/details/{arn}"))
    }

    /// A training job, by its name.
    #[must_use]
    pub fn training_job(&self, name: &str) -> String {
        self.url("sagemaker/home", &format!("#/jobs/{}", percent_encoded(name)))
    }

    /// A build, by its ARN `arn:…:build/PROJECT:UUID`; nothing if it is none.
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

    /// A log stream, by its group's and its own name, or a log group's streams that start with a name.
    #[must_use]
    pub fn log(&self, group: &str, stream: &LogName<'_>) -> String {
        // The console wants its fragment encoded twice, with `$` for the second time's `%`.
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

/// What is known of a log stream's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogName<'a> {
    /// All of it.
    Whole(&'a str),
    /// How it starts.
    Prefix(&'a str),
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_shown_by_account_project_and_id() {
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
    fn names_of_logs_are_encoded_twice() {
        let console = Console::of_region("us-east-1");
        assert_eq!(
            console.log("/aws/codebuild/mm", &LogName::Whole("0aa-1")),
            "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logsV2:log-groups/log-group/$252Faws$252Fcodebuild$252Fmm/log-events/0aa-1"
        );
        let job = console.log("/aws/sagemaker/TrainingJobs", &LogName::Prefix("x-0-1/"));
        assert!(job.ends_with("$252Faws$252Fsagemaker$252FTrainingJobs$3FlogStreamNameFilter$3Dx-0-1$252F"), "{job}");
    }

    #[test]
    fn every_partition_has_its_console() {
        for (region, host) in [
            ("eu-central-1", "https://eu-central-1.console.aws.amazon.com/"),
            ("cn-north-1", "https://cn-north-1.console.amazonaws.cn/"),
            ("us-gov-west-1", "https://us-gov-west-1.console.amazonaws-us-gov.com/"),
        ] {
            assert!(Console::of_region(region).execution("arn:x").starts_with(host), "{region}");
        }
    }
}
