//! JSONata, evaluated by the reference implementation in the version that Step Functions names as its own:
//! <https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html>.
//!
//! A question to the process of the reference costs more than its answer, so a template asks for all its expressions at once,
//! answers are kept, and an expression that only names a value, such as `$failed.error`, is answered here.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;

use serde::Deserialize;

use crate::definition::Template;
use crate::json::Json;
use crate::time::Moment;

/// Answers that are kept for one expression. When there are more, most of them are not asked for again.
const KEPT_ANSWERS: usize = 4096;

/// A compiled expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExpressionId(usize);

/// The variables of an execution, by name without `$`.
pub type Variables = BTreeMap<Rc<str>, Json>;

/// What expressions can name.
#[derive(Debug)]
pub struct Scope<'a> {
    pub variables: &'a Variables,
    /// `$states`.
    pub states: &'a Json,
}

impl Scope<'_> {
    fn variable(&self, name: &str) -> Option<&Json> {
        if name == "states" { Some(self.states) } else { self.variables.get(name) }
    }
}

/// The process of the reference implementation.
#[derive(Debug)]
pub struct Jsonata {
    node: Child,
    /// Absent once the process is asked to end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    ids: HashMap<String, ExpressionId>,
    expressions: Vec<Expression>,
    /// Expressions that the process has evaluated.
    pub evaluated: u64,
}

#[derive(Debug)]
struct Expression {
    text: String,
    analysis: Analysis,
    answers: HashMap<Box<str>, Answer>,
}

/// What an expression reads.
#[derive(Debug, Deserialize)]
struct Analysis {
    /// A variable, and the fields that are read from it.
    paths: Vec<Vec<String>>,
    /// Whether the expression is such a path and nothing else.
    plain: bool,
    /// Whether it asks for the time.
    clock: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Compiled {
    Refused { error: String },
    Valid(Analysis),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    Error { error: String },
    Value { value: Json },
    Undefined {},
}

/// Why the reference implementation cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JsonataError {
    #[error("JSONata is not installed in {}; run scripts/setup.sh simulate", .0.display())]
    NotInstalled(PathBuf),
    #[error("node cannot be started; run scripts/setup.sh simulate: {0}")]
    Start(#[source] io::Error),
    #[error("{expression}: {reason}")]
    Refused { expression: String, reason: String },
    #[error("the process that evaluates JSONata failed: {0}")]
    Process(#[from] io::Error),
    #[error("the process that evaluates JSONata gave an invalid answer: {0}")]
    Answer(#[from] serde_json::Error),
}

/// An expression without a value: `States.QueryEvaluationError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The JSONata expression '{expression}' {reason}.")]
pub struct NoValue {
    expression: String,
    reason: String,
}

impl Jsonata {
    /// Starts the process. `package` is the folder of the installed package.
    pub fn start(package: &Path) -> Result<Self, JsonataError> {
        if !package.join("package.json").is_file() {
            return Err(JsonataError::NotInstalled(package.to_owned()));
        }
        let mut node = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/jsonata.cjs"))
            .arg(package)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(JsonataError::Start)?;
        let input = node.stdin.take();
        let output = node.stdout.take().expect("invariant: standard output is a pipe");
        Ok(Self {
            node,
            input,
            output: BufReader::new(output),
            ids: HashMap::new(),
            expressions: Vec::new(),
            evaluated: 0,
        })
    }

    pub fn compile(&mut self, expression: &str) -> Result<ExpressionId, JsonataError> {
        if let Some(id) = self.ids.get(expression) {
            return Ok(*id);
        }
        let answer = self.ask(&Json::object([("compile", Json::from(expression))]).to_string())?;
        match serde_json::from_str(&answer)? {
            Compiled::Refused { error } => {
                Err(JsonataError::Refused { expression: expression.to_owned(), reason: error })
            }
            Compiled::Valid(analysis) => {
                let id = ExpressionId(self.expressions.len());
                let text = expression.to_owned();
                self.expressions.push(Expression { text, analysis, answers: HashMap::new() });
                self.ids.insert(expression.to_owned(), id);
                Ok(id)
            }
        }
    }

    /// The value of a template. The inner error is the expression's, the outer one that of the process.
    pub fn evaluate(
        &mut self,
        template: &Template,
        scope: &Scope<'_>,
        now: Moment,
    ) -> Result<Result<Json, NoValue>, JsonataError> {
        let mut questions = Vec::new();
        gather(template, &mut questions);
        let mut answers = Vec::with_capacity(questions.len());
        let mut open = Vec::new();
        for id in questions {
            let expression = &self.expressions[id.0];
            let mut answer = expression.plain_value(scope).map(|value| Answer::Value { value: value.clone() });
            if answer.is_none() {
                let question = expression.question(scope, now);
                answer = expression.answers.get(question.as_str()).cloned();
                if answer.is_none() {
                    open.push((answers.len(), id, question));
                }
            }
            answers.push(answer);
        }
        if !open.is_empty() {
            let given = self.ask_all(&open)?;
            for ((at, _, _), answer) in open.into_iter().zip(given) {
                answers[at] = Some(answer);
            }
        }
        Ok(self.fill(template, &mut answers.into_iter()))
    }

    /// Gives the process everything that there is, for comparison.
    pub fn evaluate_whole(
        &mut self,
        id: ExpressionId,
        scope: &Scope<'_>,
        now: Moment,
    ) -> Result<Result<Json, NoValue>, JsonataError> {
        let states = [("states".into(), scope.states.clone())];
        let all = Json::Object(scope.variables.clone().into_iter().chain(states).collect());
        let request = format!("[[{},{all},{}]]", id.0, now.unix_milliseconds());
        let answer = serde_json::from_str::<Vec<Answer>>(&self.ask(&request)?)?.pop();
        Ok(self.fill(&Template::Expression(id), &mut std::iter::once(answer)))
    }

    fn ask_all(&mut self, open: &[(usize, ExpressionId, String)]) -> Result<Vec<Answer>, JsonataError> {
        let mut request = String::from("[");
        for (at, (_, id, question)) in open.iter().enumerate() {
            let separator = if at > 0 { "," } else { "" };
            let _ = write!(request, "{separator}[{},{question}]", id.0);
        }
        request.push(']');
        let answers: Vec<Answer> = serde_json::from_str(&self.ask(&request)?)?;
        self.evaluated += answers.len() as u64;
        for ((_, id, question), answer) in open.iter().zip(&answers) {
            let expression = &mut self.expressions[id.0];
            if !expression.analysis.clock {
                if expression.answers.len() == KEPT_ANSWERS {
                    expression.answers.clear();
                }
                expression.answers.insert(question.as_str().into(), answer.clone());
            }
        }
        Ok(answers)
    }

    fn ask(&mut self, request: &str) -> Result<String, JsonataError> {
        let input = self.input.as_mut().expect("invariant: the input is open until the process is dropped");
        input.write_all(format!("{request}\n").as_bytes())?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        Ok(answer)
    }

    /// Puts the answers into the places of the expressions.
    fn fill(&self, template: &Template, answers: &mut impl Iterator<Item = Option<Answer>>) -> Result<Json, NoValue> {
        Ok(match template {
            Template::Literal(json) => json.clone(),
            Template::Expression(id) => {
                let answer = answers.next().flatten().expect("invariant: each expression has an answer");
                let without = |reason| NoValue { expression: self.expressions[id.0].text.clone(), reason };
                match answer {
                    Answer::Value { value } => value,
                    Answer::Undefined {} => return Err(without("returned nothing (undefined)".to_owned())),
                    Answer::Error { error } => return Err(without(format!("threw an error: {error}"))),
                }
            }
            Template::Array(items) => {
                Json::Array(items.iter().map(|item| self.fill(item, answers)).collect::<Result<_, _>>()?)
            }
            Template::Object(fields) => Json::Object(
                fields
                    .iter()
                    .map(|(name, value)| Ok((Rc::clone(name), self.fill(value, answers)?)))
                    .collect::<Result<_, _>>()?,
            ),
        })
    }
}

/// Closing its input ends the process.
impl Drop for Jsonata {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.node.wait();
    }
}

/// The expressions of a template, in the order in which [`Jsonata::fill`] meets them.
fn gather(template: &Template, expressions: &mut Vec<ExpressionId>) {
    match template {
        Template::Literal(_) => {}
        Template::Expression(id) => expressions.push(*id),
        Template::Array(items) => items.iter().for_each(|item| gather(item, expressions)),
        Template::Object(fields) => fields.iter().for_each(|(_, value)| gather(value, expressions)),
    }
}

impl Expression {
    /// The value that a plain path names: a field of an object of an object. Paths through anything else, and arrays, have
    /// rules of their own, which only the reference knows.
    fn plain_value<'a>(&self, scope: &Scope<'a>) -> Option<&'a Json> {
        if !self.analysis.plain {
            return None;
        }
        let (variable, fields) = self.analysis.paths.first()?.split_first()?;
        let mut value = match variable.as_str() {
            "states" => scope.states,
            name => scope.variables.get(name)?,
        };
        for field in fields {
            value = value.field(field)?;
        }
        (!matches!(value, Json::Array(_))).then_some(value)
    }

