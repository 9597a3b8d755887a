//! Work on rows in chunks of fixed size.

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::rows::LANES;

/// Rows of a chunk: results must not depend on the number of threads, so this does not either.
pub(super) const CHUNK: usize = 512 * LANES;

/// A chunk of rows, and what is kept of each of them.
pub(super) struct Chunk<'s, S> {
    /// The first of its rows.
    pub(super) first: usize,
    /// What is kept of each row, those that fill up the last block included.
    pub(super) states: &'s mut [S],
}

impl<S> Chunk<'_, S> {
    /// Its blocks: each block's index, its number of rows out of `count` in all, and what is kept of them.
    pub(super) fn blocks(&mut self, count: usize) -> impl Iterator<Item = (usize, usize, &mut [S; LANES])> {
        let first = self.first;
        let (blocks, _) = self.states.as_chunks_mut::<LANES>();
        blocks.iter_mut().enumerate().map(move |(index, states)| {
            let row = first + index * LANES;
            (row / LANES, count.saturating_sub(row).min(LANES), states)
        })
    }
}

/// Does the work on each chunk of the padded rows' states and gives the results in the chunks' order.
///
/// Threads take the next chunk when they are done with one, so that a slow one holds up a chunk and not its share.
pub(super) fn map<S: Send, T: Send>(
    states: &mut [S],
    threads: usize,
    work: impl Fn(Chunk<'_, S>) -> T + Sync,
) -> Vec<T> {
    let threads = threads.min(states.len().div_ceil(CHUNK));
    let queue = Mutex::new(states.chunks_mut(CHUNK).enumerate());
    let run = || {
        let mut results = Vec::new();
        loop {
            // The lock is held for taking a chunk only, which does not panic.
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, states)) = next else { return results };
            results.push((index, work(Chunk { first: index * CHUNK, states })));
        }
    };
    let mut results = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut results = run();
        for other in others {
            results.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        results
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
