//! Verifying a deployed stack with two submissions of a test challenge.

mod before;
mod checklist;
mod deployment;
mod plan;
mod prerequisites;
mod settings;
mod submission;
mod watched;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use aws_sdk_ecr::types::ImageIdentifier;
use aws_sdk_sagemaker::types::TrainingJobStatus;
use aws_sdk_sfn::types::ExecutionStatus;
use clap::Args;
use domain::outcome::{Outcome, Status};
use domain::{FailureCode, SubmissionId};
use runtime::CallFailed;

use crate::deployed::DeployedStack;
use crate::{INTERRUPTED, WrongUsage};
use checklist::{Checklist, Verdict};
use deployment::Deployment;
use settings::ChallengeSettings;
use submission::Ended;

/// What an emulator does not have, and which check that leaves out.
const EMULATOR_LACKS: [(&str, &str); 9] = [
    ("build-quota", "the emulator has no quotas"),
    ("training-quota", "the emulator has no quotas"),
    ("good-training", "the emulator does not describe training jobs"),
    ("metrics", "the emulator makes no metrics of log lines"),
    ("alarm", "the emulator makes no metrics of log lines"),
    ("redrive", "the emulator cannot redrive"),
    ("broken-outcome", "the execution was not redriven"),
    ("broken-review", "the execution was not redriven"),
    ("training-log-retention", "the emulator keeps no logs"),
];

/// Verify a deployed stack from its settings to the outcome of two submissions
///
/// Checks the stack's functions, event source, quotas, secrets, buckets and key. Then it delivers the messages of two submissions of a
/// test challenge, compares image, model, outcome, review, logs and metrics, causes a fault of the platform by invalid settings of that
/// challenge, restores them, and redrives. Prints what it checks, and what to do about each failed check. Uses the AWS credentials and
/// region of the environment. --plan shows everything that it calls and causes.
///
/// To get the two ids, pack samples/submissions/regression (good) and samples/submissions/failing-training (broken), upload both to a
/// challenge with no other participant, and wait for the antivirus scan. A stack that reads this challenge's messages has to have
/// its Kafka mapping off, or the ids will have run before.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  marathon verify --plan
  marathon verify --stack marathon-match-staging --good ID --broken ID

Exit status:
  0    every check passed, perhaps with warnings
  1    a check failed, or AWS could not be reached
  2    wrong usage
  130  interrupted; the challenge's settings are restored")]
pub(crate) struct Verify {
    /// The stack's name
    #[arg(long, required_unless_present = "plan")]
    stack: Option<String>,
    /// A submission that completes, such as the sample `regression`
    #[arg(long, value_name = "ID", required_unless_present = "plan")]
    good: Option<SubmissionId>,
    /// A submission that is rejected, such as the sample `failing-training`
    #[arg(long, value_name = "ID", required_unless_present = "plan")]
    broken: Option<SubmissionId>,
    /// Minutes that each submission may take
    #[arg(long, default_value_t = 120, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=10_080))]
    timeout: u64,
    /// Only show what would be called, changed and paid
    #[arg(long)]
    plan: bool,
    /// Print the checks as JSON on standard output, and progress on standard error
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(crate) async fn run(self, interrupted: impl Future<Output = Result<()>>) -> Result<ExitCode> {
        if self.plan {
            println!("{}", plan::PLAN);
            return Ok(ExitCode::SUCCESS);
        }
        let (Some(stack), Some(good), Some(broken)) = (self.stack, self.good, self.broken) else {
            unreachable!("invariant: clap requires them without --plan")
        };
        if good == broken {
            return Err(WrongUsage("--good and --broken are the same submission".to_owned()).into());
        }
        let stack = DeployedStack::of_name(&stack).await?;
        let mut run = VerificationRun {
            deployment: Deployment::read(stack).await?,
            good,
            broken,
            limit: Duration::from_mins(self.timeout),
            begun: SystemTime::now(),
            list: Checklist::new(self.json),
        };
        let mut interrupted = std::pin::pin!(interrupted);
        let done = run.all(interrupted.as_mut()).await;
        run.list.finish()?;
        match done? {
            Done::Interrupted => Ok(ExitCode::from(INTERRUPTED)),
            Done::ToTheEnd if run.list.has_failed() => Ok(ExitCode::FAILURE),
            Done::ToTheEnd => Ok(ExitCode::SUCCESS),
        }
    }
}

/// Whether the run reached its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    ToTheEnd,
    Interrupted,
}

struct VerificationRun {
    deployment: Deployment,
    good: SubmissionId,
    broken: SubmissionId,
    /// For each execution.
    limit: Duration,
    begun: SystemTime,
    list: Checklist,
}

