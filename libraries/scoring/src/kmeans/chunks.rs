//! Processing rows in chunks of fixed size.

use std::panic::resume_unwind;
use std::sync::Mutex;
use std::thread;

use super::rows::LANES;

/// Rows of a chunk. It is fixed, because results must not depend on the number of threads.
pub(super) const CHUNK: usize = 512 * LANES;

/// A chunk of rows with the state of each, such as its label.
pub(super) struct Chunk<'s, S> {
    /// The index of its first row.
    pub(super) first: usize,
    /// The state of each row, including the padding of the last block.
    pub(super) states: &'s mut [S],
}

impl<S> Chunk<'_, S> {
    /// Its blocks: the index of each block, how many of its rows are not padding, and their states. `count` is the number
    /// of all rows.
    pub(super) fn blocks(&mut self, count: usize) -> impl Iterator<Item = (usize, usize, &mut [S; LANES])> {
        let first = self.first;
        let (blocks, _) = self.states.as_chunks_mut::<LANES>();
        blocks.iter_mut().enumerate().map(move |(index, states)| {
            let row = first + index * LANES;
            (row / LANES, count.saturating_sub(row).min(LANES), states)
        })
    }
}

/// Does the work on each chunk and returns the results in the order of the chunks.
///
/// A thread takes the next chunk when it has finished one, so that a slow thread delays one chunk instead of its share.
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
            let next = queue.lock().expect("invariant: taking a chunk does not panic").next();
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
