//! DRR-Net for ensembles (`HDINRBase`): encoder and lines, fused by one layer, decoded by a small
//! network.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::layers::{FeatMlp, Linear, activate};
use super::network::Encoded;
use super::{Encoder, Lines, Parameters};
use crate::config::{Activation, HdinrConfig};

/// The model; its tensors are in [`Hdinr::parameters`].
pub struct Hdinr {
    /// All tensors by name.
    pub parameters: Parameters,
    /// Features over the domain.
    pub encoder: Encoder,
    /// Features over the simulation parameters.
    pub lines: Lines,
    /// `[hidden, spatial + conditional]`, the spatial features first.
    pub fusion: Linear,
    /// Follows the fusion.
    pub fusion_activation: Activation,
    /// From hidden features to values.
    pub decoder: FeatMlp,
    /// A last linear layer, if configured.
    pub out_proj: Option<Linear>,
    /// Follows everything.
    pub out_activation: Activation,
    /// Length of the spatial features.
    pub spatial_features: usize,
    /// Precision of the matrix products; that of the tensors if `None`.
    compute: Option<Kind>,
}

impl Hdinr {
    /// A new model, drawn from torch's generator seeded with `seed`.
    pub fn new(config: &HdinrConfig, device: Device, seed: u64) -> Result<Self> {
        tch::manual_seed(seed as i64);
        Self::build(config, Parameters::new(device))
    }

    /// The model of `config` with the tensors that `parameters` holds or makes.
    ///
    /// # Errors
    /// If a checkpoint does not fit the configuration, naming the tensor.
    pub fn build(config: &HdinrConfig, mut parameters: Parameters) -> Result<Self> {
        let p = &mut parameters;
        let encoder = Encoder::new(
            p,
            "spatial_encoder",
            &config.encoder,
            "spatial_refiner",
            config.spatial_refiner.as_ref(),
            config.if_refine,
        )?;
        let lines = Lines::new(p, &config.latent, config.cond_refiner.as_ref(), config.if_refine)?;
        let inputs = config.spatial_fdim + config.latent.width();
        let fusion = Linear::new(p, "fusion.0", inputs, config.hidden_dim, true)?;
        let decoder = FeatMlp::new(p, "decoder", &config.decoder)?;
        let out_proj = if config.use_out_proj {
            Some(Linear::new(p, "out_proj", config.hidden_dim, config.out_dim, true)?)
        } else {
            None
        };
        p.finish()?;
        Ok(Self {
            encoder,
            lines,
            fusion,
            fusion_activation: config.default_act,
            decoder,
            out_proj,
            out_activation: config.out_act.unwrap_or(Activation::Identity),
            spatial_features: config.spatial_fdim,
            compute: None,
            parameters,
        })
    }

    /// From now on multiplies matrices in `kind`; features are interpolated in it, too. Tables,
    /// norms and results stay in the precision of the tensors.
    pub fn compute_in(&mut self, kind: Kind) {
        self.compute = Some(kind);
    }

    /// Normalised values `[members, points, out]`.
    ///
    /// `points` in [-1, 1], 64-bit: `[points, dims]` shared by all members, or
    /// `[members, points, dims]`. `conditions`: `[members, parameters]` in [0, 1].
    pub fn forward(&self, points: &Tensor, conditions: &Tensor) -> Tensor {
        Encoded::Hdinr(self).forward(points, conditions)
    }

    /// Normalised values `[members, points, out]` from spatial features, `[1, points, channels]`
    /// shared by all members, or `[members, points, channels]`.
    pub fn decode(&self, spatial: &Tensor, conditions: &Tensor) -> Tensor {
        // The fusion layer is linear: its spatial half is computed once for all members that
        // share points, its conditional half once per member.
        let kind = self.compute();
        let split = self.spatial_features as i64;
        let weight = self.fusion.weight.to_kind(kind);
        let bias = self.fusion.bias.as_ref().map(|bias| bias.to_kind(kind));
        let spatial_half = spatial.linear(&weight.narrow(1, 0, split), None::<&Tensor>);
        let rest = weight.size()[1] - split;
        let conditional = self.lines.forward(conditions).to_kind(kind);
        let conditional_half = conditional.linear(&weight.narrow(1, split, rest), bias.as_ref());
        let fused = spatial_half + conditional_half.unsqueeze(1);
        let values = self.decoder.forward(&activate(self.fusion_activation, &fused));
        let values = match &self.out_proj {
            Some(layer) => layer.forward(&values),
            None => values,
        };
        activate(self.out_activation, &values.to_kind(self.parameters.kind()))
    }

    /// Precision of the matrix products.
    pub fn compute(&self) -> Kind {
        self.compute.unwrap_or(self.parameters.kind())
    }

    /// Bytes that a point of a member keeps for the way back, roughly.
    pub fn bytes_per_point(&self) -> usize {
        let hidden = self.fusion.weight.size()[0] as usize;
        hidden * 3 * size_of::<f32>() + self.decoder.bytes_per_row()
    }
}
