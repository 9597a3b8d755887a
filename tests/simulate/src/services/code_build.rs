//! CodeBuild: builds that run, builds that queue, and builds that it refuses.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use domain::FailureCode;
use serde::Deserialize;
use serde_json::json;

use super::{Calls, throttled};
use crate::json::Json;
use crate::plan::{Plan, rates};
use crate::quota::Places;
use crate::random::Random;
use crate::step_functions::{Failure, Token};
use crate::submissions::{Index, Submissions};
use crate::time::Moment;

/// For each build that may run, as many may queue: <https://docs.aws.amazon.com/codebuild/latest/userguide/builds-working.html>.
const QUEUED_FOR_EACH: u32 = 5;
/// A build with its provisioning, in seconds: median, and spread of the logarithm. Assumptions.
const BUILD: (f64, f64) = (240.0, 0.5);
const PROVISIONING: Duration = Duration::from_secs(40);

pub(crate) type BuildId = usize;

/// A build that has started, when it ends, and a build that was never started.
#[derive(Debug)]
pub(crate) enum Started {
    Runs { build: BuildId, ends: Duration },
    Queues { build: BuildId, gives_up: Duration },
}

#[derive(Debug)]
struct Build {
    submission: Index,
    token: Token,
    time_limit: Duration,
    queued: Moment,
    end: End,
}

/// How a build ends: the status, and the phase that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Succeeds,
    Fails { status: &'static str, phase: &'static str },
}

/// What a build leaves behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub token: Token,
    pub submission: Index,
    pub result: Result<Json, Failure>,
}

#[derive(Debug)]
pub(crate) struct CodeBuild {
    pub running: Places,
    queue: Vec<BuildId>,
    longest_queue: usize,
    builds: HashMap<BuildId, Build>,
    started: BuildId,
    tokens: HashSet<String>,
    random: Random,
    faults: f64,
    pub calls: Calls,
    /// How long each submission's builds queued.
    pub queued: HashMap<Index, Duration>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StartBuild {
    idempotency_token: String,
    timeout_in_minutes_override: u64,
    queued_timeout_in_minutes_override: u64,
    environment_variables_override: Vec<Variable>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Variable {
    name: String,
    value: String,
}

impl CodeBuild {
    #[must_use]
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            running: Places::new(plan.quotas.builds),
            queue: Vec::new(),
            longest_queue: (plan.quotas.builds * QUEUED_FOR_EACH) as usize,
            builds: HashMap::new(),
            started: 0,
            tokens: HashSet::new(),
            random: Random::new(plan.seed, "builds"),
            faults: plan.faults,
            calls: Calls::default(),
            queued: HashMap::new(),
        }
    }

    /// The API call StartBuild: <https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html>.
    pub(crate) fn start(
        &mut self,
        token: Token,
        arguments: &Json,
        submissions: &Submissions,
        now: Moment,
    ) -> Result<Started, Failure> {
        let request: StartBuild =
            arguments.to().map_err(|error| Failure::new("CodeBuild.InvalidInputException", error.to_string()))?;
        self.calls.made += 1;
        if self.random.chance(rates::CALL_THROTTLED * self.faults) {
            self.calls.throttled += 1;
            return Err(throttled("CodeBuild.AWSCodeBuildException", "AWSCodeBuild"));
        }
        let runs = self.running.take(1);
        if !runs && self.queue.len() >= self.longest_queue {
            self.calls.over_quota += 1;
            let cause = format!(
                "Cannot have more than {} builds in queue for the account (Service: AWSCodeBuild; Status Code: 400; Error Code: AccountLimitExceededException; Request ID: 7f; Proxy: null)",
                self.longest_queue
            );
            return Err(Failure::new("CodeBuild.AccountLimitExceededException", cause));
        }
        assert!(
            self.tokens.insert(request.idempotency_token.clone()),
            "two builds have the token {}",
            request.idempotency_token
        );
        let repository = request.environment_variables_override.iter().find(|it| it.name == "IMAGE_REPOSITORY_URI");
        let repository = &repository.expect("invariant: a build knows its repository").value;
        let submission = submissions.find_safe(repository.rsplit('/').next().unwrap_or_default());
        let build = self.started;
        self.started += 1;
        let time_limit = Duration::from_mins(request.timeout_in_minutes_override);
        let end = self.draw_end(submissions.get(submission).fault);
        self.builds.insert(build, Build { submission, token, time_limit, queued: now, end });
        if runs {
            return Ok(Started::Runs { build, ends: self.duration(build) });
        }
        self.queue.push(build);
        let gives_up = Duration::from_mins(request.queued_timeout_in_minutes_override);
        Ok(Started::Queues { build, gives_up })
    }

