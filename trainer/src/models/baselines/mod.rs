//! The models that the paper compares DRR-Net with, with the reference's names of tensors.
//! Formulas are those of the models' papers as the reference computes them.

mod encoded;
mod explorable;
mod fa_inr;
mod kplanes;
pub(super) mod sampling;
mod siren;

use anyhow::Result;
use tch::Tensor;

pub use explorable::PLANES;
pub use siren::FREQUENCY;

use super::Parameters;
use super::layers::Linear;
use super::parameters::Init;
use crate::config::BaselineConfig;

/// One of them.
pub struct Baseline {
    /// All tensors by name.
    pub parameters: Parameters,
    network: Network,
}

enum Network {
    KPlanes(kplanes::KPlanes),
    Explorable(explorable::Explorable),
    FaInr(fa_inr::FaInr),
    Siren(siren::Siren),
    Encoded(encoded::Encoded),
}

impl Baseline {
    /// The model of `config` with the tensors that `parameters` holds or makes.
    ///
    /// # Errors
    /// If a checkpoint does not fit the configuration, naming the tensor.
    pub fn build(config: &BaselineConfig, mut parameters: Parameters) -> Result<Self> {
        let p = &mut parameters;
        let network = match config {
            BaselineConfig::KPlanes(config) => Network::KPlanes(kplanes::KPlanes::new(p, config)?),
            BaselineConfig::Explorable(config) => {
                Network::Explorable(explorable::Explorable::new(p, config)?)
            }
            BaselineConfig::FaInr(config) => Network::FaInr(fa_inr::FaInr::new(p, config)?),
            BaselineConfig::Siren(config) => Network::Siren(siren::Siren::new(p, config)?),
            BaselineConfig::Encoded(config) => Network::Encoded(encoded::Encoded::new(p, config)?),
        };
        p.finish()?;
        Ok(Self { parameters, network })
    }

    /// Normalised values `[members, points, out]`.
    ///
    /// `points` in [-1, 1]: `[points, dims]` shared by all members, or `[members, points, dims]`.
    /// `conditions`: `[members, parameters]` in [0, 1].
    pub fn forward(&self, points: &Tensor, conditions: &Tensor) -> Tensor {
        let kind = self.parameters.kind();
        let members = conditions.size()[0];
        let size = points.size();
        let (count, dims) = (size[size.len() - 2], size[size.len() - 1]);
        let points = points.to_kind(kind).expand([members, count, dims], false);
        let conditions = conditions.to_kind(kind);
        // Each point with the parameters of its member: these models join them at once.
        let flat = points.reshape([-1, dims]);
        let of_points = |per_member: &Tensor| {
            let width = per_member.size()[1];
            per_member
                .unsqueeze(1)
                .expand([members, count, width], false)
                .reshape([members * count, width])
        };
        let values = match &self.network {
            Network::KPlanes(model) => model.forward(&flat, &of_points(&conditions)),
            Network::Explorable(model) => {
                model.forward(&flat, &of_points(&model.lines(&conditions)))
            }
            Network::FaInr(model) => model.forward(&flat, &of_points(&model.lines(&conditions))),
            Network::Siren(model) => model.forward(&flat, &of_points(&conditions)),
            Network::Encoded(model) => model.forward(&flat, &of_points(&conditions)),
        };
        values.reshape([members, count, -1])
    }
}

/// Layers with ReLU between them.
struct Mlp(Vec<Linear>);

impl Mlp {
    /// `names` of the layers, between `widths`.
    fn new(
        p: &mut Parameters,
        names: &[String],
        widths: &[usize],
        init: LinearInit,
    ) -> Result<Self> {
        let layers = names.iter().zip(widths.windows(2));
        layers.map(|(name, w)| linear(p, name, w[0], w[1], init)).collect::<Result<_>>().map(Self)
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let (last, hidden) = self.0.split_last().expect("a layer");
        let x = hidden.iter().fold(x.shallow_clone(), |x, layer| layer.forward(&x).relu());
        last.forward(&x)
    }
}

/// How layers start.
#[derive(Clone, Copy, PartialEq)]
enum LinearInit {
    /// As `torch.nn.Linear`.
    Torch,
    /// Weights normal with the deviation of Glorot and Bengio (2010), biases of 1e-3.
    Xavier,
}

fn linear(
    p: &mut Parameters,
    name: &str,
    inputs: usize,
    outputs: usize,
    init: LinearInit,
) -> Result<Linear> {
    if init == LinearInit::Torch {
        return Linear::new(p, name, inputs, outputs, true);
    }
    let deviation = (2.0 / (inputs + outputs) as f64).sqrt();
    let shape = [outputs as i64, inputs as i64];
    let weight = p.trainable(format!("{name}.weight"), &shape, Init::Normal(deviation))?;
    let bias = p.trainable(format!("{name}.bias"), &shape[..1], Init::Normal(1e-3))?;
    Ok(Linear { weight, bias: Some(bias) })
}
