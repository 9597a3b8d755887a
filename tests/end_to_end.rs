//! The whole system end to end: the compiled functions, the real template and definition on the emulator, real containers
//! and a Kafka broker. All tests share one stack and use their own submissions.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionError;
use aws_sdk_sfn::types::ExecutionStatus;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::Decimals;
use domain::FailureCode;
use domain::SubmissionId;
use domain::outcome::{Outcome, Status};
use domain::tags;
use libtest_mimic::{Arguments, Failed, Trial};
use local::broker::{Broker, TOPIC};
use local::clients::{Access, Tasks};
use local::deploy::{self, OUTPUT_BUCKET};
use local::process;
use local::stack::{Options, Stack, message};
use local::watch::{Ended, execution_arn, follow};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

/// Longer than any test takes.
const PATIENCE: Duration = Duration::from_mins(3);

fn main() -> Result<std::process::ExitCode> {
    let arguments = Arguments::from_args();
    let runtime = tokio::runtime::Runtime::new()?;
    let options = Options {
        wait_scale: 0.01,
        ..Options::new(std::fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?)
    };
    if arguments.list {
        return Ok(libtest_mimic::run(&arguments, trials(None, runtime.handle())).exit_code());
    }
    let stack = Arc::new(runtime.block_on(Stack::start(&options, |_| {}))?);
    let conclusion = libtest_mimic::run(&arguments, trials(Some(&stack), runtime.handle()));
    let stack = Arc::try_unwrap(stack).map_err(|_| anyhow::anyhow!("a test still holds the stack"))?;
    runtime.block_on(stack.stop());
    Ok(conclusion.exit_code())
}

fn trials(stack: Option<&Arc<Stack>>, runtime: &Handle) -> Vec<Trial> {
    macro_rules! trials {
        ($($name:ident),* $(,)?) => {
            vec![$({
                let (stack, runtime) = (stack.map(Arc::clone), runtime.clone());
                Trial::test(stringify!($name), move || {
                    let stack = stack.ok_or("there is no stack")?;
                    runtime.block_on(async {
                        match timeout(PATIENCE, $name(&stack)).await {
                            Ok(result) => result.map_err(|error| Failed::from(format!("{error:#}"))),
                            Err(_) => Err(Failed::from("it took too long")),
                        }
                    })
                })
            }),*]
        };
    }
    trials![
        a_submission_that_passed_its_scan_becomes_a_trained_model,
        an_id_that_aws_names_forbid_is_processed_like_any_other,
        the_two_synchronous_tasks_get_exactly_these_arguments,
        a_hostile_log_is_redacted,
        a_broken_dockerfile_is_the_participants_fault,
        a_failing_training_is_the_participants_fault,
        a_training_log_keeps_the_order_of_both_streams_and_ends_with_the_error,
        a_rehearsal_keeps_files_that_score_by_hand_as_they_did_on_the_platform,
        a_rehearsal_trains_on_the_participants_own_data,
        docker_gets_exactly_these_arguments,
        lines_of_a_dockerfile_reach_no_process_and_no_server_of_this_machine,
        the_emulator_answers_only_its_own_run,
        training_that_runs_out_of_memory_is_rejected_as_such,
        a_train_program_that_cannot_be_run_is_named_as_such,
        training_without_valid_predictions_is_rejected,
        a_file_that_is_not_an_archive_is_rejected_before_the_build,
        a_dockerfile_whose_images_may_not_be_pulled_is_rejected_before_the_build,
        a_build_that_pulls_nothing_gets_an_empty_list,
        an_archive_and_a_repository_are_those_of_a_build_only_while_it_runs,
        an_unknown_submission_fails_the_execution_with_its_code,
        an_aborted_execution_is_reported_too,
        a_message_sent_many_times_starts_one_execution,
        odd_records_are_sorted_correctly_and_block_no_other,
        quarantined_records_are_replayed_once_they_can_be_read,
        kcat_starts_an_execution,
        every_event_source_is_created_by_its_parameter,
        an_interrupted_run_and_a_killed_one_leave_no_process,
        up_uses_the_given_broker_and_stops_everything_it_started,
    ]
}

/// The compiled program `marathon`, which `make test` builds beside this test.
fn marathon() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    Ok(test.ancestors().nth(2).context("the test is not in target/")?.join("marathon"))
}

fn new_id() -> Result<SubmissionId> {
    Ok(uuid::Uuid::new_v4().to_string().parse()?)
}

/// An id as version 6 of the Submission API makes them.
fn new_nanoid(first: char) -> Result<SubmissionId> {
    Ok(format!("{first}{}_-", &uuid::Uuid::new_v4().simple().to_string()[..11]).parse()?)
}

fn execution(stack: &Stack, id: &SubmissionId) -> String {
    execution_arn(&stack.deployed.state_machine, id.aws_safe().as_str())
}

async fn process(stack: &Stack, id: &SubmissionId, submission: &Path) -> Result<(Ended, Outcome)> {
    stack.submit(id, submission).await?;
    end_of(stack, id).await
}

async fn end_of(stack: &Stack, id: &SubmissionId) -> Result<(Ended, Outcome)> {
    let ended = follow(&stack.clients.sfn, &execution(stack, id), Duration::from_mins(1), |_| {}).await?;
    Ok((ended, stack.stored_outcome(id).await?))
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/submissions").join(name)
}

/// A submission made of one Dockerfile.
fn dockerfile(lines: &str) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("Dockerfile"), lines)?;
    Ok(folder)
}

async fn object(stack: &Stack, uri: &str) -> Result<Vec<u8>> {
    let (bucket, key) = uri.trim_start_matches("s3://").split_once('/').context("an S3 URI")?;
    let object =
        stack.clients.s3.get_object().bucket(bucket).key(key).send().await.with_context(|| format!("reading {uri}"))?;
    Ok(object.body.collect().await?.into_bytes().to_vec())
}

fn unpacked(archive: &[u8]) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(flate2::read::GzDecoder::new(archive)).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let name = entry.path()?.file_name().context("a name")?.to_string_lossy().into_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            files.insert(name, text);
        }
    }
    Ok(files)
}

fn failure_of(outcome: &Outcome) -> Result<&domain::outcome::Diagnosis> {
    outcome.failure.as_ref().context("the outcome has no failure")
}

