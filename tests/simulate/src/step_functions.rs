//! Step Functions: runs executions of state machines as their definitions say, and counts their history.
//!
//! States and their fields: <https://docs.aws.amazon.com/step-functions/latest/dg/workflow-states.html>. Quotas:
//! <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>.

mod history;
mod retry;
mod thread;

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use crate::definition::{Definition, DefinitionError, Exit, Flow, Kind, Next, Resource, StateId, Task, Template};
use crate::json::Json;
use crate::jsonata::{Jsonata, JsonataError, Scope};
use crate::quota::TokenBucket;
use crate::random::Random;
use crate::time::{Agenda, Moment};
pub use history::{Event, LONGEST_HISTORY, StateType};
pub use retry::Retries;
use thread::{Parent, Thread};

/// The longest input, output or arguments of a state, in bytes.
const LONGEST_DATA: usize = 262_144;
/// Between the end of a nested execution and that of the task that waits for it, which an event reports. An assumption.
const EVENT_DELAY: Duration = Duration::from_secs(1);

pub type ExecutionId = usize;
type ThreadId = usize;

/// Something that goes on in an execution.
#[derive(Debug)]
pub enum Step {
    Enter(ThreadId),
    /// The next attempt of a task.
    Attempt(Token),
    Waited(Token),
    Completed(Token, Result<Json, Failure>),
    TimedOut(Token),
    ExecutionTimedOut(ExecutionId),
}

/// One attempt of a state. What happens to an earlier attempt has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    thread: ThreadId,
    number: u64,
}

/// An error of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub error: String,
    pub cause: String,
    /// Whether the job of a synchronous task had been started.
    pub after_start: bool,
}

impl Failure {
    pub fn new(error: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { error: error.into(), cause: cause.into(), after_start: false }
    }

    /// The failure of a job that was started.
    pub fn of_job(cause: impl Into<String>) -> Self {
        Self { after_start: true, ..Self::new("States.TaskFailed", cause) }
    }

    fn query(cause: &impl ToString) -> Self {
        Self::new("States.QueryEvaluationError", cause.to_string())
    }

    fn too_long() -> Self {
        Self::new("States.DataLimitExceeded", "The state's data are larger than 256 KiB.")
    }
}

/// A task that a service has to run. It ends with [`Step::Completed`].
#[derive(Debug)]
pub struct Call {
    pub token: Token,
    pub resource: Resource,
    pub arguments: Json,
}

/// The services behind the tasks.
pub trait Services<E> {
    fn start(&mut self, call: Call, agenda: &mut Agenda<E>);

    /// An execution that no other execution waits for has ended.
    fn ended(&mut self, execution: &Execution, agenda: &mut Agenda<E>);
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    Running,
    Succeeded,
    Failed(Failure),
    TimedOut,
}

impl Status {
    fn name(&self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed(_) => "FAILED",
            Self::TimedOut => "TIMED_OUT",
        }
    }
}

#[derive(Debug)]
pub struct Execution {
    machine: usize,
    pub name: Rc<str>,
    pub arn: Rc<str>,
    pub input: Json,
    pub started: Moment,
    pub stopped: Option<Moment>,
    pub status: Status,
    /// Null unless it succeeded.
    pub output: Json,
    pub history: Vec<Event>,
    /// Its own thread, not that of a branch.
    root: ThreadId,
    /// The task that waits for its end.
    caller: Option<Token>,
    /// `$states.context.Execution` and `.StateMachine`.
    context: [(Rc<str>, Json); 2],
}

/// Why an execution is not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// An execution of this name has ended.
    AlreadyExists,
    Throttled,
}

/// What StartExecution answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    pub execution: ExecutionId,
    /// False for one of the same name and input that still runs.
    pub is_new: bool,
}

/// How often the account may call, in tokens and tokens a second.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    pub start_execution: (f64, f64),
    pub state_transition: (f64, f64),
}

#[derive(Debug)]
struct Machine {
    name: Rc<str>,
    arn: Rc<str>,
    definition: Definition,
}

