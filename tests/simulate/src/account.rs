//! The account: everything but Step Functions, which runs the executions.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use domain::execution::ExecutionStatusChange;
use intake::Decision;
use intake::settings::Filter;
use serde_json::json;

use crate::definition::Resource;
use crate::functions::{Effect, Functions, Invocation};
use crate::json::Json;
use crate::ledger::{Ledger, Violation};
use crate::plan::{Plan, rates};
use crate::quota::TokenBucket;
use crate::random::Random;
use crate::services::code_build::{self, BuildId, CodeBuild};
use crate::services::lambda::{Lambda, Run};
use crate::services::sage_maker::SageMaker;
use crate::services::{CALL, Calls, EVENT_DELAY, throttled_sdk_call};
use crate::stack::{STACK_NAME, Stack};
use crate::step_functions::{
    Call, Execution, Failure, NotStarted, Services, Started, Status, Step, StepFunctions, Token,
};
use crate::submissions::{Index, SCORED_CHALLENGE, SETTINGS, Submissions};
use crate::time::{Agenda, Moment};
use crate::topic::{Partition, Topic};

/// Between two deliveries of the same batch. An assumption.
const REDELIVERY: Duration = Duration::from_secs(1);
/// A StartExecution call of `intake`.
const START: Duration = Duration::from_millis(50);
/// Until EventBridge has delivered the end of an execution, and between two deliveries.
const DELIVERY: Duration = Duration::from_secs(5);

/// Everything that happens.
#[derive(Debug)]
pub(crate) enum Event {
    Step(Step),
    Account(Occurrence),
}

impl From<Step> for Event {
    fn from(step: Step) -> Self {
        Self::Step(step)
    }
}

impl From<Occurrence> for Event {
    fn from(occurrence: Occurrence) -> Self {
        Self::Account(occurrence)
    }
}

/// Something that happens in a service.
#[derive(Debug)]
pub(crate) enum Occurrence {
    Published(Vec<u8>),
    Polled(Partition),
    /// `intake` has worked on the next batch.
    Taken(Partition),
    Invoked(Token, Box<Invocation>, Run),
    BuildEnded(BuildId),
    BuildGaveUp(BuildId),
    TrainingEnded(String),
    /// The rule on ended executions invokes `report`.
    Ended(Box<ExecutionStatusChange>),
}

/// Why a submission waited.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    BuildQueue,
    /// A new attempt of a step, because of this failure.
    Attempt(&'static str, &'static str),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuildQueue => write!(f, "in the queue of CodeBuild"),
            Self::Attempt(step, code) => write!(f, "new attempt of {step} after {code}"),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Account {
    pub submissions: Submissions,
    pub ledger: Ledger,
    pub topic: Topic,
    filter: Filter,
    processing: String,
    starts_at_once: usize,
    functions: Functions,
    pub lambda: Lambda,
    pub builds: CodeBuild,
    pub training: SageMaker,
    parameters: TokenBucket,
    pub parameter_reads: Calls,
    pub image_reads: Calls,
    random: Random,
    faults: f64,
    /// The digest of each submission's image.
    images: HashMap<Index, String>,
    pub waits: BTreeMap<(Reason, Index), Duration>,
}

impl Account {
    pub(crate) fn new(stack: &Stack, plan: &Plan) -> Result<Self> {
        let intake = intake::Settings::read(&stack.variables("IntakeFunction")?)?;
        let rate = f64::from(plan.quotas.parameter_reads);
        Ok(Self {
            submissions: Submissions::of_plan(plan),
            ledger: Ledger::default(),
            topic: Topic::new(stack.number("KafkaBatchSize")? as usize),
            filter: intake.filter,
            processing: intake.state_machine.as_str().to_owned(),
            starts_at_once: intake.concurrency.get(),
            functions: Functions::of_stack(stack, plan)?,
            lambda: Lambda::new(plan),
            builds: CodeBuild::new(plan),
            training: SageMaker::new(plan),
            parameters: TokenBucket::new(rate, rate),
            parameter_reads: Calls::default(),
            image_reads: Calls::default(),
            random: Random::new(plan.seed, "calls"),
            faults: plan.faults,
            images: HashMap::new(),
            waits: BTreeMap::new(),
        })
    }

    /// Plans the messages of the evening.
    pub(crate) fn publish(&self, plan: &Plan, agenda: &mut Agenda<Event>) {
        for (at, message) in crate::topic::messages(plan, &self.submissions, &self.filter) {
            agenda.at(at, Occurrence::Published(message));
        }
    }

