//! How far one list of values is from another that should be the same.

/// The largest and the root of the mean square of all differences; NaN if a value is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Of the worst value.
    pub largest: f64,
    /// Of all values: what is wrong in many places shows here first.
    pub rms: f64,
}

impl Difference {
    /// None at all.
    pub const ZERO: Self = Self { largest: 0.0, rms: 0.0 };

    /// Between as many values as `truth` has; infinite if there are more or fewer.
    pub fn new(values: &[f32], truth: &[f32]) -> Self {
        if values.len() != truth.len() || truth.is_empty() {
            return Self { largest: f64::INFINITY, rms: f64::INFINITY };
        }
        let (mut largest, mut squares) = (0.0, 0.0);
        for (&value, &truth) in values.iter().zip(truth) {
            let difference = (f64::from(value) - f64::from(truth)).abs();
            // Not `f64::max`, which would pass over NaN.
            if difference > largest || difference.is_nan() {
                largest = difference;
            }
            squares += difference * difference;
        }
        Self { largest, rms: (squares / truth.len() as f64).sqrt() }
    }

    /// Whether neither is larger than in `limit`, nor NaN.
    pub fn is_within(self, limit: Self) -> bool {
        self.largest <= limit.largest && self.rms <= limit.rms
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1e} at most, {:.1e} RMS", self.largest, self.rms)
    }
}