/// The service, with the state machines of an account.
#[derive(Debug)]
pub struct StepFunctions {
    jsonata: Jsonata,
    random: Random,
    machines: Vec<Machine>,
    executions: Vec<Execution>,
    names: HashMap<(usize, Rc<str>), ExecutionId>,
    threads: Vec<Option<Box<Thread>>>,
    tokens: u64,
    start_execution: TokenBucket,
    transitions: TokenBucket,
    /// StartExecution calls, and those of them that were throttled.
    pub starts: u64,
    pub throttled_starts: u64,
    /// State transitions that had to wait.
    pub delayed_transitions: u64,
    pub retries: Retries,
}

impl StepFunctions {
    #[must_use]
    pub fn new(jsonata: Jsonata, quotas: Quotas, seed: u64) -> Self {
        let bucket = |(size, rate)| TokenBucket::new(size, rate);
        Self {
            jsonata,
            random: Random::new(seed, "jitter"),
            machines: Vec::new(),
            executions: Vec::new(),
            names: HashMap::new(),
            threads: Vec::new(),
            tokens: 0,
            start_execution: bucket(quotas.start_execution),
            transitions: bucket(quotas.state_transition),
            starts: 0,
            throttled_starts: 0,
            delayed_transitions: 0,
            retries: Retries::default(),
        }
    }

    /// Creates a state machine.
    pub fn create(&mut self, name: &str, arn: &str, definition: &str) -> Result<(), DefinitionError> {
        let definition = Definition::read(definition, &mut self.jsonata)?;
        self.machines.push(Machine { name: name.into(), arn: arn.into(), definition });
        Ok(())
    }

    #[must_use]
    pub fn executions(&self) -> &[Execution] {
        &self.executions
    }

    /// Expressions that the reference implementation has evaluated.
    #[must_use]
    pub fn evaluated(&self) -> u64 {
        self.jsonata.evaluated
    }

    /// The API call StartExecution: <https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html>.
    pub fn start<E: From<Step>>(
        &mut self,
        machine_arn: &str,
        name: &str,
        input: Json,
        agenda: &mut Agenda<E>,
    ) -> Result<Started, NotStarted> {
        self.start_for(None, machine_arn, name, input, agenda)
    }

    fn start_for<E: From<Step>>(
        &mut self,
        caller: Option<Token>,
        machine_arn: &str,
        name: &str,
        input: Json,
        agenda: &mut Agenda<E>,
    ) -> Result<Started, NotStarted> {
        let now = agenda.now();
        self.starts += 1;
        if !self.start_execution.take(now) {
            self.throttled_starts += 1;
            return Err(NotStarted::Throttled);
        }
        let machine = self.machines.iter().position(|machine| *machine.arn == *machine_arn);
        let machine = machine.unwrap_or_else(|| panic!("the state machine {machine_arn} does not exist"));
        let key = (machine, Rc::<str>::from(name));
        if let Some(&execution) = self.names.get(&key) {
            let other = &self.executions[execution];
            let is_same = other.status == Status::Running && other.input == input;
            return if is_same { Ok(Started { execution, is_new: false }) } else { Err(NotStarted::AlreadyExists) };
        }
        let execution = self.executions.len();
        let Machine { name: machine_name, arn: machine_arn, definition } = &self.machines[machine];
        let arn: Rc<str> = format!("{}:{name}", machine_arn.replace(":stateMachine:", ":execution:")).into();
        let context = [
            (
                "Execution".into(),
                Json::object([
                    ("Id", Json::Text(Rc::clone(&arn))),
                    ("Input", input.clone()),
                    ("Name", Json::from(name)),
                    ("StartTime", Json::from(now.to_string())),
                    ("RedriveCount", Json::from(0.0)),
                ]),
            ),
            (
                "StateMachine".into(),
                Json::object([
                    ("Id", Json::Text(Rc::clone(machine_arn))),
                    ("Name", Json::Text(Rc::clone(machine_name))),
                ]),
            ),
        ];
        let (flow, timeout) = (Rc::clone(&definition.flow), definition.timeout_seconds);
        self.executions.push(Execution {
            machine,
            name: Rc::clone(&key.1),
            arn,
            input: input.clone(),
            started: now,
            stopped: None,
            status: Status::Running,
            output: Json::Null,
            history: Vec::new(),
            root: self.threads.len(),
            caller,
            context,
        });
        self.names.insert(key, execution);
        self.record(execution, Event::ExecutionStarted);
        if let Some(seconds) = timeout {
            agenda.after(Duration::from_secs_f64(seconds), Step::ExecutionTimedOut(execution));
        }
        let start = flow.start;
        let thread = self.spawn(Thread::new(execution, flow, None));
        self.go_to(thread, start, input, agenda);
        Ok(Started { execution, is_new: true })
    }

