//! The functions: their own decisions where they decide, and answers of their own types where they only call services.

use archive::Limits;
use diagnose::{DiagnoseError, Job, Policy};
use domain::outcome::{Archive, Links, Outcome};
use domain::{Coded, FailureCode, MetricResult, OriginalityResult};
use fetch::{FetchError, Fetched};
use records::PreparedPredictions;
use report::{FinishedExecution, ReportError};
use runtime::Raised;
use score::challenge::{Allowed, ChallengeSettings};
use score::failed_result::FailedResult;
use score::{Configured, Extracted, ScoreError};
use scoring::concordance::Concordance;
use scoring::{InvalidFile, Metric};
use serde_json::json;
use testing::zips::{Entry, Zip, dockerfile};

use anyhow::{Context, Result};

use crate::json::{Json, WrongShape};
use crate::plan::{Plan, rates};
use crate::random::Random;
use crate::stack::{STACK_NAME, Stack};
use crate::step_functions::Failure;
use crate::submissions::{Submission, Submissions};

/// A request to a function.
#[derive(Debug)]
pub(crate) enum Invocation {
    Fetch(fetch::Request),
    Diagnose(Box<diagnose::Request>),
    Report(Box<report::Request>),
    Score(Box<score::Request>),
}

impl Invocation {
    /// Reads the arguments of the integration `lambda:invoke`.
    pub(crate) fn of_arguments(arguments: &Json) -> Result<Self, WrongShape> {
        let name = arguments.get("FunctionName").text().unwrap_or_default();
        let payload = arguments.get("Payload");
        Ok(match name.rsplit(':').next().unwrap_or_default() {
            "FetchFunction" => Self::Fetch(payload.to()?),
            "DiagnoseFunction" => Self::Diagnose(Box::new(payload.to()?)),
            "ReportFunction" => Self::Report(Box::new(payload.to()?)),
            "ScoreFunction" => Self::Score(Box::new(payload.to()?)),
            other => panic!("the function {other} is not modelled"),
        })
    }

    /// How long it takes: median, and spread of the logarithm. Assumptions.
    #[must_use]
    pub(crate) fn seconds(&self) -> (f64, f64) {
        let median = match self {
            Self::Fetch(_) => 4.0,
            Self::Diagnose(_) => 0.6,
            Self::Report(request) => match **request {
                report::Request::Action(report::Action::Start { .. }) => 0.8,
                _ => 2.0,
            },
            Self::Score(request) => match **request {
                score::Request::Extract(_) | score::Request::Prepare(_) => 3.0,
                score::Request::Originality(_) => 4.0,
                score::Request::Concordance(_) => 1.0,
                score::Request::Metric(_) => 0.5,
                score::Request::Configure(_) | score::Request::Fail(_) | score::Request::Raise(_) => 0.1,
            },
        };
        (median, 0.4)
    }
}

/// What an invocation did besides answering.
#[derive(Debug)]
pub(crate) enum Effect {
    Nothing,
    Reported(Box<Outcome>),
    /// A step is retried after this time.
    Retries {
        submission: domain::SubmissionId,
        step: domain::outcome::Step,
        code: FailureCode,
        seconds: u32,
    },
}

/// The functions with the settings that the template gives them.
#[derive(Debug)]
pub(crate) struct Functions {
    policy: Policy,
    limits: Limits,
    allowed: Allowed,
    random: Random,
    faults: f64,
}

type Answer = Result<(Json, Effect), Failure>;

impl Functions {
    pub(crate) fn of_stack(stack: &Stack, plan: &Plan) -> Result<Self> {
        let diagnose = diagnose::settings::Settings::read(&stack.variables("DiagnoseFunction")?)?;
        let fetch = fetch::settings::Settings::read(&stack.variables("FetchFunction")?)?;
        let score = score::Settings::read(&stack.variables("ScoreFunction")?).context("the settings of score")?;
        Ok(Self {
            policy: Policy::of(&diagnose),
            limits: fetch.limits,
            allowed: score.allowed,
            random: Random::new(plan.seed, "functions"),
            faults: plan.faults,
        })
    }

