//! Each feature of the states language that the definitions use, on a small definition.

#![allow(clippy::float_cmp, reason = "times are sums of whole seconds")]

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use simulate::json::Json;
use simulate::step_functions::{
    Call, Execution, Failure, LONGEST_HISTORY, Quotas, Services, Status, Step, StepFunctions,
};
use simulate::time::Agenda;

use crate::jsonata;

const LAMBDA: &str = "arn:aws:states:::lambda:invoke";
const BUILD: &str = "arn:aws:states:::codebuild:startBuild.sync";
const NESTED: &str = "arn:aws:states:::states:startExecution.sync:2";
const QUOTAS: Quotas = Quotas { start_execution: (1000.0, 1000.0), state_transition: (1e9, 1e9) };

/// What a service answers: a result, an error, or nothing at all.
#[derive(Clone)]
enum Answer {
    Result(Value),
    Error(&'static str),
    JobFails(Value),
    Never,
}

/// Answers calls in their order, a second after each.
struct Script {
    answers: VecDeque<Answer>,
    /// When each call came, in seconds, and its arguments.
    calls: Vec<(f64, Value)>,
    ended: usize,
}

impl Services<Step> for Script {
    fn start(&mut self, call: Call, agenda: &mut Agenda<Step>) {
        let arguments = serde_json::from_str(&call.arguments.to_string()).unwrap();
        self.calls.push((agenda.now().elapsed().as_secs_f64(), arguments));
        let result = match self.answers.pop_front().expect("a call without an answer") {
            Answer::Result(value) => Ok(Json::of(&value)),
            Answer::Error(error) => Err(Failure::new(error, "why")),
            Answer::JobFails(cause) => Err(Failure::of_job(cause.to_string())),
            Answer::Never => return,
        };
        agenda.after(Duration::from_secs(1), Step::Completed(call.token, result));
    }

    fn ended(&mut self, _: &Execution, _: &mut Agenda<Step>) {
        self.ended += 1;
    }
}

struct Ran {
    status: Status,
    output: Value,
    history: Vec<String>,
    calls: Vec<(f64, Value)>,
    seconds: f64,
}

impl Ran {
    fn error(&self) -> &str {
        match &self.status {
            Status::Failed(failure) => &failure.error,
            other => panic!("it ended as {other:?} with {}", self.output),
        }
    }

