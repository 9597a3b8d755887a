//! Input that arrives in pieces.

use std::io::{self, Read};

/// Gives one byte at a time.
pub(crate) struct Slow<'a>(pub(crate) &'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}
