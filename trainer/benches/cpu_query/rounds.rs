//! Repeated measurements in turns: on a machine that others use too, everything that is compared is
//! measured in each round, and the median of the rounds counts.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;

/// Threads of other libraries that wait in a loop give up in this time.
const PAUSE: Duration = Duration::from_millis(20);

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
    pub fn run(mut self, rounds: usize) -> Result<Vec<Figure>> {
        let mut rates = vec![Vec::new(); self.lanes.len()];
        for round in 0..=rounds {
            for (lane, rates) in self.lanes.iter_mut().zip(&mut rates) {
                sleep(PAUSE);
                let rate = lane()?;
                if round > 0 {
                    rates.push(rate);
                }
            }
        }
        Ok(rates.into_iter().map(Figure::new).collect())
    }
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
