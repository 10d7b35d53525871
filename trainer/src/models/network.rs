//! Any model of fields: DRR-Net, that of a single field, or one to compare with.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tch::{Device, Kind, Tensor};

use super::{Baseline, Encoder, Hdinr, Inr, Parameters};
use crate::config::{EnsembleModel, ModelConfig};

/// Points that are predicted at a time.
const TOGETHER: i64 = 1 << 14;

/// A model with its weights.
pub enum Network {
    /// DRR-Net.
    Hdinr(Box<Hdinr>),
    /// Of one field.
    Inr(Box<Inr>),
    /// One that the paper compares it with.
    Baseline(Box<Baseline>),
}

/// A model of an encoder, whose features members may share, and of what decodes these.
#[derive(Clone, Copy)]
pub enum Encoded<'a> {
    /// DRR-Net.
    Hdinr(&'a Hdinr),
    /// Of one field.
    Inr(&'a Inr),
}

/// A model at some points, shared by members.
pub enum At<'a> {
    /// A model and the features of the points.
    Encoded(Encoded<'a>, Tensor),
    /// Another model and the points.
    Baseline(&'a Baseline, &'a Tensor),
}

impl At<'_> {
    /// Normalised values `[members, points, out]`.
    pub fn values(&self, conditions: &Tensor) -> Tensor {
        match self {
            Self::Encoded(model, features) => model.decode(features, conditions),
            Self::Baseline(model, points) => model.forward(points, conditions),
        }
    }
}

impl Encoded<'_> {
    /// Its encoder.
    pub fn encoder(&self) -> &Encoder {
        match self {
            Self::Hdinr(model) => &model.encoder,
            Self::Inr(model) => &model.encoder,
        }
    }

    /// Precision of the matrix products.
    pub fn compute(&self) -> Kind {
        match self {
            Self::Hdinr(model) => model.compute(),
            Self::Inr(model) => model.compute(),
        }
    }

    /// Normalised values `[members, points, out]` from features, `[1, points, channels]` shared by
    /// all members, or `[members, points, channels]`.
    pub fn decode(&self, features: &Tensor, conditions: &Tensor) -> Tensor {
        match self {
            Self::Hdinr(model) => model.decode(features, conditions),
            Self::Inr(model) => {
                let [sets, count, channels] = features.size()[..] else {
                    unreachable!("three dimensions")
                };
                let members = conditions.size()[0].max(sets);
                model.decode(&features.expand([members, count, channels], false))
            }
        }
    }

    /// Bytes that a point of a member keeps for the way back, roughly.
    pub fn bytes_per_point(&self) -> usize {
        match self {
            Self::Hdinr(model) => model.bytes_per_point(),
            Self::Inr(model) => model.bytes_per_point(),
        }
    }

    /// Normalised values `[members, points, out]` at `points`, `[points, dims]` or
    /// `[members, points, dims]`.
    pub fn forward(&self, points: &Tensor, conditions: &Tensor) -> Tensor {
        let size = points.size();
        let [sets @ .., count, dims] = &size[..] else { unreachable!("two or three dimensions") };
        let sets = sets.first().copied().unwrap_or(1);
        let features = self.encoder().forward(&points.reshape([-1, *dims]), self.compute());
        self.decode(&features.view([sets, *count, -1]), conditions)
    }
}

impl Network {
    /// The model of `config` with the tensors that `parameters` holds or makes.
    ///
    /// # Errors
    /// If a checkpoint does not fit the configuration, or the model is a radiance field.
    pub fn build(config: &ModelConfig, parameters: Parameters) -> Result<Self> {
        Ok(match config.of_ensemble()? {
            EnsembleModel::Hdinr(config) => {
                Self::Hdinr(Box::new(Hdinr::build(config, parameters)?))
            }
            EnsembleModel::Inr(config) => {
                let model = Inr::build(config, parameters)?;
                ensure!(
                    model.decoder.is_some(),
                    "the checkpoint holds an encoder and no mlp_decoder: values come from a decoder"
                );
                Self::Inr(Box::new(model))
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
            Self::Inr(model) => &model.parameters,
            Self::Baseline(model) => &model.parameters,
        }
    }

    /// The model if it has an encoder whose features members may share.
    pub fn encoded(&self) -> Option<Encoded<'_>> {
        match self {
            Self::Hdinr(model) => Some(Encoded::Hdinr(model)),
            Self::Inr(model) => Some(Encoded::Inr(model)),
            Self::Baseline(_) => None,
        }
    }

    /// From now on multiplies matrices in `kind`.
    ///
    /// # Errors
    /// If the model knows 32 bits only.
    pub fn compute_in(&mut self, kind: Kind) -> Result<()> {
        match self {
            Self::Hdinr(model) => model.compute_in(kind),
            Self::Inr(model) => model.compute_in(kind),
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
            Self::Baseline(model) => At::Baseline(model, points),
            Self::Hdinr(model) => Self::encode(Encoded::Hdinr(model), points),
            Self::Inr(model) => Self::encode(Encoded::Inr(model), points),
        }
    }

    fn encode<'a>(model: Encoded<'a>, points: &Tensor) -> At<'a> {
        let features = model.encoder().forward(points, model.compute());
        At::Encoded(model, features.unsqueeze(0))
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
            Self::Hdinr(model) => Encoded::Hdinr(model).forward(points, conditions),
            Self::Inr(model) => Encoded::Inr(model).forward(points, conditions),
            Self::Baseline(model) => model.forward(points, conditions),
        }
    }
}