    /// The times between calls, in seconds.
    fn pauses(&self) -> Vec<f64> {
        self.calls.windows(2).map(|pair| pair[1].0 - pair[0].0 - 1.0).collect()
    }
}

fn run_all(machines: &[(&str, Value)], input: &Value, answers: &[Answer], seed: u64) -> Ran {
    let mut step_functions = StepFunctions::new(jsonata(), QUOTAS, seed);
    for (name, definition) in machines {
        step_functions.create(name, &arn(name), &definition.to_string()).unwrap();
    }
    let mut agenda = Agenda::default();
    let mut script = Script { answers: answers.to_vec().into(), calls: Vec::new(), ended: 0 };
    let started = step_functions.start(&arn(machines[0].0), "e", Json::of(input), &mut agenda).unwrap();
    assert!(started.is_new);
    while step_functions.executions()[started.execution].status == Status::Running {
        let step = agenda.next_event().expect("the execution stands still");
        step_functions.handle(step, &mut agenda, &mut script).unwrap();
    }
    assert_eq!(script.ended, 1, "its end is known once");
    let execution = &step_functions.executions()[started.execution];
    Ran {
        status: execution.status.clone(),
        output: serde_json::from_str(&execution.output.to_string()).unwrap(),
        history: execution.history.iter().map(ToString::to_string).collect(),
        calls: script.calls,
        seconds: agenda.now().elapsed().as_secs_f64(),
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:states:us-east-1:123456789012:stateMachine:{name}")
}

fn machine(start: &str, states: &Value) -> Value {
    json!({"QueryLanguage": "JSONata", "StartAt": start, "States": states})
}

fn run(states: &Value, answers: &[Answer]) -> Ran {
    run_all(&[("m", machine("A", states))], &json!({"n": 1}), answers, 1)
}

/// A machine of one task with these fields besides.
fn task(more: &Value, answers: &[Answer]) -> Ran {
    let mut task = json!({"Type": "Task", "Resource": LAMBDA, "End": true});
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    run(&json!({"A": task, "Caught": {"Type": "Pass", "End": true}}), answers)
}

#[test]
fn assignments_and_output_see_the_variables_as_they_were() {
    let ran = run(
        &json!({
            "A": {"Type": "Pass", "Assign": {"x": 1, "y": [2, {"z": "{% $states.input.n + 2 %}"}]}, "Next": "B"},
            "B": {"Type": "Pass", "Assign": {"x": "{% $x + 1 %}", "old": "{% $x %}"}, "Output": "{% $x %}", "Next": "C"},
            "C": {"Type": "Pass", "Output": {"x": "{% $x %}", "old": "{% $old %}", "y": "{% $y %}", "input": "{% $states.input %}"},
                "End": true},
        }),
        &[],
    );
    assert_eq!(ran.output, json!({"x": 2, "old": 1, "y": [2, {"z": 3}], "input": 1}));
    assert_eq!(
        ran.history,
        [
            "ExecutionStarted",
            "PassStateEntered",
            "PassStateExited",
            "PassStateEntered",
            "PassStateExited",
            "PassStateEntered",
            "PassStateExited",
            "ExecutionSucceeded"
        ]
    );
}

#[test]
fn a_task_gets_its_arguments_and_puts_out_its_result() {
    let ran = task(
        &json!({"Arguments": {"FunctionName": "f", "Payload": {"n": "{% $states.input.n %}",
            "execution": "{% $states.context.Execution.Name %}", "at": "{% $states.context.State.EnteredTime %}"}}}),
        &[Answer::Result(json!({"Payload": 7}))],
    );
    let payload = json!({"n": 1, "execution": "e", "at": "2026-06-01T18:00:00.000Z"});
    assert_eq!(ran.calls, [(0.0, json!({"FunctionName": "f", "Payload": payload}))]);
    assert_eq!((ran.output, ran.seconds), (json!({"Payload": 7}), 1.0));
}

fn retrier(errors: &[&str], attempts: u32, jitter: &str) -> Value {
    json!({"ErrorEquals": errors, "IntervalSeconds": 2, "BackoffRate": 3, "MaxDelaySeconds": 10, "MaxAttempts": attempts,
        "JitterStrategy": jitter})
}

#[test]
fn a_retry_waits_longer_each_time_up_to_its_longest_delay_and_as_often_as_allowed() {
    let answers = [const { Answer::Error("Busy") }; 5];
    let ran = task(&json!({"Retry": [retrier(&["Busy"], 4, "NONE")]}), &answers);
    assert_eq!(ran.pauses(), [2.0, 6.0, 10.0, 10.0]);
    assert_eq!(ran.error(), "Busy");
    let ran = task(&json!({"Retry": [{"ErrorEquals": ["Busy"]}]}), &answers);
    assert_eq!(ran.pauses(), [1.0, 2.0, 4.0], "the defaults");
}

#[test]
fn full_jitter_draws_from_zero_to_the_whole_delay() {
    let answers = [const { Answer::Error("Busy") }; 9];
    let pauses = |seed| {
        let states =
            json!({"A": {"Type": "Task", "Resource": LAMBDA, "End": true, "Retry": [retrier(&["Busy"], 8, "FULL")]}});
        run_all(&[("m", machine("A", &states))], &json!({}), &answers, seed).pauses()
    };
    let drawn = pauses(1);
    for (pause, longest) in drawn.iter().zip([2.0, 6.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0]) {
        assert!((0.0..longest).contains(pause), "{drawn:?}");
    }
    assert!(drawn.iter().any(|pause| *pause < 5.0) && drawn.iter().any(|pause| *pause > 5.0), "{drawn:?}");
    assert_eq!(drawn, pauses(1), "a seed gives the same delays");
    assert_ne!(drawn, pauses(2));
}

#[test]
fn the_first_retrier_that_names_the_error_decides() {
    let retry = json!([retrier(&["Busy"], 0, "NONE"), retrier(&["States.TaskFailed"], 5, "NONE")]);
    assert_eq!(task(&json!({"Retry": retry}), &[Answer::Error("Busy")]).calls.len(), 1);
    let answers = [Answer::Error("Other"), Answer::Result(json!(null))];
    assert_eq!(task(&json!({"Retry": retry}), &answers).calls.len(), 2);
}

#[test]
fn a_state_that_is_entered_again_is_retried_as_often_again() {
    let states = json!({
        "A": {"Type": "Task", "Resource": LAMBDA, "Retry": [retrier(&["Busy"], 1, "NONE")],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}], "Assign": {"done": true}, "Next": "B"},
        "B": {"Type": "Choice", "Choices": [{"Condition": "{% $exists($done) %}", "Next": "C"}], "Default": "A"},
        "C": {"Type": "Pass", "End": true},
    });
    let answers =
        [Answer::Error("Busy"), Answer::Error("Busy"), Answer::Error("Busy"), Answer::Result(json!({"ok": true}))];
    assert_eq!(run(&states, &answers).calls.len(), 4);
}

