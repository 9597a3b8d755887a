//! A state machine's definition in Amazon States Language with JSONata, read strictly: what is not modelled is an error.
//!
//! The language: <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-amazon-states-language.html>.

mod source;

use std::collections::HashMap;
use std::rc::Rc;

use crate::json::Json;
use crate::jsonata::{ExpressionId, Jsonata, JsonataError};

pub use source::JitterStrategy;

/// A state machine's definition.
#[derive(Debug)]
pub struct Definition {
    pub timeout_seconds: Option<f64>,
    pub flow: Rc<Flow>,
}

/// States that lead to each other: those of a definition, or of a branch.
#[derive(Debug)]
pub struct Flow {
    pub start: StateId,
    pub states: Vec<State>,
}

/// The index of a state in its flow.
pub type StateId = usize;

#[derive(Debug)]
pub struct State {
    pub name: Rc<str>,
    pub kind: Kind,
}

#[derive(Debug)]
pub enum Kind {
    Pass { exit: Exit, next: Next },
    Task(Box<Task>),
    Choice { rules: Vec<Rule>, otherwise: Option<(Exit, StateId)> },
    Wait { seconds: Template, exit: Exit, next: Next },
    Parallel { branches: Vec<Rc<Flow>>, exit: Exit, next: Next, handlers: Handlers },
    Succeed { output: Option<Template> },
    Fail { error: Option<Template>, cause: Option<Template> },
}

#[derive(Debug)]
pub struct Task {
    pub resource: Resource,
    pub arguments: Option<Template>,
    pub timeout_seconds: Option<Template>,
    pub exit: Exit,
    pub next: Next,
    pub handlers: Handlers,
}

/// An integration of Step Functions that is modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    Lambda,
    StartBuildSync,
    CreateTrainingJobSync,
    StartExecutionSync,
    GetParameter,
    DescribeImages,
}

impl Resource {
    fn of_arn(arn: &str) -> Option<Self> {
        let (_, integration) = arn.split_once(":states:::")?;
        Some(match integration {
            "lambda:invoke" => Self::Lambda,
            "codebuild:startBuild.sync" => Self::StartBuildSync,
            "sagemaker:createTrainingJob.sync" => Self::CreateTrainingJobSync,
            "states:startExecution.sync:2" => Self::StartExecutionSync,
            "aws-sdk:ssm:getParameter" => Self::GetParameter,
            "aws-sdk:ecr:describeImages" => Self::DescribeImages,
            _ => return None,
        })
    }

    /// Whether the task waits for the end of a job.
    #[must_use]
    pub fn is_synchronous(self) -> bool {
        matches!(self, Self::StartBuildSync | Self::CreateTrainingJobSync | Self::StartExecutionSync)
    }
}

/// What a state assigns and puts out when it is left.
#[derive(Debug, Default)]
pub struct Exit {
    pub assign: Option<Template>,
    pub output: Option<Template>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    State(StateId),
    End,
}

#[derive(Debug)]
pub struct Rule {
    pub condition: Template,
    pub exit: Exit,
    pub next: StateId,
}

#[derive(Debug, Default)]
pub struct Handlers {
    pub retry: Vec<Retrier>,
    pub catch: Vec<Catcher>,
}

#[derive(Debug)]
pub struct Retrier {
    pub errors: Vec<String>,
    pub interval_seconds: f64,
    pub backoff_rate: f64,
    pub max_delay_seconds: Option<f64>,
    pub max_attempts: u32,
    pub jitter: JitterStrategy,
}

#[derive(Debug)]
pub struct Catcher {
    pub errors: Vec<String>,
    pub exit: Exit,
    pub next: StateId,
}

/// Whether a list of error names matches an error:
/// <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>.
#[must_use]
pub fn matches(errors: &[String], error: &str) -> bool {
    let is_terminal = matches!(error, "States.DataLimitExceeded" | "States.Runtime");
    errors.iter().any(|name| match name.as_str() {
        "States.ALL" => !is_terminal,
        "States.TaskFailed" => !is_terminal && error != "States.Timeout",
        name => name == error,
    })
}

/// JSON with expressions in it.
#[derive(Debug)]
pub enum Template {
    Literal(Json),
    Expression(ExpressionId),
    Array(Vec<Template>),
    Object(Vec<(Rc<str>, Template)>),
}

