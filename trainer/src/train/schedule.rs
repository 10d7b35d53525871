//! The learning rate of each step: linear warm-up, then decay.

use std::f64::consts::PI;

use crate::config::Decay;

/// How learning rates change over a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Steps before the rates begin to fall.
    pub begin: u64,
    /// Steps in which they fall; afterwards they stay.
    pub steps: u64,
    /// A cosine is that of Loshchilov and Hutter (2017), as
    /// `torch.optim.lr_scheduler.CosineAnnealingLR` gives it; `None`: no decay.
    pub decay: Option<Decay>,
    /// Steps over which rates grow from nothing; 0: none.
    pub warmup: u64,
}

impl Schedule {
    /// Learning rate of `step`, counted from 0, where `lr` is that of the first step without
    /// warm-up.
    pub fn rate(&self, step: u64, lr: f64) -> f64 {
        let falling = step.saturating_sub(self.begin);
        let progress = (falling as f64 / self.steps.max(1) as f64).min(1.0);
        let decayed = match &self.decay {
            Some(Decay::Cosine { eta_min }) => {
                eta_min + 0.5 * (lr - eta_min) * (1.0 + (PI * progress).cos())
            }
            Some(Decay::Steps { gamma, milestones }) => {
                let passed = milestones.iter().filter(|&&part| progress >= part).count();
                lr * gamma.powi(passed as i32)
            }
            None => lr,
        };
        let grown = (step + 1) as f64 / self.warmup.max(1) as f64;
        decayed * grown.min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_goes_from_the_first_rate_to_the_last() {
        let schedule = Schedule {
            begin: 0,
            steps: 100,
            decay: Some(Decay::Cosine { eta_min: 0.1 }),
            warmup: 0,
        };
        assert_eq!(schedule.rate(0, 1.0), 1.0);
        assert!((schedule.rate(50, 1.0) - 0.55).abs() < 1e-12);
        assert!((schedule.rate(100, 1.0) - 0.1).abs() < 1e-12);
        assert_eq!(schedule.rate(150, 1.0), schedule.rate(100, 1.0));
    }

    #[test]
    fn before_they_fall_rates_are_constant() {
        let decay = Some(Decay::Cosine { eta_min: 0.0 });
        let never = Schedule { begin: u64::MAX, steps: 100, decay, warmup: 0 };
        assert_eq!(never.rate(1 << 40, 0.3), 0.3);
        let late = Schedule { begin: 50, ..never.clone() };
        assert_eq!([0, 50].map(|step| late.rate(step, 0.3)), [0.3; 2]);
        let early = Schedule { begin: 0, ..never };
        assert_eq!(late.rate(80, 0.3), early.rate(30, 0.3));
    }

    #[test]
    fn warm_up_grows_to_the_rate_without_it() {
        let schedule = Schedule { begin: 0, steps: 100, decay: None, warmup: 4 };
        let rates: Vec<f64> = (0..6).map(|step| schedule.rate(step, 2.0)).collect();
        assert_eq!(rates, [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]);
        let both = Schedule { decay: Some(Decay::Cosine { eta_min: 0.0 }), ..schedule };
        let plain = Schedule { warmup: 0, ..both.clone() };
        assert_eq!(both.rate(1, 1.0), 0.5 * plain.rate(1, 1.0));
        assert_eq!(both.rate(50, 1.0), plain.rate(50, 1.0));
    }

    #[test]
    fn steps_are_parts_of_the_run() {
        let milestones = vec![0.5, 0.75];
        let decay = Some(Decay::Steps { gamma: 0.1, milestones });
        let schedule = Schedule { begin: 0, steps: 8, decay, warmup: 0 };
        let rates: Vec<f64> = (0..8).map(|step| schedule.rate(step, 1.0)).collect();
        assert_eq!(rates[..6], [1.0, 1.0, 1.0, 1.0, 0.1, 0.1]);
        assert!((rates[6] - 0.01).abs() < 1e-12);
    }
}
