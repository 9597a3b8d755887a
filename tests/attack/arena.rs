//! Where the cases run: the stack, the world around it, and what each submission leaves.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use domain::SubmissionId;
use domain::outcome::Status;
use flate2::read::GzDecoder;
use hyper::header::HeaderValue;
use local::clients::Access;
use local::deploy::{OUTPUT_BUCKET, STACK};
use local::engine::Limits;
use local::pack;
use local::stack::{Options, Stack};
use local::watch::{execution_arn, follow};
use parking_lot::Mutex;
use rand_core::{Rng as _, SeedableRng as _};
use rand_pcg::Pcg32;
use serde_json::json;
use tokio::sync::OnceCell;
use tokio::time::sleep;

use crate::bare::Bare;
use crate::case::{End, File, Got};
use crate::hostile::{self, Answer, Answers};
use crate::proxy::Proxy;
use crate::scene::{Other, Scene};
use crate::world::{ANSWER, INTERNET, World, get};

/// The base image of every submission.
pub(crate) const BASE: &str = "public.ecr.aws/docker/library/busybox:1.37";
/// What a job may use. Small, so that an attack on it is quick.
pub(crate) const MEMORY: u64 = 512 << 20;
pub(crate) const DISK: u64 = 1 << 30;
/// Template parameters that make limits small enough to be reached here.
pub(crate) const MAX_ARCHIVE_BYTES: u64 = 32 << 20;
pub(crate) const MAX_IMAGE_BYTES: u64 = 128 << 20;
pub(crate) const MAX_PREDICTIONS_BYTES: u64 = 1 << 20;
/// A challenge without settings, whose submissions are not scored.
const UNSCORED: u64 = 1;

pub(crate) struct Arena {
    pub(crate) stack: Stack,
    pub(crate) world: World,
    pub(crate) root: PathBuf,
    seed: u64,
    bare: OnceCell<Bare>,
    other: OnceCell<Other>,
    /// The cgroups of enclosures that existed before.
    cgroups: Vec<PathBuf>,
    answers: Answers,
    api: Proxy,
    ungated: Proxy,
    pub(crate) lines: Mutex<Vec<String>>,
}

/// The emulator as one that answers everyone.
async fn ungated(access: &Access) -> Result<Proxy> {
    let token = HeaderValue::from_str(&access.token)?;
    let proxy = Proxy::start(move |mut call| {
        call.request.headers.insert("x-amz-security-token", token.clone());
        async move {
            let body = call.body.clone();
            call.forward(body).await
        }
    });
    let proxy = proxy.await?;
    proxy.forward_to(&access.endpoint);
    Ok(proxy)
}

impl Arena {
    pub(crate) async fn start(world: World, seed: u64) -> Result<Self> {
        let cgroups = cgroups()?;
        let root = std::fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?;
        let answers = Answers::default();
        let api = hostile::proxy(&answers).await?;
        let options = Options {
            wait_scale: 0.01,
            limits: Limits { memory_bytes: MEMORY, disk_bytes: DISK },
            parameters: vec![
                format!("SubmissionApiUrl={}/v5", api.url),
                format!("MaxArchiveBytes={MAX_ARCHIVE_BYTES}"),
                format!("MaxImageBytes={MAX_IMAGE_BYTES}"),
                format!("MaxPredictionsBytes={MAX_PREDICTIONS_BYTES}"),
                "MaxRuntimeInSeconds=60".to_owned(),
                "RetryHorizonSeconds=60".to_owned(),
                "WaitHorizonSeconds=60".to_owned(),
            ],
            ..Options::new(root.clone())
        };
        let mut stack = Stack::deploy(&options, |_| {}).await?;
        api.forward_to(&stack.api.url);
        let ungated = ungated(&stack.clients.access).await?;
        stack.spawn_worker(stack.deployed.build_activity.clone(), stack.code_build(&options));
        stack.spawn_worker(stack.deployed.train_activity.clone(), stack.sage_maker(&options));
        stack.spawn_poller();
        Ok(Self {
            stack,
            world,
            root,
            seed,
            bare: OnceCell::new(),
            other: OnceCell::new(),
            cgroups,
            answers,
            api,
            ungated,
            lines: Mutex::default(),
        })
    }

