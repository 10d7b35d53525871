//! What an ensemble is made of: members, their parameters, their values and how these are scaled.

use std::path::PathBuf;

use anyhow::{Result, bail};

/// A simulation input; its range is what becomes `[0, 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its unit; may be empty.
    pub unit: String,
    /// Physical value that becomes 0.
    pub min: f64,
    /// Physical value that becomes 1.
    pub max: f64,
}

/// One component of the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// `value` unless said otherwise.
    pub name: String,
    /// Its unit; may be empty.
    pub unit: String,
}

/// What a member is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Learned from.
    Train,
    /// Set aside to judge the model during the training.
    Validation,
    /// Held out.
    Test,
}

/// One simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The file's name without its extension; with its folders where names repeat.
    pub name: String,
    /// Where its field was read from.
    pub file: PathBuf,
    /// What it is for.
    pub split: Split,
    /// Its inputs in physical units, in the order of [`parameters`](super::Ensemble::parameters).
    pub parameters: Vec<f64>,
    /// The same in `[0, 1]`.
    pub normalized: Vec<f32>,
}

/// The map from values to those that are learned, the same for all components of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalization {
    /// Value that becomes 0, the least or the mean; its logarithm if `log`.
    pub min: f64,
    /// Value that becomes 1, the greatest or the mean and the standard deviation; its logarithm if
    /// `log`.
    pub max: f64,
    /// Whether the natural logarithm is taken first.
    pub log: bool,
    /// Least and greatest value, on the scale of `min` and `max` and often the same: what errors
    /// are compared with.
    pub range: (f64, f64),
}

impl Split {
    /// All of them, training first.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Its name in `params.csv` and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl Parameter {
    /// A physical value on the scale of `[0, 1]`; a parameter without a range gives 0.
    pub fn normalize(&self, physical: f64) -> f64 {
        match self.max > self.min {
            true => (physical - self.min) / (self.max - self.min),
            false => 0.0,
        }
    }

    /// The physical value at `normalized`.
    pub fn denormalize(&self, normalized: f64) -> f64 {
        normalized * (self.max - self.min) + self.min
    }

    /// A physical value in `[0, 1]`, exactly.
    ///
    /// # Errors
    /// If it is outside the range.
    pub(crate) fn unit(&self, physical: f64) -> Result<f32> {
        // Tables of normalised parameters are often rounded to single precision.
        const SLACK: f64 = 1e-6;
        let normalized = self.normalize(physical);
        if !(-SLACK..=1.0 + SLACK).contains(&normalized) {
            bail!(
                "parameter {} is {physical}, outside its range {} to {}",
                self.name,
                self.min,
                self.max
            );
        }
        Ok(normalized.clamp(0.0, 1.0) as f32)
    }
}

impl Normalization {
    /// What values are normalised by, unless it is their range.
    pub fn describe(&self) -> Option<String> {
        let standard = self.range != (self.min, self.max);
        let (mean, deviation) = (self.min, self.max - self.min);
        standard.then(|| {
            format!("values are normalised by mean {mean:.4} and deviation {deviation:.4}")
        })
    }

    /// By least and greatest value.
    pub fn min_max(min: f64, max: f64, log: bool) -> Self {
        Self { min, max, log, range: (min, max) }
    }

    /// The width of the range in units of normalised values: 1 if they are normalised by it.
    pub fn span(&self) -> f64 {
        (self.range.1 - self.range.0) / (self.max - self.min)
    }

    /// Where in the range a normalised value is: 0 at its least, 1 at its greatest.
    pub fn in_range(&self, value: f64) -> f64 {
        let (low, high) = self.range;
        match (low, high) == (self.min, self.max) {
            true => value,
            false => (value * (self.max - self.min) + self.min - low) / (high - low),
        }
    }

    /// The normalised value of a physical one, or of its logarithm if `log`.
    pub(super) fn normalize(&self, value: f32) -> f32 {
        ((f64::from(value) - self.min) / (self.max - self.min)) as f32
    }

    /// The normalised value of a physical one, whose logarithm is taken here if `log`.
    pub fn scaled(&self, value: f32) -> f32 {
        self.normalize(if self.log { f64::from(value).ln() as f32 } else { value })
    }

    /// The physical value of a normalised one.
    pub fn denormalize(&self, value: f64) -> f64 {
        let scaled = value * (self.max - self.min) + self.min;
        match self.log {
            true => scaled.exp(),
            false => scaled,
        }
    }
}

impl Member {
    /// One of which only the physical parameters are known so far.
    pub(super) fn new(file: PathBuf, split: Split, parameters: Vec<f64>) -> Self {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, file, split, parameters, normalized: Vec::new() }
    }
}
