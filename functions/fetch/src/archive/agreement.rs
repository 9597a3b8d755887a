//! The opinion of a second, lenient reader: what an unpacking tool would see.

use std::io::{BufReader, Read, Seek};

use zip::ZipArchive;
use zip::result::ZipError;

use super::entry::Entry;
use super::problem::Problem;

/// Refuses an archive that the `zip` crate reads differently: attacks with archives live on readers that disagree. The
/// entries have to be sorted by their place in the file.
pub(super) fn check<R: Read + Seek>(archive: &mut BufReader<R>, entries: &[Entry]) -> Result<(), Problem> {
    let mut second = ZipArchive::new(archive).map_err(disagreement)?;
    if second.len() != entries.len() || second.offset() != 0 {
        return Err(DISAGREEMENT);
    }
    for at in 0..second.len() {
        let file = second.by_index_raw(at).map_err(disagreement)?;
        let same = entries.binary_search_by_key(&file.header_start(), |entry| entry.offset).is_ok_and(|at| {
            let entry = &entries[at];
            file.name_raw() == entry.name.as_bytes()
                && (file.size(), file.compressed_size(), file.crc32())
                    == (entry.unpacked, entry.compressed, entry.crc32)
        });
        if !same {
            return Err(DISAGREEMENT);
        }
    }
    Ok(())
}

const DISAGREEMENT: Problem = Problem::BrokenDirectory { what: "two readers understand it differently" };

fn disagreement(error: ZipError) -> Problem {
    match error {
        ZipError::Io(error) => error.into(),
        _ => DISAGREEMENT,
    }
}