async fn a_submission_that_passed_its_scan_becomes_a_trained_model(stack: &Stack) -> Result<()> {
    let id = new_id()?;
    let (ended, outcome) = process(stack, &id, &sample("regression")).await?;
    ensure!(ended.status == ExecutionStatus::Succeeded && outcome.status == Status::Completed, "{outcome:?}");
    let written: Outcome = serde_json::from_str(&ended.output.context("an output")?)?;
    ensure!(written == outcome, "the execution's output is not the stored outcome");

    // The tag latest, the trained image and the registry agree.
    let image = outcome.image.context("an image")?;
    let config = stack.clients.access.config().await;
    let latest = aws_sdk_ecr::types::ImageIdentifier::builder().image_tag("latest").build();
    let images = aws_sdk_ecr::Client::new(&config)
        .describe_images()
        .repository_name(id.aws_safe().as_str())
        .image_ids(latest)
        .send()
        .await
        .context("describing the image")?;
    ensure!(images.image_details()[0].image_digest() == Some(&image.digest), "latest is a different image");
    ensure!(image.uri.ends_with(&format!("/{}:latest", id.aws_safe())), "{image:?}");

    // One review, one file for the participant, one for operators.
    let review = only_review(stack, &id)?;
    ensure!(outcome.review.as_deref() == review["id"].as_str(), "{review}");
    let scores = outcome.scores.context("scores")?;
    let metric = scores.metric.context("a metric")?;
    ensure!(review["status"] == "completed" && review["score"] == Decimals::default().round(metric.score), "{review}");
    let concordance = scores.concordance.context("concordance")?;
    ensure!(concordance.concordant, "the sample is not concordant: {}", concordance.score);
    ensure!(scores.originality.context("originality")?.original, "the sample is not original");
    ensure!(review["metadata"]["concordance"]["score"].is_number(), "{review}");
    ensure!(!review.to_string().contains("arn:") && review["metadata"]["private"].is_null(), "{review}");
    let mut files: Vec<String> = std::fs::read_dir(stack.api.artifacts(&id))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    files.sort();
    ensure!(files.len() == 2 && files[0].ends_with("-internal.zip"), "{files:?}");

    let training = outcome.training.context("a training")?;
    ensure!(training.job_name == format!("{}-0-1", id.aws_safe()), "{}", training.job_name);
    ensure!(
        training.model_uri == format!("s3://{OUTPUT_BUCKET}/{id}/{}/output/model.tar.gz", training.job_name),
        "{}",
        training.model_uri
    );
    let model = unpacked(&object(stack, &training.model_uri).await?)?;
    ensure!(model["weights.csv"].lines().count() == 7, "the model is {model:?}");
    let output = unpacked(&object(stack, &training.model_uri.replace("model.tar.gz", "output.tar.gz")).await?)?;
    ensure!(output["predictions.csv"].lines().count() == 601, "predictions are missing");
    Ok(())
}

/// The arguments of a task, with the ids of submission, version and digest as placeholders.
fn arguments(tasks: &Tasks, task: &str, outcome: &Outcome) -> Result<Value> {
    let arguments = tasks.lock().get(task).cloned().context("the task did not run")?;
    let archive = outcome.archive.as_ref().context("an archive")?;
    let digest = outcome.image.as_ref().map_or("no image", |image| image.digest.as_str());
    let text = arguments.to_string().replace(outcome.submission_id.aws_safe().as_str(), "SAFE-ID");
    let text = text.replace(outcome.submission_id.as_str(), "SUBMISSION-ID");
    Ok(serde_json::from_str(&text.replace(&archive.version_id, "VERSION").replace(digest, "DIGEST"))?)
}