    pub(crate) fn answer(&mut self, invocation: Invocation, submissions: &Submissions) -> Answer {
        match invocation {
            Invocation::Fetch(request) => self.fetch(submissions.get(submissions.find(&request.submission_id))),
            Invocation::Diagnose(request) => self.diagnose(*request),
            Invocation::Report(request) => self.report(*request),
            Invocation::Score(request) => self.score(*request, submissions),
        }
    }

    /// Fails now and then, as the Submission API does.
    fn use_submission_api(&mut self, call: &str) -> Result<(), submission_api::Error> {
        if !self.random.chance(rates::SUBMISSION_API_FAILS * self.faults) {
            return Ok(());
        }
        let status = if self.random.chance(0.5) { 429 } else { 503 };
        Err(submission_api::Error::Unavailable { call: call.to_owned(), status, message: String::new() })
    }

    fn fetch(&mut self, submission: &Submission) -> Answer {
        self.use_submission_api("GET /submissions").map_err(|error| failure(&FetchError::from(error)))?;
        let verified = archive::verify(std::io::Cursor::new(zip(submission.fault)), &self.limits);
        let contents = verified.map_err(|problem| failure(&FetchError::from(problem)))?;
        let base_images = dockerfile::base_images(&contents.dockerfile, None);
        let base_images = base_images.map_err(|problem| failure(&FetchError::from(problem)))?;
        let safe_id = submission.id.aws_safe();
        let fetched = Fetched {
            submission_id: submission.id.clone(),
            challenge_id: Some(submission.challenge.to_owned()),
            member_id: Some("23124329".to_owned()),
            created: Some(submission.published.date()),
            archive: Archive {
                bucket: "staging".to_owned(),
                key: format!("submissions/{safe_id}/submission.zip"),
                version_id: "v1".to_owned(),
                sha256: "0".repeat(64),
                bytes: 4096,
            },
            buildspec: fetch::staging::Object { bucket: "staging".to_owned(), key: "buildspecs/0.yml".to_owned() },
            build_context: contents.context,
            base_images,
            repository: fetch::repository::Repository {
                name: safe_id.as_str().to_owned(),
                uri: format!("123456789012.dkr.ecr.us-east-1.amazonaws.com/{safe_id}"),
            },
            safe_id,
        };
        Ok((Json::of(&fetched), Effect::Nothing))
    }

    fn diagnose(&self, request: diagnose::Request) -> Answer {
        match request {
            diagnose::Request::Action(diagnose::Action::Diagnose(failed)) => {
                let job = Job::in_cause(failed.step, &failed.error);
                let decision = diagnose::decide(&failed, job.as_ref(), &[], self.policy);
                let effect = decision.retry_after_seconds.map_or(Effect::Nothing, |seconds| Effect::Retries {
                    submission: failed.submission_id.clone(),
                    step: failed.step,
                    code: decision.code(),
                    seconds,
                });
                Ok((Json::of(&decision.answer(&failed, &[], Links::default())), effect))
            }
            diagnose::Request::Action(diagnose::Action::Raise { diagnosis, .. }) => {
                let message = diagnosis.detail.unwrap_or(diagnosis.message);
                Err(failure(&DiagnoseError::from(Raised { code: diagnosis.code, message })))
            }
            diagnose::Request::Action(diagnose::Action::ReadLog { training_job, .. }) => {
                let log_tail = vec![format!("the log of {training_job}")];
                Ok((Json::of(&diagnose::Answer::Log { log_tail }), Effect::Nothing))
            }
            diagnose::Request::ExecutionEnded(_) => Ok((Json::object::<&str, 0>([]), Effect::Nothing)),
        }
    }

    fn report(&mut self, request: report::Request) -> Answer {
        let sent = self.use_submission_api("POST /reviews").map_err(ReportError::from);
        sent.map_err(|error| failure(&error))?;
        let outcome = match request {
            report::Request::Action(report::Action::Finish(finished)) => reported(*finished),
            report::Request::Action(report::Action::Start { .. } | report::Action::Sweep {}) => {
                return Ok((Json::Null, Effect::Nothing));
            }
            report::Request::ExecutionEnded(event) => match FinishedExecution::unreported(&event.detail) {
                Some(finished) => reported(finished),
                None => return Ok((Json::Null, Effect::Nothing)),
            },
        };
        Ok((Json::of(&outcome), Effect::Reported(Box::new(outcome))))
    }