#[test]
fn a_catcher_assigns_and_puts_out_the_error() {
    let catch = json!([
        {"ErrorEquals": ["Other"], "Next": "A"},
        {"ErrorEquals": ["States.ALL"], "Output": {"caught": "{% $states.errorOutput %}"}, "Next": "Caught"},
    ]);
    let ran = task(&json!({"Catch": catch}), &[Answer::Error("Broken")]);
    assert_eq!(ran.output, json!({"caught": {"Error": "Broken", "Cause": "why"}}));
    let default = json!([{"ErrorEquals": ["States.TaskFailed"], "Next": "Caught"}]);
    let ran = task(&json!({"Catch": default}), &[Answer::Error("Broken")]);
    assert_eq!(ran.output, json!({"Error": "Broken", "Cause": "why"}));
}

#[test]
fn no_wildcard_catches_a_terminal_error() {
    let all = json!([{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]);
    let failed = json!([{"ErrorEquals": ["States.TaskFailed"], "Next": "Caught"}]);
    for error in ["States.DataLimitExceeded", "States.Runtime"] {
        assert_eq!(task(&json!({"Catch": all}), &[Answer::Error(error)]).error(), error);
        assert_eq!(task(&json!({"Catch": failed}), &[Answer::Error(error)]).error(), error);
        let retry = json!([{"ErrorEquals": ["States.ALL"]}]);
        assert_eq!(task(&json!({"Retry": retry}), &[Answer::Error(error)]).calls.len(), 1);
    }
}

#[test]
fn a_result_of_more_than_256_kib_is_a_terminal_error() {
    let all = json!([{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]);
    let answer = |length: usize| [Answer::Result(json!("x".repeat(length)))];
    assert_eq!(task(&json!({"Catch": all}), &answer(262_143)).error(), "States.DataLimitExceeded");
    assert_eq!(task(&json!({"Catch": all}), &answer(262_142)).status, Status::Succeeded);
}

#[test]
fn a_task_that_takes_too_long_times_out_which_is_not_a_failed_task() {
    let failed = json!([{"ErrorEquals": ["States.TaskFailed"], "Next": "Caught"}]);
    let ran = task(&json!({"TimeoutSeconds": "{% 3 * 10 %}", "Catch": failed}), &[Answer::Never]);
    assert_eq!((ran.error(), ran.seconds), ("States.Timeout", 30.0));
    assert_eq!(ran.history[4..], ["TaskTimedOut", "ExecutionFailed"]);
    let retry = json!([{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 5}]);
    let answers = [Answer::Never, Answer::Result(json!(1))];
    let ran = task(&json!({"TimeoutSeconds": 30, "Retry": retry}), &answers);
    assert_eq!((ran.calls[1].0, ran.seconds), (35.0, 36.0), "each attempt has the whole time");
}

#[test]
fn an_expression_without_a_value_is_an_error_that_can_be_caught() {
    let all = json!([{"ErrorEquals": ["States.QueryEvaluationError"], "Output": "{% $states.errorOutput.Error %}",
        "Next": "Caught"}]);
    for broken in ["{% $nothing %}", "{% 1 + 'a' %}", "{% $error('no') %}"] {
        let ran = task(&json!({"Arguments": {"x": broken}, "Catch": all}), &[]);
        assert_eq!(ran.output, json!("States.QueryEvaluationError"), "{broken}");
    }
    let answers = [Answer::Result(json!({}))];
    assert_eq!(task(&json!({"Output": "{% $states.result.x %}", "Catch": all}), &answers).status, Status::Succeeded);
}

#[test]
fn a_choice_takes_the_first_rule_that_holds_else_the_default() {
    let chosen = |n: u32| {
        let states = json!({
            "A": {"Type": "Choice",
                "Choices": [
                    {"Condition": "{% $states.input.n = 1 %}", "Assign": {"by": "one"}, "Output": "first", "Next": "B"},
                    {"Condition": "{% $states.input.n < 3 %}", "Next": "B"},
                ],
                "Default": "B", "Assign": {"by": "default"}, "Output": "none"},
            "B": {"Type": "Pass", "Output": {"input": "{% $states.input %}", "by": "{% $exists($by) ? $by : null %}"}, "End": true},
        });
        run_all(&[("m", machine("A", &states))], &json!({"n": n}), &[], 1).output
    };
    assert_eq!(chosen(1), json!({"input": "first", "by": "one"}));
    assert_eq!(chosen(2), json!({"input": {"n": 2}, "by": null}));
    assert_eq!(chosen(3), json!({"input": "none", "by": "default"}));
}

#[test]
fn a_choice_without_a_match_or_with_another_value_than_a_boolean_fails() {
    let error = |condition: &str| {
        let states = json!({"A": {"Type": "Choice", "Choices": [{"Condition": condition, "Next": "A"}]}});
        run(&states, &[]).error().to_owned()
    };
    assert_eq!(error("{% false %}"), "States.Runtime");
    assert_eq!(error("{% 1 %}"), "States.QueryEvaluationError");
    assert_eq!(error("{% $nothing %}"), "States.QueryEvaluationError");
}

#[test]
fn a_wait_lasts_as_long_as_its_expression_says() {
    let wait = |seconds: Value| {
        let states = json!({"A": {"Type": "Wait", "Seconds": seconds, "Assign": {"x": 1}, "End": true}});
        run(&states, &[])
    };
    assert_eq!(wait(json!("{% $states.input.n * 90 %}")).seconds, 90.0);
    assert_eq!(wait(json!(2)).output, json!({"n": 1}));
    assert_eq!(wait(json!("{% 'soon' %}")).error(), "States.QueryEvaluationError");
}

/// A parallel state of two tasks, whose first assigns a variable that both see from outside.
fn parallel(more: &Value, answers: &[Answer]) -> Ran {
    let branch = |name: &str, assign: &Value| {
        json!({"StartAt": name, "States": {
            name: {"Type": "Task", "Resource": LAMBDA, "Assign": assign, "Next": format!("{name}2")},
            format!("{name}2"): {"Type": "Pass", "Output": "{% [$x, $states.input.v] %}", "End": true},
        }})
    };
    let mut state = json!({"Type": "Parallel", "Next": "B",
        "Branches": [branch("P", &json!({"x": "changed"})), branch("Q", &json!({}))]});
    state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    run(
        &json!({
            "A": {"Type": "Pass", "Assign": {"x": "outer"}, "Next": "Both"},
            "Both": state,
            "B": {"Type": "Pass", "Output": {"x": "{% $x %}", "all": "{% $states.input %}"}, "End": true},
        }),
        answers,
    )
}

#[test]
fn branches_run_at_once_and_assign_only_their_own_variables() {
    let ran = parallel(&json!({}), &[Answer::Result(json!({"v": 1})), Answer::Result(json!({"v": 2}))]);
    assert_eq!(ran.output, json!({"x": "outer", "all": [["changed", 1], ["outer", 2]]}));
    assert_eq!(ran.seconds, 1.0);
    let count = |event: &str| ran.history.iter().filter(|it| *it == event).count();
    assert_eq!(count("ParallelStateEntered") + count("ParallelStateStarted") + count("ParallelStateSucceeded"), 3);
    assert_eq!((count("TaskScheduled"), count("ParallelStateExited")), (2, 1));
    let assigned = parallel(
        &json!({"Assign": {"x": "{% $states.result[0][0] %}"}, "Output": "{% $count($states.result) %}"}),
        &[Answer::Result(json!({"v": 1})), Answer::Result(json!({"v": 2}))],
    );
    assert_eq!(assigned.output, json!({"x": "changed", "all": 2}));
}

#[test]
fn a_branch_that_fails_ends_the_others_and_fails_the_state() {
    let answers = [Answer::Never, Answer::Error("Broken")];
    assert_eq!(parallel(&json!({}), &answers).error(), "Broken");
    let caught =
        json!({"Catch": [{"ErrorEquals": ["Broken"], "Output": "{% $states.errorOutput.Error %}", "Next": "B"}]});
    assert_eq!(parallel(&caught, &answers).output, json!({"x": "outer", "all": "Broken"}));
    let retried = json!({"Retry": [{"ErrorEquals": ["Broken"], "MaxAttempts": 1}]});
    let again = [Answer::Result(json!({"v": 1})), Answer::Result(json!({"v": 2}))];
    let ran = parallel(&retried, &[&answers[..], &again].concat());
    assert_eq!((ran.calls.len(), ran.output["all"][1][1].clone()), (4, json!(2)));
}

#[test]
fn succeed_and_fail_end_an_execution() {
    let ran = run(&json!({"A": {"Type": "Succeed", "Output": "{% $states.input.n %}"}}), &[]);
    assert_eq!((ran.status, ran.output), (Status::Succeeded, json!(1)));
    let ran = run(&json!({"A": {"Type": "Fail", "Error": "Bad", "Cause": "{% 'n is ' & $states.input.n %}"}}), &[]);
    assert_eq!(ran.status, Status::Failed(Failure::new("Bad", "n is 1")));
    assert_eq!(ran.history, ["ExecutionStarted", "FailStateEntered", "ExecutionFailed"]);
}

#[test]
fn a_synchronous_task_is_submitted_before_its_job_ends() {
    let states = |retry: &Value| {
        json!({"A": {"Type": "Task", "Resource": BUILD, "Retry": retry, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}],
            "Next": "B"}, "B": {"Type": "Pass", "End": true}})
    };
    let retry = json!([{"ErrorEquals": ["CodeBuild.AWSCodeBuildException"], "IntervalSeconds": 1}]);
    let answers = [Answer::Error("CodeBuild.AWSCodeBuildException"), Answer::JobFails(json!({"Build": {}}))];
    let ran = run(&states(&retry), &answers);
    assert_eq!(
        ran.history,
        [
            "ExecutionStarted",
            "TaskStateEntered",
            "TaskScheduled",
            "TaskStarted",
            "TaskSubmitFailed",
            "TaskScheduled",
            "TaskStarted",
            "TaskSubmitted",
            "TaskFailed",
            "TaskStateExited",
            "PassStateEntered",
            "PassStateExited",
            "ExecutionSucceeded"
        ]
    );
    assert_eq!(ran.output, json!({"Error": "States.TaskFailed", "Cause": r#"{"Build":{}}"#}));
    let ran = run(&states(&json!([])), &[Answer::Result(json!({"Build": 1}))]);
    assert_eq!(ran.history[2..6], ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]);
}

#[test]
fn a_nested_execution_gives_its_output_or_its_error() {
    let nested = |inner: &Value| {
        let outer = machine(
            "A",
            &json!({"A": {"Type": "Task", "Resource": NESTED,
                "Arguments": {"StateMachineArn": arn("inner"), "Name": "i", "Input": {"k": "{% $states.input.n + 1 %}"}},
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}], "Next": "B"},
                "B": {"Type": "Pass", "End": true}}),
        );
        run_all(&[("outer", outer), ("inner", machine("A", inner))], &json!({"n": 1}), &[], 1)
    };
    let ran = nested(&json!({"A": {"Type": "Pass", "Output": {"got": "{% $states.input.k %}"}, "End": true}}));
    assert_eq!((&ran.output["Output"], &ran.output["Status"]), (&json!({"got": 2}), &json!("SUCCEEDED")));
    let ran = nested(&json!({"A": {"Type": "Fail", "Error": "ScoringFault", "Cause": "why"}}));
    assert_eq!(ran.output["Error"], "States.TaskFailed");
    let cause: Value = serde_json::from_str(ran.output["Cause"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&cause["Error"], &cause["Cause"], &cause["Status"]),
        (&json!("ScoringFault"), &json!("why"), &json!("FAILED"))
    );
}