impl VerificationRun {
    async fn all(&mut self, mut interrupted: impl Future<Output = Result<()>> + Unpin) -> Result<Done> {
        let (good, broken) = (self.good.clone(), self.broken.clone());
        let parameter = tokio::select! {
            before = self.before() => before?,
            done = &mut interrupted => return done.map(|()| Done::Interrupted),
        };
        let Some(parameter) = parameter else {
            self.list.say(&"    Nothing was started: fix the failed checks first.");
            return Ok(Done::ToTheEnd);
        };
        tokio::select! {
            done = self.complete(&good) => done?,
            done = &mut interrupted => return done.map(|()| Done::Interrupted),
        }

        let settings = ChallengeSettings::read(aws_sdk_ssm::Client::new(&self.deployment.stack.aws), parameter).await;
        let settings = match settings {
            Ok(settings) => settings,
            Err(failed) => {
                self.list.add("settings-restored", Verdict::of_failed_call(&failed));
                return Ok(Done::ToTheEnd);
            }
        };
        let saved = settings.save(&std::env::current_dir()?)?;
        self.list.say(&format!(
            "    The challenge's settings become invalid now and are restored. If this command is killed, restore them with\n      {}",
            saved.by_hand
        ));
        let done = if let Err(failed) = settings.invalidate().await {
            self.list.add("fault", Verdict::of_failed_call(&failed));
            Ok(Done::ToTheEnd)
        } else {
            tokio::select! {
                done = self.fault(&broken) => done.map(|()| Done::ToTheEnd),
                done = &mut interrupted => done.map(|()| Done::Interrupted),
            }
        };
        let restored = match settings.restore().await {
            Ok(true) => {
                saved.delete();
                Verdict::passed("the challenge has its settings again")
            }
            Ok(false) => Verdict::failed("the challenge has other settings than before", saved.by_hand),
            Err(failed) => Verdict::failed(failed.to_string(), saved.by_hand),
        };
        self.list.add("settings-restored", restored);
        if done? == Done::Interrupted {
            return Ok(Done::Interrupted);
        }
        tokio::select! {
            done = self.redrive(&broken) => done?,
            done = &mut interrupted => return done.map(|()| Done::Interrupted),
        }
        tokio::select! {
            () = self.watched() => {},
            done = &mut interrupted => return done.map(|()| Done::Interrupted),
        }
        Ok(Done::ToTheEnd)
    }

    /// Adds a check, unless the emulator cannot do it.
    async fn check(&mut self, name: &'static str, check: impl AsyncFnOnce(&Deployment) -> Result<Verdict, CallFailed>) {
        let lacking = EMULATOR_LACKS.iter().find(|(lacking, _)| *lacking == name && DeployedStack::is_emulated());
        let verdict = match lacking {
            Some((_, reason)) => Verdict::skipped(*reason),
            None => match check(&self.deployment).await {
                Ok(verdict) => verdict,
                Err(failed) => Verdict::of_failed_call(&failed),
            },
        };
        self.list.add(name, verdict);
    }

    /// Lets the good submission run, and compares everything that it left.
    async fn complete(&mut self, id: &SubmissionId) -> Result<()> {
        submission::announce(&self.deployment, id).await?;
        self.list.say(&format!("    delivered the message of {id} to intake"));
        let ended = submission::follow(&self.deployment, id, self.limit, &self.list).await?;
        self.list.add("good-execution", ended_as(&ExecutionStatus::Succeeded, &ended));
        let Some(outcome) = self.outcome("good-outcome", id, Status::Completed).await else { return Ok(()) };
        self.check("good-image", async |deployment| {
            let ecr = aws_sdk_ecr::Client::new(&deployment.stack.aws);
            let latest = ImageIdentifier::builder().image_tag("latest").build();
            let images = ecr.describe_images().repository_name(id.aws_safe().as_str()).image_ids(latest).send().await;
            let images = images.map_err(|error| CallFailed::new("ECR", "DescribeImages", &error))?;
            Ok(submission::image(&outcome, images.image_details().first().and_then(|image| image.image_digest())))
        })
        .await;
        self.check("good-training", async |deployment| {
            let Some(training) = &outcome.training else {
                return Ok(Verdict::failed("the outcome names no training job", "Read the execution's history."));
            };
            let sagemaker = aws_sdk_sagemaker::Client::new(&deployment.stack.aws);
            let job = sagemaker.describe_training_job().training_job_name(&training.job_name).send().await;
            let job = job.map_err(|error| CallFailed::new("SageMaker", "DescribeTrainingJob", &error))?;
            let image = job.algorithm_specification().and_then(|algorithm| algorithm.training_image());
            let status = job.training_job_status().map(TrainingJobStatus::as_str);
            Ok(submission::training(&outcome, status.unwrap_or("unknown"), image.unwrap_or("nothing")))
        })
        .await;
        self.check("good-model", async |deployment| {
            let uri = outcome.training.as_ref().map(|training| training.model_uri.as_str());
            let place = uri.and_then(|uri| uri.strip_prefix("s3://")?.split_once('/'));
            let Some((bucket, key)) = place else { return Ok(submission::model(uri, None)) };
            let head = deployment.stack.s3.head_object().bucket(bucket).key(key).send().await;
            let head = head.map_err(|error| CallFailed::new("S3", "HeadObject", &error))?;
            Ok(submission::model(uri, head.content_length()))
        })
        .await;
        self.reported("good-review", id, &outcome).await;
        let begun = self.begun;
        self.check("logs", async |deployment| {
            let logs = aws_sdk_cloudwatchlogs::Client::new(&deployment.stack.aws);
            for part in ["intake", "fetch", "report"] {
                let group = format!("/aws/lambda/{}", deployment.stack.function(part));
                if submission::log_lines(&logs, &group, id, begun).await? == 0 {
                    let to_do = "Check LogLevel and that the function's role may write to its log group.";
                    return Ok(Verdict::failed(format!("{group} has no line with the id"), to_do));
                }
            }
            Ok(Verdict::passed("intake, fetch and report logged the id"))
        })
        .await;
        Ok(())
    }