/// The arguments of StartBuild and CreateTrainingJob, to the last field. The sample challenge overrides the instance type and
/// sets a hyperparameter.
async fn the_two_synchronous_tasks_get_exactly_these_arguments(stack: &Stack) -> Result<()> {
    let id = new_nanoid('_')?;
    let (_, outcome) = process(stack, &id, &sample("regression")).await?;
    let task = format!("{}-0-1", id.aws_safe());
    let staging = &stack.deployed.staging_bucket;
    let registry = "000000000000.dkr.ecr.us-east-1.amazonaws.com";
    let variable = |name: &str, value: &str| json!({"Name": name, "Value": value, "Type": "PLAINTEXT"});
    let build = arguments(&stack.built, &task, &outcome)?;
    let buildspec = build["BuildspecOverride"].as_str().context("a buildspec")?;
    let key = buildspec.strip_prefix(&format!("arn:aws:s3:::{staging}/")).context("of the staging bucket")?;
    ensure!(key.starts_with("buildspecs/"), "{key}");
    ensure!(stack.object(staging, key).await? == include_bytes!("../buildspec.yml"), "{key} is another buildspec");
    let expected = json!({
        "ProjectName": format!("{}-build", deploy::STACK),
        "IdempotencyToken": "SAFE-ID-0-1",
        "SourceTypeOverride": "NO_SOURCE",
        "BuildspecOverride": buildspec,
        "TimeoutInMinutesOverride": 60,
        "QueuedTimeoutInMinutesOverride": 480,
        "EnvironmentVariablesOverride": [
            variable("CLAIM_FUNCTION", &format!("{}-claim", deploy::STACK)),
            variable("ARCHIVE_BUCKET", staging),
            variable("ARCHIVE_KEY", "submissions/SAFE-ID/submission.zip"),
            variable("ARCHIVE_VERSION", "VERSION"),
            variable("BUILD_CONTEXT", "code"),
            variable("BASE_IMAGES", "public.ecr.aws/docker/library/busybox:1.37"),
            variable("IMAGE_REPOSITORY_URI", &format!("{registry}/SAFE-ID")),
            variable("IMAGE_TAG", "build-0-1"),
            variable("MAX_IMAGE_BYTES", "10737418240"),
        ],
    });
    ensure!(build == expected, "StartBuild got {build:#}\ninstead of {expected:#}");

    let job = arguments(&stack.trained, &task, &outcome)?;
    let role = job["RoleArn"].as_str().context("a role")?;
    ensure!(role.starts_with("arn:aws:iam::000000000000:role/") && role.contains("TrainingRole"), "{role}");
    let expected = json!({
        "TrainingJobName": "SAFE-ID-0-1",
        "AlgorithmSpecification": {"TrainingImage": format!("{registry}/SAFE-ID@DIGEST"), "TrainingInputMode": "File"},
        "RoleArn": role,
        "InputDataConfig": [{"ChannelName": "training", "DataSource": {"S3DataSource": {
            "S3DataType": "S3Prefix", "S3Uri": format!("s3://{}/{}sample/", deploy::INPUT_BUCKET, deploy::INPUT_PREFIX),
            "S3DataDistributionType": "FullyReplicated",
        }}}],
        "OutputDataConfig": {"S3OutputPath": format!("s3://{OUTPUT_BUCKET}/SUBMISSION-ID")},
        "ResourceConfig": {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "HyperParameters": {"rounds": "40"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
        "EnableManagedSpotTraining": false,
        "EnableNetworkIsolation": true,
        "Environment": {"PYTHONUNBUFFERED": "1", "SUBMISSION_ID": "SUBMISSION-ID"},
        "Tags": [
            {"Key": "marathon-match:stack", "Value": deploy::STACK},
            {"Key": "marathon-match:submission", "Value": "SUBMISSION-ID"},
        ],
    });
    ensure!(job == expected, "CreateTrainingJob got {job:#}\ninstead of {expected:#}");
    Ok(())
}

async fn an_id_that_aws_names_forbid_is_processed_like_any_other(stack: &Stack) -> Result<()> {
    let id = new_nanoid('-')?;
    let (ended, outcome) = process(stack, &id, &sample("regression")).await?;
    ensure!(ended.status == ExecutionStatus::Succeeded && outcome.status == Status::Completed, "{outcome:?}");
    ensure!(
        outcome.training.context("a training")?.model_uri.starts_with(&format!("s3://{OUTPUT_BUCKET}/{id}/x2d")),
        "the model is somewhere else"
    );
    Ok(())
}

/// The one review of a submission.
fn only_review(stack: &Stack, id: &SubmissionId) -> Result<Value> {
    let mut reviews = stack.api.reviews(id);
    ensure!(reviews.len() == 1, "{} reviews", reviews.len());
    reviews.pop().context("a review")
}

async fn an_aborted_execution_is_reported_too(stack: &Stack) -> Result<()> {
    let submission = dockerfile(
        "FROM public.ecr.aws/docker/library/busybox:1.37\nRUN printf '#!/bin/sh\\nsleep 600\\n' >/bin/train && chmod +x /bin/train\n",
    )?;
    let id = new_id()?;
    stack.submit(&id, submission.path()).await?;
    let mut aborted = false;
    let sfn = &stack.clients.sfn;
    let arn = execution(stack, &id);
    let ended = follow(sfn, &arn, Duration::from_mins(1), |visit| {
        if visit.state == "TrainModel" && !aborted {
            aborted = true;
            let (sfn, arn) = (sfn.clone(), arn.clone());
            tokio::spawn(async move { sfn.stop_execution().execution_arn(arn).send().await });
        }
    })
    .await?;
    ensure!(ended.status == ExecutionStatus::Aborted, "{}", ended.status);
    // The event arrives independently of the execution.
    while only_review(stack, &id)?["status"] != "completed" {
        sleep(Duration::from_millis(100)).await;
    }
    let outcome = stack.stored_outcome(&id).await?;
    ensure!(outcome.status == Status::Failed, "{outcome:?}");
    let failure = failure_of(&outcome)?;
    ensure!(failure.code == FailureCode::Aborted && failure.step.is_none(), "{outcome:?}");
    Ok(())
}

async fn rejected(stack: &Stack, submission: &Path, code: FailureCode) -> Result<Outcome> {
    let (ended, outcome) = process(stack, &new_id()?, submission).await?;
    ensure!(ended.status == ExecutionStatus::Succeeded, "the execution {} with {:?}", ended.status, ended.error);
    ensure!(outcome.status == Status::Rejected && failure_of(&outcome)?.code == code, "{outcome:?}");
    let review = only_review(stack, &outcome.submission_id)?;
    ensure!(review["status"] == "completed" && review["score"] == 0.0, "{review}");
    ensure!(review["metadata"]["failureCode"] == code.as_str(), "{review}");
    Ok(outcome)
}

async fn a_broken_dockerfile_is_the_participants_fault(stack: &Stack) -> Result<()> {
    let outcome = rejected(stack, &sample("broken-build"), FailureCode::BuildFailed).await?;
    let tail = failure_of(&outcome)?.log_tail.join("\n");
    ensure!(tail.contains("requirements.txt"), "the log does not name the missing file: {tail}");
    ensure!(outcome.image.is_none(), "an image was pushed");
    Ok(())
}

/// Escapes, HTML, keys and ten megabytes on one line.
const HOSTILE: &str = r"FROM public.ecr.aws/docker/library/busybox:1.37
RUN printf '\033[31mred\033[0m \007 <script>alert(1)</script> AKIAIOSFODNN7EXAMPLE\n' \
 && printf 'aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY in account 123456789012\n' \
 && head -c 10485760 /dev/zero | tr '\0' x && printf '\nthe last line\n' && exit 1
";

async fn a_hostile_log_is_redacted(stack: &Stack) -> Result<()> {
    let outcome = rejected(stack, dockerfile(HOSTILE)?.path(), FailureCode::BuildFailed).await?;
    let review = only_review(stack, &outcome.submission_id)?.to_string();
    ensure!(!review.contains("alert") && !review.contains("redacted"), "the log is in the review: {review}");
    let mut texts = Vec::new();
    for file in std::fs::read_dir(stack.api.artifacts(&outcome.submission_id))? {
        let mut archive = zip::ZipArchive::new(std::fs::File::open(file?.path())?)?;
        for entry in 0..archive.len() {
            let mut text = String::new();
            archive.by_index(entry)?.read_to_string(&mut text)?;
            texts.push(text);
        }
    }
    ensure!(texts.len() == 4, "{} texts were reported", texts.len());
    ensure!(texts.iter().any(|text| text.contains("&lt;script&gt;")), "no text is escaped");
    for text in &texts {
        ensure!(text.len() < 32 * 1024, "{} bytes were reported", text.len());
        ensure!(!text.contains(['\u{1b}', '\u{7}']) && !text.contains("\\u001b"), "escapes came through: {text}");
        ensure!(text.contains("the last line"), "the last line is missing: {text}");
        for secret in ["AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI", "123456789012"] {
            ensure!(!text.contains(secret), "{secret} came through: {text}");
        }
    }
    Ok(())
}

async fn a_failing_training_is_the_participants_fault(stack: &Stack) -> Result<()> {
    let outcome = rejected(stack, &sample("failing-training"), FailureCode::TrainingFailed).await?;
    let failure = failure_of(&outcome)?;
    ensure!(failure.detail.as_deref().is_some_and(|detail| detail.contains("feature7")), "{failure:?}");
    ensure!(failure.log_tail.iter().any(|line| line.contains("reading the training data")), "{failure:?}");
    Ok(())
}

async fn a_training_log_keeps_the_order_of_both_streams_and_ends_with_the_error(stack: &Stack) -> Result<()> {
    const LINES: usize = 3000;
    let submission = dockerfile("FROM public.ecr.aws/docker/library/busybox:1.37\nCOPY train /bin/train\n")?;
    let train = format!(
        "#!/bin/sh\nfor at in $(seq {LINES}); do\n  echo out $at\n  [ $((at % 100)) = 0 ] && echo err $at >&2\ndone\n\
         echo the reason >&2\nexit 7\n"
    );
    executable(&submission.path().join("train"), &train)?;
    let outcome = rejected(stack, submission.path(), FailureCode::TrainingFailed).await?;
    let tail = &failure_of(&outcome)?.log_tail;
    ensure!(tail.last().is_some_and(|line| line == "the reason"), "{tail:?}");
    let logs = stack.logs("/aws/sagemaker/TrainingJobs").await?;
    let log = logs.iter().find(|log| log.contains("the reason")).context("no log")?;
    let lines: Vec<&str> = log.lines().collect();
    if stack.engine.name() == "podman" {
        let expected: Vec<String> = (1..=LINES)
            .flat_map(|at| [Some(format!("out {at}")), (at % 100 == 0).then(|| format!("err {at}"))])
            .chain([Some("the reason".to_owned())])
            .flatten()
            .collect();
        ensure!(lines == expected, "the order of {} lines is not the one of writing", lines.len());
    }
    ensure!(lines.len() == LINES + LINES / 100 + 1, "{} lines", lines.len());
    Ok(())
}

fn executable(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(())
}

fn utf8(path: &Path) -> Result<&str> {
    path.to_str().context("the path is not UTF-8")
}

/// Runs the program `marathon` to its end.
async fn marathon_run(arguments: &[&str]) -> Result<std::process::Output> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Ok(process::bound_to_this(marathon()?).args(arguments).current_dir(root).output().await?)
}

async fn a_rehearsal_keeps_files_that_score_by_hand_as_they_did_on_the_platform(_: &Stack) -> Result<()> {
    let kept = tempfile::tempdir()?;
    let folder = kept.path();
    let run = marathon_run(&["demo", "--json", "--keep", utf8(folder)?]).await?;
    ensure!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let outcome: Value = serde_json::from_slice(&run.stdout)?;
    ensure!(outcome["status"] == "completed", "{outcome}");
    for name in ["outcome.json", "model.tar.gz", "output.tar.gz", "predictions.csv", "build.log", "training.log"] {
        ensure!(folder.join(name).metadata()?.len() > 0, "{name} is empty");
    }
    let file = |name: &str| folder.join(name).display().to_string();
    let (truth, tournament) = (file("challenge/truth.csv"), file("challenge/tournament.csv"));
    let (training, predictions) = (file("challenge/training.csv"), file("predictions.csv"));
    let metric = ["score", "metric", "--json", "--metric", "logloss", "--truth", &truth, &predictions];
    let metric: Value = serde_json::from_slice(&marathon_run(&metric).await?.stdout)?;
    ensure!(metric[0]["metrics"][0]["score"] == outcome["scores"]["metric"]["score"], "{metric} {outcome}");
    let files = ["--tournament", &tournament, "--training", &training, &predictions];
    let concordance = marathon_run(&[&["score", "concordance", "--json"], files.as_slice()].concat()).await?;
    let concordance: Value = serde_json::from_slice(&concordance.stdout)?;
    ensure!(concordance[0]["regions"] == outcome["scores"]["concordance"]["regions"], "{concordance} {outcome}");
    Ok(())
}

async fn a_rehearsal_trains_on_the_participants_own_data(_: &Stack) -> Result<()> {
    let submission = dockerfile("FROM public.ecr.aws/docker/library/busybox:1.37\nCOPY train /bin/train\n")?;
    let (data, kept) = (tempfile::tempdir()?, tempfile::tempdir()?);
    std::fs::create_dir(data.path().join("part"))?;
    std::fs::write(data.path().join("part/own.csv"), "id,target\na,1\nb,0\n")?;
    let train = "#!/bin/sh\ncd /opt/ml/input/data/training\nls -R .\ntouch part/own.csv 2>&1 && exit 3\n\
                 sed 's/target/probability/; s/1$/0.75/; s/0$/0.25/' part/own.csv >/opt/ml/output/data/predictions.csv\n";
    executable(&submission.path().join("train"), train)?;
    let (submission, own, keep) = (utf8(submission.path())?, utf8(data.path())?, utf8(kept.path())?);
    let run = marathon_run(&["run", submission, "--data", own, "--keep", keep, "--json"]).await?;
    ensure!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let outcome: Value = serde_json::from_slice(&run.stdout)?;
    ensure!(outcome["status"] == "completed" && outcome["scores"].is_null(), "{outcome}");
    let stderr = String::from_utf8_lossy(&run.stderr);
    ensure!(stderr.contains("predictions.csv has 2 rows. They are not scored"), "{stderr}");
    ensure!(stderr.contains("outcome.json, model.tar.gz, output.tar.gz, predictions.csv, build.log"), "{stderr}");
    let text = |name: &str| std::fs::read_to_string(kept.path().join(name));
    ensure!(text("predictions.csv")? == "id,probability\na,0.75\nb,0.25\n", "{}", text("predictions.csv")?);
    ensure!(text("training.log")?.contains("Read-only file system"), "{}", text("training.log")?);
    ensure!(std::fs::read_dir(data.path())?.count() == 1, "the data was changed");
    Ok(())
}

/// Records its arguments and lets podman do the work, as this machine need not have docker.
const DOCKER: &str = r#"#!/bin/sh
set -eu
echo "$*" | tr '\n' ' ' >>"$(dirname "$0")/recorded"
echo >>"$(dirname "$0")/recorded"
case $1 in
info) ;;
run) exec podman --runtime runc "$@" ;;
*) exec "$SHIM" "$@" ;;
esac
"#;