#[test]
fn an_execution_has_a_time_limit() {
    let mut definition = machine("A", &json!({"A": {"Type": "Wait", "Seconds": 1000, "End": true}}));
    definition["TimeoutSeconds"] = json!(60);
    let ran = run_all(&[("m", definition)], &json!({}), &[], 1);
    assert_eq!((ran.status, ran.seconds), (Status::TimedOut, 60.0));
}

#[test]
fn an_execution_fails_when_its_history_is_full() {
    let states = json!({"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Wait", "Seconds": 1, "Next": "A"}});
    let ran = run(&states, &[]);
    assert_eq!((ran.error(), ran.history.len()), ("States.Runtime", LONGEST_HISTORY));
}

#[test]
fn a_name_starts_one_execution() {
    use simulate::step_functions::{NotStarted, Started};
    let mut step_functions = StepFunctions::new(jsonata(), QUOTAS, 1);
    let wait = machine("A", &json!({"A": {"Type": "Wait", "Seconds": 10, "End": true}}));
    step_functions.create("m", &arn("m"), &wait.to_string()).unwrap();
    let mut agenda = Agenda::default();
    let mut script = Script { answers: VecDeque::new(), calls: Vec::new(), ended: 0 };
    let start = |step_functions: &mut StepFunctions, agenda: &mut Agenda<Step>, input: Value| {
        step_functions.start(&arn("m"), "e", Json::of(&input), agenda)
    };
    assert_eq!(start(&mut step_functions, &mut agenda, json!(1)), Ok(Started { execution: 0, is_new: true }));
    assert_eq!(start(&mut step_functions, &mut agenda, json!(1)), Ok(Started { execution: 0, is_new: false }));
    assert_eq!(start(&mut step_functions, &mut agenda, json!(2)), Err(NotStarted::AlreadyExists));
    while let Some(step) = agenda.next_event() {
        step_functions.handle(step, &mut agenda, &mut script).unwrap();
    }
    assert_eq!(start(&mut step_functions, &mut agenda, json!(1)), Err(NotStarted::AlreadyExists));
}

#[test]
fn calls_beyond_a_quota_are_refused_and_transitions_wait() {
    use simulate::step_functions::NotStarted;
    let quotas = Quotas { start_execution: (2.0, 1.0), state_transition: (1.0, 2.0) };
    let mut step_functions = StepFunctions::new(jsonata(), quotas, 1);
    let pass = machine("A", &json!({"A": {"Type": "Pass", "End": true}}));
    step_functions.create("m", &arn("m"), &pass.to_string()).unwrap();
    let mut agenda = Agenda::default();
    let mut script = Script { answers: VecDeque::new(), calls: Vec::new(), ended: 0 };
    let started = ["a", "b", "c"].map(|name| step_functions.start(&arn("m"), name, Json::Null, &mut agenda).err());
    assert_eq!(started, [None, None, Some(NotStarted::Throttled)]);
    while let Some(step) = agenda.next_event() {
        step_functions.handle(step, &mut agenda, &mut script).unwrap();
    }
    assert_eq!((agenda.now().elapsed(), step_functions.delayed_transitions), (Duration::from_millis(500), 1));
}
