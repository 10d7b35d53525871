//! Radiance fields: density and colour at positions that are seen along directions.
//!
//! Names of tensors are those of the reference where it has any: its small networks are each one
//! flat tensor of tiny-cuda-nn, here they are layers.

mod vanilla;

use anyhow::{Result, ensure};
use drr::cpu::harmonics;
use tch::{Kind, Tensor};

use super::inr::encoder;
use super::layers::FusedMlp;
use super::{Encoder, Parameters};
use crate::config::{RadianceConfig, RadianceFieldConfig, RadianceGridConfig};
use vanilla::Vanilla;

/// Densities grow no faster than this exponent on the way back, so that steps stay small.
const STEEPEST: f64 = 15.0;

/// The model; its tensors are in [`Radiance::parameters`].
pub struct Radiance {
    /// All tensors by name.
    pub parameters: Parameters,
    /// The box: lower corner, then upper corner.
    pub aabb: [f64; 6],
    /// What is inside it.
    pub field: Field,
}

/// The network of a [`Radiance`].
pub enum Field {
    /// Grids and two small networks.
    Grid(GridField),
    /// A deep network.
    Vanilla(Box<Vanilla>),
}

/// Grids and two small networks.
pub struct GridField {
    /// Features over the box.
    pub encoder: Encoder,
    /// Length of the features.
    pub features: usize,
    /// From features to density and what colour is made of; `None`: a bare encoder, which is what
    /// checkpoints without networks hold.
    pub networks: Option<Networks>,
}

/// From features to density and colour.
pub struct Networks {
    /// From features to the logarithm of the density (plus 1), and to features of the colour.
    pub density: FusedMlp,
    /// From direction and features to colours before the sigmoid.
    pub colour: FusedMlp,
    /// Bands of the spherical harmonics of the direction.
    pub bands: usize,
}

impl Radiance {
    /// The model of `config` with the tensors that `parameters` holds or makes.
    ///
    /// # Errors
    /// If a checkpoint does not fit the configuration, naming the tensor.
    pub fn build(config: &RadianceConfig, mut parameters: Parameters) -> Result<Self> {
        let p = &mut parameters;
        let field = match &config.field {
            RadianceFieldConfig::Grid(grid) => {
                let aabb = Tensor::from_slice(&config.aabb).to_kind(Kind::Float);
                p.unused_buffer("aabb".into(), aabb)?;
                Field::Grid(GridField::new(p, grid)?)
            }
            RadianceFieldConfig::Vanilla(config) => {
                Field::Vanilla(Box::new(Vanilla::new(p, config)?))
            }
        };
        p.finish()?;
        Ok(Self { parameters, aabb: config.aabb, field })
    }

    /// # Errors
    /// If there are no networks behind the encoder.
    pub fn check_complete(&self) -> Result<()> {
        let bare = matches!(&self.field, Field::Grid(GridField { networks: None, .. }));
        ensure!(!bare, "the checkpoint holds an encoder and no networks for density and colour");
        Ok(())
    }

    /// Densities `[points]` per unit of length at `positions`, `[points, 3]`; 0 outside the box.
    pub fn density(&self, positions: &Tensor) -> Tensor {
        self.density_and_features(positions).0
    }

    /// Densities as [`density`](Self::density) gives them, and features of which
    /// [`colours`](Self::colours) are made.
    pub fn density_and_features(&self, positions: &Tensor) -> (Tensor, Tensor) {
        let unit = self.normalized(positions);
        let (density, features) = match &self.field {
            Field::Grid(field) => field.density(&unit),
            Field::Vanilla(field) => field.density(&positions.to_kind(self.parameters.kind())),
        };
        (self.inside(&unit, &density), features)
    }

    /// What colours take of unit directions, `[directions, numbers]`: of a ray, the same for all of
    /// its samples.
    pub fn encoded(&self, directions: &[[f64; 3]]) -> Tensor {
        let encoded = match &self.field {
            Field::Grid(field) => field.encoded(directions),
            Field::Vanilla(field) => {
                field.encoded(&Tensor::from_slice(directions.as_flattened()).view([-1, 3]))
            }
        };
        encoded.to_kind(self.parameters.kind())
    }