    /// Lets something happen.
    pub(crate) fn handle(
        &mut self,
        occurrence: Occurrence,
        step_functions: &mut StepFunctions,
        agenda: &mut Agenda<Event>,
        window: Duration,
    ) {
        let now = agenda.now();
        match occurrence {
            Occurrence::Published(message) => {
                if let Some(partition) = self.topic.publish(message) {
                    agenda.after(window, Occurrence::Polled(partition));
                }
            }
            Occurrence::Polled(partition) => match self.lambda.take_place() {
                Ok(()) => {
                    let batch = self.topic.batch(partition, &self.filter);
                    let starts = batch.iter().filter(|it| matches!(it, Decision::Start(_))).count();
                    let rounds = u32::try_from(starts.div_ceil(self.starts_at_once)).unwrap_or(u32::MAX);
                    agenda.after(START * rounds.max(1), Occurrence::Taken(partition));
                }
                Err(()) => agenda.after(REDELIVERY, Occurrence::Polled(partition)),
            },
            Occurrence::Taken(partition) => {
                self.lambda.places.give_back(1);
                self.take(partition, step_functions, agenda);
            }
            Occurrence::Invoked(token, invocation, run) => {
                self.lambda.places.give_back(1);
                let result = self.functions.answer(*invocation, &self.submissions);
                let result = result.map(|(answer, effect)| {
                    self.apply(effect, now);
                    Json::object([("Payload", answer), ("StatusCode", Json::from(200.0))])
                });
                let result = match run {
                    Run::Answers => result,
                    Run::AnswerIsLost => {
                        Err(Failure::new("Lambda.SdkClientException", "Unable to execute HTTP request"))
                    }
                };
                agenda.at(now, Step::Completed(token, result));
            }
            Occurrence::BuildEnded(build) => {
                let (ended, next) = self.builds.end(build, now);
                if let Some((next, ends)) = next {
                    agenda.after(ends, Occurrence::BuildEnded(next));
                }
                self.built(ended, agenda);
            }
            Occurrence::BuildGaveUp(build) => {
                if let Some(ended) = self.builds.give_up(build, now) {
                    self.built(ended, agenda);
                }
            }
            Occurrence::TrainingEnded(job) => {
                let (token, result) = self.training.end(&job);
                agenda.after(EVENT_DELAY, Step::Completed(token, result));
            }
            Occurrence::Ended(event) => {
                let request = report::Request::ExecutionEnded((*event).clone());
                match self.functions.answer(Invocation::Report(Box::new(request)), &self.submissions) {
                    Ok((_, effect)) => self.apply(effect, now),
                    Err(_) => agenda.after(DELIVERY, Occurrence::Ended(event)),
                }
            }
        }
    }

    /// Starts the executions of a batch. If one cannot be started, the whole batch is delivered again.
    fn take(&mut self, partition: Partition, step_functions: &mut StepFunctions, agenda: &mut Agenda<Event>) {
        let batch = self.topic.batch(partition, &self.filter);
        let (mut started, mut duplicate, mut failed) = (0, 0, false);
        for decision in &batch {
            let Decision::Start(id) = decision else { continue };
            let input = intake::start::input(id).parse().expect("invariant: the input is JSON");
            match step_functions.start(&self.processing, id.aws_safe().as_str(), input, agenda) {
                Ok(Started { is_new: true, .. }) => started += 1,
                Ok(Started { is_new: false, .. }) | Err(NotStarted::AlreadyExists) => duplicate += 1,
                Err(NotStarted::Throttled) => failed = true,
            }
        }
        if failed {
            self.topic.counts.batches_repeated += 1;
            self.topic.counts.started += started;
            agenda.after(REDELIVERY, Occurrence::Polled(partition));
        } else if self.topic.commit(partition, &batch, started, duplicate) {
            agenda.at(agenda.now(), Occurrence::Polled(partition));
        }
    }

    fn apply(&mut self, effect: Effect, now: Moment) {
        match effect {
            Effect::Nothing => {}
            Effect::Reported(outcome) => self.ledger.report(&outcome, &self.submissions, now),
            Effect::Retries { submission, step, code, seconds } => {
                let index = self.submissions.find(&submission);
                let reason = Reason::Attempt(step_name(step), code.as_str());
                *self.waits.entry((reason, index)).or_default() += Duration::from_secs(seconds.into());
            }
        }
    }

    fn built(&mut self, ended: code_build::Ended, agenda: &mut Agenda<Event>) {
        if ended.result.is_ok() {
            let digest = code_build::digest(ended.submission);
            self.images.insert(ended.submission, digest);
        }
        agenda.after(EVENT_DELAY, Step::Completed(ended.token, ended.result));
    }

    fn get_parameter(&mut self, arguments: &Json, now: Moment) -> Result<Json, Failure> {
        self.parameter_reads.made += 1;
        if !self.parameters.take(now) || self.random.chance(rates::CALL_THROTTLED * self.faults) {
            self.parameter_reads.throttled += 1;
            return Err(throttled_sdk_call("Ssm"));
        }
        let name = arguments.get("Name").text().unwrap_or_default();
        if name != format!("/{STACK_NAME}/challenges/{SCORED_CHALLENGE}") {
            return Err(Failure::new(
                "Ssm.ParameterNotFoundException",
                "Service returned error code ParameterNotFound",
            ));
        }
        Ok(Json::object([("Parameter", Json::object([("Name", name.into()), ("Value", SETTINGS.into())]))]))
    }

