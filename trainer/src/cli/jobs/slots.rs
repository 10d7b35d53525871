//! Where runs are made, one at a time in each slot.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, ensure};

use super::job::{Job, Outcome};
use crate::progress::{is_interrupted, say};

/// A place for one run at a time.
pub struct Slot {
    /// Its device, as `train` takes it.
    pub device: String,
    /// Threads of its runs on the CPU.
    pub threads: usize,
}

impl Slot {
    /// One slot for each of `devices`.
    ///
    /// # Errors
    /// If there are none.
    pub fn on(devices: &[String]) -> Result<Vec<Self>> {
        ensure!(
            !devices.is_empty() && devices.iter().all(|device| !device.is_empty()),
            "--devices: expected names such as cpu or cuda:0"
        );
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let asked = std::env::var("OMP_NUM_THREADS").ok().and_then(|threads| threads.parse().ok());
        let threads = asked.unwrap_or(cores / devices.len()).max(1);
        Ok(devices.iter().map(|device| Self { device: device.clone(), threads }).collect())
    }
}

/// Makes all runs; what came of each, in order. After an interruption no more are begun.
pub fn work(jobs: &[Job], slots: &[Slot]) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let outcomes: Vec<Mutex<Option<Outcome>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let serve = |slot: &Slot| {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(n).filter(|_| !is_interrupted()) else { return };
            say(&format!("{}: begins on {}", job.name, slot.device));
            let outcome = job.work(slot);
            let done = outcome.error.clone().unwrap_or_else(|| match outcome.judged("psnr_mean") {
                Some(psnr) => format!("done, {psnr:.2} dB on {}", outcome.judges()),
                None => "done".to_owned(),
            });
            say(&format!("{}: {done}", job.name));
            if let Ok(mut place) = outcomes[n].lock() {
                *place = Some(outcome);
            }
        }
    };
    thread::scope(|scope| {
        slots.iter().for_each(|slot| {
            scope.spawn(|| serve(slot));
        });
    });
    let not_begun = || Outcome { error: Some("not begun".to_owned()), ..Outcome::default() };
    outcomes
        .into_iter()
        .map(|outcome| outcome.into_inner().ok().flatten().unwrap_or_else(not_begun))
        .collect()
}