    /// Podman on the host, for controls.
    pub(crate) async fn bare(&self) -> Result<&Bare> {
        self.bare.get_or_try_init(|| Bare::make(&self.stack.work)).await
    }

    /// The port of the emulator on the loopback interface. In a control, it does not ask for the run's secret.
    fn emulator(&self, is_control: bool) -> Result<u16> {
        let endpoint = if is_control { &self.ungated.url } else { &self.stack.clients.access.endpoint };
        Ok(endpoint.rsplit(':').next().context("an endpoint has a port")?.parse()?)
    }

    /// A scene for a case. The attack and its control differ in everything but their number, which the seed decides.
    pub(crate) async fn scene(&self, name: &str, is_control: bool) -> Result<Scene> {
        let of_name =
            name.bytes().fold(self.seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let number = Pcg32::seed_from_u64(of_name).next_u32();
        let mut random = Pcg32::seed_from_u64(of_name ^ u64::from(is_control) ^ u64::from(std::process::id()) << 32);
        Scene::make(&mut random, number, [self.emulator(is_control)?, self.world.port], self.other().await?)
    }

    /// Another participant's submission: it has passed, and its image holds what others may not see.
    async fn other(&self) -> Result<Other> {
        let other = self.other.get_or_try_init(|| async {
            let secret = format!("other-{}", uuid::Uuid::new_v4().simple());
            let id = self.honest(&secret).await?;
            Ok::<_, anyhow::Error>(Other { repository: id.aws_safe().to_string(), secret })
        });
        other.await.cloned()
    }

    /// Processes an honest submission, which reaches the internet while it is built, and must complete.
    pub(crate) async fn honest(&self, secret: &str) -> Result<SubmissionId> {
        let token = format!("honest-{}", uuid::Uuid::new_v4().simple());
        let dockerfile = format!(
            "FROM {BASE}\nCOPY secret /secret\nCOPY train /bin/train\nRUN {} | grep -q {ANSWER}\n",
            get(INTERNET, 80, &token)
        );
        let train = "#!/bin/sh\necho a model >/opt/ml/model/model\n";
        let files = [
            ("Dockerfile".to_owned(), dockerfile.into_bytes(), false),
            ("secret".to_owned(), secret.as_bytes().to_vec(), false),
            ("train".to_owned(), train.as_bytes().to_vec(), true),
        ];
        let folder = write_files(&files)?;
        let archive = pack::archive_of(folder.path(), &self.stack.work)?;
        let (id, got) = self.submit(&archive).await?;
        ensure!(got.outcome.status == Status::Completed, "an honest submission: {:?}", got.outcome);
        ensure!(self.world.asked(&token).len() == 1, "an honest build did not reach the internet");
        Ok(id)
    }

    /// Submits an archive of a challenge that is not scored, and waits for its end.
    pub(crate) async fn submit(&self, archive: &Path) -> Result<(SubmissionId, Got)> {
        let id: SubmissionId = uuid::Uuid::new_v4().to_string().parse()?;
        let metadata = json!({"id": id, "challengeId": UNSCORED, "memberId": 1, "created": "2026-01-01T00:00:00.000Z"});
        std::fs::write(self.stack.api.folder.join(format!("{id}.json")), metadata.to_string())?;
        let got = self.process(&id, archive).await?;
        Ok((id, got))
    }

    /// Processes a submission for which the API gives a hostile answer.
    pub(crate) async fn submit_with(&self, answer: Answer) -> Result<Got> {
        let id: SubmissionId = uuid::Uuid::new_v4().to_string().parse()?;
        self.answers.lock().insert(id.to_string(), answer);
        let archive = write_files(&[("Dockerfile".to_owned(), b"FROM scratch\n".to_vec(), false)])?;
        self.process(&id, &pack::archive_of(archive.path(), &self.stack.work)?).await
    }

    /// Serves a hostile answer. Returns its address.
    pub(crate) fn serve_hostile(&self, answer: Answer) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        let path = if matches!(answer, Answer::EndlessMetadata) { "" } else { "/download" };
        self.answers.lock().insert(id.clone(), answer);
        format!("{}/v5/submissions/{id}{path}", self.api.url)
    }

