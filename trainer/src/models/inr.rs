//! `DRRINR`: one field or image. Grids that are refined at their vertices, and a small network
//! without biases.

use anyhow::Result;
use tch::{Kind, Tensor};

use super::layers::FusedMlp;
use super::{Encoder, Parameters};
use crate::config::{InrConfig, SpatialConfig};

/// The model; its tensors are in [`Inr::parameters`].
pub struct Inr {
    /// All tensors by name.
    pub parameters: Parameters,
    /// Features over the domain.
    pub encoder: Encoder,
    /// Length of the features.
    pub features: usize,
    /// From features to values; `None`: a bare encoder, which is what checkpoints without a decoder
    /// hold.
    pub decoder: Option<FusedMlp>,
    /// Precision of the matrix products; that of the tensors if `None`.
    compute: Option<Kind>,
}

impl Inr {
    /// The model of `config` with the tensors that `parameters` holds or makes.
    ///
    /// # Errors
    /// If a checkpoint does not fit the configuration, naming the tensor.
    pub fn build(config: &InrConfig, mut parameters: Parameters) -> Result<Self> {
        let p = &mut parameters;
        let encoder = encoder(p, "mlp_base", &config.spatial)?;
        let decoder = match p.lacks("mlp_decoder.") {
            true => None,
            false => Some(FusedMlp::new(p, "mlp_decoder", &config.widths())?),
        };
        p.finish()?;
        let features = config.spatial.features;
        Ok(Self { parameters, encoder, features, decoder, compute: None })
    }

    /// From now on multiplies matrices in `kind`, as [`Hdinr::compute_in`](super::Hdinr::compute_in).
    pub fn compute_in(&mut self, kind: Kind) {
        self.compute = Some(kind);
    }

    /// Precision of the matrix products.
    pub fn compute(&self) -> Kind {
        self.compute.unwrap_or(self.parameters.kind())
    }

    /// Normalised values `[..., out]` from features `[..., channels]`; the features themselves
    /// without a decoder.
    pub fn decode(&self, features: &Tensor) -> Tensor {
        let values = match &self.decoder {
            Some(decoder) => decoder.forward(features),
            None => features.shallow_clone(),
        };
        values.to_kind(self.parameters.kind())
    }

    /// Bytes that a point keeps for the way back, roughly.
    pub fn bytes_per_point(&self) -> usize {
        self.decoder.as_ref().map_or(0, FusedMlp::bytes_per_row)
    }
}

/// The encoder under `base`, with the reference's names.
///
/// # Errors
/// As [`Encoder::new`].
pub(super) fn encoder(p: &mut Parameters, base: &str, config: &SpatialConfig) -> Result<Encoder> {
    Encoder::new(
        p,
        &format!("{base}.grid"),
        &config.encoder,
        &format!("{base}.sp"),
        config.refiner.as_ref(),
        config.if_refine,
    )
}
