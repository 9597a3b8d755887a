//! Artifacts: files that belong to a submission.

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde::Deserialize;

use super::reviews::parse;
use super::{Client, Error, body_of};
use crate::SubmissionId;

/// A file to be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its name without an extension: the API adds the one of the type it detects. With `internal` in it, it is hidden
    /// from participants.
    pub name: String,
    /// A zip archive: the API refuses what it cannot detect the type of.
    pub zip: Vec<u8>,
}

#[derive(Deserialize)]
struct Listing {
    artifacts: Vec<String>,
}

impl Client {
    /// The names of a submission's artifacts.
    ///
    /// # Errors
    ///
    /// As [`Client::submission`].
    pub async fn artifacts(&self, submission: &SubmissionId) -> Result<Vec<String>, Error> {
        let (call, body) =
            self.call(Method::GET, &["submissions", submission.as_str(), "artifacts"], &[], None).await?;
        Ok(parse::<Listing>(call, &body)?.artifacts)
    }

    /// Uploads an artifact, in the form's field `artifact` (version 5) or `file` (version 6).
    ///
    /// # Errors
    ///
    /// As [`Client::submission`].
    pub async fn upload_artifact(
        &self,
        submission: &SubmissionId,
        field: &'static str,
        artifact: &Artifact,
    ) -> Result<(), Error> {
        let call = format!("POST /submissions/{submission}/artifacts");
        let url = self.api.join(&["submissions", submission.as_str(), "artifacts"]);
        let request = || {
            let part = Part::bytes(artifact.zip.clone()).file_name(artifact.name.clone());
            self.http.post(url.clone()).timeout(self.timeouts.call).multipart(Form::new().part(field, part))
        };
        body_of(&Method::POST, &call, self.send(&call, request).await?).await?;
        Ok(())
    }
}