    fn draw_end(&mut self, fault: Option<FailureCode>) -> End {
        let fails = |status, phase| End::Fails { status, phase };
        if self.random.chance(rates::BUILD_FAULT * self.faults) {
            return fails("FAULT", "PROVISIONING");
        }
        match fault {
            Some(FailureCode::BuildFailed) => fails("FAILED", "BUILD"),
            Some(FailureCode::BuildTimedOut) => fails("TIMED_OUT", "BUILD"),
            _ if self.random.chance(rates::PUSH_FAILS * self.faults) => fails("FAILED", "POST_BUILD"),
            _ => End::Succeeds,
        }
    }

    fn duration(&mut self, build: BuildId) -> Duration {
        let build = &self.builds[&build];
        match build.end {
            End::Fails { status: "TIMED_OUT", .. } => build.time_limit,
            End::Fails { phase: "PROVISIONING", .. } => PROVISIONING,
            _ => {
                let (median, spread) = BUILD;
                self.random.seconds(median, spread).min(build.time_limit)
            }
        }
    }

    /// A build has ended. Another one leaves the queue; the order cannot be predicted.
    pub(crate) fn end(&mut self, build: BuildId, now: Moment) -> (Ended, Option<(BuildId, Duration)>) {
        let ended = self.finish(build);
        self.running.give_back(1);
        if self.queue.is_empty() {
            return (ended, None);
        }
        let next = self.queue.swap_remove(self.random.below(self.queue.len()));
        assert!(self.running.take(1), "invariant: a place was given back");
        let Build { submission, queued, .. } = &self.builds[&next];
        *self.queued.entry(*submission).or_default() += now - *queued;
        (ended, Some((next, self.duration(next))))
    }

    /// A build that still queues leaves the queue because of its time limit.
    pub(crate) fn give_up(&mut self, build: BuildId, now: Moment) -> Option<Ended> {
        let at = self.queue.iter().position(|queued| *queued == build)?;
        self.queue.swap_remove(at);
        let queued = self.builds.get_mut(&build).expect("invariant: a queued build exists");
        queued.end = End::Fails { status: "TIMED_OUT", phase: "QUEUED" };
        *self.queued.entry(queued.submission).or_default() += now - queued.queued;
        Some(self.finish(build))
    }

    fn finish(&mut self, id: BuildId) -> Ended {
        let build = self.builds.remove(&id).expect("invariant: a build ends once");
        let (status, phases) = match build.end {
            End::Succeeds => ("SUCCEEDED", json!([{"PhaseType": "COMPLETED"}])),
            End::Fails { status, phase } => (status, json!([{"PhaseType": phase, "PhaseStatus": status}])),
        };
        let answer = json!({"Build": {
            "Id": format!("build:{id}"), "BuildStatus": status, "Phases": phases,
            "ExportedEnvironmentVariables": [
                {"Name": "IMAGE_DIGEST", "Value": digest(build.submission)}, {"Name": "BASE_DIGESTS", "Value": ""}],
            "TimeoutInMinutes": build.time_limit.as_secs() / 60,
            "Logs": {"GroupName": "/aws/codebuild/build", "StreamName": id.to_string()},
        }});
        let result = match build.end {
            End::Succeeds => Ok(Json::of(&answer)),
            End::Fails { .. } => Err(Failure::of_job(answer.to_string())),
        };
        Ended { token: build.token, submission: build.submission, result }
    }
}

/// The digest of a submission's image.
pub(crate) fn digest(submission: Index) -> String {
    format!("sha256:{submission:064x}")
}
