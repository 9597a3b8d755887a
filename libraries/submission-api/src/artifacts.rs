//! Artifacts: files attached to a submission.

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde::Deserialize;

use crate::reviews::parse;
use crate::{Client, Error, body_of};
use domain::SubmissionId;

/// A file to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Without an extension: the API adds the one of the type it detects. The API hides names with `internal` from
    /// participants.
    pub name: String,
    /// A zip archive: the API refuses files whose type it cannot detect.
    pub zip: Vec<u8>,
}

#[derive(Deserialize)]
struct Listing {
    artifacts: Vec<String>,
}

impl Client {
    /// The names of a submission's artifacts.
    pub async fn artifacts(&self, submission: &SubmissionId) -> Result<Vec<String>, Error> {
        let (call, body) =
            self.call(Method::GET, &["submissions", submission.as_str(), "artifacts"], &[], None).await?;
        Ok(parse::<Listing>(call, &body)?.artifacts)
    }

    /// Uploads an artifact. The form's field is `artifact` in version 5 and `file` in version 6.
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