    /// Colours `[points, 3]` from 0 to 1 seen along [`encoded`](Self::encoded) directions, one for
    /// each point.
    pub fn colours(&self, features: &Tensor, directions: &Tensor) -> Tensor {
        match &self.field {
            Field::Grid(field) => field.colours(features, directions),
            Field::Vanilla(field) => field.colours(features, directions),
        }
    }

    /// Positions in [-1, 1].
    fn normalized(&self, positions: &Tensor) -> Tensor {
        let low = Tensor::from_slice(&self.aabb[..3]).to_device(positions.device());
        let edge = self.aabb[3] - self.aabb[0];
        (positions.to_kind(Kind::Double) - low) * (2.0 / edge) - 1.0
    }

    /// `density` where `unit` is inside the box.
    fn inside(&self, unit: &Tensor, density: &Tensor) -> Tensor {
        let inside = unit.abs().lt(1.0).all_dim(1, false);
        density * inside.to_kind(density.kind())
    }
}

impl GridField {
    fn new(p: &mut Parameters, config: &RadianceGridConfig) -> Result<Self> {
        let encoder = encoder(p, "mlp_base.0", &config.spatial)?;
        let networks = match p.lacks("mlp_head.") {
            true => None,
            false => Some(Networks {
                density: FusedMlp::new(p, "mlp_base.1", &config.density_widths())?,
                colour: FusedMlp::new(p, "mlp_head", &config.colour_widths())?,
                bands: config.bands(),
            }),
        };
        Ok(Self { encoder, features: config.spatial.features, networks })
    }

    /// Densities, `[points]`, and features of the colour at points in [-1, 1].
    fn density(&self, unit: &Tensor) -> (Tensor, Tensor) {
        let kind = self.encoder.kind();
        let features = self.encoder.forward(unit, kind);
        let Some(networks) = &self.networks else { unreachable!("checked when it was built") };
        let both = networks.density.forward(&features);
        let rest = both.size()[1] - 1;
        (truncated_exp(&(both.select(1, 0) - 1.0)), both.narrow(1, 1, rest))
    }

    /// Spherical harmonics, as the library computes them.
    fn encoded(&self, directions: &[[f64; 3]]) -> Tensor {
        let count = self.networks.as_ref().map_or(0, |networks| networks.bands * networks.bands);
        let rows = directions.iter().flat_map(|&d| harmonics(d).into_iter().take(count));
        let numbers: Vec<f64> = rows.collect();
        Tensor::from_slice(&numbers).view([directions.len() as i64, count as i64])
    }

    fn colours(&self, features: &Tensor, directions: &Tensor) -> Tensor {
        let Some(networks) = &self.networks else { unreachable!("checked when it was built") };
        networks.colour.forward(&Tensor::cat(&[directions, features], 1)).sigmoid()
    }
}

/// exp(x), whose gradient is that of exp(min(x, 15)): large densities do not explode.
fn truncated_exp(x: &Tensor) -> Tensor {
    // Below the limit both are the same; above it the value comes from the first, the gradient from
    // the second.
    let gentle = x.clamp_max(STEEPEST).exp().detach() * (x - x.detach());
    x.detach().exp() + gentle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_exact_and_their_gradients_bounded() {
        let x = Tensor::from_slice(&[-3.0, 0.5, 16.0]).set_requires_grad(true);
        let y = truncated_exp(&x);
        y.sum(Kind::Double).backward();
        let values = Vec::<f64>::try_from(&y.detach()).unwrap();
        let gradients = Vec::<f64>::try_from(&x.grad()).unwrap();
        for ((x, y), g) in [-3.0f64, 0.5, 16.0].iter().zip(values).zip(gradients) {
            assert!((y / x.exp() - 1.0).abs() < 1e-12);
            assert!((g / x.min(15.0).exp() - 1.0).abs() < 1e-12);
        }
    }
}
