//! A bare encoder (`DRRINR`, `DRRGridRadianceField` without their fused decoder).

use anyhow::Result;
use tch::{Kind, Tensor};

use super::{Encoder, Parameters};
use crate::config::{EncoderOnlyConfig, Head};

/// The encoder and its tensors.
pub struct EncoderOnly {
    /// All tensors by name.
    pub parameters: Parameters,
    /// Features over the domain.
    pub encoder: Encoder,
    /// Length of the features.
    pub features: usize,
}

impl EncoderOnly {
    /// The encoder of `config` with the tensors that `parameters` holds or makes.
    ///
    /// # Errors
    /// If a checkpoint does not fit the configuration, naming the tensor.
    pub fn build(config: &EncoderOnlyConfig, mut parameters: Parameters) -> Result<Self> {
        let p = &mut parameters;
        let base = match &config.head {
            Head::Field { .. } => "mlp_base",
            Head::Radiance { aabb } => {
                let aabb = Tensor::from_slice(aabb).to_kind(Kind::Float);
                p.unused_buffer("aabb".into(), aabb)?;
                "mlp_base.0"
            }
        };
        let encoder = Encoder::new(
            p,
            &format!("{base}.grid"),
            &config.encoder,
            &format!("{base}.sp"),
            config.refiner.as_ref(),
            config.if_refine,
        )?;
        p.finish()?;
        Ok(Self { parameters, encoder, features: config.spatial_fdim })
    }
}