/// Why a definition cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    #[error("the definition cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the state {state} leads to {target}, which does not exist")]
    Target { state: String, target: String },
    #[error("the state {state} has neither Next nor End, or both")]
    NextOrEnd { state: String },
    #[error("the resource {resource} of the state {state} is not modelled")]
    Resource { state: String, resource: String },
    #[error("in the state {state}, States.ALL stands with other errors or before the last handler")]
    All { state: String },
    #[error("an expression of the state {state} is not valid: {source}")]
    Expression { state: String, source: JsonataError },
    #[error("the query language is {0}, and only JSONata is modelled")]
    QueryLanguage(String),
}

impl Definition {
    /// Reads a definition in which every substitution has been made.
    pub fn read(json: &str, jsonata: &mut Jsonata) -> Result<Self, DefinitionError> {
        let machine: source::StateMachine = serde_json::from_str(json)?;
        if machine.query_language != "JSONata" {
            return Err(DefinitionError::QueryLanguage(machine.query_language));
        }
        let flow = Flow::of(machine.flow, jsonata)?;
        Ok(Self { timeout_seconds: machine.timeout_seconds, flow })
    }
}

impl Flow {
    fn of(flow: source::Flow, jsonata: &mut Jsonata) -> Result<Rc<Self>, DefinitionError> {
        let ids: HashMap<String, StateId> =
            flow.states.keys().enumerate().map(|(id, name)| (name.clone(), id)).collect();
        let start = target(&ids, "StartAt", &flow.start_at)?;
        let states = flow.states.into_iter().map(|(name, state)| {
            let kind = Reader { state: &name, ids: &ids, jsonata }.kind(state)?;
            Ok(State { name: name.as_str().into(), kind })
        });
        Ok(Rc::new(Self { start, states: states.collect::<Result<_, DefinitionError>>()? }))
    }
}

fn target(ids: &HashMap<String, StateId>, state: &str, target: &str) -> Result<StateId, DefinitionError> {
    let missing = || DefinitionError::Target { state: state.to_owned(), target: target.to_owned() };
    ids.get(target).copied().ok_or_else(missing)
}

/// Reads one state.
struct Reader<'a> {
    state: &'a str,
    ids: &'a HashMap<String, StateId>,
    jsonata: &'a mut Jsonata,
}

