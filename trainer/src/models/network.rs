//! Any model of an ensemble: DRR-Net or one to compare with.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tch::{Device, Kind, Tensor};

use super::{Baseline, Hdinr, Parameters};
use crate::config::{EnsembleModel, ModelConfig};

/// Points that are predicted at a time.
const TOGETHER: i64 = 1 << 14;

/// A model with its weights.
pub enum Network {
    /// DRR-Net.
    Hdinr(Box<Hdinr>),
    /// One that the paper compares it with.
    Baseline(Box<Baseline>),
}

/// A model at some points, shared by members.
pub enum At<'a> {
    /// DRR-Net and the features of the points.
    Hdinr(&'a Hdinr, Tensor),
    /// Another model and the points.
    Baseline(&'a Baseline, &'a Tensor),
}

impl At<'_> {
    /// Normalised values `[members, points, out]`.
    pub fn values(&self, conditions: &Tensor) -> Tensor {
        match self {
            Self::Hdinr(model, spatial) => model.decode(spatial, conditions),
            Self::Baseline(model, points) => model.forward(points, conditions),
        }
    }
}

impl Network {
    /// A new model, drawn from torch's generator seeded with `seed`.
    ///
    /// # Errors
    /// If the model is one of images or radiance fields.
    pub fn new(config: &ModelConfig, device: Device, seed: u64) -> Result<Self> {
        tch::manual_seed(seed as i64);
        Self::build(config, Parameters::new(device))
    }

    /// The model of `config` with the tensors that `parameters` holds or makes.
    ///
    /// # Errors
    /// If a checkpoint does not fit the configuration, or the model is one of images or radiance
    /// fields.
    pub fn build(config: &ModelConfig, parameters: Parameters) -> Result<Self> {
        Ok(match config.of_ensemble()? {
            EnsembleModel::Hdinr(config) => {
                Self::Hdinr(Box::new(Hdinr::build(config, parameters)?))
            }
            EnsembleModel::Baseline(config) => {
                Self::Baseline(Box::new(Baseline::build(config, parameters)?))
            }
        })
    }

    /// The model of a configuration with weights from a safetensors file, in 32 bits on the CPU.
    ///
    /// # Errors
    /// If the file cannot be read or does not fit the configuration.
    pub fn load(config: &ModelConfig, weights: &Path) -> Result<Self> {
        Self::load_on(config, weights, Device::Cpu)
    }

    /// As [`load`](Self::load), on a device.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_on(config: &ModelConfig, weights: &Path, device: Device) -> Result<Self> {
        Parameters::from_checkpoint(weights, device, Kind::Float)
            .and_then(|parameters| Self::build(config, parameters))
            .with_context(|| format!("cannot load {}", weights.display()))
    }

    /// All tensors by name.
    pub fn parameters(&self) -> &Parameters {
        match self {
            Self::Hdinr(model) => &model.parameters,
            Self::Baseline(model) => &model.parameters,
        }
    }

    /// From now on multiplies matrices in `kind`.
    ///
    /// # Errors
    /// If the model knows 32 bits only.
    pub fn compute_in(&mut self, kind: Kind) -> Result<()> {
        match self {
            Self::Hdinr(model) => model.compute_in(kind),
            Self::Baseline(_) => ensure!(
                kind == Kind::Float,
                "train.precision: f32 is all that models to compare with are computed in"
            ),
        }
        Ok(())
    }

    /// The model at `points`, `[points, dims]` in [-1, 1]: what members share is computed once.
    pub fn at<'a>(&'a self, points: &'a Tensor) -> At<'a> {
        match self {
            Self::Hdinr(model) => {
                At::Hdinr(model, model.encoder.forward(points, model.compute()).unsqueeze(0))
            }
            Self::Baseline(model) => At::Baseline(model, points),
        }
    }

    /// Normalised values `[points, out]` at packed points, for one set of parameters; a few at a time,
    /// since some models keep much for each.
    pub fn predict(&self, points: &[f64], dims: usize, parameters: &[f64], values: &mut [f32]) {
        if points.is_empty() {
            return;
        }
        let points = Tensor::from_slice(points).view([-1, dims as i64]);
        let conditions = Tensor::from_slice(parameters).to_kind(Kind::Float).unsqueeze(0);
        let answers = tch::no_grad(|| -> Vec<Tensor> {
            let pieces = points.split(TOGETHER, 0);
            pieces.iter().map(|piece| self.forward(piece, &conditions).view(-1)).collect()
        });
        Tensor::cat(&answers, 0).to_kind(Kind::Float).copy_data(values, values.len());
    }

    /// Normalised values `[members, points, out]` at `points` in [-1, 1], `[points, dims]` shared by
    /// all members or `[members, points, dims]`, for `conditions`, `[members, parameters]` in
    /// [0, 1].
    pub fn forward(&self, points: &Tensor, conditions: &Tensor) -> Tensor {
        match self {
            Self::Hdinr(model) => model.forward(points, conditions),
            Self::Baseline(model) => model.forward(points, conditions),
        }
    }
}
