//! Least, greatest, mean and deviation of many values, field by field, without keeping them.

use super::samples::Field;

/// What is known of the values so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// The least.
    pub low: f64,
    /// The greatest.
    pub high: f64,
    /// The mean.
    pub mean: f64,
    count: f64,
    /// Sum of squared differences from the mean.
    squares: f64,
}

impl Statistics {
    /// Of nothing yet.
    pub const NONE: Self =
        Self { low: f64::INFINITY, high: f64::NEG_INFINITY, mean: 0.0, count: 0.0, squares: 0.0 };

    /// With these values, too. The order of fields may change the last digits of the mean.
    pub fn add(&mut self, field: &Field) {
        let (mut count, mut sum) = (0.0, 0.0);
        field.each(|value, times| {
            let value = f64::from(value);
            self.low = self.low.min(value);
            self.high = self.high.max(value);
            count += times;
            sum += times * value;
        });
        if count == 0.0 {
            return;
        }
        let (mean, mut squares) = (sum / count, 0.0);
        field.each(|value, times| squares += times * (f64::from(value) - mean).powi(2));
        self.join(&Self { mean, count, squares, ..Self::NONE });
    }

    /// With the values of others, too (Chan, Golub and LeVeque 1979).
    pub fn join(&mut self, other: &Self) {
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
        let (all, apart) = (self.count + other.count, other.mean - self.mean);
        if all > 0.0 {
            self.mean += apart * other.count / all;
            self.squares += other.squares + apart * apart * self.count * other.count / all;
            self.count = all;
        }
    }

    /// As numbers, to be sent.
    pub fn numbers(&self) -> [f64; 5] {
        [self.low, self.high, self.mean, self.count, self.squares]
    }

    /// From [`numbers`](Self::numbers).
    pub fn of_numbers([low, high, mean, count, squares]: [f64; 5]) -> Self {
        Self { low, high, mean, count, squares }
    }

    /// Standard deviation, of the values as they are, not as a sample of others.
    pub fn deviation(&self) -> f64 {
        (self.squares / self.count).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_put_together_are_the_whole() {
        let values: Vec<f32> = (0..1000).map(|n| 1e4 + (n as f32 * 0.37).sin()).collect();
        let (mut parts, mut whole) = (Statistics::NONE, Statistics::NONE);
        values.chunks(77).for_each(|part| parts.add(&Field::Floats(part.to_vec())));
        parts.add(&Field::Floats(Vec::new()));
        whole.add(&Field::Floats(values));
        assert_eq!((parts.low, parts.high), (whole.low, whole.high));
        assert!((parts.mean - whole.mean).abs() < 1e-9);
        assert!((parts.deviation() - whole.deviation()).abs() < 1e-9);
        assert!((whole.deviation() - 0.5f64.sqrt()).abs() < 1e-3, "{}", whole.deviation());
        let mut two = Statistics::NONE;
        two.add(&Field::of_bytes(vec![1, 3]));
        assert_eq!((two.mean, two.deviation()), (2.0, 1.0));
        two.add(&Field::of_words(vec![1, 3, 2, 2]));
        assert_eq!((two.low, two.high, two.mean), (1.0, 3.0, 2.0));
        assert!((two.deviation().powi(2) - 4.0 / 6.0).abs() < 1e-12);
    }
}
