//! The learning rate of each step: linear warm-up, then cosine decay.

use std::f64::consts::PI;

/// How learning rates change over a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Steps of the whole run.
    pub steps: u64,
    /// Last learning rate of the cosine decay (Loshchilov and Hutter 2017, as
    /// `torch.optim.lr_scheduler.CosineAnnealingLR` gives it); `None`: no decay.
    pub eta_min: Option<f64>,
    /// Steps over which rates grow from nothing; 0: none.
    pub warmup: u64,
}

impl Schedule {
    /// Learning rate of `step`, counted from 0, where `lr` is that of the first step without
    /// warm-up.
    pub fn rate(&self, step: u64, lr: f64) -> f64 {
        let decayed = match self.eta_min {
            Some(eta_min) => {
                let progress = step as f64 / self.steps.max(1) as f64;
                eta_min + 0.5 * (lr - eta_min) * (1.0 + (PI * progress).cos())
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
        let schedule = Schedule { steps: 100, eta_min: Some(0.1), warmup: 0 };
        assert_eq!(schedule.rate(0, 1.0), 1.0);
        assert!((schedule.rate(50, 1.0) - 0.55).abs() < 1e-12);
        assert!((schedule.rate(100, 1.0) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn warm_up_grows_to_the_rate_without_it() {
        let schedule = Schedule { steps: 100, eta_min: None, warmup: 4 };
        let rates: Vec<f64> = (0..6).map(|step| schedule.rate(step, 2.0)).collect();
        assert_eq!(rates, [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]);
        let both = Schedule { eta_min: Some(0.0), ..schedule };
        let plain = Schedule { warmup: 0, ..both };
        assert_eq!(both.rate(1, 1.0), 0.5 * plain.rate(1, 1.0));
        assert_eq!(both.rate(50, 1.0), plain.rate(50, 1.0));
    }
}
