//! Which members training sees at a step where not all of them fit into memory: a window that moves
//! on through shuffled rounds of them, one member every few steps.
//!
//! Depends on the seed and the step alone, whatever is in memory: a resumed training goes on
//! exactly.

use super::draws::Draws;
use super::importance::Weights;

/// How the window moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Members that are seen at a time.
    pub window: usize,
    /// Steps after which one of them is replaced by the next.
    pub steps: u64,
}

/// Rounds through all members that a training should see, at least, if it has the steps for it.
const ROUNDS: u64 = 10;

/// Streams of random numbers: of rounds, from here; of what follows by importance; of steps.
pub(super) const EPOCHS: u64 = 1 << 63;
const SEQUENCE: u64 = 3 << 61;
const STEPS: u64 = 5 << 61;

impl Rotation {
    /// For a training of `steps` steps, each of which sees `drawn` of the `values` of all members:
    /// a round takes as long as it takes to draw as many values as there are, but there are some
    /// rounds.
    pub fn new(window: usize, members: usize, values: f64, drawn: f64, steps: u64) -> Self {
        let member = members.max(1) as u64;
        let thorough = (values / drawn.max(1.0)) as u64 / member;
        Self { window, steps: thorough.min(steps / (ROUNDS * member)).max(1) }
    }

    /// Members that a training of `steps` steps sees.
    pub fn seen(&self, steps: u64) -> u64 {
        self.window as u64 + steps.saturating_sub(1) / self.steps
    }

    /// The window at `step`, of the members `all`, and the one that enters it next.
    pub(super) fn at(
        &self,
        step: u64,
        seed: u64,
        all: &[usize],
        weights: Option<&Weights>,
    ) -> (Vec<usize>, usize) {
        let first = step / self.steps;
        let mut sequence = Sequence { seed, all, weights, round: None };
        let window = (first..first + self.window as u64).map(|n| sequence.member(n)).collect();
        (window, sequence.member(first + self.window as u64))
    }

    /// `count` different places of the window at `step`.
    pub(super) fn draw(&self, step: u64, seed: u64, window: &[usize], count: usize) -> Vec<usize> {
        let mut draws = Draws::new(seed, STEPS.wrapping_add(step));
        let mut left = window.to_vec();
        for n in 0..count {
            let other = n + draws.below((left.len() - n) as u64) as usize;
            left.swap(n, other);
        }
        left.truncate(count);
        left
    }
}

/// All members, round after round.
struct Sequence<'a> {
    seed: u64,
    all: &'a [usize],
    weights: Option<&'a Weights>,
    round: Option<(u64, Vec<usize>)>,
}

impl Sequence<'_> {
    fn member(&mut self, n: u64) -> usize {
        if let Some(weights) = self.weights {
            let mut draws = Draws::new(self.seed, SEQUENCE.wrapping_add(n));
            return self.all[weights.draw(&mut draws)];
        }
        let count = self.all.len() as u64;
        let (round, place) = (n / count, (n % count) as usize);
        match &self.round {
            Some((known, order)) if *known == round => order[place],
            _ => {
                let order = shuffled(self.seed, round, self.all);
                let member = order[place];
                self.round = Some((round, order));
                member
            }
        }
    }
}

/// The members in the order of a round (Fisher and Yates).
pub(super) fn shuffled(seed: u64, round: u64, all: &[usize]) -> Vec<usize> {
    let mut draws = Draws::new(seed, EPOCHS.wrapping_add(round));
    let mut order = all.to_vec();
    for last in (1..order.len()).rev() {
        order.swap(last, draws.below(last as u64 + 1) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_moves_on_by_one_member_through_shuffled_rounds() {
        let all: Vec<usize> = (10..17).collect();
        let rotation = Rotation { window: 3, steps: 4 };
        let at = |step| rotation.at(step, 5, &all, None);
        assert_eq!(at(0), at(3));
        let mut entered = Vec::new();
        for step in (0..4 * 14).step_by(4) {
            let (window, next) = at(step);
            assert_eq!(window.len(), 3);
            let (following, _) = at(step + 4);
            assert_eq!((&window[1..], next), (&following[..2], following[2]));
            entered.push(window[0]);
        }
        for round in entered.chunks(7) {
            let mut round = round.to_vec();
            round.sort_unstable();
            assert_eq!(round, all, "each once a round");
        }
        assert_ne!(entered[..7], entered[7..], "rounds are shuffled");
        assert_ne!(at(0), rotation.at(0, 6, &all, None));
    }

    #[test]
    fn batches_come_from_the_window() {
        let window = [3, 9, 4, 7];
        let rotation = Rotation { window: 4, steps: 1 };
        let mut counts = [0; 10];
        for step in 0..400 {
            let drawn = rotation.draw(step, 1, &window, 3);
            let mut different = drawn.clone();
            different.sort_unstable();
            different.dedup();
            assert_eq!((drawn.len(), different.len()), (3, 3));
            drawn.iter().for_each(|&member| counts[member] += 1);
        }
        assert!(window.iter().all(|&member| (260..340).contains(&counts[member])), "{counts:?}");
        let mut all = rotation.draw(0, 1, &window, 4);
        all.sort_unstable();
        assert_eq!(all, [3, 4, 7, 9]);
    }

    #[test]
    fn rounds_are_thorough_but_there_are_some() {
        // 600 members of 2^24 values, 16 x 65536 drawn a step: 9600 steps a round.
        let new = |steps| Rotation::new(20, 600, 600.0 * 16_777_216.0, 16.0 * 65536.0, steps);
        assert_eq!(new(1_000_000).steps, 16);
        assert_eq!(new(30_000).steps, 5);
        assert_eq!((new(100).steps, new(100).seen(100)), (1, 119));
    }
}
