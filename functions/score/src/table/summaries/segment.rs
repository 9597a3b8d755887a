//! Many prepared submissions in one object in S3, which costs the table nothing to read.

use domain::ChallengeId;
use scoring::DecodeError;
use sha2::{Digest, Sha256};

use super::{ItemError, PreparedSubmission};

const MAGIC: &[u8; 4] = b"KSSG";
const VERSION: u16 = 1;

/// The key of a segment in the scoring bucket. Its name follows from its content.
pub(super) fn key(challenge: &ChallengeId, name: &str) -> String {
    // No id of a submission is a single letter.
    format!("scored/{challenge}/s/{name}")
}

pub(super) fn name(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..16])
}

/// Packs submissions: `KSSG`, the version (two bytes) and the number of submissions (four bytes), then for each its id and its
/// [packed](PreparedSubmission::pack) form, each after its length (four bytes). Integers are little-endian.
pub(super) fn pack(submissions: &[&PreparedSubmission]) -> Vec<u8> {
    let length = |length: usize| u32::try_from(length).expect("invariant: items are smaller than 4 GB").to_le_bytes();
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(length(submissions.len()));
    for submission in submissions {
        for part in [submission.provenance.submission.as_bytes(), &submission.pack()] {
            bytes.extend(length(part.len()));
            bytes.extend(part);
        }
    }
    bytes
}

/// Reads what [`pack`] wrote.
pub(super) fn unpack(challenge: &ChallengeId, bytes: &[u8]) -> Result<Vec<PreparedSubmission>, ItemError> {
    let (magic, rest) = bytes.split_first_chunk::<4>().ok_or(DecodeError::Length)?;
    let (version, rest) = rest.split_first_chunk().ok_or(DecodeError::Length)?;
    let (count, mut rest) = rest.split_first_chunk().ok_or(DecodeError::Length)?;
    if magic != MAGIC {
        return Err(DecodeError::Magic.into());
    }
    let found = u16::from_le_bytes(*version);
    if found != VERSION {
        return Err(DecodeError::Version { found }.into());
    }
    let mut submissions = Vec::new();
    while !rest.is_empty() {
        let id = std::str::from_utf8(part(&mut rest)?).map_err(|_| ItemError::Id)?;
        submissions.push(PreparedSubmission::unpack(challenge, id.to_owned(), part(&mut rest)?)?);
    }
    if u32::try_from(submissions.len()) != Ok(u32::from_le_bytes(*count)) {
        return Err(DecodeError::Length.into());
    }
    Ok(submissions)
}

fn part<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let (length, rest) = bytes.split_first_chunk().ok_or(DecodeError::Length)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| DecodeError::Length)?;
    let (part, rest) = rest.split_at_checked(length).ok_or(DecodeError::Length)?;
    *bytes = rest;
    Ok(part)
}

#[cfg(test)]
mod tests {
    use scoring::originality::Provenance;
    use scoring::{Grid, Sorted, Summary};

    use super::*;

    fn prepared(submission: &str) -> PreparedSubmission {
        let (submission, user, challenge) = (submission.into(), "zoë".into(), "r1".into());
        let summary = Summary::of(&Sorted::new(vec![0.25, 0.75]).unwrap(), &Grid::uniform());
        PreparedSubmission { provenance: Provenance { submission, user, challenge, created: -5 }, summary }
    }

    #[test]
    fn submissions_are_read_as_they_were_packed() {
        let (challenge, submissions) = ("r1".parse().unwrap(), [prepared("a"), prepared("bb")]);
        let [a, bb] = &submissions;
        let bytes = pack(&[a, bb]);
        assert_eq!(unpack(&challenge, &bytes).unwrap(), submissions);
        assert_eq!(key(&challenge, &name(&bytes)).len(), "scored/r1/s/".len() + 32);
        assert_ne!(name(&bytes), name(&pack(&[bb])));
    }

    #[test]
    fn bytes_that_were_not_packed_here_are_refused() {
        let (challenge, bytes) = ("r1".parse().unwrap(), pack(&[&prepared("a"), &prepared("bb")]));
        for end in 0..bytes.len() {
            assert!(unpack(&challenge, &bytes[..end]).is_err(), "{end}");
        }
        for (at, reason) in [(0, "another format"), (4, "version 254 is not known"), (6, "too few or too many bytes")] {
            let mut changed = bytes.clone();
            changed[at] ^= 0xff;
            let error = unpack(&challenge, &changed).unwrap_err().to_string();
            assert!(error.contains(reason), "{at}: {error}");
        }
    }
}
