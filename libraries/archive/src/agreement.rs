//! Compares the archive with what a second, lenient reader sees, as an unpacking tool would.

use std::io::{BufReader, Read, Seek};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::entry::Entry;
use crate::problem::Problem;

/// Refuses an archive that the `zip` crate reads differently, because attacks exploit such differences. The entries have
/// to be sorted by their position in the file.
pub(crate) fn check<R: Read + Seek>(archive: &mut BufReader<R>, entries: &[Entry]) -> Result<(), Problem> {
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

const DISAGREEMENT: Problem = Problem::BrokenDirectory { what: "two programs read it differently" };

fn disagreement(error: ZipError) -> Problem {
    match error {
        ZipError::Io(error) => error.into(),
        _ => DISAGREEMENT,
    }
}