    /// Lets a step happen.
    pub fn handle<E: From<Step>>(
        &mut self,
        step: Step,
        agenda: &mut Agenda<E>,
        services: &mut impl Services<E>,
    ) -> Result<(), JsonataError> {
        match step {
            Step::Enter(thread) if self.threads[thread].is_some() => self.enter(thread, agenda, services)?,
            Step::Attempt(token) if self.is_current(token) => self.attempt(token.thread, agenda, services)?,
            Step::Waited(token) if self.is_current(token) => self.waited(token.thread, agenda, services)?,
            Step::Completed(token, result) if self.is_current(token) => {
                self.completed(token.thread, result, agenda, services)?;
            }
            Step::TimedOut(token) if self.is_current(token) => {
                self.record_task(token.thread, Event::TaskTimedOut);
                let failure = Failure::new("States.Timeout", "");
                self.fail_state(token.thread, failure, agenda, services)?;
            }
            Step::ExecutionTimedOut(execution) if self.executions[execution].status == Status::Running => {
                self.end(execution, Status::TimedOut, Json::Null, agenda, services);
            }
            // Of a state or execution that has ended.
            _ => {}
        }
        Ok(())
    }

    fn is_current(&self, token: Token) -> bool {
        self.threads[token.thread].as_ref().is_some_and(|thread| thread.token == token.number)
    }

    fn spawn(&mut self, thread: Thread) -> ThreadId {
        self.threads.push(Some(Box::new(thread)));
        self.threads.len() - 1
    }

    fn thread(&self, id: ThreadId) -> &Thread {
        self.threads[id].as_ref().expect("invariant: only threads that run take steps")
    }

    fn thread_mut(&mut self, id: ThreadId) -> &mut Thread {
        self.threads[id].as_mut().expect("invariant: only threads that run take steps")
    }

    /// A new token, which makes the earlier ones of the thread void.
    fn renew(&mut self, thread: ThreadId) -> Token {
        self.tokens += 1;
        let number = self.tokens;
        self.thread_mut(thread).token = number;
        Token { thread, number }
    }

    /// Enters a state as soon as the quota of state transitions allows it.
    fn go_to<E: From<Step>>(&mut self, thread: ThreadId, state: StateId, input: Json, agenda: &mut Agenda<E>) {
        let moving = self.thread_mut(thread);
        (moving.state, moving.input) = (state, input);
        let delay = self.transition(agenda.now());
        agenda.after(delay, Step::Enter(thread));
    }

    fn transition(&mut self, now: Moment) -> Duration {
        let delay = self.transitions.reserve(now);
        self.delayed_transitions += u64::from(!delay.is_zero());
        delay
    }