    fn score(&self, request: score::Request, submissions: &Submissions) -> Answer {
        use score::Answer::{
            Concordance as Region, Configured as Settings, Extracted as Predictions, Failed, Metric as Truth, Nothing,
            Originality, Prepared,
        };
        let answer = match request {
            score::Request::Configure(configure) => {
                let settings = configure.settings.as_deref().unwrap_or("{}");
                let read = ChallengeSettings::read(settings, &self.allowed)
                    .map_err(|source| ScoreError::Settings { parameter: configure.challenge.to_string(), source });
                let challenge = read.map_err(|error| failure(&error))?;
                Settings(Configured {
                    is_scored: challenge.scoring.is_some(),
                    training: challenge.training,
                    reporting: challenge.reporting,
                })
            }
            score::Request::Extract(extract) => {
                let submission = submissions.get(submissions.find(&extract.submission_id));
                if submission.fault == Some(FailureCode::PredictionsMissing) {
                    return Err(failure(&ScoreError::PredictionsMissing));
                }
                let key = format!("predictions/{}/{}.csv", extract.challenge, extract.submission_id);
                Predictions(Extracted { predictions_key: key })
            }
            score::Request::Prepare(job) => {
                let submission = submissions.get(submissions.find(&job.submission_id));
                if submission.fault == Some(FailureCode::PredictionsInvalid) {
                    return Err(failure(&ScoreError::PredictionsInvalid(InvalidFile::NoRows.to_string())));
                }
                Prepared(PreparedPredictions { rows: 45_000 })
            }
            score::Request::Originality(_) => Originality(OriginalityResult {
                original: true,
                similar_count: 0,
                compared: 1000,
                offender_count: 0,
                offenders: Vec::new(),
            }),
            score::Request::Concordance(_) => {
                Region(Concordance { concordant: true, score: 0.05, regions: Vec::new() })
            }
            score::Request::Metric(_) => Truth(MetricResult { name: Metric::LogLoss, score: 0.5, standing: -0.5 }),
            score::Request::Fail(fail) => {
                let parameter = format!("/{STACK_NAME}/challenges/{}", fail.challenge);
                Failed(FailedResult::from_step_error(fail.result, &fail.error, &parameter))
            }
            score::Request::Raise(raise) if raise.redriven => Nothing,
            score::Request::Raise(raise) => {
                let FailedResult { code, message, .. } = raise.failure;
                return Err(failure(&ScoreError::from(Raised { code, message })));
            }
        };
        Ok((Json::of(&answer), Effect::Nothing))
    }
}

/// An outcome that was sent.
fn reported(finished: FinishedExecution) -> Outcome {
    let mut outcome = report::compose(finished);
    outcome.review = Some(format!("review of {}", outcome.submission_id));
    outcome
}

/// A failure as Lambda reports it to the state machine.
fn failure(error: &impl Coded) -> Failure {
    let diagnostic = runtime::failure::diagnostic(error);
    let cause = json!({"errorType": diagnostic.error_type, "errorMessage": diagnostic.error_message});
    Failure::new(diagnostic.error_type, cause.to_string())
}

/// The archive of a submission with this fault.
fn zip(fault: Option<FailureCode>) -> Vec<u8> {
    match fault {
        Some(FailureCode::ArchiveInvalid) => b"Rar!\x1a\x07".to_vec(),
        Some(FailureCode::ArchiveUnsafe) => Zip::of([dockerfile(), Entry::new("../x", "")]).pack(),
        Some(FailureCode::ArchiveTooLarge) => {
            Zip::of([dockerfile(), Entry::new("data.csv", vec![b'0'; 2 << 20]).deflated()]).pack()
        }
        Some(FailureCode::DockerfileMissing) => Zip::of([Entry::new("dockerfile", "FROM scratch\n")]).pack(),
        _ => Zip::of([dockerfile()]).pack(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_have_the_fault_of_their_submission() {
        use FailureCode::{ArchiveInvalid, ArchiveTooLarge, ArchiveUnsafe, DockerfileMissing};
        let verified = |fault| archive::verify(std::io::Cursor::new(zip(fault)), &Limits::default());
        for code in [ArchiveInvalid, ArchiveUnsafe, ArchiveTooLarge, DockerfileMissing] {
            assert_eq!(verified(Some(code)).unwrap_err().code(), code);
        }
        assert!(verified(None).is_ok());
    }
}
