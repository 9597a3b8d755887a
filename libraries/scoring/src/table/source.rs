//! The text of a plain or compressed file.

use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use crate::invalid_file::InvalidFile;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const BUFFER: usize = 64 << 10;

/// The text of a file. Gzip is recognised by its first two bytes; a byte order mark is dropped.
pub(super) fn open<'a>(reader: impl Read + 'a) -> Result<Box<dyn BufRead + 'a>, InvalidFile> {
    let mut reader = Transport(reader);
    let start = start(&mut reader, GZIP.len())?;
    let whole = Cursor::new(start.clone()).chain(reader);
    if start == GZIP {
        without_mark(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, whole)))
    } else {
        without_mark(whole)
    }
}

/// Whether an error comes from the reader itself or from decompressing.
pub(super) fn cause(error: io::Error) -> InvalidFile {
    match error.downcast::<TransportError>() {
        Ok(TransportError(error)) => InvalidFile::Read(error),
        Err(error) => InvalidFile::Gzip(error),
    }
}

fn without_mark<'a>(mut reader: impl Read + 'a) -> Result<Box<dyn BufRead + 'a>, InvalidFile> {
    let mut start = start(&mut reader, BYTE_ORDER_MARK.len())?;
    if start == BYTE_ORDER_MARK {
        start.clear();
    }
    Ok(Box::new(BufReader::with_capacity(BUFFER, Cursor::new(start).chain(reader))))
}

/// The first bytes of the file; fewer only if the file is shorter.
fn start(reader: &mut impl Read, length: usize) -> Result<Vec<u8>, InvalidFile> {
    let mut start = Vec::with_capacity(length);
    reader.by_ref().take(length as u64).read_to_end(&mut start).map_err(cause)?;
    Ok(start)
}

/// Marks the errors of a reader, to distinguish them from errors of decompressing.
struct Transport<R>(R);

impl<R: Read> Read for Transport<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(|error| io::Error::new(error.kind(), TransportError(error))),
            }
        }
    }
}

#[derive(Debug)]
struct TransportError(io::Error);

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for TransportError {}
