//! A prepared submission as bytes.

use domain::ChallengeId;
use scoring::originality::Provenance;
use scoring::{DecodeError, Summary};

use super::ItemError;

/// A submission that later ones are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PreparedSubmission {
    pub(crate) provenance: Provenance,
    pub(crate) summary: Summary,
}

impl PreparedSubmission {
    /// The attribute `packed` of its item, since DynamoDB reads and counts every byte of every attribute and of its name: the
    /// [`Summary`], then when it was created in nanoseconds since 1970 (16 bytes, little-endian), then the participant's id.
    pub(super) fn pack(&self) -> Vec<u8> {
        [self.summary.as_bytes(), &self.provenance.created.to_le_bytes(), self.provenance.user.as_bytes()].concat()
    }

    /// Reads what [`pack`](Self::pack) wrote.
    pub(super) fn unpack(challenge: &ChallengeId, submission: String, packed: &[u8]) -> Result<Self, ItemError> {
        let (summary, created, user) = parse(packed)?;
        let provenance = Provenance { submission, user: user.to_owned(), challenge: challenge.to_string(), created };
        Ok(Self { provenance, summary })
    }
}

fn parse(packed: &[u8]) -> Result<(Summary, i128, &str), ItemError> {
    let (summary, rest) = Summary::read(packed)?;
    let (created, user) = rest.split_first_chunk().ok_or(DecodeError::Length)?;
    let user = std::str::from_utf8(user).ok().filter(|user| !user.is_empty()).ok_or(ItemError::User)?;
    Ok((summary, i128::from_le_bytes(*created), user))
}

#[cfg(test)]
mod tests {
    use scoring::{Grid, Sorted};

    use super::*;

    fn prepared() -> PreparedSubmission {
        let (submission, user, challenge) = ("s1".into(), "zoë".into(), "r1".into());
        let summary = Summary::of(&Sorted::new(vec![0.25, 0.75]).unwrap(), &Grid::uniform());
        PreparedSubmission { provenance: Provenance { submission, user, challenge, created: -5 }, summary }
    }

    #[test]
    fn a_submission_is_read_as_it_was_packed() {
        let challenge = "r1".parse().unwrap();
        assert_eq!(PreparedSubmission::unpack(&challenge, "s1".into(), &prepared().pack()).unwrap(), prepared());
    }

    #[test]
    fn bytes_that_were_not_packed_here_are_refused() {
        let packed = prepared().pack();
        let reason = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
        let user = packed.len() - "zoë".len();
        assert_eq!(reason(&packed[..user]), "it does not name the participant");
        assert_eq!(reason(&packed[..packed.len() - 1]), "it does not name the participant");
        for end in 0..user {
            assert_eq!(reason(&packed[..end]), "there are too few or too many bytes");
        }
    }
}
