use aws_config::SdkConfig;
use domain::ChallengeId;

use crate::challenge::{Allowed, ChallengeError, ChallengeSettings, Scoring};
use crate::dataset::Datasets;
use crate::error::ScoreError;
use crate::objects::Objects;
use crate::settings::Settings;
use crate::table::{Submissions, Summaries};

/// What the function works with.
#[derive(Debug)]
pub struct Deps {
    pub(crate) stack_name: String,
    pub(crate) submissions: Submissions,
    pub(crate) summaries: Summaries,
    /// The scoring bucket.
    pub(crate) objects: Objects,
    /// The bucket with the output of training jobs.
    pub(crate) outputs: Objects,
    pub(crate) datasets: Datasets,
    pub(crate) max_predictions_bytes: u64,
    pub(crate) allowed: Allowed,
}

impl Deps {
    /// Sends nothing yet.
    #[must_use]
    pub fn new(settings: Settings, aws: &SdkConfig) -> Self {
        let s3 = aws_sdk_s3::Client::new(aws);
        let dynamodb = aws_sdk_dynamodb::Client::new(aws);
        let objects = Objects::new(s3.clone(), settings.scoring_bucket.into());
        Self {
            stack_name: settings.stack_name,
            submissions: Submissions::new(dynamodb.clone(), settings.submissions_table.into()),
            summaries: Summaries::new(
                dynamodb,
                settings.summaries_table.into(),
                objects.clone(),
                settings.summaries_per_segment,
            ),
            datasets: Datasets::new(objects.clone()),
            objects,
            outputs: Objects::new(s3, settings.output_bucket.into()),
            max_predictions_bytes: settings.max_predictions_bytes,
            allowed: settings.allowed,
        }
    }

    /// The settings of a challenge, from their JSON.
    pub(crate) fn settings(&self, challenge: &ChallengeId, json: &str) -> Result<ChallengeSettings, ScoreError> {
        ChallengeSettings::read(json, &self.allowed).map_err(|source| self.invalid(challenge, source))
    }

    /// The error for invalid settings of a challenge.
    pub(crate) fn invalid(&self, challenge: &ChallengeId, source: ChallengeError) -> ScoreError {
        ScoreError::Settings { parameter: self.parameter(challenge), source }
    }

    /// How the submissions of a challenge are scored, from the JSON of its settings.
    pub(crate) fn scoring(&self, challenge: &ChallengeId, json: &str) -> Result<Scoring, ScoreError> {
        self.settings(challenge, json)?.scoring.ok_or_else(|| self.not_scored(challenge))
    }

    /// The error for settings of a challenge that do not say how to score.
    pub(crate) fn not_scored(&self, challenge: &ChallengeId) -> ScoreError {
        ScoreError::NotScored { parameter: self.parameter(challenge) }
    }

    /// The name of the SSM parameter with the settings of a challenge.
    pub(crate) fn parameter(&self, challenge: &ChallengeId) -> String {
        format!("/{}/challenges/{challenge}", self.stack_name)
    }
}
