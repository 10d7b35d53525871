//! Any model of an ensemble, as it is evaluated: DRR-Net or one to compare with.

use std::path::Path;

use anyhow::{Context, Result, bail};
use tch::{Device, Kind, Tensor};

use super::{Baseline, Hdinr, Parameters};
use crate::config::ModelConfig;

/// A model with its weights.
pub enum Network {
    /// DRR-Net.
    Hdinr(Box<Hdinr>),
    /// One that the paper compares it with.
    Baseline(Box<Baseline>),
}

impl Network {
    /// The model of a configuration with weights from a safetensors file, in 32 bits on the CPU.
    ///
    /// # Errors
    /// If the file cannot be read or does not fit the configuration, or the model is one of images
    /// or radiance fields.
    pub fn load(config: &ModelConfig, weights: &Path) -> Result<Self> {
        let build = || {
            let parameters = Parameters::from_checkpoint(weights, Device::Cpu, Kind::Float)?;
            Ok(match config {
                ModelConfig::Hdinr(config) => {
                    Self::Hdinr(Box::new(Hdinr::build(config, parameters)?))
                }
                ModelConfig::Baseline(config) => {
                    Self::Baseline(Box::new(Baseline::build(config, parameters)?))
                }
                ModelConfig::Encoder(_) => bail!(
                    "model.type: what stands behind the encoder of images and radiance fields is not \
                     supported yet"
                ),
            })
        };
        build().with_context(|| format!("cannot load {}", weights.display()))
    }

    /// Values per point.
    pub fn outputs(&self, config: &ModelConfig) -> usize {
        match config {
            ModelConfig::Hdinr(config) => config.out_dim,
            ModelConfig::Baseline(config) => config.out_dim(),
            ModelConfig::Encoder(config) => config.spatial_fdim,
        }
    }

    /// Normalised values `[members, points, out]` at `points`, `[points, dims]` in [-1, 1], for
    /// `conditions`, `[members, parameters]` in [0, 1].
    pub fn forward(&self, points: &Tensor, conditions: &Tensor) -> Tensor {
        match self {
            Self::Hdinr(model) => model.forward(points, conditions),
            Self::Baseline(model) => model.forward(points, conditions),
        }
    }
}
