//! The lines of a Dockerfile.

use crate::problem::{Problem, Reason};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// BuildKit reads no longer lines.
pub(crate) const MAX_LINE_BYTES: usize = 65_535;

/// The lines without their ends and without a byte order mark. Characters that programs read differently are refused.
pub(crate) fn lines(dockerfile: &[u8]) -> Result<Vec<&str>, Problem> {
    let text = dockerfile.strip_prefix(BYTE_ORDER_MARK).unwrap_or(dockerfile);
    text.split(|byte| *byte == b'\n')
        .enumerate()
        .map(|(at, line)| self::line(line).map_err(|reason| Problem { line: at + 1, reason }))
        .collect()
}

fn line(line: &[u8]) -> Result<&str, Reason> {
    if line.len() > MAX_LINE_BYTES {
        return Err(Reason::LineTooLong { limit: MAX_LINE_BYTES });
    }
    let line = std::str::from_utf8(line).map_err(|_| Reason::NotUtf8)?.trim_end_matches('\r');
    match line.chars().find(|char| char.is_control() && *char != '\t') {
        Some(char) => Err(Reason::ControlCharacter { code: char.into() }),
        None => Ok(line),
    }
}
