//! A file's text, whether it is compressed or not.

use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use crate::invalid::Invalid;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const BUFFER: usize = 64 << 10;

/// The text behind a reader: gzip is known by its first two bytes and decompressed, and a byte order mark is dropped.
pub(super) fn open<'a>(reader: impl Read + 'a) -> Result<Box<dyn BufRead + 'a>, Invalid> {
    let mut reader = Transport(reader);
    let start = start(&mut reader, GZIP.len())?;
    let whole = Cursor::new(start.clone()).chain(reader);
    if start == GZIP {
        without_mark(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, whole)))
    } else {
        without_mark(whole)
    }
}

/// An error of the text's reader: the transport's, or else that of decompressing.
pub(super) fn cause(error: io::Error) -> Invalid {
    match error.downcast::<Failed>() {
        Ok(Failed(error)) => Invalid::Read(error),
        Err(error) => Invalid::Gzip(error),
    }
}

fn without_mark<'a>(mut reader: impl Read + 'a) -> Result<Box<dyn BufRead + 'a>, Invalid> {
    let mut start = start(&mut reader, BYTE_ORDER_MARK.len())?;
    if start == BYTE_ORDER_MARK {
        start.clear();
    }
    Ok(Box::new(BufReader::with_capacity(BUFFER, Cursor::new(start).chain(reader))))
}

/// The first bytes, fewer only if there are no more.
fn start(reader: &mut impl Read, length: usize) -> Result<Vec<u8>, Invalid> {
    let mut start = Vec::with_capacity(length);
    reader.by_ref().take(length as u64).read_to_end(&mut start).map_err(cause)?;
    Ok(start)
}

/// The reader that was given. Its errors are marked, to tell them from those of decompressing.
struct Transport<R>(R);

impl<R: Read> Read for Transport<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(|error| io::Error::new(error.kind(), Failed(error))),
            }
        }
    }
}

#[derive(Debug)]
struct Failed(io::Error);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failed {}
