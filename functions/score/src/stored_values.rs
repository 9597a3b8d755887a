//! The values of prepared submissions in the scoring bucket.

use domain::ChallengeId;
use scoring::Sorted;
use scoring::encoding::{aligned_from_bytes, sorted_from_bytes};
use scoring::originality::{Rules, Values};

use crate::error::ScoreError;
use crate::objects::Objects;

/// The key of a submission's values in ascending order of their ids.
pub(crate) fn aligned_key(challenge: &ChallengeId, submission: &str) -> String {
    format!("scored/{challenge}/{submission}/aligned")
}

/// The key of a submission's values in ascending order of value.
pub(crate) fn sorted_key(challenge: &ChallengeId, submission: &str) -> String {
    format!("scored/{challenge}/{submission}/sorted")
}

/// Reads a submission's values in ascending order of their ids.
pub(crate) async fn read_aligned(
    objects: &Objects,
    challenge: &ChallengeId,
    submission: &str,
) -> Result<Vec<f64>, ScoreError> {
    let bytes = read(objects, &aligned_key(challenge, submission), submission).await?;
    aligned_from_bytes(&bytes).map_err(|source| ScoreError::ValuesInvalid { submission: submission.to_owned(), source })
}

/// Reads a submission's values in ascending order of value.
pub(crate) async fn read_sorted(
    objects: &Objects,
    challenge: &ChallengeId,
    submission: &str,
) -> Result<Sorted, ScoreError> {
    let bytes = read(objects, &sorted_key(challenge, submission), submission).await?;
    sorted_from_bytes(&bytes).map_err(|source| ScoreError::ValuesInvalid { submission: submission.to_owned(), source })
}

/// Reads a submission's values, still encoded, in the order that the rules of originality ask for.
pub(crate) async fn read_encoded(
    objects: &Objects,
    challenge: &ChallengeId,
    submission: &str,
    rules: &Rules,
) -> Result<Vec<u8>, ScoreError> {
    let key =
        if rules.needs_aligned() { aligned_key(challenge, submission) } else { sorted_key(challenge, submission) };
    read(objects, &key, submission).await
}

/// Decodes what [`read_encoded`] read.
pub(crate) fn decode(bytes: &[u8], submission: &str, rules: &Rules) -> Result<Values, ScoreError> {
    let values = if rules.needs_aligned() {
        aligned_from_bytes(bytes).map(Values::Aligned)
    } else {
        sorted_from_bytes(bytes).map(Values::Sorted)
    };
    values.map_err(|source| ScoreError::ValuesInvalid { submission: submission.to_owned(), source })
}

async fn read(objects: &Objects, key: &str, submission: &str) -> Result<Vec<u8>, ScoreError> {
    objects.read(key).await?.ok_or_else(|| ScoreError::ValuesMissing { submission: submission.to_owned() })
}