    fn enter<E: From<Step>>(
        &mut self,
        id: ThreadId,
        agenda: &mut Agenda<E>,
        services: &mut impl Services<E>,
    ) -> Result<(), JsonataError> {
        self.renew(id);
        let thread = self.thread(id);
        let (execution, flow, state) = (thread.execution, Rc::clone(&thread.flow), thread.state);
        let context = &self.executions[execution].context;
        let state = &flow.states[state];
        let of_state = Json::object([
            ("EnteredTime", Json::from(agenda.now().to_string())),
            ("Name", Json::Text(Rc::clone(&state.name))),
        ]);
        let context = context.iter().cloned().chain([("State".into(), of_state)]);
        let context = Json::Object(context.collect());
        self.thread_mut(id).entered(context, &state.kind);
        self.record(execution, Event::StateEntered(StateType::of(&state.kind)));
        match &state.kind {
            Kind::Pass { exit, next } => {
                let input = self.thread(id).input.clone();
                self.exit(id, exit, &[], input, *next, agenda, services)
            }
            Kind::Task(_) => self.attempt(id, agenda, services),
            Kind::Choice { rules, otherwise } => {
                let mut chosen = otherwise.as_ref().map(|(exit, next)| (exit, *next));
                for rule in rules {
                    match self.evaluate(id, &rule.condition, &[], agenda.now())? {
                        Ok(Json::Bool(true)) => {
                            chosen = Some((&rule.exit, rule.next));
                            break;
                        }
                        Ok(Json::Bool(false)) => {}
                        Ok(other) => {
                            let failure = Failure::query(&format!("The condition is {other}, not a boolean."));
                            return self.fail_state(id, failure, agenda, services);
                        }
                        Err(failure) => return self.fail_state(id, failure, agenda, services),
                    }
                }
                let Some((exit, next)) = chosen else {
                    let failure = Failure::new("States.Runtime", "No condition is true, and there is no default.");
                    return self.fail_state(id, failure, agenda, services);
                };
                let input = self.thread(id).input.clone();
                self.exit(id, exit, &[], input, Next::State(next), agenda, services)
            }
            Kind::Wait { seconds, .. } => match self.evaluate(id, seconds, &[], agenda.now())? {
                Ok(Json::Number(seconds)) if seconds >= 0.0 => {
                    let token = self.renew(id);
                    agenda.after(Duration::from_secs_f64(seconds), Step::Waited(token));
                    Ok(())
                }
                Ok(other) => {
                    let failure = Failure::query(&format!("The time to wait is {other}, not a number of seconds."));
                    self.fail_state(id, failure, agenda, services)
                }
                Err(failure) => self.fail_state(id, failure, agenda, services),
            },
            Kind::Parallel { branches, .. } => {
                self.record(execution, Event::ParallelStateStarted);
                self.branch(id, branches, agenda);
                Ok(())
            }
            Kind::Succeed { output } => {
                let input = self.thread(id).input.clone();
                let exit = Exit { assign: None, output: None };
                match output {
                    None => self.exit(id, &exit, &[], input, Next::End, agenda, services),
                    Some(output) => match self.evaluate(id, output, &[], agenda.now())? {
                        Ok(output) => self.exit(id, &exit, &[], output, Next::End, agenda, services),
                        Err(failure) => self.fail_state(id, failure, agenda, services),
                    },
                }
            }
            Kind::Fail { error, cause } => {
                let mut texts = [String::new(), String::new()];
                for (text, template) in texts.iter_mut().zip([error, cause]) {
                    let Some(template) = template else { continue };
                    match self.evaluate(id, template, &[], agenda.now())? {
                        Ok(value) => *text = value.text().map_or_else(|| value.to_string(), str::to_owned),
                        Err(failure) => return self.fail_state(id, failure, agenda, services),
                    }
                }
                let [error, cause] = texts;
                self.fail_state(id, Failure::new(error, cause), agenda, services)
            }
        }
    }

    /// Starts the branches of a parallel state. Each sees the variables of the state, and assigns its own.
    fn branch<E: From<Step>>(&mut self, id: ThreadId, branches: &[Rc<Flow>], agenda: &mut Agenda<E>) {
        let parent = self.thread(id);
        let (execution, variables, input) = (parent.execution, parent.variables.clone(), parent.input.clone());
        let mut children = Vec::with_capacity(branches.len());
        for (index, flow) in branches.iter().enumerate() {
            let mut thread = Thread::new(execution, Rc::clone(flow), Some(Parent { thread: id, branch: index }));
            thread.variables.clone_from(&variables);
            children.push(self.spawn(thread));
        }
        let parent = self.thread_mut(id);
        parent.results = vec![None; branches.len()];
        parent.children.clone_from(&children);
        for (child, flow) in children.into_iter().zip(branches) {
            self.go_to(child, flow.start, input.clone(), agenda);
        }
    }

