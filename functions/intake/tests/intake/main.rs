//! The intake function's promises.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod decide;
mod handle;
mod start_up;
