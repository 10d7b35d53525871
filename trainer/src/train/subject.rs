//! What is trained: a model, and what it learns from. The loop knows nothing more of either.

use anyhow::Result;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::record::DataRecord;
use super::settings::Settings;
use crate::models::Parameters;

/// A model and what it learns from.
pub trait Subject {
    /// (Re)builds the model from `parameters`, and computes its products in `kind`.
    ///
    /// # Errors
    /// If they do not fit the configuration, or the model cannot be computed in `kind`.
    fn build(&mut self, parameters: Parameters, kind: Kind) -> Result<()>;

    /// Takes back what [`extra`](Self::extra) gave.
    ///
    /// # Errors
    /// If it is damaged.
    fn restore(&mut self, _extra: Vec<(String, Tensor)>) -> Result<()> {
        Ok(())
    }

    /// All tensors of the model by name.
    fn parameters(&self) -> &Parameters;

    /// Steps of the optimiser that the configuration asks for; `None` if it says nothing.
    ///
    /// # Errors
    /// If they cannot be counted.
    fn steps(&self) -> Result<Option<u64>>;

    /// Takes note of how it is trained.
    ///
    /// # Errors
    /// If it cannot be trained so.
    fn prepare(&mut self, settings: &Settings) -> Result<()>;

    /// Adds the gradients of `factor` times the loss of a batch to those of the weights; of its part,
    /// where several processes share batches, so that all of them add up. Batches depend on seed and
    /// number alone, and on [`extra`](Self::extra).
    ///
    /// # Errors
    /// If data cannot be read.
    fn backward(&mut self, batch: u64, factor: f64) -> Result<Loss>;

    /// Values, or samples along rays, that a batch compares.
    fn points_per_batch(&self) -> f64;

    /// PSNR of a mean squared error.
    fn psnr(&self, squared_error: f64) -> f64;

    /// Whether something is set aside to judge the model by.
    fn has_validation(&self) -> bool {
        false
    }

    /// Of each thing that is set aside, the sum of squared errors, and of how many numbers; those that
    /// this process computes.
    fn look(&self) -> Vec<[f64; 2]> {
        Vec::new()
    }

    /// What else a checkpoint has to hold, by name.
    fn extra(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    /// What users should know, `note: ` in front of what differs from what they asked for.
    fn describe(&self) -> Vec<String>;

    /// The size of a batch, for people.
    fn describe_batch(&self) -> String;

    /// What was in a batch.
    fn name_batch(&self, batch: u64) -> String;

    /// Puts every default that is not one of [`Settings`] into a configuration.
    fn resolve(&self, entry: &mut Value);

    /// What a run remembers of the data.
    fn record(&self) -> &DataRecord;
}

/// The loss of a batch; on the device, so that a GPU is not waited for.
pub struct Loss {
    /// What is minimised.
    pub value: Tensor,
    /// The mean squared error, often the same.
    pub squared_error: Tensor,
}

impl Loss {
    /// Of no points.
    pub fn none(device: Device) -> Self {
        let zero = Tensor::zeros([], (Kind::Float, device));
        Self { value: zero.shallow_clone(), squared_error: zero }
    }
}

/// Puts `value` at `section.key`, where `section` may have several parts.
pub fn put(entry: &mut Value, section: &str, key: &str, value: Value) {
    let mut target = entry;
    for part in section.split('.') {
        if target[part].is_null() {
            target[part] = Value::Object(Default::default());
        }
        target = &mut target[part];
    }
    target[key] = value;
}