    /// Starts a task, or starts it again.
    fn attempt<E: From<Step>>(
        &mut self,
        id: ThreadId,
        agenda: &mut Agenda<E>,
        services: &mut impl Services<E>,
    ) -> Result<(), JsonataError> {
        let (flow, state) = (Rc::clone(&self.thread(id).flow), self.thread(id).state);
        let task = match &flow.states[state].kind {
            Kind::Task(task) => task,
            Kind::Parallel { branches, .. } => {
                self.branch(id, branches, agenda);
                return Ok(());
            }
            _ => unreachable!("invariant: only tasks and parallel states are retried"),
        };
        let token = self.renew(id);
        let (arguments, timeout) = match self.prepare(id, task, agenda.now())? {
            Ok(prepared) => prepared,
            Err(failure) => return self.fail_state(id, failure, agenda, services),
        };
        if arguments.to_string().len() > LONGEST_DATA {
            return self.fail_state(id, Failure::too_long(), agenda, services);
        }
        self.record_task(id, Event::TaskScheduled);
        self.record_task(id, Event::TaskStarted);
        if let Some(seconds) = timeout {
            agenda.after(Duration::from_secs_f64(seconds), Step::TimedOut(token));
        }
        if task.resource == Resource::StartExecutionSync {
            self.start_nested(token, &arguments, agenda);
        } else {
            services.start(Call { token, resource: task.resource, arguments }, agenda);
        }
        Ok(())
    }

    /// The arguments of a task and its time limit in seconds.
    fn prepare(
        &mut self,
        id: ThreadId,
        task: &Task,
        now: Moment,
    ) -> Result<Result<(Json, Option<f64>), Failure>, JsonataError> {
        let arguments = match &task.arguments {
            None => Json::object::<&str, 0>([]),
            Some(template) => match self.evaluate(id, template, &[], now)? {
                Ok(arguments) => arguments,
                Err(failure) => return Ok(Err(failure)),
            },
        };
        let Some(template) = &task.timeout_seconds else { return Ok(Ok((arguments, None))) };
        Ok(match self.evaluate(id, template, &[], now)? {
            Ok(Json::Number(seconds)) if seconds > 0.0 => Ok((arguments, Some(seconds))),
            Ok(other) => Err(Failure::query(&format!("The time limit is {other}, not a number of seconds."))),
            Err(failure) => Err(failure),
        })
    }

    /// The integration `startExecution.sync:2`:
    /// <https://docs.aws.amazon.com/step-functions/latest/dg/connect-stepfunctions.html>.
    fn start_nested<E: From<Step>>(&mut self, token: Token, arguments: &Json, agenda: &mut Agenda<E>) {
        let [machine, name] = ["StateMachineArn", "Name"]
            .map(|field| arguments.get(field).text().unwrap_or_else(|| panic!("StartExecution needs {field}")));
        let started = self.start_for(Some(token), machine, name, arguments.get("Input").clone(), agenda);
        let failure = match started {
            Ok(Started { is_new: true, .. }) => return,
            Ok(Started { is_new: false, .. }) | Err(NotStarted::AlreadyExists) => {
                Failure::new("StepFunctions.ExecutionAlreadyExistsException", "An execution of this name exists.")
            }
            Err(NotStarted::Throttled) => Failure::new("StepFunctions.ThrottlingException", "Rate exceeded"),
        };
        agenda.after(Duration::ZERO, Step::Completed(token, Err(failure)));
    }