impl Reader<'_> {
    fn kind(&mut self, state: source::State) -> Result<Kind, DefinitionError> {
        Ok(match state {
            source::State::Pass(pass) => {
                Kind::Pass { exit: self.exit(pass.assign, pass.output)?, next: self.next(pass.next, pass.end)? }
            }
            source::State::Task(task) => Kind::Task(Box::new(self.task(*task)?)),
            source::State::Choice(choice) => {
                let rules = choice.choices.into_iter().map(|rule| {
                    Ok(Rule {
                        condition: self.template(rule.condition)?,
                        exit: self.exit(rule.assign, rule.output)?,
                        next: self.target(&rule.next)?,
                    })
                });
                let rules = rules.collect::<Result<_, DefinitionError>>()?;
                let exit = self.exit(choice.assign, choice.output)?;
                let otherwise = choice.default.map(|next| self.target(&next)).transpose()?;
                Kind::Choice { rules, otherwise: otherwise.map(|next| (exit, next)) }
            }
            source::State::Wait(wait) => Kind::Wait {
                seconds: self.template(wait.seconds)?,
                exit: self.exit(wait.assign, wait.output)?,
                next: self.next(wait.next, wait.end)?,
            },
            source::State::Parallel(parallel) => {
                let branches = parallel.branches.into_iter().map(|branch| Flow::of(branch, self.jsonata));
                Kind::Parallel {
                    branches: branches.collect::<Result<_, _>>()?,
                    exit: self.exit(parallel.assign, parallel.output)?,
                    next: self.next(parallel.next, parallel.end)?,
                    handlers: self.handlers(parallel.retry, parallel.catch)?,
                }
            }
            source::State::Succeed(succeed) => Kind::Succeed { output: self.optional(succeed.output)? },
            source::State::Fail(fail) => {
                Kind::Fail { error: self.optional(fail.error)?, cause: self.optional(fail.cause)? }
            }
        })
    }

    fn task(&mut self, task: source::Task) -> Result<Task, DefinitionError> {
        let resource = Resource::of_arn(&task.resource)
            .ok_or_else(|| DefinitionError::Resource { state: self.state.to_owned(), resource: task.resource })?;
        Ok(Task {
            resource,
            arguments: self.optional(task.arguments)?,
            timeout_seconds: self.optional(task.timeout_seconds)?,
            exit: self.exit(task.assign, task.output)?,
            next: self.next(task.next, task.end)?,
            handlers: self.handlers(task.retry, task.catch)?,
        })
    }

    fn handlers(
        &mut self,
        retry: Vec<source::Retrier>,
        catch: Vec<source::Catcher>,
    ) -> Result<Handlers, DefinitionError> {
        self.check_all(&retry.iter().map(|retrier| &retrier.error_equals).collect::<Vec<_>>())?;
        self.check_all(&catch.iter().map(|catcher| &catcher.error_equals).collect::<Vec<_>>())?;
        let retry = retry.into_iter().map(|retrier| Retrier {
            errors: retrier.error_equals,
            interval_seconds: retrier.interval_seconds,
            backoff_rate: retrier.backoff_rate,
            max_delay_seconds: retrier.max_delay_seconds,
            max_attempts: retrier.max_attempts,
            jitter: retrier.jitter_strategy,
        });
        let retry = retry.collect();
        let catch = catch.into_iter().map(|catcher| {
            Ok(Catcher {
                exit: self.exit(catcher.assign, catcher.output)?,
                next: self.target(&catcher.next)?,
                errors: catcher.error_equals,
            })
        });
        Ok(Handlers { retry, catch: catch.collect::<Result<_, DefinitionError>>()? })
    }

    /// `States.ALL` has to stand alone and last.
    fn check_all(&self, handlers: &[&Vec<String>]) -> Result<(), DefinitionError> {
        for (at, errors) in handlers.iter().enumerate() {
            let has_all = errors.iter().any(|error| error == "States.ALL");
            if has_all && (errors.len() > 1 || at + 1 < handlers.len()) {
                return Err(DefinitionError::All { state: self.state.to_owned() });
            }
        }
        Ok(())
    }

    fn exit(&mut self, assign: Option<Json>, output: Option<Json>) -> Result<Exit, DefinitionError> {
        Ok(Exit { assign: self.optional(assign)?, output: self.optional(output)? })
    }

    fn next(&self, next: Option<String>, end: bool) -> Result<Next, DefinitionError> {
        match (next, end) {
            (Some(next), false) => Ok(Next::State(self.target(&next)?)),
            (None, true) => Ok(Next::End),
            _ => Err(DefinitionError::NextOrEnd { state: self.state.to_owned() }),
        }
    }

    fn target(&self, name: &str) -> Result<StateId, DefinitionError> {
        target(self.ids, self.state, name)
    }

    fn optional(&mut self, json: Option<Json>) -> Result<Option<Template>, DefinitionError> {
        json.map(|json| self.template(json)).transpose()
    }

    fn template(&mut self, json: Json) -> Result<Template, DefinitionError> {
        Ok(match &json {
            Json::Text(text) => match text.strip_prefix("{%").and_then(|text| text.strip_suffix("%}")) {
                Some(expression) => {
                    let state = self.state;
                    let compiled = self.jsonata.compile(expression.trim());
                    let id =
                        compiled.map_err(|source| DefinitionError::Expression { state: state.to_owned(), source })?;
                    Template::Expression(id)
                }
                None => Template::Literal(json),
            },
            Json::Array(items) => {
                let items = items.iter().map(|item| self.template(item.clone())).collect::<Result<Vec<_>, _>>()?;
                let is_literal = items.iter().all(|item| matches!(item, Template::Literal(_)));
                if is_literal { Template::Literal(json) } else { Template::Array(items) }
            }
            Json::Object(fields) => {
                let fields = fields.iter().map(|(name, value)| Ok((Rc::clone(name), self.template(value.clone())?)));
                let fields = fields.collect::<Result<Vec<_>, DefinitionError>>()?;
                let is_literal = fields.iter().all(|(_, value)| matches!(value, Template::Literal(_)));
                if is_literal { Template::Literal(json) } else { Template::Object(fields) }
            }
            _ => Template::Literal(json),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn wildcards_match_what_they_are_documented_to_match() {
        for (names, error, expected) in [
            (vec!["States.ALL"], "Lambda.Unknown", true),
            (vec!["States.ALL"], "States.Timeout", true),
            (vec!["States.ALL"], "States.QueryEvaluationError", true),
            (vec!["States.ALL"], "States.DataLimitExceeded", false),
            (vec!["States.ALL"], "States.Runtime", false),
            (vec!["States.TaskFailed"], "Lambda.TooManyRequestsException", true),
            (vec!["States.TaskFailed"], "States.Timeout", false),
            (vec!["States.TaskFailed"], "States.Runtime", false),
            (vec!["States.TaskFailed", "States.Timeout"], "States.Timeout", true),
            (vec!["Ssm.ThrottlingException"], "Ssm.SsmException", false),
        ] {
            let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            assert_eq!(matches(&names, error), expected, "{names:?} and {error}");
        }
    }
}