async fn docker_gets_exactly_these_arguments(_: &Stack) -> Result<()> {
    let (folder, root) = (tempfile::tempdir()?, Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let shim = std::fs::canonicalize(root.join("local/engine/trusted/docker"))?;
    executable(&folder.path().join("docker"), &DOCKER.replace("$SHIM", utf8(&shim)?))?;
    let path = format!("{}:{}", utf8(folder.path())?, std::env::var("PATH")?);
    let run = process::bound_to_this(marathon()?)
        .args(["run", "samples/submissions/regression", "--trust", "--memory", "1024", "--json"])
        .current_dir(&root)
        .env("PATH", path)
        .output()
        .await?;
    ensure!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let recorded = std::fs::read_to_string(folder.path().join("recorded"))?;
    let changing = [
        (r"127\.0\.0\.1:\d+", "REGISTRY"),
        (r"sha256:[0-9a-f]{64}", "DIGEST"),
        (r"(?m)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID"),
        (r"/\S*/job-[A-Za-z0-9]+", "JOB"),
        (r"local=\d+", "local=PID"),
        (r" +\n", "\n"),
    ];
    let recorded = changing.iter().fold(recorded, |text, (pattern, name)| {
        regex_lite::Regex::new(pattern).map(|pattern| pattern.replace_all(&text, *name).into_owned()).unwrap_or(text)
    });
    ensure!(recorded == include_str!("docker_arguments.txt"), "{recorded}");
    Ok(())
}

async fn lines_of_a_dockerfile_reach_no_process_and_no_server_of_this_machine(stack: &Stack) -> Result<()> {
    let server = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let mut host = tokio::process::Command::new("sleep").arg("600").kill_on_drop(true).spawn()?;
    let (port, victim) = (server.local_addr()?.port(), host.id().context("a running process")?);
    // No other process has this argument.
    let left = format!("86{}", victim % 1000 + 1000);
    let emulator = stack.clients.access.endpoint.rsplit(':').next().context("an endpoint has a port")?;
    // Its wget would be no attack: where the base image is built from Debian's busybox, it ends with a segmentation fault.
    let submission = dockerfile(&format!(
        "FROM public.ecr.aws/docker/library/busybox:1.37\n\
         RUN setsid sleep {left} & echo GET / | nc -w 2 127.0.0.1 {port} >/got; echo GET / | nc -w 2 127.0.0.1 {emulator} >>/got; \
         kill -9 {victim}; test ! -s /got && test $(ls -d /proc/[0-9]* | wc -l) -lt 10\n\
         RUN printf '#!/bin/sh\\n' >/bin/train && chmod +x /bin/train\n"
    ))?;
    let (_, outcome) = process(stack, &new_id()?, submission.path()).await?;
    ensure!(outcome.image.is_some(), "{outcome:?}");
    ensure!(timeout(Duration::from_millis(1), server.accept()).await.is_err(), "a line reached a server");
    ensure!(host.try_wait()?.is_none(), "a line killed a process");
    let found = tokio::process::Command::new("pgrep").args(["-f", &format!("^sleep {left}")]).output().await?;
    ensure!(found.stdout.is_empty(), "a process of the build is still running");
    Ok(())
}

async fn the_emulator_answers_only_its_own_run(stack: &Stack) -> Result<()> {
    let Access { endpoint, token } = &stack.clients.access;
    let status = async |url: &str, headers: &[(&str, &str)]| {
        let request = reqwest::Client::new().get(format!("{endpoint}{url}"));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Ok::<_, anyhow::Error>(request.send().await?.status().as_u16())
    };
    let bucket = format!("/{OUTPUT_BUCKET}/");
    let own = ("x-amz-security-token", token.as_str());
    ensure!(status(&bucket, &[own]).await? == 200, "the run's own secret is refused");
    ensure!(status(&format!("{bucket}?X-Amz-Security-Token={token}"), &[]).await? == 200, "in a presigned URL");
    let other: String = token.chars().rev().collect();
    let other = other.as_str();
    let function = stack.deployed.submit_url.trim_start_matches(endpoint);
    let bucket_host = format!("{OUTPUT_BUCKET}.s3.localhost");
    let host = format!("{}.lambda-url.us-east-1.on.aws", function.rsplit('/').next().context("no id")?);
    let refused: [(&str, &[(&str, &str)]); 9] = [
        (&bucket, &[]),
        (&bucket, &[("x-amz-security-token", other)]),
        (&bucket, &[("authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request")]),
        (&bucket, &[("host", &host)]),
        (&format!("{bucket}?X-Amz-Security-Token={other}"), &[]),
        ("/v2/", &[]),
        ("/_ministack/health", &[]),
        ("/2015-03-31/functions", &[]),
        (&format!("/_aws/lambda-url/..{bucket}"), &[]),
    ];
    for (url, headers) in refused {
        ensure!(status(url, headers).await? == 403, "{url} {headers:?}: {}", status(url, headers).await?);
    }
    let stop = reqwest::Client::new().post(&stack.job_api.url).header("x-amz-target", "CodeBuild_20161006.StopBuild");
    ensure!(stop.send().await?.status() == 403, "CodeBuild's stand-in answers everyone");
    // The function decides: this one asks for a key. The host of a bucket does not make it a request to S3.
    let path = format!("{function}/challenges/houses/leaderboard");
    let asked: [&[(&str, &str)]; 2] = [&[], &[("host", &bucket_host)]];
    for headers in asked {
        ensure!(status(&path, headers).await? == 401, "{path} {headers:?}: {}", status(&path, headers).await?);
    }
    Ok(())
}

async fn training_that_runs_out_of_memory_is_rejected_as_such(stack: &Stack) -> Result<()> {
    let train = "#!/bin/sh\\nawk \"BEGIN { text = 1; while (1) text = text text }\"\\n";
    let submission = dockerfile(&format!(
        "FROM public.ecr.aws/docker/library/busybox:1.37\nRUN printf '{train}' >/bin/train && chmod +x /bin/train\n"
    ))?;
    rejected(stack, submission.path(), FailureCode::TrainingOutOfMemory).await?;
    Ok(())
}

async fn a_train_program_that_cannot_be_run_is_named_as_such(stack: &Stack) -> Result<()> {
    let base = "FROM public.ecr.aws/docker/library/busybox:1.37\n";
    let windows = r"RUN printf '#!/bin/sh\r\necho hello\r\n' >/bin/train && chmod +x /bin/train";
    let not_executable = r"RUN printf '#!/bin/sh\n' >/bin/train";
    let other_platform = r"RUN printf 'program' >/bin/train && chmod +x /bin/train";
    for (train, says) in [
        ("", "not found on the PATH, or is not executable"),
        (windows, "Unix line endings"),
        (not_executable, "chmod 755"),
        (other_platform, "another platform"),
    ] {
        let submission = dockerfile(&format!("{base}{train}\n"))?;
        let outcome = rejected(stack, submission.path(), FailureCode::ImageUnusable).await?;
        let message = &failure_of(&outcome)?.message;
        ensure!(message.contains(says), "{train}: {message}");
    }
    let starts_another = dockerfile(&format!(
        "{base}{}\n",
        r"RUN printf '#!/bin/sh\npython3 train.py\n' >/bin/train && chmod +x /bin/train"
    ))?;
    let outcome = rejected(stack, starts_another.path(), FailureCode::TrainingFailed).await?;
    ensure!(failure_of(&outcome)?.message.contains("started another program that was not found"), "{outcome:?}");
    Ok(())
}

async fn training_without_valid_predictions_is_rejected(stack: &Stack) -> Result<()> {
    let train = |line: &str| {
        dockerfile(&format!(
            "FROM public.ecr.aws/docker/library/busybox:1.37\nRUN printf '#!/bin/sh\\n{line}\\n' >/bin/train && chmod +x /bin/train\n"
        ))
    };
    let outcome = rejected(stack, train("exit 0")?.path(), FailureCode::PredictionsMissing).await?;
    ensure!(outcome.training.is_some(), "it was not trained");
    let link = train("ln -s /opt/ml/input/data/training/tournament.csv /opt/ml/output/data/predictions.csv")?;
    let outcome = rejected(stack, link.path(), FailureCode::PredictionsInvalid).await?;
    ensure!(failure_of(&outcome)?.message.contains("Write a regular file"), "{outcome:?}");
    // The challenge has its own settings.
    let config = "/opt/ml/input/config";
    let partial = train(&format!(
        "grep -q ml.c5.xlarge {config}/resourceconfig.json || exit 1\\ngrep -q rounds {config}/hyperparameters.json || exit 1\\nprintf \"id,probability\\\\nn26074cc8,0.5\\\\n\" >/opt/ml/output/data/predictions.csv"
    ))?;
    let outcome = rejected(stack, partial.path(), FailureCode::PredictionsInvalid).await?;
    ensure!(failure_of(&outcome)?.message.contains("599 missing"), "{outcome:?}");
    Ok(())
}

async fn a_file_that_is_not_an_archive_is_rejected_before_the_build(stack: &Stack) -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), "not an archive")?;
    let (ended, outcome) = process(stack, &new_id()?, file.path()).await?;
    ensure!(failure_of(&outcome)?.code == FailureCode::ArchiveInvalid, "{outcome:?}");
    ensure!(!ended.visits.iter().any(|visit| visit.state == "BuildImage"), "it was built");
    Ok(())
}