    fn completed<E: From<Step>>(
        &mut self,
        id: ThreadId,
        result: Result<Json, Failure>,
        agenda: &mut Agenda<E>,
        services: &mut impl Services<E>,
    ) -> Result<(), JsonataError> {
        let flow = Rc::clone(&self.thread(id).flow);
        let Kind::Task(task) = &flow.states[self.thread(id).state].kind else {
            unreachable!("invariant: only tasks complete")
        };
        let is_synchronous = task.resource.is_synchronous();
        match result {
            Ok(result) => {
                if is_synchronous {
                    self.record_task(id, Event::TaskSubmitted);
                }
                self.record_task(id, Event::TaskSucceeded);
                let states = [("result", result.clone())];
                self.exit(id, &task.exit, &states, result, task.next, agenda, services)
            }
            Err(failure) => {
                match (is_synchronous, failure.after_start) {
                    (true, false) => self.record_task(id, Event::TaskSubmitFailed),
                    (true, true) => {
                        self.record_task(id, Event::TaskSubmitted);
                        self.record_task(id, Event::TaskFailed);
                    }
                    (false, _) => self.record_task(id, Event::TaskFailed),
                }
                self.fail_state(id, failure, agenda, services)
            }
        }
    }

    fn waited<E: From<Step>>(
        &mut self,
        id: ThreadId,
        agenda: &mut Agenda<E>,
        services: &mut impl Services<E>,
    ) -> Result<(), JsonataError> {
        let flow = Rc::clone(&self.thread(id).flow);
        let Kind::Wait { exit, next, .. } = &flow.states[self.thread(id).state].kind else {
            unreachable!("invariant: only a wait state waits")
        };
        let input = self.thread(id).input.clone();
        self.exit(id, exit, &[], input, *next, agenda, services)
    }

    /// The value of a template. `more` is in `$states` besides input and context.
    fn evaluate(
        &mut self,
        id: ThreadId,
        template: &Template,
        more: &[(&str, Json)],
        now: Moment,
    ) -> Result<Result<Json, Failure>, JsonataError> {
        if let Template::Literal(json) = template {
            return Ok(Ok(json.clone()));
        }
        let thread = self.threads[id].as_ref().expect("invariant: only threads that run take steps");
        let states = [("input", thread.input.clone()), ("context", thread.context.clone())];
        let states = states.iter().chain(more).map(|(name, value)| (Rc::from(*name), value.clone()));
        let states = Json::Object(states.collect());
        let scope = Scope { variables: &thread.variables, states: &states };
        let value = self.jsonata.evaluate(template, &scope, now)?;
        if value.is_err() {
            let execution = self.thread(id).execution;
            self.record(execution, Event::EvaluationFailed);
        }
        Ok(value.map_err(|reason| Failure::query(&reason)))
    }

    /// Leaves a state: assigns, puts out and goes on. Both see the variables as they were.
    #[expect(clippy::too_many_arguments, reason = "a state is left in one way, from many places")]
    fn exit<E: From<Step>>(
        &mut self,
        id: ThreadId,
        exit: &Exit,
        states: &[(&str, Json)],
        default: Json,
        next: Next,
        agenda: &mut Agenda<E>,
        services: &mut impl Services<E>,
    ) -> Result<(), JsonataError> {
        let now = agenda.now();
        match self.leave(id, exit, states, default, now)? {
            Ok(output) => self.proceed(id, output, next, agenda, services),
            Err(failure) => self.fail_state(id, failure, agenda, services),
        }
    }

    fn leave(
        &mut self,
        id: ThreadId,
        exit: &Exit,
        states: &[(&str, Json)],
        default: Json,
        now: Moment,
    ) -> Result<Result<Json, Failure>, JsonataError> {
        let output = match &exit.output {
            None => Ok(default),
            Some(template) => self.evaluate(id, template, states, now)?,
        };
        let output = match output {
            Ok(output) if output.to_string().len() > LONGEST_DATA => return Ok(Err(Failure::too_long())),
            Ok(output) => output,
            Err(failure) => return Ok(Err(failure)),
        };
        if let Some(template) = &exit.assign {
            match self.evaluate(id, template, states, now)? {
                Ok(Json::Object(assigned)) => {
                    let variables = &mut self.thread_mut(id).variables;
                    variables.extend(assigned.iter().map(|(name, value)| (Rc::clone(name), value.clone())));
                }
                Ok(other) => return Ok(Err(Failure::query(&format!("What is assigned is {other}, not an object.")))),
                Err(failure) => return Ok(Err(failure)),
            }
        }
        Ok(Ok(output))
    }