    fn describe_images(&mut self, arguments: &Json) -> Result<Json, Failure> {
        self.image_reads.made += 1;
        if self.random.chance(rates::CALL_THROTTLED * self.faults) {
            self.image_reads.throttled += 1;
            return Err(throttled_sdk_call("Ecr"));
        }
        let repository = arguments.get("RepositoryName").text().unwrap_or_default();
        let digest = self.images.get(&self.submissions.find_safe(repository));
        let digest = digest.ok_or_else(|| Failure::new("Ecr.ImageNotFoundException", "The image does not exist."))?;
        Ok(Json::of(&json!({"ImageDetails": [{"ImageDigest": digest, "ImageSizeInBytes": 104_857_600}]})))
    }

    fn invoke(&mut self, token: Token, arguments: &Json, agenda: &mut Agenda<Event>) -> Result<(), Failure> {
        let invocation = Invocation::of_arguments(arguments)
            .map_err(|error| Failure::new("Runtime.Deserialization", error.to_string()))?;
        let (duration, run) = self.lambda.invoke(&invocation)?;
        agenda.after(duration, Occurrence::Invoked(token, Box::new(invocation), run));
        Ok(())
    }

    fn build(&mut self, token: Token, arguments: &Json, agenda: &mut Agenda<Event>) -> Result<(), Failure> {
        match self.builds.start(token, arguments, &self.submissions, agenda.now())? {
            code_build::Started::Runs { build, ends } => agenda.after(ends, Occurrence::BuildEnded(build)),
            code_build::Started::Queues { build, gives_up } => agenda.after(gives_up, Occurrence::BuildGaveUp(build)),
        }
        Ok(())
    }

    fn train(&mut self, token: Token, arguments: &Json, agenda: &mut Agenda<Event>) -> Result<(), Failure> {
        let (name, job) = self.training.start(token, arguments, &self.submissions)?;
        let is_own = self.images.get(&job.submission).is_some_and(|digest| job.image.ends_with(&format!("@{digest}")));
        if !is_own {
            let submission = self.submissions.get(job.submission).id.to_string();
            self.ledger.violate(Violation::WrongImage { submission });
        }
        agenda.after(job.ends, Occurrence::TrainingEnded(name));
        Ok(())
    }
}

impl Services<Event> for Account {
    fn start(&mut self, call: Call, agenda: &mut Agenda<Event>) {
        let Call { token, resource, arguments } = call;
        let answered = match resource {
            Resource::Lambda => self.invoke(token, &arguments, agenda).map(|()| None),
            Resource::StartBuildSync => self.build(token, &arguments, agenda).map(|()| None),
            Resource::CreateTrainingJobSync => self.train(token, &arguments, agenda).map(|()| None),
            Resource::GetParameter => self.get_parameter(&arguments, agenda.now()).map(Some),
            Resource::DescribeImages => self.describe_images(&arguments).map(Some),
            Resource::StartExecutionSync => unreachable!("invariant: Step Functions starts executions itself"),
        };
        if let Some(result) = answered.transpose() {
            agenda.after(CALL, Step::Completed(token, result));
        }
    }

    /// The rule on failed and timed-out executions: <https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html>.
    fn ended(&mut self, execution: &Execution, agenda: &mut Agenda<Event>) {
        let error = match &execution.status {
            Status::Succeeded | Status::Running => return,
            Status::Failed(failure) => Some(failure.error.as_str()),
            Status::TimedOut => None,
        };
        let index = self.submissions.find_safe(&execution.name);
        let is_reported = self.ledger.outcomes().get(&index).is_some_and(|it| it.is_of(&execution.arn));
        if is_reported {
            return;
        }
        let event = json!({"detail": {
            "executionArn": Rc::clone(&execution.arn).to_string(),
            "status": if error.is_some() { "FAILED" } else { "TIMED_OUT" },
            "input": execution.input.to_string(), "startDate": execution.started.unix_milliseconds(),
            "stopDate": agenda.now().unix_milliseconds(), "error": error,
        }});
        let event = serde_json::from_value(event).expect("invariant: this is the form of the event");
        agenda.after(DELIVERY, Occurrence::Ended(Box::new(event)));
    }
}

fn step_name(step: domain::outcome::Step) -> &'static str {
    use domain::outcome::Step;
    match step {
        Step::FetchSubmission => "FetchSubmission",
        Step::BuildImage => "BuildImage",
        Step::ResolveImage => "ResolveImage",
        Step::TrainModel => "TrainModel",
        Step::ReadChallenge => "ReadChallenge",
        Step::ScoreSubmission => "ScoreSubmission",
    }
}