async fn a_dockerfile_whose_images_may_not_be_pulled_is_rejected_before_the_build(stack: &Stack) -> Result<()> {
    for lines in [
        "# syntax=evil/frontend\nFROM scratch\n",
        "FROM 000000000000.dkr.ecr.us-east-1.amazonaws.com/other:latest\n",
        "FROM $BASE\n",
    ] {
        let (ended, outcome) = process(stack, &new_id()?, dockerfile(lines)?.path()).await?;
        let failure = failure_of(&outcome)?;
        ensure!(failure.code == FailureCode::BuildFailed, "{outcome:?}");
        ensure!(failure.message.starts_with("Line 1 of the Dockerfile "), "{outcome:?}");
        let visits = |state: &str| ended.visits.iter().filter(|visit| visit.state == state).count();
        ensure!((visits("FetchSubmission"), visits("BuildImage")) == (1, 0), "{lines}: {:?}", ended.visits);
        ensure!(outcome.archive.is_none(), "it was staged");
    }
    Ok(())
}

async fn a_build_that_pulls_nothing_gets_an_empty_list(stack: &Stack) -> Result<()> {
    let id = new_id()?;
    let submission = dockerfile("FROM scratch\nCOPY train /bin/train\n")?;
    executable(&submission.path().join("train"), "#!/bin/sh\n")?;
    let (_, outcome) = process(stack, &id, submission.path()).await?;
    let build = arguments(&stack.built, &format!("{}-0-1", id.aws_safe()), &outcome)?;
    let images = json!({"Name": "BASE_IMAGES", "Value": "", "Type": "PLAINTEXT"});
    ensure!(build["EnvironmentVariablesOverride"].as_array().is_some_and(|all| all.contains(&images)), "{build:#}");
    Ok(())
}

