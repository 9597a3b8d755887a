//! Sweeps.

use report::SweepAnswer;

use super::*;

/// The answer of Step Functions, ECR or Secrets Manager.
pub(super) fn answer(operation: &str, request: &Value, state: &mut State) -> Reply {
    let answer = match operation {
        "GetSecretValue" => json!({"SecretString": r#"{"AUTH0_CLIENT_ID":"me","AUTH0_CLIENT_SECRET":"s"}"#}),
        "ListExecutions" => {
            assert_eq!((&request["stateMachineArn"], &request["maxResults"]), (&json!(MACHINE), &json!(1000)));
            if request["nextToken"] == "expired" {
                return refused("InvalidToken");
            }
            // One execution a page.
            let at: usize = request["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
            let listed = state.executions.iter().filter(|execution| execution["status"] == request["statusFilter"]);
            let mut rest = listed.skip(at);
            let page: Vec<&Value> = rest.next().into_iter().collect();
            json!({"executions": page, "nextToken": rest.next().map(|_| (at + 1).to_string())})
        }
        "DescribeExecution" => {
            match state.executions.iter().find(|execution| execution["executionArn"] == request["executionArn"]) {
                Some(execution) => execution.clone(),
                None => return refused("ExecutionDoesNotExist"),
            }
        }
        "DescribeRepositories" => {
            assert_eq!(request["maxResults"], 1000);
            // Two repositories a page.
            let at: usize = request["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
            let page: Vec<Value> =
                state.repositories.iter().skip(at).take(2).map(|(name, _)| repository(name)).collect();
            let more = state.repositories.len() > at + 2;
            json!({"repositories": page, "nextToken": more.then(|| (at + 2).to_string())})
        }
        "ListTagsForResource" => {
            let of_name = |(name, _): &&(&str, Value)| repository(name)["repositoryArn"] == request["resourceArn"];
            match state.repositories.iter().find(of_name) {
                Some((_, tags)) => json!({"tags": tags}),
                None => return refused("RepositoryNotFoundException"),
            }
        }
        "DescribeImages" => json!({"imageDetails": []}),
        "DeleteRepository" => {
            assert_eq!(request["force"], true);
            state.repositories.retain(|(name, _)| request["repositoryName"] != *name);
            json!({})
        }
        _ => return Reply::status(500, format!("unexpected: {operation}")),
    };
    Reply::status(200, answer.to_string())
}

fn refused(code: &str) -> Reply {
    Reply::status(400, json!({"__type": code, "message": "as tested"}).to_string())
}

fn repository(name: &str) -> Value {
    json!({"repositoryName": name, "createdAt": 1_767_225_600,
        "repositoryArn": format!("arn:aws:ecr:us-east-1:123456789012:repository/{name}")})
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// An execution that ended `minutes` ago and ran for two minutes.
fn execution(arn: &str, status: &str, minutes: u64) -> Value {
    let stopped = now() - 60 * minutes;
    let mut execution = json!({"executionArn": arn, "stateMachineArn": MACHINE, "name": arn, "status": status,
        "startDate": stopped - 120, "input": json!({"submissionId": ID}).to_string()});
    if status != "RUNNING" {
        execution["stopDate"] = json!(stopped);
    }
    execution
}

async fn sweep(deps: &Deps) -> SweepAnswer {
    match handle(request(json!({"action": "sweep"})), deps).await.unwrap() {
        Answer::Sweep(found) => found,
        other => panic!("{other:?} instead of a sweep"),
    }
}

const NOTHING: SweepAnswer = SweepAnswer {
    checked: 0,
    unreported: 0,
    reported: 0,
    mappings_not_working: Some(0),
    deleted_repositories: 0,
    failed_calls: 0,
};

#[tokio::test]
async fn a_sweep_reports_each_unreported_execution_once() {
    for status in ["ABORTED", "FAILED", "TIMED_OUT"] {
        let state = Arc::new(Mutex::new(State {
            executions: vec![
                execution("arn:running", "RUNNING", 600),
                execution("arn:succeeded", "SUCCEEDED", 90),
                execution("arn:recent", status, 10),
                execution("arn:e", status, 90),
                execution("arn:long-ago", status, 3 * 24 * 60),
            ],
            ..State::default()
        }));
        let server = world(&state).await;
        let deps = deps(&server, &V5);
        let found = SweepAnswer { checked: 1, unreported: 1, reported: 1, ..NOTHING };
        assert_eq!(sweep(&deps).await, found, "{status}");
        let outcome: Value = serde_json::from_slice(state.lock().unwrap().outcome.as_ref().unwrap()).unwrap();
        assert_eq!((&outcome["execution"], &outcome["review"]), (&json!("arn:e"), &json!("r1")));
        let reviews = state.lock().unwrap().reviews.clone();
        assert_eq!(sweep(&deps).await, NOTHING);
        // Without its position, a sweep begins anew, and changes nothing.
        state.lock().unwrap().position = None;
        assert_eq!(sweep(&deps).await, SweepAnswer { checked: 1, ..NOTHING });
        assert_eq!(state.lock().unwrap().reviews, reviews);
    }
}

#[tokio::test]
async fn an_execution_that_cannot_be_reported_does_not_stop_the_sweep_and_is_reported_later() {
    let state = Arc::new(Mutex::new(State {
        executions: vec![execution("arn:a", "FAILED", 90), execution("arn:b", "FAILED", 91)],
        broken: Some(503),
        ..State::default()
    }));
    let server = world(&state).await;
    let deps = deps(&server, &V5);
    assert_eq!(sweep(&deps).await, SweepAnswer { checked: 2, unreported: 2, ..NOTHING });
    state.lock().unwrap().broken = None;
    assert_eq!(sweep(&deps).await, SweepAnswer { checked: 2, unreported: 2, reported: 2, ..NOTHING });
    assert_eq!(sweep(&deps).await, NOTHING);
}

#[tokio::test]
async fn an_execution_that_runs_again_is_left_alone() {
    let state = Arc::new(Mutex::new(State {
        executions: vec![execution("arn:e", "FAILED", 90)],
        throttled: vec!["DescribeExecution"],
        ..State::default()
    }));
    let server = world(&state).await;
    let deps = deps(&server, &V5);
    // It is redriven between two sweeps.
    assert_eq!(sweep(&deps).await, SweepAnswer { checked: 1, failed_calls: 1, ..NOTHING });
    {
        let mut redriven = state.lock().unwrap();
        redriven.throttled.clear();
        redriven.executions = vec![execution("arn:e", "RUNNING", 90)];
    }
    assert_eq!(sweep(&deps).await, SweepAnswer { checked: 1, ..NOTHING });
    assert_eq!(state.lock().unwrap().reviews, [Value::Null; 0]);
}

#[tokio::test]
async fn a_sweep_counts_quarantined_objects_page_by_page() {
    let state = Arc::new(Mutex::new(State {
        staged: vec!["quarantine/t/0/1.json", "quarantine/t/0/2.json", "aws/lambda/x", "submissions/x"],
        ..State::default()
    }));
    let server = world(&state).await;
    sweep(&deps(&server, &[])).await;
    let lists = server.requests().into_iter().filter(|request| request.line.starts_with("GET /staging/?")).count();
    assert_eq!(lists, 3);
}

#[tokio::test]
async fn throttled_calls_are_failed_calls_and_stop_nothing_else() {
    let stack =
        json!([{"Key": "marathon-match:stack", "Value": "mm"}, {"Key": "marathon-match:submission", "Value": ID}]);
    let name = "x5f39564f4c6e7a3258595a76384a";
    for (operation, found) in [
        ("ListExecutions", SweepAnswer { deleted_repositories: 1, failed_calls: 2, ..NOTHING }),
        ("DescribeExecution", SweepAnswer { checked: 1, failed_calls: 2, ..NOTHING }),
        ("/2015-03-31/event-source-mappings", SweepAnswer { mappings_not_working: None, failed_calls: 1, ..ALL }),
        ("/staging/", SweepAnswer { failed_calls: 1, ..ALL }),
        ("/staging/sweep/position.json", SweepAnswer { failed_calls: 1, ..NOTHING }),
        (
            "/models/_9VOLnz2XYZv8J/outcome.json",
            SweepAnswer { checked: 1, deleted_repositories: 1, failed_calls: 1, ..NOTHING },
        ),
        ("DescribeRepositories", SweepAnswer { deleted_repositories: 0, failed_calls: 1, ..ALL }),
        ("ListTagsForResource", SweepAnswer { deleted_repositories: 0, failed_calls: 1, ..ALL }),
        ("DescribeImages", SweepAnswer { deleted_repositories: 0, failed_calls: 1, ..ALL }),
        ("DeleteRepository", SweepAnswer { deleted_repositories: 0, failed_calls: 1, ..ALL }),
    ] {
        let state = Arc::new(Mutex::new(State {
            executions: vec![execution("arn:e", "FAILED", 90)],
            repositories: vec![(name, stack.clone())],
            throttled: vec![operation],
            ..State::default()
        }));
        let server = world(&state).await;
        let deps = deps(&server, &V5);
        assert_eq!(sweep(&deps).await, found, "{operation}");
        // The next sweep makes up for it; a repository waits for the next pass.
        state.lock().unwrap().throttled.clear();
        sweep(&deps).await;
        assert_eq!(state.lock().unwrap().reviews.len(), 1, "{operation}");
    }
}

/// What a sweep without failed calls finds there.
const ALL: SweepAnswer = SweepAnswer { checked: 1, unreported: 1, reported: 1, deleted_repositories: 1, ..NOTHING };

#[tokio::test]
async fn a_position_that_cannot_be_read_begins_anew() {
    let state = Arc::new(Mutex::new(State {
        executions: vec![execution("arn:e", "FAILED", 90)],
        position: Some(b"{\"executions\": 1}".to_vec()),
        ..State::default()
    }));
    let server = world(&state).await;
    assert_eq!(sweep(&deps(&server, &V5)).await.reported, 1);
    let position: Value = serde_json::from_slice(state.lock().unwrap().position.as_ref().unwrap()).unwrap();
    assert!(position["executions"]["doneUntil"].is_string(), "{position}");
}

#[tokio::test]
async fn a_round_whose_list_has_expired_lists_again() {
    let state = Arc::new(Mutex::new(State { executions: vec![execution("arn:e", "FAILED", 90)], ..State::default() }));
    let server = world(&state).await;
    let deps = deps(&server, &V5);
    let at = |minutes: u64| {
        let at = time::OffsetDateTime::from_unix_timestamp((now() - 60 * minutes).try_into().unwrap()).unwrap();
        at.format(&time::format_description::well_known::Rfc3339).unwrap()
    };
    let position = json!({
        "executions": {
            "doneUntil": at(120), "queue": [], "unresolved": [],
            "round": {"until": at(70), "next": {"ending": "failed", "token": "expired"}},
        },
        "running": {"next": {"page": "expired"}, "oldest": null},
        "repositories": {"began": at(10), "next": "end", "queue": []},
    });
    state.lock().unwrap().position = Some(position.to_string().into_bytes());
    assert_eq!(sweep(&deps).await, SweepAnswer { checked: 1, unreported: 1, reported: 1, ..NOTHING });
}

#[tokio::test]
async fn only_repositories_of_the_stack_that_nothing_needs_are_deleted() {
    let of = |stack: &str, id: &str| json!([{"Key": "marathon-match:stack", "Value": stack}, {"Key": "marathon-match:submission", "Value": id}]);
    let uuid = |last: u8| format!("d01c8c8b-2a7f-463f-992b-7bc5423e1dd{last}");
    let names: [&'static str; 6] = std::array::from_fn(|last| &*uuid(last.try_into().unwrap()).leak());
    let [unneeded, other_stack, other_submission, running, redrivable, untagged] = names;
    let state = Arc::new(Mutex::new(State {
        executions: vec![
            execution(&execution_arn(running), "RUNNING", 60),
            execution(&execution_arn(redrivable), "FAILED", 13 * 24 * 60),
            execution(&execution_arn(unneeded), "FAILED", 15 * 24 * 60),
        ],
        repositories: vec![
            (unneeded, of("mm", unneeded)),
            (other_stack, of("mm-staging", other_stack)),
            (other_submission, of("mm", unneeded)),
            (running, of("mm", running)),
            (redrivable, of("mm", redrivable)),
            (untagged, json!([])),
            ("backend/api", of("mm", unneeded)),
        ],
        ..State::default()
    }));
    let server = world(&state).await;
    let deps = deps(&server, &V5);
    assert_eq!(sweep(&deps).await, SweepAnswer { deleted_repositories: 1, ..NOTHING });
    let left: Vec<&str> = state.lock().unwrap().repositories.iter().map(|(name, _)| *name).collect();
    assert_eq!(left, [other_stack, other_submission, running, redrivable, untagged, "backend/api"]);
}

fn execution_arn(name: &str) -> String {
    format!("arn:aws:states:us-east-1:123456789012:execution:mm:{name}")
}

#[tokio::test]
async fn mappings_that_do_not_work_are_counted() {
    let mapping = |state: &str, result: &str| json!({"UUID": "m", "State": state, "LastProcessingResult": result});
    for (mappings, needed, expected) in [
        (vec![], "false", 0),
        (vec![], "true", 1),
        (vec![mapping("Enabled", "No records processed")], "true", 0),
        (
            vec![mapping("Disabled", "No records processed"), mapping("Enabled", "PROBLEM: Connection error.")],
            "true",
            2,
        ),
    ] {
        let state = Arc::new(Mutex::new(State { mappings, ..State::default() }));
        let server = world(&state).await;
        let deps = deps(&server, &[("INTAKE_NEEDS_MAPPING", needed)]);
        assert_eq!(sweep(&deps).await, SweepAnswer { mappings_not_working: Some(expected), ..NOTHING });
    }
}

#[tokio::test]
async fn each_call_of_a_sweep_has_exactly_these_parameters() {
    let name = "x5f39564f4c6e7a3258595a76384a";
    let tags =
        json!([{"Key": "marathon-match:stack", "Value": "mm"}, {"Key": "marathon-match:submission", "Value": ID}]);
    let state = Arc::new(Mutex::new(State {
        executions: vec![execution("arn:e", "FAILED", 90), execution("arn:f", "FAILED", 91)],
        repositories: vec![(name, tags)],
        ..State::default()
    }));
    let server = world(&state).await;
    sweep(&deps(&server, &[])).await;
    let mut calls = Vec::new();
    for request in server.requests() {
        match request.header("x-amz-target") {
            Some(target) => calls.push((target.to_owned(), serde_json::from_slice(&request.body).unwrap())),
            None => calls.push((request.line.clone(), Value::Null)),
        }
    }
    let list = |status: &str| {
        let request = json!({"stateMachineArn": MACHINE, "statusFilter": status, "maxResults": 1000});
        ("AWSStepFunctions.ListExecutions".to_owned(), request)
    };
    let describe = |arn: &str| ("AWSStepFunctions.DescribeExecution".to_owned(), json!({"executionArn": arn}));
    let ecr = |operation: &str, request: Value| (format!("AmazonEC2ContainerRegistry_V20150921.{operation}"), request);
    let s3 = |line: &str| (line.to_owned(), Value::Null);
    let mut second_page = list("FAILED");
    second_page.1["nextToken"] = json!("1");
    let (get, put) = (format!("GET {OUTCOME}?x-id=GetObject"), format!("PUT {OUTCOME}?x-id=PutObject"));
    let saves = "PUT /staging/sweep/position.json?x-id=PutObject";
    assert_eq!(
        calls,
        [
            s3("GET /2015-03-31/event-source-mappings?FunctionName=mm-intake"),
            s3("GET /staging/?list-type=2&prefix=quarantine%2F"),
            s3("GET /staging/?list-type=2&prefix=aws%2Flambda%2F"),
            s3("GET /staging/sweep/position.json?x-id=GetObject"),
            list("RUNNING"),
            list("FAILED"),
            describe("arn:e"),
            s3(&get),
            s3(&put),
            second_page,
            describe("arn:f"),
            s3(&get),
            s3(&put),
            list("TIMED_OUT"),
            list("ABORTED"),
            s3(saves),
            ecr("DescribeRepositories", json!({"maxResults": 1000})),
            ecr("ListTagsForResource", json!({"resourceArn": repository(name)["repositoryArn"]})),
            ecr("DescribeImages", json!({"repositoryName": name})),
            describe(&execution_arn(name)),
            ecr("DeleteRepository", json!({"repositoryName": name, "force": true})),
            s3(saves),
        ]
    );
}
