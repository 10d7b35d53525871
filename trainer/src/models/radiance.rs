//! Radiance fields: density and colour at positions that are seen along directions.
//!
//! Names of tensors are those of the reference where it has any: its small networks are each one
//! flat tensor of tiny-cuda-nn, here they are layers.

mod vanilla;

use anyhow::{Result, ensure};
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

    /// Colours `[points, 3]` from 0 to 1 seen along unit `directions`, `[points, 3]`.
    pub fn colours(&self, features: &Tensor, directions: &Tensor) -> Tensor {
        let directions = directions.to_kind(features.kind());
        match &self.field {
            Field::Grid(field) => field.colours(features, &directions),
            Field::Vanilla(field) => field.colours(features, &directions),
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

    fn colours(&self, features: &Tensor, directions: &Tensor) -> Tensor {
        let Some(networks) = &self.networks else { unreachable!("checked when it was built") };
        let colours = match networks.bands {
            0 => networks.colour.forward(features),
            bands => {
                let harmonics = harmonics(directions, bands);
                networks.colour.forward(&Tensor::cat(&[&harmonics, features], 1))
            }
        };
        colours.sigmoid()
    }
}

/// exp(x), whose gradient is that of exp(min(x, 15)): large densities do not explode.
fn truncated_exp(x: &Tensor) -> Tensor {
    // Below the limit both are the same; above it the value comes from the first, the gradient from
    // the second.
    let gentle = x.clamp_max(STEEPEST).exp().detach() * (x - x.detach());
    x.detach().exp() + gentle
}

/// Real spherical harmonics of unit `directions`, `[points, 3]`, of up to four bands:
/// `[points, bands^2]`, with the signs and order of instant-NGP (Müller et al. 2022).
pub fn harmonics(directions: &Tensor, bands: usize) -> Tensor {
    let [x, y, z] = [0, 1, 2].map(|axis| directions.select(1, axis));
    let [xx, yy, zz] = [&x, &y, &z].map(|v| v.square());
    let (xy, yz, xz) = (&x * &y, &y * &z, &x * &z);
    let all = [
        x.ones_like() * 0.282_094_791_773_878_14,
        &y * -0.488_602_511_902_919_9,
        &z * 0.488_602_511_902_919_9,
        &x * -0.488_602_511_902_919_9,
        &xy * 1.092_548_430_592_079_2,
        &yz * -1.092_548_430_592_079_2,
        &zz * 0.946_174_695_757_560_1 - 0.315_391_565_252_520_05,
        &xz * -1.092_548_430_592_079_2,
        (&xx - &yy) * 0.546_274_215_296_039_6,
        &y * (&xx * -3.0 + &yy) * 0.590_043_589_926_643_5,
        &xy * &z * 2.890_611_442_640_554_3,
        &y * (&zz * -5.0 + 1.0) * 0.457_045_799_464_465_8,
        &z * (&zz * 5.0 - 3.0) * 0.373_176_332_590_115_43,
        &x * (&zz * -5.0 + 1.0) * 0.457_045_799_464_465_8,
        &z * (&xx - &yy) * 1.445_305_721_320_277_1,
        &x * (&xx * -1.0 + &yy * 3.0) * 0.590_043_589_926_643_5,
    ];
    Tensor::stack(&all[..bands * bands], 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Harmonics are orthonormal over the sphere: checked by a fine rule over angles.
    #[test]
    fn harmonics_are_orthonormal() {
        let (rows, columns) = (200, 400);
        let (mut directions, mut weights) = (Vec::new(), Vec::new());
        for row in 0..rows {
            let z = (2.0 * f64::from(row) + 1.0) / f64::from(rows) - 1.0;
            for column in 0..columns {
                let angle = std::f64::consts::TAU * f64::from(column) / f64::from(columns);
                let radius = (1.0 - z * z).sqrt();
                directions.extend([radius * angle.cos(), radius * angle.sin(), z]);
                weights.push(4.0 * std::f64::consts::PI / f64::from(rows * columns));
            }
        }
        let directions = Tensor::from_slice(&directions).view([-1, 3]);
        let values = harmonics(&directions, 4);
        let weights = Tensor::from_slice(&weights).unsqueeze(1);
        let products = values.transpose(0, 1).matmul(&(&values * weights));
        let error = (products - Tensor::eye(16, (Kind::Double, tch::Device::Cpu))).abs().max();
        assert!(error.double_value(&[]) < 1e-3, "{error:?}");
        // The signs of the first band: instant-NGP has minus for y and x.
        let one = harmonics(&Tensor::from_slice(&[0.6, 0.8, 0.0]).view([1, 3]), 2);
        let one = Vec::<f64>::try_from(&one.view(-1)).unwrap();
        assert!(one[1] < 0.0 && one[3] < 0.0 && one[2] == 0.0);
    }

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
