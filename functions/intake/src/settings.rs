//! The function's settings.

use std::num::NonZeroUsize;
use std::str::FromStr;

use runtime::settings::{BucketName, SettingError, StateMachineArn, Variables};

#[derive(Clone, Debug)]
pub struct Settings {
    pub filter: Filter,
    /// `STATE_MACHINE_ARN`: the state machine that processes a submission.
    pub state_machine: StateMachineArn,
    /// `QUARANTINE_BUCKET`: the bucket for records that cannot be read.
    pub quarantine_bucket: BucketName,
    /// `STACK_NAME`: the dimension of the metrics.
    pub stack_name: String,
    /// `START_CONCURRENCY`: concurrent AWS calls, 1 to 100 (default 10).
    pub concurrency: Concurrency,
    /// `PARTIAL_BATCH_RESPONSES`: whether the answer names the failed records, so that Lambda retries from there (default
    /// false). Needs `FunctionResponseTypes: [ReportBatchItemFailures]` on the event source mapping.
    pub partial_batch_responses: bool,
}

/// The values that announce a submission that passed its scan. A message has to match all four.
#[derive(Clone, Debug)]
pub struct Filter {
    /// `RESOURCE` (default review).
    pub resource: String,
    /// `ORIGINAL_TOPIC` (default submission.notification.create).
    pub original_topic: String,
    /// `REVIEW_TYPE_ID`: the type of review that is the antivirus scan.
    pub review_type_id: String,
    /// `REQUIRED_SCORE`: the score of a clean file (default 100).
    pub required_score: Score,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            resource: "review".to_owned(),
            original_topic: "submission.notification.create".to_owned(),
            review_type_id: "55bbb17d-aac2-45a6-89c3-a8d102863d05".to_owned(),
            required_score: Score(100.0),
        }
    }
}

impl Settings {
    /// Reads the settings; the error names the first variable that is missing or malformed.
    pub fn read(variables: &Variables) -> Result<Self, SettingError> {
        let default = Filter::default();
        Ok(Self {
            filter: Filter {
                resource: variables.or_default("RESOURCE", default.resource)?,
                original_topic: variables.or_default("ORIGINAL_TOPIC", default.original_topic)?,
                review_type_id: variables.or_default("REVIEW_TYPE_ID", default.review_type_id)?,
                required_score: variables.or_default("REQUIRED_SCORE", default.required_score)?,
            },
            state_machine: variables.required("STATE_MACHINE_ARN")?,
            quarantine_bucket: variables.required("QUARANTINE_BUCKET")?,
            stack_name: variables.required("STACK_NAME")?,
            concurrency: variables.or_default("START_CONCURRENCY", Concurrency::DEFAULT)?,
            partial_batch_responses: variables.or_default("PARTIAL_BATCH_RESPONSES", false)?,
        })
    }
}

/// A finite number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score(f64);

impl Score {
    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl FromStr for Score {
    type Err = &'static str;

    fn from_str(score: &str) -> Result<Self, Self::Err> {
        score.parse().ok().filter(|score: &f64| score.is_finite()).map(Self).ok_or("it is not a finite number")
    }
}

/// How many calls may be under way at once: 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency(NonZeroUsize);

impl Concurrency {
    const DEFAULT: Self = Self(NonZeroUsize::new(10).expect("invariant: 10 is not zero"));

    /// The number of calls.
    #[must_use]
    pub fn get(self) -> usize {
        self.0.get()
    }
}

impl FromStr for Concurrency {
    type Err = &'static str;

    fn from_str(calls: &str) -> Result<Self, Self::Err> {
        calls
            .parse()
            .ok()
            .filter(|calls: &NonZeroUsize| calls.get() <= 100)
            .map(Self)
            .ok_or("it is not a number from 1 to 100")
    }
}
