//! The limits of this machine, measured: arithmetic per core and precision, bandwidth of memory.
//! They bound any implementation of the same function; nothing of drr is in them.

pub mod arithmetic;
pub mod memory;
pub mod peak;
pub mod random;

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// Runs `work(n)` for each n below `threads` at the same time, and the time until all are done.
fn in_parallel(threads: usize, work: impl Fn(usize) + Sync) -> Duration {
    if threads == 1 {
        let start = Instant::now();
        work(0);
        return start.elapsed();
    }
    let barrier = Barrier::new(threads);
    let timed = |n: usize| {
        barrier.wait();
        let start = Instant::now();
        work(n);
        (start, Instant::now())
    };
    let spans: Vec<_> = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|n| scope.spawn(move || timed(n))).collect();
        let mine = timed(0);
        let others = others.into_iter().filter_map(|other| other.join().ok());
        others.chain([mine]).collect()
    });
    let first = spans.iter().map(|span| span.0).min();
    let last = spans.iter().map(|span| span.1).max();
    first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first)
}
