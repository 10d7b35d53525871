//! Explorable-INR (Chen et al. 2025): features of a volume times those of three planes, beside the
//! product of the parameters' lines; a small network.

use anyhow::Result;
use tch::Tensor;

use super::sampling::{Beyond, Line, product_of_lines, sample};
use super::{LinearInit, Mlp};
use crate::config::{DECODER, ExplorableConfig};
use crate::models::Parameters;
use crate::models::parameters::Init;

/// Which sizes a plane has, and which coordinates it is sampled with.
pub const PLANES: [([usize; 2], [i64; 2]); 3] =
    [([0, 1], [1, 2]), ([0, 2], [0, 2]), ([1, 2], [0, 1])];

pub struct Explorable {
    volume: Tensor,
    planes: Vec<Tensor>,
    lines: Vec<Line>,
    decoder: Mlp,
}

impl Explorable {
    pub fn new(p: &mut Parameters, config: &ExplorableConfig) -> Result<Self> {
        let features = config.features as i64;
        let [d, h, w] = config.volume.map(|n| n as i64);
        let near_zero = Init::Uniform(-0.001, 0.001);
        let name = "dg.feature_grid_3d".to_owned();
        let volume = p.trainable_table(name, &[1, features, d, h, w], near_zero)?;
        let planes = PLANES.iter().enumerate().map(|(n, ([a, b], _))| {
            let [a, b] = [config.planes[*a] as i64, config.planes[*b] as i64];
            let near_one = Init::Uniform(0.999, 1.001);
            p.trainable_table(format!("dg.planes.{n}"), &[1, features, a, b], near_one)
        });
        let planes = planes.collect::<Result<_>>()?;
        let lines = config.lines.iter().enumerate().map(|(n, &size)| {
            let shape = [config.line_features, size];
            Line::new(p, format!("dg.lines.{n}"), shape, Init::Uniform(0.01, 0.25))
        });
        let lines = lines.collect::<Result<_>>()?;
        let names = [1, 2, 3, 4].map(|n| format!("fc{n}"));
        let inputs = config.features + config.line_features;
        let widths = [inputs, DECODER, DECODER, DECODER, config.out_dim];
        let decoder = Mlp::new(p, &names, &widths, LinearInit::Xavier)?;
        Ok(Self { volume, planes, lines, decoder })
    }

    /// What the parameters give, `[sets, features]`.
    pub fn lines(&self, conditions: &Tensor) -> Tensor {
        product_of_lines(&self.lines, conditions)
    }

    /// `[points, out]` at `[points, 3]` with what their parameters give.
    pub fn forward(&self, points: &Tensor, lines: &Tensor) -> Tensor {
        let volume = sample(&self.volume, points, Beyond::Zeros);
        let spatial = self.planes.iter().zip(PLANES).fold(volume, |product, (plane, (_, axes))| {
            let axes = Tensor::from_slice(&axes).to_device(points.device());
            product * sample(plane, &points.index_select(1, &axes), Beyond::Zeros)
        });
        self.decoder.forward(&Tensor::cat(&[&spatial, lines], 1)).sigmoid()
    }
}
