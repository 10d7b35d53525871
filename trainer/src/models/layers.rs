//! Dense building blocks: linear layers, gated refiner blocks, the decoder, encodings.

use anyhow::Result;
use tch::{Kind, Tensor};

use super::parameters::{Init, Parameters};
use crate::config::{Activation, FeatMlpConfig, GluConfig};

/// `x W^T + b`.
pub struct Linear {
    /// `[outputs, inputs]`
    pub weight: Tensor,
    /// `[outputs]`
    pub bias: Option<Tensor>,
}

/// The refiner `GLUFeatMLP`: gated blocks that transform the features of each vertex.
pub struct Refiner {
    blocks: Vec<GluBlock>,
    /// Whether what goes in is added to what comes out.
    residual: bool,
}

/// `x + W3 (act(W1 n) * W2 n)` with `n = RMSNorm(x)`.
struct GluBlock {
    norm: Option<Tensor>,
    gate: Linear,
    up: Linear,
    down: Linear,
    head: Option<Linear>,
    activation: Activation,
    skip: bool,
}

/// The decoder `FeatMLP`.
pub struct FeatMlp {
    /// Layers and what follows each.
    pub layers: Vec<(Linear, Activation)>,
}

/// Layers without biases and with ReLU between them, as tiny-cuda-nn's `FullyFusedMLP` computes
/// them in one piece.
pub struct FusedMlp {
    /// At least one.
    pub layers: Vec<Linear>,
}

impl FusedMlp {
    /// Layers `NAME.net.N` between `widths`, initialised as tiny-cuda-nn does: uniform within
    /// sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010).
    pub fn new(parameters: &mut Parameters, name: &str, widths: &[usize]) -> Result<Self> {
        let layers = widths.windows(2).enumerate().map(|(n, widths)| {
            let bound = (6.0 / (widths[0] + widths[1]) as f64).sqrt();
            let shape = [widths[1] as i64, widths[0] as i64];
            let init = Init::Uniform(-bound, bound);
            let weight = parameters.trainable(format!("{name}.net.{n}.weight"), &shape, init)?;
            Ok(Linear { weight, bias: None })
        });
        Ok(Self { layers: layers.collect::<Result<_>>()? })
    }

    /// `[..., inputs]` to `[..., outputs]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let (last, hidden) = self.layers.split_last().expect("a layer");
        let x = hidden.iter().fold(x.shallow_clone(), |x, layer| layer.forward(&x).relu());
        last.forward(&x)
    }

    /// Bytes that a row keeps for the way back, roughly.
    pub fn bytes_per_row(&self) -> usize {
        let outputs = self.layers.iter().map(|layer| layer.weight.size()[0] as usize);
        outputs.sum::<usize>() * 2 * size_of::<f32>()
    }
}

impl Linear {
    /// Initialised as `torch.nn.Linear`: uniform within ±1/sqrt(inputs).
    pub fn new(
        parameters: &mut Parameters,
        name: &str,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Result<Self> {
        let bound = 1.0 / (inputs as f64).sqrt();
        let init = Init::Uniform(-bound, bound);
        let shape = [outputs as i64, inputs as i64];
        let weight = parameters.trainable(format!("{name}.weight"), &shape, init)?;
        let bias = if bias {
            Some(parameters.trainable(format!("{name}.bias"), &shape[..1], init)?)
        } else {
            None
        };
        Ok(Self { weight, bias })
    }

    /// `[..., inputs]` to `[..., outputs]`, in the precision of `x`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let bias = self.bias.as_ref().map(|bias| bias.to_kind(x.kind()));
        x.linear(&self.weight.to_kind(x.kind()), bias)
    }
}

impl Refiner {
    /// Builds the refiner's blocks under `name`; with `residual`, what goes in is added to the result.
    pub fn new(
        parameters: &mut Parameters,
        name: &str,
        config: &GluConfig,
        residual: bool,
    ) -> Result<Self> {
        let blocks = (0..config.num_layers)
            .map(|i| {
                let last = i + 1 == config.num_layers;
                let outputs = if last { config.out_dim } else { config.feat_dim };
                GluBlock::new(parameters, &format!("{name}.net.{i}"), config, outputs)
            })
            .collect::<Result<_>>()?;
        Ok(Self { blocks, residual })
    }

    /// Bytes that refining a vertex keeps for the way back, roughly: what the blocks' norms,
    /// products and activations read.
    pub fn bytes_per_row(&self) -> usize {
        let block = |block: &GluBlock| {
            let size = block.gate.weight.size();
            (6 * size[0] + 8 * size[1]) as usize * size_of::<f32>()
        };
        self.blocks.iter().map(block).sum()
    }