    fn proceed<E: From<Step>>(
        &mut self,
        id: ThreadId,
        output: Json,
        next: Next,
        agenda: &mut Agenda<E>,
        services: &mut impl Services<E>,
    ) -> Result<(), JsonataError> {
        let thread = self.thread(id);
        let (execution, flow) = (thread.execution, Rc::clone(&thread.flow));
        self.record(execution, Event::StateExited(StateType::of(&flow.states[thread.state].kind)));
        if self.is_history_full(execution) {
            let failure = Failure::new("States.Runtime", "The execution reached the maximum number of history events.");
            self.end(execution, Status::Failed(failure), Json::Null, agenda, services);
            return Ok(());
        }
        match next {
            Next::State(next) => self.go_to(id, next, output, agenda),
            Next::End => {
                let thread = self.threads[id].take().expect("invariant: only threads that run take steps");
                match thread.parent {
                    None => self.end(execution, Status::Succeeded, output, agenda, services),
                    Some(parent) => self.join(&parent, output, agenda, services)?,
                }
            }
        }
        Ok(())
    }

    /// A branch of a parallel state has ended.
    fn join<E: From<Step>>(
        &mut self,
        ended: &Parent,
        output: Json,
        agenda: &mut Agenda<E>,
        services: &mut impl Services<E>,
    ) -> Result<(), JsonataError> {
        let id = ended.thread;
        let parent = self.thread_mut(id);
        parent.results[ended.branch] = Some(output);
        if parent.results.iter().any(Option::is_none) {
            return Ok(());
        }
        let results = Json::Array(parent.results.drain(..).flatten().collect());
        let (execution, flow, state) = (parent.execution, Rc::clone(&parent.flow), parent.state);
        parent.children.clear();
        let Kind::Parallel { exit, next, .. } = &flow.states[state].kind else {
            unreachable!("invariant: only a parallel state has branches")
        };
        self.record(execution, Event::ParallelStateSucceeded);
        let states = [("result", results.clone())];
        self.exit(id, exit, &states, results, *next, agenda, services)
    }

    /// A state has failed: it is retried, or its error is caught, or the branch or execution fails.
    fn fail_state<E: From<Step>>(
        &mut self,
        id: ThreadId,
        failure: Failure,
        agenda: &mut Agenda<E>,
        services: &mut impl Services<E>,
    ) -> Result<(), JsonataError> {
        let token = self.renew(id);
        let thread = self.thread(id);
        let (execution, flow, state) = (thread.execution, Rc::clone(&thread.flow), thread.state);
        let handlers = match &flow.states[state].kind {
            Kind::Task(task) => Some(&task.handlers),
            Kind::Parallel { handlers, .. } => {
                self.record(execution, Event::ParallelStateFailed);
                Some(handlers)
            }
            _ => None,
        };
        if self.is_history_full(execution) {
            self.end(execution, Status::Failed(failure), Json::Null, agenda, services);
            return Ok(());
        }
        if let Some(handlers) = handlers {
            let counts = &mut self.threads[id].as_mut().expect("invariant: the thread runs").retries;
            if let Some(delay) = retry::delay(&handlers.retry, counts, &failure.error, &mut self.random) {
                self.retries.count(&failure.error, execution, delay);
                // A retry is a state transition too.
                let delay = delay + self.transition(agenda.now());
                agenda.after(delay, Step::Attempt(token));
                return Ok(());
            }
            if let Some(catcher) = retry::catcher(&handlers.catch, &failure.error) {
                let output = Json::object([
                    ("Error", Json::from(failure.error.as_str())),
                    ("Cause", Json::from(failure.cause.as_str())),
                ]);
                let states = [("errorOutput", output.clone())];
                return match self.leave(id, &catcher.exit, &states, output, agenda.now())? {
                    Ok(output) => self.proceed(id, output, Next::State(catcher.next), agenda, services),
                    Err(failure) => self.fail_thread(id, failure, agenda, services),
                };
            }
        }
        self.fail_thread(id, failure, agenda, services)
    }