    /// Lets the broken submission meet invalid settings.
    async fn fault(&mut self, id: &SubmissionId) -> Result<()> {
        submission::announce(&self.deployment, id).await?;
        self.list.say(&format!("    delivered the message of {id} to intake"));
        let ended = submission::follow(&self.deployment, id, self.limit, &self.list).await?;
        self.list.add("fault", failed_as(FailureCode::ScoringFault, &ended));
        if let Some(outcome) = self.outcome("fault-outcome", id, Status::Failed).await {
            self.reported("fault-review", id, &outcome).await;
        }
        Ok(())
    }

    /// Continues the failed execution after the settings were restored.
    async fn redrive(&mut self, id: &SubmissionId) -> Result<()> {
        self.check("redrive", async |deployment| {
            let redriven = deployment.sfn.redrive_execution().execution_arn(deployment.execution(id)).send().await;
            redriven.map_err(|error| CallFailed::new("Step Functions", "RedriveExecution", &error))?;
            Ok(Verdict::passed("the failed execution goes on"))
        })
        .await;
        if DeployedStack::is_emulated() {
            for name in ["broken-outcome", "broken-review"] {
                self.check(name, async |_| Ok(Verdict::passed(""))).await;
            }
            return Ok(());
        }
        let ended = submission::follow(&self.deployment, id, self.limit, &self.list).await?;
        self.list.add("broken-execution", ended_as(&ExecutionStatus::Succeeded, &ended));
        if let Some(outcome) = self.outcome("broken-outcome", id, Status::Rejected).await {
            self.reported("broken-review", id, &outcome).await;
        }
        Ok(())
    }

    async fn outcome(&mut self, name: &'static str, id: &SubmissionId, expected: Status) -> Option<Outcome> {
        match submission::outcome(&self.deployment, id).await {
            Ok(outcome) => {
                self.list.add(name, submission::outcome_is(expected, &outcome));
                Some(outcome)
            }
            Err(failed) => {
                self.list.add(name, Verdict::of_failed_call(&failed));
                None
            }
        }
    }

    async fn reported(&mut self, name: &'static str, id: &SubmissionId, outcome: &Outcome) {
        let verdict = match self.deployment.reported(id).await {
            Ok(found) => submission::reported(&self.deployment.report, outcome, &found),
            Err(error) => Verdict::failed(error.to_string(), "docs/troubleshooting.md explains the failure code."),
        };
        self.list.add(name, verdict);
    }
}

fn ended_as(expected: &ExecutionStatus, ended: &Ended) -> Verdict {
    let error = ended.error.as_ref().map(|error| format!(" with {error}")).unwrap_or_default();
    let found = format!("the execution {}{error}", ended.status.as_str());
    if ended.status == *expected {
        Verdict::passed(found)
    } else {
        Verdict::failed(
            found,
            "Open it in the Step Functions console; docs/troubleshooting.md explains the failure code.",
        )
    }
}

fn failed_as(expected: FailureCode, ended: &Ended) -> Verdict {
    let is_expected = ended.status == ExecutionStatus::Failed && ended.error.as_deref() == Some(expected.as_str());
    let error = ended.error.as_deref().unwrap_or("no error");
    if is_expected {
        Verdict::passed(format!("invalid settings fail the execution with {error}"))
    } else {
        Verdict::failed(
            format!("invalid settings end the execution as {} with {error}", ended.status.as_str()),
            "Open it in the Step Functions console.",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_execution_gets_its_verdict() {
        let ended = |status: ExecutionStatus, error: Option<&str>| Ended { status, error: error.map(str::to_owned) };
        let verdicts = [
            ended_as(&ExecutionStatus::Succeeded, &ended(ExecutionStatus::Succeeded, None)),
            ended_as(&ExecutionStatus::Succeeded, &ended(ExecutionStatus::Failed, Some("QuotaExceeded"))),
            failed_as(FailureCode::ScoringFault, &ended(ExecutionStatus::Failed, Some("ScoringFault"))),
            failed_as(FailureCode::ScoringFault, &ended(ExecutionStatus::Succeeded, None)),
            failed_as(FailureCode::ScoringFault, &ended(ExecutionStatus::Failed, Some("Internal"))),
        ];
        insta::assert_snapshot!(verdicts.map(|verdict| format!("{verdict:?}")).join("\n"));
    }
}