/// The ARN in the tags of a submission's archive and repository, if both have one.
async fn claimed(stack: &Stack, id: &SubmissionId) -> Result<[Option<String>; 2]> {
    let key = format!("submissions/{}/submission.zip", id.aws_safe());
    let read = stack.clients.s3.get_object_tagging().bucket(&stack.deployed.staging_bucket).key(key).send().await?;
    let archive = read.tag_set().iter().find(|tag| tag.key() == tags::BUILD).map(|tag| tag.value().to_owned());
    let ecr = aws_sdk_ecr::Client::new(&stack.clients.access.config().await);
    let arn = format!("arn:aws:ecr:us-east-1:000000000000:repository/{}", id.aws_safe());
    let read = ecr.list_tags_for_resource().resource_arn(arn).send().await?;
    ensure!(read.tags().iter().any(|tag| tag.key() == tags::STACK), "the repository has lost its stack: {read:?}");
    let repository = read.tags().iter().find(|tag| tag.key() == tags::BUILD).map(|tag| tag.value().to_owned());
    Ok([archive, repository])
}

/// Waits until archive and repository have the tag of a build, or none.
async fn until_claimed(stack: &Stack, id: &SubmissionId, expected: bool) -> Result<Option<String>> {
    for _ in 0..600 {
        // Before it is staged, there are no tags to read.
        if let Ok([archive, repository]) = claimed(stack, id).await
            && archive == repository
            && archive.is_some() == expected
        {
            return Ok(archive);
        }
        sleep(Duration::from_millis(50)).await;
    }
    bail!("the tags are {:?}", claimed(stack, id).await?)
}

/// Invokes `claim`, and gives the message of its error.
async fn invoke_claim(stack: &Stack, event: &Value) -> Result<Option<String>> {
    let function = format!("{}-claim", deploy::STACK);
    let answer =
        stack.clients.lambda.invoke().function_name(function).payload(Blob::new(event.to_string())).send().await?;
    let payload: Value = serde_json::from_slice(answer.payload().context("an answer")?.as_ref())?;
    Ok(answer.function_error().map(|_| payload["errorMessage"].as_str().unwrap_or_default().to_owned()))
}

async fn an_archive_and_a_repository_are_those_of_a_build_only_while_it_runs(stack: &Stack) -> Result<()> {
    let submission = dockerfile(
        "FROM public.ecr.aws/docker/library/busybox:1.37\nRUN sleep 3 && printf '#!/bin/sh\\n' >/bin/train && chmod +x /bin/train\n",
    )?;
    let id = new_id()?;
    stack.submit(&id, submission.path()).await?;
    let build = until_claimed(stack, &id, true).await?.context("a build")?;
    let project = format!("arn:aws:codebuild:us-east-1:000000000000:build/{}-build:", deploy::STACK);
    ensure!(build.starts_with(&project), "{build}");
    // Anyone who may invoke the function can say that the build has ended.
    let ended = json!({"detail": {"build-id": build, "build-status": "SUCCEEDED"}});
    let refused = invoke_claim(stack, &ended).await?;
    ensure!(refused.as_deref().is_some_and(|message| message.contains("still runs")), "{refused:?}");
    ensure!(claimed(stack, &id).await? == [Some(build.clone()), Some(build.clone())], "a running build lost its tags");
    let (_, outcome) = end_of(stack, &id).await?;
    ensure!(outcome.image.is_some(), "{outcome:?}");
    until_claimed(stack, &id, false).await?;
    // Copied credentials can still invoke the function.
    let refused = invoke_claim(stack, &json!({"build": build})).await?;
    ensure!(refused.as_deref().is_some_and(|message| message.contains("has ended")), "{refused:?}");
    ensure!(claimed(stack, &id).await? == [None, None], "an ended build got its tags back");
    Ok(())
}

async fn an_unknown_submission_fails_the_execution_with_its_code(stack: &Stack) -> Result<()> {
    let id = new_id()?;
    stack.broker.publish(None, Some(message(&id).as_bytes())).await?;
    let (ended, outcome) = end_of(stack, &id).await?;
    ensure!(ended.status == ExecutionStatus::Failed, "{}", ended.status);
    ensure!(ended.error.as_deref() == Some("SubmissionNotFound"), "{:?}", ended.error);
    ensure!(outcome.status == Status::Failed, "{outcome:?}");
    Ok(())
}

/// Publishes one more message and waits for its execution: then all messages before it have been processed.
async fn sentinel(stack: &Stack) -> Result<()> {
    let id = new_id()?;
    stack.broker.publish(None, Some(message(&id).as_bytes())).await?;
    end_of(stack, &id).await?;
    Ok(())
}