    fn fail_thread<E: From<Step>>(
        &mut self,
        id: ThreadId,
        failure: Failure,
        agenda: &mut Agenda<E>,
        services: &mut impl Services<E>,
    ) -> Result<(), JsonataError> {
        let thread = self.threads[id].take().expect("invariant: only threads that run take steps");
        match thread.parent {
            None => {
                self.end(thread.execution, Status::Failed(failure), Json::Null, agenda, services);
                Ok(())
            }
            Some(parent) => {
                for branch in std::mem::take(&mut self.thread_mut(parent.thread).children) {
                    self.abort(branch);
                }
                self.fail_state(parent.thread, failure, agenda, services)
            }
        }
    }

    /// Ends a thread and the branches that it waits for, if it runs.
    fn abort(&mut self, id: ThreadId) {
        if let Some(thread) = self.threads[id].take() {
            thread.children.iter().for_each(|child| self.abort(*child));
        }
    }

    fn end<E: From<Step>>(
        &mut self,
        id: ExecutionId,
        status: Status,
        output: Json,
        agenda: &mut Agenda<E>,
        services: &mut impl Services<E>,
    ) {
        self.abort(self.executions[id].root);
        self.record(
            id,
            match status {
                Status::Running => unreachable!("invariant: an execution ends in another status"),
                Status::Succeeded => Event::ExecutionSucceeded,
                Status::Failed(_) => Event::ExecutionFailed,
                Status::TimedOut => Event::ExecutionTimedOut,
            },
        );
        let execution = &mut self.executions[id];
        execution.stopped = Some(agenda.now());
        (execution.status, execution.output) = (status, output);
        let execution = &self.executions[id];
        match execution.caller {
            None => services.ended(execution, agenda),
            Some(token) => agenda.after(EVENT_DELAY, Step::Completed(token, self.nested_result(execution))),
        }
    }

    /// What a task that waits for an execution gets.
    fn nested_result(&self, execution: &Execution) -> Result<Json, Failure> {
        let stopped = execution.stopped.map_or(Json::Null, |stopped| Json::from(stopped.to_string()));
        let mut fields: Vec<(Rc<str>, Json)> = vec![
            ("ExecutionArn".into(), Json::Text(Rc::clone(&execution.arn))),
            ("Input".into(), execution.input.clone()),
            ("Name".into(), Json::Text(Rc::clone(&execution.name))),
            ("StartDate".into(), Json::from(execution.started.to_string())),
            ("StateMachineArn".into(), Json::Text(Rc::clone(&self.machines[execution.machine].arn))),
            ("Status".into(), Json::from(execution.status.name())),
            ("StopDate".into(), stopped),
        ];
        match &execution.status {
            Status::Succeeded => {
                fields.push(("Output".into(), execution.output.clone()));
                Ok(Json::Object(fields.into()))
            }
            status => {
                if let Status::Failed(failure) = status {
                    fields.push(("Error".into(), Json::from(failure.error.as_str())));
                    fields.push(("Cause".into(), Json::from(failure.cause.as_str())));
                }
                Err(Failure::of_job(Json::Object(fields.into()).to_string()))
            }
        }
    }

    fn record_task(&mut self, id: ThreadId, event: Event) {
        let execution = self.thread(id).execution;
        self.record(execution, event);
    }

    fn record(&mut self, execution: ExecutionId, event: Event) {
        self.executions[execution].history.push(event);
    }

    /// Whether there is room for nothing but the event of the end.
    fn is_history_full(&self, execution: ExecutionId) -> bool {
        self.executions[execution].history.len() + 1 >= LONGEST_HISTORY
    }
}
