//! Random numbers that depend on a seed and a stream alone, so that a resumed training draws the
//! same; how they are made is fixed here, whatever random number libraries change.

use std::f64::consts::TAU;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// One stream of random numbers.
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// Streams of one seed are independent of each other.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(bytes);
        rng.set_stream(stream);
        Self(rng)
    }

    /// A number below `bound`, by multiplication.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (-53f64).exp2()
    }

    /// Of mean 0 and standard deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (TAU * self.unit()).cos()
    }
}

/// `count` numbers below `total`, the same each time; all of them, in order, if there are no more.
pub fn sample(total: usize, count: usize) -> Vec<usize> {
    /// Apart from those of batches.
    const STREAM: u64 = 3 << 60;
    if total <= count {
        return (0..total).collect();
    }
    let mut draws = Draws::new(0, STREAM);
    (0..count).map(|_| draws.below(total as u64) as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_the_same_each_time_and_all_where_there_are_few() {
        assert_eq!(sample(4, 4), [0, 1, 2, 3]);
        let drawn = sample(1000, 200);
        assert_eq!((drawn.len(), &drawn), (200, &sample(1000, 200)));
        assert!(drawn.iter().all(|&n| n < 1000) && drawn.iter().any(|&n| n > 900));
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut draws = Draws::new(3, 4);
        let mut moments = |draw: fn(&mut Draws) -> f64| {
            let numbers: Vec<f64> = (0..100_000).map(|_| draw(&mut draws)).collect();
            let mean = |power: i32| {
                numbers.iter().map(|n| n.powi(power)).sum::<f64>() / numbers.len() as f64
            };
            [mean(1), mean(2), mean(4)]
        };
        // Within some five standard errors.
        for (found, expected) in moments(Draws::normal).iter().zip([0.0, 1.0, 3.0]) {
            assert!((found - expected).abs() < 0.16, "{found}, expected {expected}");
        }
        for (found, expected) in moments(Draws::unit).iter().zip([1.0 / 2.0, 1.0 / 3.0, 0.2]) {
            assert!((found - expected).abs() < 0.005, "{found}, expected {expected}");
        }
    }
}
