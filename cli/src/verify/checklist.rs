//! What was checked and what came of it.

use std::fmt::{self, Display, Formatter};

use anstyle::AnsiColor;
use runtime::CallFailed;
use serde::Serialize;

/// What came of a check. The texts are sentences or fragments for operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "result")]
pub(crate) enum Verdict {
    Passed {
        found: String,
    },
    /// The stack works, but an operator should know.
    Warned {
        found: String,
        to_do: String,
    },
    Failed {
        found: String,
        to_do: String,
    },
    Skipped {
        reason: String,
    },
}

impl Verdict {
    pub(crate) fn passed(found: impl Into<String>) -> Self {
        Self::Passed { found: found.into() }
    }

    pub(crate) fn warned(found: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self::Warned { found: found.into(), to_do: to_do.into() }
    }

    pub(crate) fn failed(found: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self::Failed { found: found.into(), to_do: to_do.into() }
    }

    pub(crate) fn skipped(reason: impl Into<String>) -> Self {
        Self::Skipped { reason: reason.into() }
    }

    pub(crate) fn of_failed_call(failed: &CallFailed) -> Self {
        if failed.code.starts_with("AccessDenied") || failed.code == "UnauthorizedOperation" {
            let action = action(failed);
            Self::failed(
                format!("{action} is denied"),
                format!("Allow {action} for whoever runs this command: docs/deploying.md lists all its actions."),
            )
        } else {
            Self::failed(
                failed.to_string(),
                "Check the region, the credentials and the network, then run this command again.",
            )
        }
    }
}

/// The IAM action that a call needs: <https://docs.aws.amazon.com/service-authorization/latest/reference/>.
fn action(call: &CallFailed) -> String {
    let action = match (call.service, call.operation) {
        ("S3", "ListObjectsV2") => "ListBucket",
        ("S3", "HeadObject") => "GetObject",
        ("S3", "GetBucketLifecycleConfiguration") => "GetLifecycleConfiguration",
        (_, operation) => operation,
    };
    let prefix = match call.service {
        "CloudWatch Logs" => "logs".to_owned(),
        "Step Functions" => "states".to_owned(),
        service => service.to_ascii_lowercase().replace(' ', ""),
    };
    format!("{prefix}:{action}")
}

/// A check by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
}

impl Display for Check {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (color, mark, found) = match &self.verdict {
            Verdict::Passed { found } => (AnsiColor::Green, '✓', found),
            Verdict::Warned { found, .. } => (AnsiColor::Yellow, '!', found),
            Verdict::Failed { found, .. } => (AnsiColor::Red, '✗', found),
            Verdict::Skipped { reason } => (AnsiColor::BrightBlack, '-', reason),
        };
        let style = color.on_default().bold();
        write!(f, "  {style}{mark}{style:#} {:<22} {found}", self.name)?;
        if let Verdict::Warned { to_do, .. } | Verdict::Failed { to_do, .. } = &self.verdict {
            write!(f, "\n    {:<22} {to_do}", "")?;
        }
        Ok(())
    }
}

/// All checks so far. Each is shown as soon as it is known.
#[derive(Debug, Default)]
pub(crate) struct Checklist {
    json: bool,
    checks: Vec<Check>,
}

impl Checklist {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, checks: Vec::new() }
    }

    pub(crate) fn add(&mut self, name: &'static str, verdict: Verdict) {
        let check = Check { name, verdict };
        self.say(&check);
        self.checks.push(check);
    }

    #[cfg(test)]
    pub(crate) fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Shows what is happening.
    pub(crate) fn say(&self, line: &impl Display) {
        if self.json { anstream::eprintln!("{line}") } else { anstream::println!("{line}") }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.checks.iter().any(|check| matches!(check.verdict, Verdict::Failed { .. }))
    }

    /// Ends the list: the counts for people, or all checks as JSON on standard output.
    pub(crate) fn finish(&self) -> serde_json::Result<()> {
        let count = |is: fn(&Verdict) -> bool| self.checks.iter().filter(|check| is(&check.verdict)).count();
        let passed = count(|verdict| matches!(verdict, Verdict::Passed { .. }));
        let warned = count(|verdict| matches!(verdict, Verdict::Warned { .. }));
        let failed = count(|verdict| matches!(verdict, Verdict::Failed { .. }));
        let skipped = count(|verdict| matches!(verdict, Verdict::Skipped { .. }));
        self.say(&format!("\n{passed} passed, {warned} warnings, {failed} failed, {skipped} skipped"));
        if self.json {
            println!("{}", serde_json::to_string_pretty(&self.checks)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_call_names_the_action_and_any_other_failure_the_call() {
        let call = |code: &str| CallFailed {
            service: "ECR",
            operation: "DescribeImages",
            code: code.to_owned(),
            message: "no".to_owned(),
        };
        for code in ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"] {
            let Verdict::Failed { found, to_do } = Verdict::of_failed_call(&call(code)) else {
                panic!("{code} passed")
            };
            assert_eq!(found, "ecr:DescribeImages is denied");
            assert!(to_do.starts_with("Allow ecr:DescribeImages"), "{to_do}");
        }
        let Verdict::Failed { found, .. } = Verdict::of_failed_call(&call("Timeout")) else {
            panic!("a time-out passed")
        };
        assert_eq!(found, "ECR DescribeImages failed with Timeout: no");
    }

    #[test]
    fn a_check_is_one_line_and_what_to_do_is_the_next() {
        let lines: Vec<String> = [
            Verdict::passed("6 functions are active"),
            Verdict::warned("no retention", "Set one."),
            Verdict::failed("the mapping is Disabled", "Enable it."),
            Verdict::skipped("the emulator has no quotas"),
        ]
        .map(|verdict| Check { name: "functions", verdict })
        .iter()
        .map(|check| anstream::adapter::strip_str(&check.to_string()).to_string())
        .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
