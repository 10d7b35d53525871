//! How the best model of a training came about.

use serde::{Deserialize, Serialize};

/// The best model so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Course {
    /// Step of the best model, 0 if there is none yet.
    pub best_step: u64,
    /// Its mean PSNR, in dB.
    pub best_psnr: f64,
    /// Looks since then.
    pub looks_since: u64,
}

impl Course {
    /// Takes note of a model; whether it is the best so far.
    pub fn note(&mut self, step: u64, psnr: f64) -> bool {
        let first = self.best_step == 0 && psnr.is_finite();
        if first || psnr > self.best_psnr {
            *self = Self { best_step: step, best_psnr: psnr, looks_since: 0 };
            return true;
        }
        self.looks_since += 1;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_course_knows_the_best_and_how_long_ago_it_was() {
        let mut course = Course::default();
        let news: Vec<bool> = [30.0, 29.0, f64::NAN, 31.0, 31.0, 30.0]
            .into_iter()
            .zip(1..)
            .map(|(psnr, look)| course.note(look * 100, psnr))
            .collect();
        assert_eq!(news, [true, false, false, true, false, false]);
        assert_eq!(course, Course { best_step: 400, best_psnr: 31.0, looks_since: 2 });
        // Everything is better than nothing, but for a model that is lost.
        let mut first = Course::default();
        assert!(!first.note(1, f64::NAN));
        assert!(first.note(2, -1.0));
    }
}
