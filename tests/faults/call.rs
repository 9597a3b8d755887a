//! Outgoing calls, recognised by their requests.

use hyper::Method;
use hyper::http::request::Parts;

/// An outgoing call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Secret,
    Token,
    Submission,
    Download,
    StageArchive,
    StageBuildspec,
    CreateRepository,
    StartExecution,
    Quarantine,
    TagRepository,
    ReadArchiveTags,
    TagArchive,
    StartBuild,
    CreateTrainingJob,
    FindLog,
    ReadLog,
    ListReviews,
    CreateReview,
    UpdateReview,
    ListArtifacts,
    UploadArtifact,
    StoreOutcome,
    ReadOutcome,
}

/// The protocol of a call's service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    AwsJson,
    S3,
    SubmissionApi,
}

impl Call {
    /// Every call over HTTP.
    pub(crate) const OVER_HTTP: [Self; 21] = [
        Self::Secret,
        Self::Token,
        Self::Submission,
        Self::Download,
        Self::StageArchive,
        Self::StageBuildspec,
        Self::CreateRepository,
        Self::StartExecution,
        Self::Quarantine,
        Self::TagRepository,
        Self::ReadArchiveTags,
        Self::TagArchive,
        Self::FindLog,
        Self::ReadLog,
        Self::ListReviews,
        Self::CreateReview,
        Self::UpdateReview,
        Self::ListArtifacts,
        Self::UploadArtifact,
        Self::StoreOutcome,
        Self::ReadOutcome,
    ];

    /// The call that a request makes, if it is one of the matrix.
    pub(crate) fn of(request: &Parts) -> Option<Self> {
        let target = request.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let (path, method) = (request.uri.path(), &request.method);
        let is_tagging = request.uri.query().is_some_and(|query| query.split('&').any(|part| part == "tagging"));
        Some(match target.rsplit('.').next().unwrap_or_default() {
            "GetSecretValue" => Self::Secret,
            "CreateRepository" => Self::CreateRepository,
            "StartExecution" => Self::StartExecution,
            "TagResource" => Self::TagRepository,
            "DescribeLogStreams" => Self::FindLog,
            "GetLogEvents" => Self::ReadLog,
            "" => match *method {
                Method::POST if path.ends_with("/oauth/token") => Self::Token,
                Method::GET if path.ends_with("/download") => Self::Download,
                Method::GET if path.ends_with("/artifacts") => Self::ListArtifacts,
                Method::POST if path.ends_with("/artifacts") => Self::UploadArtifact,
                Method::GET if path.starts_with("/v5/submissions/") => Self::Submission,
                Method::GET if path == "/v5/reviews" => Self::ListReviews,
                Method::POST if path == "/v5/reviews" => Self::CreateReview,
                Method::PATCH if path.starts_with("/v5/reviews/") => Self::UpdateReview,
                Method::PUT if path.contains("/quarantine/") => Self::Quarantine,
                Method::PUT if path.ends_with("/outcome.json") => Self::StoreOutcome,
                Method::GET if path.ends_with("/outcome.json") => Self::ReadOutcome,
                Method::GET if path.ends_with("/submission.zip") && is_tagging => Self::ReadArchiveTags,
                Method::PUT if path.ends_with("/submission.zip") && is_tagging => Self::TagArchive,
                Method::PUT if path.ends_with("/submission.zip") => Self::StageArchive,
                Method::PUT if path.contains("/buildspecs/") => Self::StageBuildspec,
                _ => return None,
            },
            _ => return None,
        })
    }

    /// Whether the request does not name a submission, so that a fault affects all of them.
    pub(crate) fn affects_every_submission(self) -> bool {
        matches!(self, Self::Secret | Self::Token | Self::StageBuildspec)
    }

    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Self::Secret
            | Self::CreateRepository
            | Self::StartExecution
            | Self::TagRepository
            | Self::FindLog
            | Self::ReadLog => Protocol::AwsJson,
            Self::StageArchive
            | Self::StageBuildspec
            | Self::Quarantine
            | Self::ReadArchiveTags
            | Self::TagArchive
            | Self::StoreOutcome
            | Self::ReadOutcome => Protocol::S3,
            _ => Protocol::SubmissionApi,
        }
    }
}
