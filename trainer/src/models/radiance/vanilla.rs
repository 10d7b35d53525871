//! The network of NeRF (Mildenhall et al. 2020): sines and cosines of the position through eight
//! layers to density, those of the direction join for the colour.

use anyhow::Result;
use tch::{Kind, Tensor};

use crate::config::VanillaConfig;
use crate::models::Parameters;
use crate::models::layers::Linear;
use crate::models::parameters::Init;

/// The network.
pub struct Vanilla {
    layers: Vec<Linear>,
    skip: usize,
    density: Linear,
    bottleneck: Linear,
    colour: Vec<Linear>,
}

impl Vanilla {
    pub fn new(p: &mut Parameters, config: &VanillaConfig) -> Result<Self> {
        let [positions, directions] = VanillaConfig::FREQUENCIES;
        for (name, frequencies) in [("posi_encoder", positions), ("view_encoder", directions)] {
            p.unused_buffer(format!("{name}.scales"), scales(frequencies, Kind::Int64))?;
        }
        let inputs = VanillaConfig::encoded(positions);
        let mut width = inputs;
        let mut layers = Vec::new();
        for n in 0..config.depth {
            let name = format!("mlp.base.hidden_layers.{n}");
            layers.push(linear(p, &name, width, config.width)?);
            width = config.width + if joins(n, config.skip) { inputs } else { 0 };
        }
        let density = linear(p, "mlp.sigma_layer.output_layer", width, 1)?;
        let bottleneck = linear(p, "mlp.bottleneck_layer.output_layer", width, config.width)?;
        let mut width = config.width + VanillaConfig::encoded(directions);
        let mut colour = Vec::new();
        for n in 0..config.colour_depth {
            let name = format!("mlp.rgb_layer.hidden_layers.{n}");
            colour.push(linear(p, &name, width, config.colour_width)?);
            width = config.colour_width;
        }
        colour.push(linear(p, "mlp.rgb_layer.output_layer", width, 3)?);
        Ok(Self { layers, skip: config.skip, density, bottleneck, colour })
    }

    /// Densities at positions `[points, 3]` in the scene's units, and what colours are made of.
    pub fn density(&self, positions: &Tensor) -> (Tensor, Tensor) {
        let trunk = self.trunk(positions);
        (self.density.forward(&trunk).relu().select(1, 0), trunk)
    }

    /// Sines and cosines of directions, `[directions, 3]`.
    pub fn encoded(&self, directions: &Tensor) -> Tensor {
        waves(directions, VanillaConfig::FREQUENCIES[1])
    }

    /// Colours seen along [`encoded`](Self::encoded) directions.
    pub fn colours(&self, trunk: &Tensor, directions: &Tensor) -> Tensor {
        let x = Tensor::cat(&[&self.bottleneck.forward(trunk), directions], 1);
        let (last, hidden) = self.colour.split_last().expect("a layer");
        let x = hidden.iter().fold(x, |x, layer| layer.forward(&x).relu());
        last.forward(&x).sigmoid()
    }

    fn trunk(&self, positions: &Tensor) -> Tensor {
        let inputs = waves(positions, VanillaConfig::FREQUENCIES[0]);
        let mut x = inputs.shallow_clone();
        for (n, layer) in self.layers.iter().enumerate() {
            x = layer.forward(&x).relu();
            if joins(n, self.skip) {
                x = Tensor::cat(&[&x, &inputs], 1);
            }
        }
        x
    }
}

/// Whether the input joins again behind layer `n`.
fn joins(n: usize, skip: usize) -> bool {
    n > 0 && n.is_multiple_of(skip)
}

/// Coordinates, then the sines of all of them times 2^0, 2^1, ..., then those with a quarter of a turn
/// more.
fn waves(x: &Tensor, frequencies: usize) -> Tensor {
    let scales = scales(frequencies, x.kind()).to_device(x.device());
    let angles = (x.unsqueeze(1) * scales.unsqueeze(1)).flatten(1, 2);
    Tensor::cat(&[x.shallow_clone(), angles.sin(), angles.cos()], 1)
}

fn scales(frequencies: usize, kind: Kind) -> Tensor {
    let scales: Vec<i64> = (0..frequencies).map(|k| 1 << k).collect();
    Tensor::from_slice(&scales).to_kind(kind)
}

/// Weights uniform within sqrt(6 / (inputs + outputs)), biases zero.
fn linear(p: &mut Parameters, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
    let bound = (6.0 / (inputs + outputs) as f64).sqrt();
    let shape = [outputs as i64, inputs as i64];
    let weight = p.trainable(format!("{name}.weight"), &shape, Init::Uniform(-bound, bound))?;
    let bias = p.trainable(format!("{name}.bias"), &shape[..1], Init::Uniform(0.0, 0.0))?;
    Ok(Linear { weight, bias: Some(bias) })
}
