//! Mixed precision: matrix products in 16 bits, weights and loss in 32.

use tch::Kind;

/// Scales the loss of 16-bit floating-point runs so that small gradients do not vanish
/// (Micikevicius et al. 2018): doubled after [`PATIENCE`] steps without an overflow, halved at
/// each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossScale {
    factor: f64,
    good_steps: u32,
}

const FIRST: f64 = 65536.0;
const PATIENCE: u32 = 2000;

impl LossScale {
    /// For a run in `kind`; `None` where small gradients do not vanish.
    pub fn new(kind: Kind) -> Option<Self> {
        (kind == Kind::Half).then_some(Self { factor: FIRST, good_steps: 0 })
    }

    /// What the loss is multiplied by.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// What gradients are to be multiplied by.
    pub fn inverse(&self) -> f64 {
        self.factor.recip()
    }

    /// After a step whose gradients were finite or not.
    pub fn update(&mut self, finite: bool) {
        if !finite {
            *self = Self { factor: (self.factor / 2.0).max(1.0), good_steps: 0 };
        } else if self.good_steps + 1 == PATIENCE {
            *self = Self { factor: self.factor * 2.0, good_steps: 0 };
        } else {
            self.good_steps += 1;
        }
    }

    /// Whether it cannot get any smaller: gradients that overflow even so are not finite.
    pub fn is_least(&self) -> bool {
        self.factor <= 1.0
    }

    /// For a checkpoint.
    pub fn state(&self) -> (f64, u32) {
        (self.factor, self.good_steps)
    }

    /// From a checkpoint.
    pub fn restore(&mut self, (factor, good_steps): (f64, u32)) {
        *self = Self { factor, good_steps };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_follows_overflows() {
        assert_eq!(LossScale::new(Kind::Float), None);
        let mut scale = LossScale::new(Kind::Half).unwrap();
        scale.update(false);
        assert_eq!(scale.state(), (32768.0, 0));
        (0..PATIENCE - 1).for_each(|_| scale.update(true));
        assert_eq!(scale.inverse(), 1.0 / 32768.0);
        scale.update(true);
        assert_eq!(scale.state(), (65536.0, 0));
        (0..20).for_each(|_| scale.update(false));
        assert!(scale.is_least());
    }
}