async fn started(stack: &Stack, id: &SubmissionId) -> Result<bool> {
    match stack.clients.sfn.describe_execution().execution_arn(execution(stack, id)).send().await {
        Ok(_) => Ok(true),
        Err(error) if error.as_service_error().is_some_and(DescribeExecutionError::is_execution_does_not_exist) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

async fn invoke_intake(stack: &Stack, value: &[u8], offset: u64) -> Result<()> {
    let record = json!({"topic": TOPIC, "partition": 0, "offset": offset, "value": BASE64_STANDARD.encode(value)});
    let event = json!({"eventSource": "aws:kafka", "records": {format!("{TOPIC}-0"): [record]}});
    let answer = stack
        .clients
        .lambda
        .invoke()
        .function_name(&stack.deployed.intake)
        .payload(Blob::new(event.to_string()))
        .send()
        .await?;
    if let Some(error) = answer.function_error() {
        bail!("intake failed: {error} {:?}", answer.payload());
    }
    Ok(())
}

async fn a_message_sent_many_times_starts_one_execution(stack: &Stack) -> Result<()> {
    let id = new_id()?;
    // A producer that retries creates another review of the same submission.
    let again = message(&id).replace("f3c3f4e3-6384-4042-a093-bac85d1dda81", &uuid::Uuid::new_v4().to_string());
    for text in [&message(&id), &again, &message(&id)] {
        stack.broker.publish(None, Some(text.as_bytes())).await?;
    }
    let (first, second) = (message(&id), again);
    tokio::try_join!(
        invoke_intake(stack, first.as_bytes(), 1_000_000),
        invoke_intake(stack, second.as_bytes(), 1_000_001)
    )?;
    end_of(stack, &id).await?;
    sentinel(stack).await?;
    let mut pages =
        stack.clients.sfn.list_executions().state_machine_arn(&stack.deployed.state_machine).into_paginator().send();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        count +=
            page?.executions().iter().filter(|execution| execution.name().contains(id.aws_safe().as_str())).count();
    }
    ensure!(count == 1, "{count} executions");
    Ok(())
}

async fn odd_records_are_sorted_correctly_and_block_no_other(stack: &Stack) -> Result<()> {
    let with = |change: &dyn Fn(&mut Value)| -> Result<(SubmissionId, Vec<u8>)> {
        let id = new_id()?;
        let mut value: Value = serde_json::from_str(&message(&id))?;
        change(&mut value["payload"]);
        Ok((id, value.to_string().into_bytes()))
    };
    let mut ours = vec![
        with(&|payload| payload["score"] = json!("100"))?,
        with(&|payload| payload["score"] = json!(100.0))?,
        with(&|payload| payload["unheardOf"] = json!({"deep": [1, null]}))?,
        with(&|payload| payload["padding"] = json!("x".repeat(990_000)))?,
    ];
    let bare = new_id()?;
    let envelope: Value = serde_json::from_str(&message(&bare))?;
    ours.push((bare, envelope["payload"].to_string().into_bytes()));
    for first in ['-', '_'] {
        let id = new_nanoid(first)?;
        ours.push((id.clone(), message(&id).into_bytes()));
    }
    let others = [
        with(&|payload| payload["score"] = json!(99))?,
        with(&|payload| payload["typeId"] = json!("55bbb17d-aac2-45a6-89c3-a8d102863d06"))?,
        with(&|payload| payload["resource"] = json!("reviews"))?,
        with(&|payload| payload["originalTopic"] = json!("submission.notification.update"))?,
    ];
    let strange: [Option<&[u8]>; 5] = [None, Some(b""), Some(b"[1,2,3]"), Some(b"\"text\""), Some(b"not json \xff")];
    let (_, unnamed) = with(&|payload| payload["submissionId"] = json!("../../etc/passwd"))?;

    let quarantined_before = quarantined(stack).await?.len();
    for value in strange {
        stack.broker.publish(None, value).await?;
    }
    stack.broker.publish(Some("a key"), Some(&unnamed)).await?;
    for (_, value) in others.iter().chain(&ours) {
        stack.broker.publish(None, Some(value)).await?;
    }
    sentinel(stack).await?;
    for (id, value) in &ours {
        ensure!(
            started(stack, id).await?,
            "{} started nothing",
            String::from_utf8_lossy(&value[..value.len().min(900)])
        );
    }
    for (id, value) in &others {
        ensure!(!started(stack, id).await?, "{} was started", String::from_utf8_lossy(value));
    }
    let quarantined = quarantined(stack).await?;
    ensure!(quarantined.len() - quarantined_before == 2, "{quarantined:?}");
    let reasons: Vec<&str> = quarantined.iter().filter_map(|record| record["reason"].as_str()).collect();
    ensure!(reasons.contains(&"NotJson") && reasons.contains(&"SubmissionIdInvalid"), "{reasons:?}");
    Ok(())
}

async fn quarantined(stack: &Stack) -> Result<Vec<Value>> {
    let bucket = &stack.deployed.staging_bucket;
    let objects =
        stack.clients.s3.list_objects_v2().bucket(bucket).prefix(format!("quarantine/{TOPIC}/")).send().await?;
    let mut records = Vec::new();
    for key in objects.contents().iter().filter_map(|object| object.key()) {
        records.push(serde_json::from_slice(&object(stack, &format!("s3://{bucket}/{key}")).await?)?);
    }
    Ok(records)
}

async fn quarantined_records_are_replayed_once_they_can_be_read(stack: &Stack) -> Result<()> {
    let (corrected, abandoned) = (new_id()?, new_id()?);
    let document = |offset: u64, value: &str| json!({"topic": "replayed", "partition": 0, "offset": offset, "timestamp": 1, "reason": "NotJson", "value": BASE64_STANDARD.encode(value)});
    let batch = json!({"eventSource": "aws:kafka", "records": {"replayed-0": [document(3, &message(&abandoned))]}});
    let objects = [
        ("quarantine/replayed/0/1.json", document(1, &message(&corrected))),
        ("quarantine/replayed/0/2.json", document(2, "still not json")),
        ("aws/lambda/replayed/batch", json!({"version": "1.0", "payload": batch.to_string()})),
    ];
    let (s3, bucket) = (&stack.clients.s3, &stack.deployed.staging_bucket);
    for (key, object) in &objects {
        s3.put_object().bucket(bucket).key(*key).body(object.to_string().into_bytes().into()).send().await?;
    }
    let program = marathon()?;
    let replay = |arguments: &[&str]| {
        process::bound_to_this(&program)
            .args(["replay", "--stack", deploy::STACK, "--json"])
            .args(arguments)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .envs(stack.clients.access.environment())
            .output()
    };
    let shown = replay(&["--dry-run"]).await?;
    let (shown, errors) = (String::from_utf8(shown.stdout)?, String::from_utf8(shown.stderr)?);
    ensure!(objects.iter().all(|(key, _)| shown.contains(key)), "{shown}{errors}");
    ensure!(shown.matches(r#""reason":"NotJson""#).count() >= 2, "the reasons are missing: {shown}{errors}");
    ensure!(!started(stack, &corrected).await?, "a dry run delivered a record");

    let keys = objects.each_ref().map(|(key, _)| *key);
    let output = replay(&keys).await?;
    let lines: Vec<Value> =
        output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let words: Vec<&str> = lines.iter().filter_map(|line| line["result"].as_str()).collect();
    ensure!(words == ["delivered", "unreadable", "delivered"], "{lines:?} {}", String::from_utf8_lossy(&output.stderr));
    ensure!(lines[1]["reason"] == "NotJson" && output.status.code() == Some(1), "{lines:?} {}", output.status);
    ensure!(started(stack, &corrected).await? && started(stack, &abandoned).await?, "nothing was started");
    let left = s3.list_objects_v2().bucket(bucket).prefix("quarantine/replayed/").send().await?;
    let left: Vec<&str> = left.contents().iter().filter_map(|object| object.key()).collect();
    ensure!(left == [keys[1]], "{left:?} are left");
    Ok(())
}

/// Publishes a file with kcat, as a user would.
async fn kcat(servers: &str, id: &SubmissionId) -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), message(id))?;
    let output = tokio::process::Command::new("kcat")
        .args(["-P", "-b", servers, "-t", TOPIC])
        .arg(file.path())
        .output()
        .await
        .context("kcat is not installed")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

async fn kcat_starts_an_execution(stack: &Stack) -> Result<()> {
    let id = new_id()?;
    kcat(&stack.broker.servers, &id).await?;
    let (ended, _) = end_of(stack, &id).await?;
    // The Submission API does not know the submission.
    ensure!(ended.error.as_deref() == Some("SubmissionNotFound"), "{} {:?}", ended.status, ended.error);
    Ok(())
}

async fn up_uses_the_given_broker_and_stops_everything_it_started(stack: &Stack) -> Result<()> {
    let broker = Broker::start(None)?;
    let mut up = process::bound_to_this(marathon()?)
        .arg("up")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env("KAFKA_URL", &broker.servers)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(up.stdout.take().context("an output")?).lines();
    let (mut endpoint, mut token, mut machine, mut kafka, mut log) = (None, None, None, None, None);
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["export", .., last] if last.starts_with("AWS_SESSION_TOKEN=") => {
                token = last.split_once('=').map(|(_, token)| token.to_owned());
            }
            ["AWS", url, ..] => endpoint = Some((*url).to_owned()),
            ["Kafka", servers, ..] => kafka = Some((*servers).to_owned()),
            ["aws", "stepfunctions", .., arn] => machine = Some((*arn).to_owned()),
            ["log", path] => {
                log = Some((*path).to_owned());
                break;
            }
            _ => {}
        }
    }
    let (endpoint, machine) = (endpoint.context("no endpoint")?, machine.context("no state machine")?);
    ensure!(kafka.as_deref() == Some(&broker.servers), "it uses {kafka:?}");

    let id = new_id()?;
    kcat(&broker.servers, &id).await?;
    let access = Access::new(endpoint.clone(), token.context("no session token")?);
    let sfn = aws_sdk_sfn::Client::new(&access.config().await);
    follow(&sfn, &execution_arn(&machine, id.aws_safe().as_str()), Duration::from_mins(1), |_| {}).await?;
    ensure!(!started(stack, &id).await?, "the message reached another broker");

    let pid = up.id().context("it has ended")?.to_string();
    ensure!(Command::new("kill").args(["-INT", &pid]).status()?.success(), "it could not be interrupted");
    let status = up.wait().await?;
    // With another status, make would print an error.
    ensure!(status.success(), "it ended with {status}");
    let address = endpoint.trim_start_matches("http://").to_owned();
    // The kernel closes the port when the process has ended.
    for _ in 0..50 {
        if tokio::net::TcpStream::connect(&address).await.is_err() {
            ensure!(!Path::new(&log.context("no log")?).exists(), "its folder was left");
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    bail!("the emulator outlived it")
}

async fn every_event_source_is_created_by_its_parameter(stack: &Stack) -> Result<()> {
    let root = std::fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?;
    let cluster = "arn:aws:kafka:us-east-1:123456789012:cluster/bus/01234567-89ab-cdef-0123-456789abcdef-1";
    let secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:kafka-client-AbCdEf";
    let common = [
        "SubmissionApiUrl=https://api.example.org/v5",
        "Auth0Url=https://auth.example.org/oauth/token",
        "Auth0Audience=audience",
        "Auth0SecretArn=arn:aws:secretsmanager:us-east-1:123456789012:secret:auth0-AbCdEf",
        "InputS3Bucket=input-bucket",
        "OutputS3Bucket=output-bucket",
    ];
    ensure!(
        event_sources(stack, &stack.deployed.intake).await?.is_empty(),
        "a stack without Kafka has an event source"
    );
    for (name, kafka) in [
        ("by-cluster", vec![format!("KafkaClusterArn={cluster}")]),
        ("by-cluster-with-pollers", vec![format!("KafkaClusterArn={cluster}"), "MinimumPollers=1".to_owned()]),
        (
            "by-url",
            vec!["KafkaUrl=broker-1.example.org:9093".to_owned(), format!("KafkaClientCertificateSecretArn={secret}")],
        ),
    ] {
        let parameters: Vec<String> = common.iter().map(|&parameter| parameter.to_owned()).chain(kafka).collect();
        deploy::sam_deploy(&stack.clients.access, &root, &root.join(".local"), name, &parameters).await?;
        let function =
            stack.clients.lambda.get_function_configuration().function_name(format!("{name}-intake")).send().await?;
        let variables =
            function.environment().and_then(|environment| environment.variables()).context("an environment")?;
        let partial = variables.get("PARTIAL_BATCH_RESPONSES").map(String::as_str);
        ensure!(partial == Some(if name.ends_with("pollers") { "true" } else { "false" }), "{variables:?}");
        if name.ends_with("pollers") {
            // The emulator then stores the mapping's numbers as strings, which the client cannot read.
            continue;
        }
        let sources = event_sources(stack, &format!("{name}-intake")).await?;
        let [source] = sources.as_slice() else { bail!("{name} has {} event sources", sources.len()) };
        ensure!(
            source.starting_position().map(aws_sdk_lambda::types::EventSourcePosition::as_str) == Some("TRIM_HORIZON"),
            "{source:?}"
        );
        ensure!((source.event_source_arn() == Some(cluster)) == name.starts_with("by-cluster"), "{source:?}");
    }
    Ok(())
}

async fn event_sources(
    stack: &Stack,
    function: &str,
) -> Result<Vec<aws_sdk_lambda::types::EventSourceMappingConfiguration>> {
    let answer = stack.clients.lambda.list_event_source_mappings().function_name(function).send().await?;
    Ok(answer.event_source_mappings.unwrap_or_default())
}

async fn an_interrupted_run_and_a_killed_one_leave_no_process(_: &Stack) -> Result<()> {
    let seconds = 600 + std::process::id();
    let train = format!("#!/bin/sh\\nsleep {seconds}\\n");
    let submission = dockerfile(&format!(
        "FROM public.ecr.aws/docker/library/busybox:1.37\nRUN printf '{train}' >/bin/train && chmod +x /bin/train\n"
    ))?;
    let trained = format!("sleep\0{seconds}\0");
    let program = marathon()?;
    let run = || {
        process::bound_to_this(&program)
            .arg("run")
            .arg(submission.path())
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .stdout(Stdio::null())
            .spawn()
    };
    let mut interrupted = run()?;
    let owner = interrupted.id().context("it has ended")?.to_string();
    until(|| runs(&trained)).await?;
    ensure!(Command::new("kill").args(["-INT", &owner]).status()?.success(), "it could not be interrupted");
    ensure!(interrupted.wait().await?.code() == Some(130), "it did not end with status 130");
    ensure!(!runs(&trained)?, "the container was left");

    let mut killed = run()?;
    until(|| runs(&trained)).await?;
    killed.kill().await?;
    until(|| Ok(!runs(&trained)?)).await
}

/// Whether a process with this command line runs on this machine.
fn runs(command: &str) -> Result<bool> {
    for process in std::fs::read_dir("/proc")? {
        // A process may have ended meanwhile.
        let line = std::fs::read(process?.path().join("cmdline")).unwrap_or_default();
        if line == command.as_bytes() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn until(holds: impl Fn() -> Result<bool>) -> Result<()> {
    for _ in 0..600 {
        if holds()? {
            return Ok(());
        }
        sleep(Duration::from_millis(200)).await;
    }
    bail!("it did not happen within two minutes")
}
