//! Taking the predictions out of a training job's output.

use aws_sdk_s3::primitives::ByteStream;
use outputs::{ArchiveError, copy_predictions};
use records::predictions_key;

use crate::answer::Extracted;
use crate::deps::Deps;
use crate::error::ScoreError;
use crate::request::Extract;

/// Takes the predictions out of a training job's output, puts them where scoring looks for them, and registers the
/// submission.
pub(crate) async fn extract(event: &Extract, deps: &Deps) -> Result<Extracted, ScoreError> {
    let key = output_key(&event.model_uri, deps.outputs.bucket())?;
    let version = deps.outputs.version(&key).await?.ok_or(ArchiveError::Missing)?;
    let max = deps.max_predictions_bytes;
    let extracted = deps.outputs.parse(&key, &version, move |reader| {
        let mut file = tempfile::NamedTempFile::new().map_err(ArchiveError::Write)?;
        let bytes = copy_predictions(reader, max, &mut file)?;
        Ok::<_, ArchiveError>((file, bytes))
    });
    let (file, bytes) = extracted.await??;
    let body = ByteStream::from_path(file.path()).await.map_err(ScoreError::TemporaryFile)?;
    let predictions_key = predictions_key(&event.challenge, &event.submission_id);
    deps.objects.write(&predictions_key, body, bytes).await?;
    deps.submissions.register(&event.submission_id, &event.challenge, &event.user_id, event.created).await?;
    Ok(Extracted { predictions_key })
}

/// The key of `output.tar.gz`, which SageMaker writes to the folder of `model.tar.gz`.
fn output_key(model: &str, bucket: &str) -> Result<String, ScoreError> {
    let key = model.strip_prefix("s3://").and_then(|uri| uri.strip_prefix(bucket)?.strip_prefix('/'));
    let folder = key.and_then(|key| key.strip_suffix("model.tar.gz"));
    let folder = folder.ok_or_else(|| ScoreError::OtherModel { model_uri: model.to_owned() })?;
    Ok(format!("{folder}output.tar.gz"))
}

#[cfg(test)]
mod tests {
    use domain::{Coded, FailureCode};

    use super::*;

    #[test]
    fn the_output_is_in_the_folder_of_the_model_in_the_output_bucket() {
        assert_eq!(
            output_key("s3://models/x/x-0-1/output/model.tar.gz", "models").unwrap(),
            "x/x-0-1/output/output.tar.gz"
        );
        for model in ["s3://other/x/model.tar.gz", "s3://models-2/x/model.tar.gz", "s3://models/x/model.zip", "x"] {
            assert_eq!(output_key(model, "models").unwrap_err().code(), FailureCode::ScoringFault, "{model}");
        }
    }
}