    /// Serves an archive, announces it and waits for its end.
    pub(crate) async fn process(&self, id: &SubmissionId, archive: &Path) -> Result<Got> {
        let (clock, since) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH)?);
        self.stack.submit(id, archive).await?;
        let execution = execution_arn(&self.stack.deployed.state_machine, id.aws_safe().as_str());
        let ended = follow(&self.stack.clients.sfn, &execution, Duration::from_mins(1), |_| {}).await?;
        let took = clock.elapsed();
        let outcome = self.stack.stored_outcome(id).await.with_context(|| format!("after {ended:?}"))?;
        let visits = |state: &str| ended.visits.iter().filter(|visit| visit.state == state).count();
        self.no_job(id).await?;
        Ok(Got {
            builds: visits("BuildImage"),
            trainings: visits("TrainModel"),
            took,
            reported: self.reported(id).await?,
            kept: self.kept(id, since).await?,
            outcome,
        })
    }

    /// Waits until no enclosure of a submission is left.
    async fn no_job(&self, id: &SubmissionId) -> Result<()> {
        for _ in 0..100 {
            if !self.stack.engine.jobs().iter().any(|job| job == id.aws_safe().as_str()) {
                return Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
        bail!("an enclosure outlived its job")
    }

    /// Everything that was reported about a submission: the outcome, the reviews and the files for participant and operator.
    async fn reported(&self, id: &SubmissionId) -> Result<Vec<Vec<u8>>> {
        let mut texts = vec![self.stack.object(OUTPUT_BUCKET, &format!("{id}/outcome.json")).await?];
        texts.extend(self.stack.api.reviews(id).iter().map(|review| review.to_string().into_bytes()));
        // An unknown submission has no files.
        for file in std::fs::read_dir(self.stack.api.artifacts(id)).into_iter().flatten() {
            let mut archive = zip::ZipArchive::new(std::fs::File::open(file?.path())?)?;
            for entry in 0..archive.len() {
                let mut text = Vec::new();
                std::io::copy(&mut archive.by_index(entry)?, &mut text)?;
                texts.push(text);
            }
        }
        Ok(texts)
    }

    /// Everything that was kept of a submission, unpacked: the logs since its start, and its objects in S3.
    async fn kept(&self, id: &SubmissionId, since: Duration) -> Result<Vec<Vec<u8>>> {
        let mut texts = Vec::new();
        for group in [format!("/aws/codebuild/{STACK}-build"), "/aws/sagemaker/TrainingJobs".to_owned()] {
            texts.extend(self.logs(&group, since).await?);
        }
        let s3 = &self.stack.clients.s3;
        let listed = s3.list_objects_v2().bucket(OUTPUT_BUCKET).prefix(format!("{id}/")).send().await?;
        for key in listed.contents().iter().filter_map(|object| object.key()) {
            let object = self.stack.object(OUTPUT_BUCKET, key).await?;
            if key.ends_with("tar.gz") {
                let mut unpacked = Vec::new();
                std::io::copy(&mut GzDecoder::new(object.as_slice()), &mut unpacked)?;
                texts.push(unpacked);
            } else {
                texts.push(object);
            }
        }
        Ok(texts)
    }

    /// The logs of a group that were begun since a time.
    async fn logs(&self, group: &str, since: Duration) -> Result<Vec<Vec<u8>>> {
        let logs = &self.stack.clients.logs;
        let since = i64::try_from(since.as_millis())?;
        // There is no group before the first job.
        let Ok(listed) = logs.describe_log_streams().log_group_name(group).send().await else { return Ok(Vec::new()) };
        let begun = listed.log_streams().iter().filter(|stream| stream.creation_time().is_some_and(|at| at >= since));
        let mut texts = Vec::new();
        for stream in begun.filter_map(|stream| stream.log_stream_name()) {
            let mut text = Vec::new();
            let mut token: Option<String> = None;
            loop {
                let page = logs.get_log_events().log_group_name(group).log_stream_name(stream).start_from_head(true);
                let page = page.set_next_token(token.clone()).send().await?;
                for event in page.events() {
                    text.extend_from_slice(event.message().unwrap_or_default().as_bytes());
                    text.push(b'\n');
                }
                let next = page.next_forward_token().map(str::to_owned);
                // The last page repeats its token.
                if page.events().is_empty() || next == token {
                    break;
                }
                token = next;
            }
            texts.push(text);
        }
        Ok(texts)
    }

    /// The names of the functions in the emulator.
    pub(crate) async fn functions(&self) -> Result<Vec<String>> {
        let listed = self.stack.clients.lambda.list_functions().send().await?;
        Ok(listed.functions().iter().filter_map(|function| function.function_name()).map(str::to_owned).collect())
    }

    /// Nothing of any job is left: no enclosure, cgroup, loop device, mount or folder.
    pub(crate) async fn nothing_left(&self) -> Result<()> {
        let mut left = Vec::new();
        // An enclosure takes a moment to end after its job.
        for _ in 0..100 {
            left = self.left()?;
            if left.is_empty() {
                return Ok(());
            }
            sleep(Duration::from_millis(200)).await;
        }
        bail!("left: {}", left.join(", "))
    }

    fn left(&self) -> Result<Vec<String>> {
        let mut left: Vec<String> = self.stack.engine.jobs().iter().map(|job| format!("the job {job}")).collect();
        let work = self.stack.work.to_string_lossy().into_owned();
        for cgroup in cgroups()?.into_iter().filter(|cgroup| !self.cgroups.contains(cgroup)) {
            let keeper = cgroup.to_string_lossy().rsplit('-').next().unwrap_or_default().to_owned();
            // Enclosures of other programs on this machine are kept by processes of theirs.
            match std::fs::read(format!("/proc/{keeper}/cmdline")) {
                Ok(line) if !crate::case::has(&line, &work) => {}
                _ => left.push(cgroup.display().to_string()),
            }
        }
        for device in std::fs::read_dir("/sys/block")? {
            let file = std::fs::read_to_string(device?.path().join("loop/backing_file")).unwrap_or_default();
            if file.contains(&work) {
                left.push(format!("a loop device of {}", file.trim()));
            }
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        left.extend(mounts.lines().filter(|mount| mount.contains(&work)).map(|mount| format!("the mount {mount}")));
        for entry in std::fs::read_dir(&self.stack.work)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with("job-") || name.starts_with("build-") {
                left.push(name);
            }
        }
        Ok(left)
    }
}

/// The cgroups of enclosures, in all hierarchies.
fn cgroups() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let root = Path::new("/sys/fs/cgroup");
    for folder in std::iter::once(root.to_owned()).chain(std::fs::read_dir(root)?.flatten().map(|entry| entry.path())) {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        found.extend(
            entries
                .filter(|entry| entry.file_name().to_string_lossy().starts_with("marathon-enclosure-"))
                .map(|entry| entry.path()),
        );
    }
    Ok(found)
}

/// Writes the files of a submission to a folder.
pub(crate) fn write_files(files: &[File]) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    for (name, content, is_executable) in files {
        let path = folder.path().join(name);
        std::fs::write(&path, content)?;
        let mode = if *is_executable { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    }
    Ok(folder)
}

/// How an outcome ended.
pub(crate) fn end_of(got: &Got) -> Result<End> {
    let code = got.outcome.failure.as_ref().map(|failure| failure.code);
    Ok(match (got.outcome.status, code) {
        (Status::Completed, None) => End::Completed,
        (Status::Rejected, Some(code)) => End::Rejected(code, got.builds, got.trainings),
        (Status::Failed, Some(code)) => End::Failed(code),
        other => bail!("the outcome contradicts itself: {other:?}"),
    })
}
