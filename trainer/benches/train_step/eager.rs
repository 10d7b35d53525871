//! The same training step as PyTorch does it when the paper's formulas are written down: all
//! vertices are refined, `grid_sample` interpolates, every point of every member goes through
//! everything. Nothing of our encoder is in it.

use std::collections::BTreeMap;

use drr_train::config::{EncoderConfig, HdinrConfig};
use drr_train::models::Hdinr;
use tch::{Device, Kind, Tensor};

/// The tensors of a model by name, and its shape.
pub struct Eager<'a> {
    model: &'a Hdinr,
    device: Device,
    tensors: BTreeMap<String, Tensor>,
    config: &'a HdinrConfig,
    shape: [i64; 3],
    features: i64,
    bands: usize,
    grids: usize,
}

impl<'a> Eager<'a> {
    /// The function of `model`, a refined multi-dense one in three dimensions.
    pub fn new(model: &'a Hdinr, config: &'a HdinrConfig) -> Self {
        let EncoderConfig::MultiDense {
            grid_shapes, refine_res: Some(res), pe: Some(bands), ..
        } = &config.encoder
        else {
            panic!("a refined multi-dense grid with encoded features")
        };
        let tensors = model.parameters.all();
        Self {
            model,
            device: model.fusion.weight.device(),
            tensors: tensors
                .map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()))
                .collect(),
            config,
            shape: [res[0] as i64, res[1] as i64, res[2] as i64],
            features: config.spatial_fdim as i64,
            bands: *bands,
            grids: grid_shapes.len(),
        }
    }

    /// Refined features of the first of `slabs` equal parts of all vertices, `[vertices, channels]`.
    pub fn refine(&self, slabs: usize) -> Tensor {
        let [depth, height, width] = self.shape;
        let axis = |n: i64| Tensor::linspace(-1.0, 1.0, n, (Kind::Float, self.device));
        let axes = [axis(depth).narrow(0, 0, depth / slabs as i64), axis(height), axis(width)];
        let [z, y, x] = &Tensor::meshgrid_indexing(&axes, "ij")[..] else { panic!("three axes") };
        let at = Tensor::stack(&[x, y, z], -1).unsqueeze(0);
        let sampled: Vec<Tensor> = (0..self.grids)
            .map(|i| {
                let grid =
                    &self.tensors[&format!("spatial_encoder.feature_grids.{i}.feature_grid")];
                let sampled = grid.grid_sampler(&at, 0, 0, true);
                sampled.view([grid.size()[1], -1]).transpose(0, 1)
            })
            .collect();
        let features = Tensor::cat(&sampled, 1);
        let bands: Vec<f32> =
            (0..self.bands).map(|k| std::f32::consts::PI * (1 << k) as f32).collect();
        let angles = features.unsqueeze(-1) * Tensor::from_slice(&bands).to_device(self.device);
        let encoded = Tensor::cat(&[angles.sin(), angles.cos()], -1).flatten(1, 2);
        self.glu("spatial_refiner", &encoded) + &encoded
    }

    fn glu(&self, name: &str, x: &Tensor) -> Tensor {
        let mut x = x.shallow_clone();
        for i in 0.. {
            let weight =
                |layer: &str| self.tensors.get(&format!("{name}.net.{i}.GLU_layer.{layer}.weight"));
            let (Some(norm), Some(gate), Some(up), Some(down)) =
                (weight("0"), weight("1.fc1"), weight("1.fc2"), weight("1.fc3"))
            else {
                break;
            };
            let mean = x.square().mean_dim(-1, true, None::<Kind>);
            let n = &x * (mean + 1e-6).rsqrt() * norm;
            let none = None::<&Tensor>;
            let gated = n.linear(gate, none).relu() * n.linear(up, none);
            // A tensor of its own: the way back needs the one before.
            let next = &x + gated.linear(down, none);
            x = next;
        }
        x
    }

    /// Values `[members, points, 1]` from refined features of all vertices.
    pub fn query(&self, refined: &Tensor, points: &Tensor, conditions: &Tensor) -> Tensor {
        let [members, count, _] = points.size()[..] else { panic!("[members, points, 3]") };
        let [depth, height, width] = self.shape;
        let grid = refined.transpose(0, 1).view([1, self.features, depth, height, width]);
        let at = points.to_kind(Kind::Float).view([1, 1, 1, -1, 3]);
        let spatial = grid.grid_sampler(&at, 0, 0, true).view([self.features, -1]).transpose(0, 1);
        let lines = self.model.lines.forward(conditions);
        let lines = lines.unsqueeze(1).expand([members, count, -1], false);
        let joined = Tensor::cat(&[spatial.reshape([members, count, -1]), lines], -1);
        let linear = |name: &str, x: &Tensor| {
            let [weight, bias] =
                ["weight", "bias"].map(|part| &self.tensors[&format!("{name}.{part}")]);
            x.linear(weight, Some(bias))
        };
        let mut x = linear("fusion.0", &joined).relu();
        for i in 0..self.config.decoder.num_layers {
            x = linear(&format!("decoder.net.{i}.linear"), &x);
            if i + 1 < self.config.decoder.num_layers {
                x = x.relu();
            }
        }
        x.sigmoid()
    }
}
