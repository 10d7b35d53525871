//! Bandwidth of memory as grids use it: as a stream, and in random rows that are prefetched, from a
//! region of the grid's size in huge pages.

use std::hint::black_box;

use anyhow::{Context, Result};
use memmap2::MmapMut;

use super::in_parallel;
use super::random::Random;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Bytes that one measurement of a stream, or of random rows, reads per thread.
const STREAM_BYTES: usize = 1 << 30;
const RANDOM_BYTES: usize = 1 << 29;

/// Cache lines in flight that are tried for random rows: a core can have a few dozen misses open.
const LINES_AHEAD: [usize; 4] = [16, 32, 64, 128];

/// Memory to read from.
pub struct Region {
    map: MmapMut,
}

/// Random rows as a grid of that row size is read.
pub struct RandomRows<'a> {
    bytes: &'a [u8],
    /// Bytes that lie together: the two vertices of a cell that are neighbours along x.
    run: usize,
    /// Starts of runs, per thread.
    starts: Vec<Vec<usize>>,
    /// Runs that are prefetched ahead.
    ahead: usize,
}

impl Region {
    /// `bytes` bytes of memory, written once, in huge pages if the system gives them.
    ///
    /// # Errors
    /// If there is not so much memory.
    pub fn new(bytes: usize) -> Result<Self> {
        let mut map = MmapMut::map_anon(bytes).context("memory to measure bandwidth")?;
        #[cfg(target_os = "linux")]
        // A system without huge pages has a lower limit, which is then measured.
        let _ = map.advise(memmap2::Advice::HugePage);
        map.fill(1);
        Ok(Self { map })
    }

    /// Bytes per second of `threads` threads that read one after the other the first `bytes`, or as
    /// much of them as is long enough. Each thread has its own part.
    pub fn stream(&self, threads: usize, bytes: usize) -> f64 {
        let bytes = &self.map[..bytes.min(self.map.len())];
        let part = (bytes.len() / threads).min(STREAM_BYTES) / LINE * LINE;
        let time = in_parallel(threads, |thread| {
            let at = bytes.len() / threads * thread;
            black_box(sum(&bytes[at..][..part]));
        });
        (part * threads) as f64 / time.as_secs_f64()
    }

    /// Prepares random reads of rows of `row` bytes in the first `bytes`, with the distance of
    /// prefetching that is fastest on this machine.
    pub fn random_rows(&self, row: usize, bytes: usize, threads: usize) -> RandomRows<'_> {
        let bytes = &self.map[..bytes.min(self.map.len())];
        let run = (2 * row).min(bytes.len());
        let rows = (bytes.len() - run) / row + 1;
        let starts = |seed| {
            let mut random = Random(seed);
            let start = |_| random.bits() as usize % rows * row;
            (0..RANDOM_BYTES.min(8 * bytes.len()) / run).map(start).collect()
        };
        let starts = (0..threads as u64).map(starts).collect();
        let mut rows = RandomRows { bytes, run, starts, ahead: 1 };
        let mut best = 0.0;
        let mut ahead = rows.ahead;
        for lines in LINES_AHEAD {
            rows.ahead = (lines * LINE / run).max(1);
            let rate = rows.measure();
            if rate > best {
                (best, ahead) = (rate, rows.ahead);
            }
        }
        rows.ahead = ahead;
        rows
    }
}

impl RandomRows<'_> {
    /// Bytes per second of all threads together, measured once.
    pub fn measure(&self) -> f64 {
        let time = in_parallel(self.starts.len(), |thread| {
            let starts = &self.starts[thread];
            let mut total = 0;
            for (i, &start) in starts.iter().enumerate() {
                if let Some(&next) = starts.get(i + self.ahead) {
                    prefetch(&self.bytes[next..][..self.run]);
                }
                total ^= sum(&self.bytes[start..][..self.run]);
            }
            black_box(total);
        });
        let runs: usize = self.starts.iter().map(Vec::len).sum();
        (runs * self.run) as f64 / time.as_secs_f64()
    }
}

#[inline]
fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint about an address that may be read; SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(target_arch = "aarch64")]
    for line in bytes.chunks(LINE) {
        // SAFETY: a hint about an address that may be read.
        unsafe {
            std::arch::asm!(
                "prfm pldl1keep, [{}]",
                in(reg) line.as_ptr(),
                options(readonly, nostack, preserves_flags),
            );
        }
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = bytes;
}

/// Touches all bytes. Simple enough for vectors; memory is slower than it in any case.
#[inline]
fn sum(bytes: &[u8]) -> u64 {
    let mut sums = [0u64; LINE / 8];
    for line in bytes.as_chunks::<LINE>().0 {
        for (sum, word) in sums.iter_mut().zip(line.as_chunks::<8>().0) {
            *sum ^= u64::from_le_bytes(*word);
        }
    }
    sums.iter().fold(0, |all, sum| all ^ sum)
}
