//! SIREN (Sitzmann et al. 2020): layers with sines of 30 times their sums.

use anyhow::Result;
use tch::Tensor;

use crate::config::SirenConfig;
use crate::models::Parameters;
use crate::models::layers::Linear;
use crate::models::parameters::Init;

/// What sums are multiplied by.
pub const FREQUENCY: f64 = 30.0;

pub struct Siren {
    hidden: Vec<Linear>,
    last: Linear,
}

impl Siren {
    pub fn new(p: &mut Parameters, config: &SirenConfig) -> Result<Self> {
        let width = config.hidden_dim;
        // Section 3.2 of the paper.
        let bound = (6.0 / width as f64).sqrt() / FREQUENCY;
        let hidden = (0..=config.layers).map(|n| {
            let (inputs, bound) =
                if n == 0 { (config.in_dim, 1.0 / config.in_dim as f64) } else { (width, bound) };
            layer(p, &format!("net.{n}.linear"), inputs, width, bound)
        });
        let hidden = hidden.collect::<Result<_>>()?;
        let name = format!("net.{}", config.layers + 1);
        let last = layer(p, &name, width, config.out_dim, bound)?;
        Ok(Self { hidden, last })
    }

    /// `[points, out]` at `[points, dims]` with `[points, parameters]`, of which there may be none.
    pub fn forward(&self, points: &Tensor, conditions: &Tensor) -> Tensor {
        let inputs = Tensor::cat(&[points, conditions], 1);
        let sine = |x: Tensor, layer: &Linear| (layer.forward(&x) * FREQUENCY).sin();
        self.last.forward(&self.hidden.iter().fold(inputs, sine))
    }
}

/// A layer whose weights are uniform within ±`bound`, its biases as `torch.nn.Linear` has them.
fn layer(
    p: &mut Parameters,
    name: &str,
    inputs: usize,
    outputs: usize,
    bound: f64,
) -> Result<Linear> {
    let shape = [outputs as i64, inputs as i64];
    let weight = p.trainable(format!("{name}.weight"), &shape, Init::Uniform(-bound, bound))?;
    let of_bias = 1.0 / (inputs as f64).sqrt();
    let bias =
        p.trainable(format!("{name}.bias"), &shape[..1], Init::Uniform(-of_bias, of_bias))?;
    Ok(Linear { weight, bias: Some(bias) })
}