    /// Refined features of vertices, `[vertices, features]`, the residual around the refiner
    /// included if it has one.
    pub fn refine(&self, features: &Tensor) -> Tensor {
        let mut x = features.shallow_clone();
        for block in &self.blocks {
            x = block.forward(&x);
        }
        if self.residual { x + features } else { x }
    }
}

impl GluBlock {
    fn new(
        parameters: &mut Parameters,
        name: &str,
        config: &GluConfig,
        outputs: usize,
    ) -> Result<Self> {
        let dim = config.feat_dim;
        let hidden = config.hidden_dim();
        let (norm, layer) = if config.use_norm {
            let weight = format!("{name}.GLU_layer.0.weight");
            (Some(parameters.trainable(weight, &[dim as i64], Init::Ones)?), "GLU_layer.1")
        } else {
            (None, "GLU_layer")
        };
        let mut linear = |fc: &str, inputs, outputs| {
            Linear::new(parameters, &format!("{name}.{layer}.{fc}"), inputs, outputs, false)
        };
        let gate = linear("fc1", dim, hidden)?;
        let up = linear("fc2", dim, hidden)?;
        let down = linear("fc3", hidden, dim)?;
        let head = if outputs == dim {
            None
        } else {
            Some(Linear::new(parameters, &format!("{name}.head"), dim, outputs, true)?)
        };
        let (activation, skip) = (config.activation, config.skip_connection);
        Ok(Self { norm, gate, up, down, head, activation, skip })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let n = match &self.norm {
            Some(weight) => rms_norm(x, weight),
            None => x.shallow_clone(),
        };
        let gated = activate(self.activation, &self.gate.forward(&n)) * self.up.forward(&n);
        let y = self.down.forward(&gated);
        let y = if self.skip { x + y } else { y };
        match &self.head {
            Some(head) => head.forward(&y),
            None => y,
        }
    }
}

impl FeatMlp {
    /// Builds the decoder's layers under `name`.
    pub fn new(parameters: &mut Parameters, name: &str, config: &FeatMlpConfig) -> Result<Self> {
        let layers = (0..config.num_layers)
            .map(|i| {
                let last = i + 1 == config.num_layers;
                let (outputs, activation) = if last {
                    (config.out_dim, config.out_activation)
                } else {
                    (config.feat_dim, config.activation)
                };
                let name = format!("{name}.net.{i}.linear");
                Ok((Linear::new(parameters, &name, config.feat_dim, outputs, true)?, activation))
            })
            .collect::<Result<_>>()?;
        parameters.unused_buffer(format!("{name}.output_noise"), Tensor::from(0.03f32))?;
        Ok(Self { layers })
    }

    /// Bytes that a row keeps for the way back, roughly.
    pub fn bytes_per_row(&self) -> usize {
        let outputs = self.layers.iter().map(|(layer, _)| layer.weight.size()[0] as usize);
        outputs.sum::<usize>() * 4 * size_of::<f32>()
    }

    /// `[..., features]` to `[..., outputs]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let mut x = x.shallow_clone();
        for (layer, activation) in &self.layers {
            x = activate(*activation, &layer.forward(&x));
        }
        x
    }
}

/// `activation(x)`.
pub fn activate(activation: Activation, x: &Tensor) -> Tensor {
    match activation {
        Activation::Identity => x.shallow_clone(),
        Activation::ReLU => x.relu(),
        Activation::ELU => x.elu(),
        Activation::SiLU => x.silu(),
        Activation::GELU => x.gelu("none"),
        Activation::Sigmoid => x.sigmoid(),
        Activation::Tanh => x.tanh(),
        Activation::Sine => x.sin(),
    }
}

/// `x / sqrt(mean(x^2) + 1e-6) * weight`, computed in the precision of `weight`.
fn rms_norm(x: &Tensor, weight: &Tensor) -> Tensor {
    let exact = x.to_kind(weight.kind());
    let mean = exact.square().mean_dim(-1, true, None::<Kind>);
    (exact * (mean + 1e-6).rsqrt() * weight).to_kind(x.kind())
}

/// Positional encoding of features, `[vertices, channels]` to `[vertices, channels * 2g]`: per
/// channel the sines of all `coeff`, then the cosines.
pub fn positional_encoding(x: &Tensor, coeff: &Tensor) -> Tensor {
    let angles = x.unsqueeze(-1) * coeff;
    Tensor::cat(&[angles.sin(), angles.cos()], -1).flatten(-2, -1)
}

/// The encoding's `pi 2^k`, k = 0..g-1, in 32 bits as the reference stores it.
pub fn encoding_coefficients(g: usize) -> Tensor {
    let coeff: Vec<f32> = (0..g).map(|k| std::f32::consts::PI * (k as f32).exp2()).collect();
    Tensor::from_slice(&coeff)
}
