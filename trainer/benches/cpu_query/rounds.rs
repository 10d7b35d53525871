//! Repeated measurements in turns: on a machine that others use too, everything that is compared is
//! measured in each round, and the median of the rounds counts.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Threads of other libraries that wait in a loop give up in this time.
const SETTLE: Duration = Duration::from_millis(20);

/// Then this process does nothing for so long, and what the cores do is others' work.
const IDLE: Duration = Duration::from_millis(30);

/// Units per second in which Linux counts the time of cores.
const TICKS: f64 = 100.0;

/// A rate, per second: median and extremes of the rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// What counts.
    pub median: f64,
    /// The slowest round.
    pub min: f64,
    /// The fastest round.
    pub max: f64,
}

/// All that was measured.
pub struct Figures {
    /// In the order in which it was added.
    pub figures: Vec<Figure>,
    /// Cores that other programs kept busy meanwhile, on average; 0 where the system does not say.
    pub others_busy: f64,
}

/// What takes turns.
#[derive(Default)]
pub struct Rounds<'a> {
    lanes: Vec<Lane<'a>>,
}

/// Returns a rate per second, measured once.
type Lane<'a> = Box<dyn FnMut() -> Result<f64> + 'a>;

impl<'a> Rounds<'a> {
    /// Adds something to measure; its place among the figures.
    pub fn add(&mut self, measure: impl FnMut() -> Result<f64> + 'a) -> usize {
        self.lanes.push(Box::new(measure));
        self.lanes.len() - 1
    }

    /// Measures everything once to warm up and then `rounds` times in turns.
    ///
    /// # Errors
    /// The first error of anything measured.
    pub fn run(mut self, rounds: usize) -> Result<Figures> {
        let mut rates = vec![Vec::new(); self.lanes.len()];
        let (mut busy, mut idle) = (0.0, Duration::ZERO);
        for round in 0..=rounds {
            for (lane, rates) in self.lanes.iter_mut().zip(&mut rates) {
                sleep(SETTLE);
                let (before, start) = (busy_ticks(), Instant::now());
                sleep(IDLE);
                busy += busy_ticks() - before;
                idle += start.elapsed();
                let rate = lane()?;
                if round > 0 {
                    rates.push(rate);
                }
            }
        }
        let figures = rates.into_iter().map(Figure::new).collect();
        Ok(Figures { figures, others_busy: busy / TICKS / idle.as_secs_f64() })
    }
}

/// Time that all cores together were busy since the machine started.
fn busy_ticks() -> f64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let numbers = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    // user nice system idle iowait irq softirq steal, then what is in user and nice already.
    let ticks = numbers.take(8).map(|number| number.parse().unwrap_or(0.0)).enumerate();
    ticks.filter(|(n, _)| !matches!(n, 3 | 4)).map(|(_, ticks): (_, f64)| ticks).sum()
}

impl Figure {
    /// Of at least one rate.
    pub fn new(mut rates: Vec<f64>) -> Self {
        rates.sort_by(f64::total_cmp);
        let at = |i: usize| rates.get(i).copied().unwrap_or(f64::NAN);
        let (low, high) = (at(rates.len().saturating_sub(1) / 2), at(rates.len() / 2));
        Self { median: (low + high) / 2.0, min: at(0), max: at(rates.len().saturating_sub(1)) }
    }
}