    /// The variables that the expression reads, reduced to what it reads of them, and the time if it asks for it.
    fn question(&self, scope: &Scope<'_>, now: Moment) -> String {
        let mut text = String::from("{");
        let mut written: Vec<&str> = Vec::new();
        for path in &self.analysis.paths {
            let name = path[0].as_str();
            let Some(value) = scope.variable(name).filter(|_| !written.contains(&name)) else { continue };
            let reads: Vec<&[String]> =
                self.analysis.paths.iter().filter(|path| path[0] == name).map(|path| &path[1..]).collect();
            let separator = if written.is_empty() { "" } else { "," };
            let _ = write!(text, r#"{separator}"{name}":"#);
            write_reduced(&mut text, value, &reads);
            written.push(name);
        }
        text.push('}');
        if self.analysis.clock {
            let _ = write!(text, ",{}", now.unix_milliseconds());
        }
        text
    }
}

/// Writes of objects only the fields that are read.
fn write_reduced(text: &mut String, value: &Json, reads: &[&[String]]) {
    let Json::Object(fields) = value else {
        let _ = write!(text, "{value}");
        return;
    };
    if reads.iter().any(|read| read.is_empty()) {
        let _ = write!(text, "{value}");
        return;
    }
    text.push('{');
    let mut is_first = true;
    for (name, value) in fields.iter() {
        let inner: Vec<&[String]> = reads.iter().filter(|read| read[0] == **name).map(|read| &read[1..]).collect();
        if inner.is_empty() {
            continue;
        }
        let separator = if std::mem::take(&mut is_first) { "" } else { "," };
        let _ = write!(text, "{separator}{}:", Json::Text(Rc::clone(name)));
        write_reduced(text, value, &inner);
    }
    text.push('}');
}
